"""The figures of models of text and of molecules, from a model that looks lines up."""

import logging
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import priors, visualize
from vae_jax.data import load
from vae_jax.distributions import DiagGaussian
from vae_jax.errors import InputError
from vae_jax.visualize import sequence_arrays

TEXT = {"text_reconstructions", "text_interpolations", "text_traversals", "text_samples"}
MOLECULES = {
    "molecule_reconstructions",
    "molecule_interpolations",
    "molecule_neighbors",
    "molecule_samples",
    "molecule_properties",
    "text_traversals",
}


NUM_SAMPLES = 60


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(sequence_arrays, "NUM_SAMPLES", NUM_SAMPLES)


class LookUp:
    """Codes are the number of a test line and zeros; codes between are rounded."""

    is_conditional = False
    model = types.SimpleNamespace(prior=priors.StandardNormal(3), supports=lambda capability: True)

    def __init__(self, dataset):
        index = jnp.arange(dataset.test.num_examples)
        self.rows = np.asarray(dataset.test.take(index, jax.random.key(0))["x"], np.float32)
        self.num_decoded = 0

    def supports(self, name):
        return name == "traversals"

    def encode(self, x, *, y=None, observed=None):
        np.testing.assert_array_equal(observed, x > 0)
        number = (np.asarray(x)[:, None] == self.rows).all(-1).argmax(1)
        z = jnp.zeros((len(x), 3)).at[:, 0].set(number / 10)
        return DiagGaussian(z, z)

    def image(self, z, *, y=None):
        assert y is None
        self.num_decoded += 1
        number = np.clip(np.round(np.asarray(z)[..., 0] * 10), 0, len(self.rows) - 1)
        return self.rows[number.astype(int)]

    def sample(self, key, num_samples, *, y=None, draws=False):
        assert draws
        return self.rows[np.arange(num_samples) % len(self.rows)]


def terms_of(model, code=None):
    code = np.arange(len(model.rows))[:, None] / 10 * np.eye(3)[0] if code is None else code
    kl = np.abs(code) + np.array([0.0, 0.2, 0.1])
    return types.SimpleNamespace(code=code.astype(np.float32), kl=kl, rate=kl.sum(1), y=None)


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line number {i}, wörd {i % 7}\n" for i in range(60)))
    return load("text", path=str(path))


def plot(dataset, directory, **options):
    model = LookUp(dataset)
    paths = visualize.plot_all(model, dataset, terms_of(model, **options), [], directory)
    return {path.stem for path in paths}, model


def test_figures_of_lines_of_text(lines, tmp_path):
    names, model = plot(lines, tmp_path / "figures")
    assert names == TEXT | {"latent_map"}
    assert model.num_decoded == 1  # all codes in one call
    files = tmp_path / "figures"
    first, again, *_ = (files / "reconstructions.txt").read_text(encoding="utf-8").splitlines()
    assert first == again == lines.text.decode(model.rows[0])
    assert len((files / "samples.txt").read_text().splitlines()) == NUM_SAMPLES
    arrays = np.load(files / "samples.npz")
    np.testing.assert_array_equal(arrays["draw"][: len(model.rows)], model.rows)


def test_a_model_without_codes_has_samples_only(lines, tmp_path):
    names, model = plot(lines, tmp_path, code=np.zeros((6, 3)))
    assert names == {"text_samples", "latent_map"}
    assert model.num_decoded == 0


def test_figures_of_molecules(tmp_path):
    pytest.importorskip("rdkit")
    names, _ = plot(load("molecules"), tmp_path)
    assert names == MOLECULES | {"latent_map"}
    lines = (tmp_path / "samples.smi").read_text().splitlines()
    assert len(lines) == NUM_SAMPLES
    assert not (tmp_path / "samples.txt").exists()


def test_molecules_without_rdkit_are_text(tmp_path, monkeypatch, caplog):
    def fail():
        raise InputError("rdkit is not installed")

    monkeypatch.setattr("vae_jax.visualize.sequence_figures.import_rdkit", fail)
    with caplog.at_level(logging.INFO):
        names, _ = plot(load("molecules"), tmp_path)
    assert names == TEXT | {"latent_map"}
    assert "rdkit is not installed; figures show SMILES as text" in caplog.text


def test_codes_around_an_example_have_their_distances(lines):
    rng = np.random.default_rng(0)
    code = (rng.normal(size=(2000, 3)) * [2.0, 1.0, 0.0]).astype(np.float32)
    typical = sequence_arrays.typical_distance(code)
    other = np.linalg.norm(code[:1000] - code[1000:], axis=1)
    assert typical == pytest.approx(np.median(other), rel=0.1)
    examples = types.SimpleNamespace(codes=code[:5], y=None)
    codes, distances = sequence_arrays.neighbor_codes(examples, types.SimpleNamespace(code=code))
    assert codes.z.shape == (len(distances), sequence_arrays.NUM_CENTERS, 3)
    offsets = codes.z - code[: sequence_arrays.NUM_CENTERS]
    np.testing.assert_allclose(
        np.linalg.norm(offsets, axis=-1), typical * distances[:, None].repeat(2, 1), rtol=1e-4
    )
    assert not offsets[..., 2].any()  # a dimension that no code uses


def test_paths_between_codes_begin_and_end_at_them(lines):
    code = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    z, y = sequence_arrays.interpolation_codes(types.SimpleNamespace(codes=code, y=np.arange(9)))
    np.testing.assert_allclose(z[0], code[:3], atol=1e-6)
    np.testing.assert_allclose(z[-1], code[3:6], atol=1e-6)
    np.testing.assert_array_equal(y, [0, 1, 2])


def test_labels_follow_their_codes():
    class Labeled:
        def image(self, z, *, y):
            return np.stack([z[:, 0], y + 2, np.ones(len(z))], 1)  # tokens, then the end

    alphabet = types.SimpleNamespace(decode_rows=lambda x: [f"{a:g} {b:g}" for a, b, _ in x])
    z = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    codes = {
        "one": sequence_arrays.Codes(z, np.arange(4)),
        "two": sequence_arrays.Codes(z[0], np.array([7])),
    }
    texts = sequence_arrays.decode_codes(Labeled(), alphabet, codes)
    assert texts["one"].shape == (3, 4)
    assert texts["one"][1].tolist() == ["4 2", "5 3", "6 4", "7 5"]
    assert texts["two"].tolist() == ["0 9", "1 9", "2 9", "3 9"]
