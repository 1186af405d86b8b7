"""Exported models: another process without the package runs them and gets the same numbers."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax
from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.models import exporting
from vae_jax.models.trained import TrainedModel

pytest.importorskip("safetensors")
pytest.importorskip("flatbuffers")
ROOT = pathlib.Path(__file__).parents[2]
KEY = jax.random.key(0)
READER = """
import json, pathlib, sys
import jax, jax.export, numpy as np
from safetensors.numpy import load_file

folder = pathlib.Path(sys.argv[1])
params = load_file(folder / "params.safetensors")
given = dict(np.load(folder.parent / "given.npz"))
results = {}
for name in ("encoder", "decoder"):
    program = jax.export.deserialize(bytearray((folder / f"{name}.bin").read_bytes()))
    inputs = json.loads((folder / "manifest.json").read_text())[name]["inputs"]
    assert program.platforms == ("cpu", "cuda", "tpu")
    outputs = program.call(params, {key: given[key] for key in inputs})
    results |= {f"{name}.{key}": np.asarray(value) for key, value in outputs.items()}
assert not [module for module in sys.modules if module.startswith(("vae_jax", "flax"))]
np.savez(folder.parent / "results.npz", **results)
"""


def run_elsewhere(folder, given):
    """The outputs of both programs in a process that does not import the package."""
    np.savez(folder.parent / "given.npz", **given)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONPATH"] = os.pathsep.join(
        path for path in sys.path if path and pathlib.Path(path).resolve() != ROOT
    )
    command = [sys.executable, "-c", READER, str(folder)]
    result = subprocess.run(
        command, env=environment, cwd=folder.parent, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return dict(np.load(folder.parent / "results.npz"))


def make(likelihood, *, inputs=None, **parts):
    model = VAE(
        nets.MLP((8,)),
        nets.MLP((8,)),
        posteriors.DiagGaussianHead(2),
        priors.StandardNormal(2),
        likelihood,
        **parts,
    )
    x = jnp.zeros((1, *likelihood.event_shape))
    return TrainedModel(model, model.init(KEY, x, KEY), inputs=inputs)


def test_another_process_runs_it(tmp_path):
    """With labels and missing values, for two sizes of batches."""
    inputs = Inputs((3,), (-9.0, 9.0), missing=True)
    trained = make(likelihoods.PredictedGaussian((3,)), inputs=inputs, conditioning=nets.OneHot(4))
    vae_jax.export(trained, tmp_path / "model")
    x = np.float32(np.random.default_rng(0).normal(size=(5, 3)))
    observed, y = x < 0.5, np.arange(5) % 4
    z = np.float32(np.random.default_rng(1).normal(size=(5, 2)))
    given = {"x": x, "observed": observed, "y": np.int32(y), "z": z}
    results = run_elsewhere(tmp_path / "model", given)
    q = trained.encode(x, y=y, observed=observed)
    p = trained.decode(z, y=y)
    expected = {"encoder.z": q.mean, "encoder.z_stddev": q.stddev, "decoder.x": p.mean}
    for name, value in expected.items():
        np.testing.assert_allclose(results[name], value, rtol=1e-5, atol=1e-6)
    assert {"decoder.p.mean", "decoder.p.logvar"} <= results.keys()
    program = jax.export.deserialize(bytearray((tmp_path / "model/decoder.bin").read_bytes()))
    content = (tmp_path / "model" / exporting.PARAMS).read_bytes()
    params = exporting.import_safetensors().load(content)
    one = program.call(params, {"z": z[:1], "y": given["y"][:1]})["x"]
    np.testing.assert_allclose(one, p.mean[:1], rtol=1e-5, atol=1e-6)


def test_the_manifest_names_inputs_and_outputs(tmp_path):
    vae_jax.export(make(likelihoods.Bernoulli((2, 2, 1))), tmp_path / "a")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    x, z = {"shape": ["n", 2, 2, 1], "dtype": "float32"}, {"shape": ["n", 2], "dtype": "float32"}
    assert manifest["encoder"] == {
        "batch_size": None,
        "inputs": {"x": x},
        "outputs": {"z": z, "z_stddev": z},
    }
    assert manifest["decoder"] == {
        "batch_size": None,
        "inputs": {"z": z},
        "outputs": {"x": x, "p.logits": x},
    }
    assert manifest["platforms"] == ["cpu", "cuda", "tpu"]
    vae_jax.export(make(likelihoods.Bernoulli((3,))), tmp_path / "b", batch_size=7)
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["decoder"]["inputs"]["z"]["shape"] == [7, 2]


def test_a_program_that_needs_a_number_has_a_batch_of_one_size(tmp_path):
    class Odd(nets.MLP):
        def __call__(self, x, c=None):
            return super().__call__(x * float(int(x.shape[0]) > 0), c)

    trained = make(likelihoods.Bernoulli((3,)))
    trained = TrainedModel(trained.model.clone(decoder=Odd((8,))), trained.params)
    vae_jax.export(trained, tmp_path / "a")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    sizes = [manifest[name]["batch_size"] for name in ("encoder", "decoder")]
    assert sizes == [None, exporting.BATCH_SIZE]


def test_nothing_is_overwritten_silently(tmp_path):
    trained = make(likelihoods.Bernoulli((3,)))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists, and holds no exported model"):
        vae_jax.export(trained, tmp_path / "mine", overwrite=True)
    vae_jax.export(trained, tmp_path / "a")
    with pytest.raises(InputError, match="holds an exported model; choose another folder, or"):
        vae_jax.export(trained, tmp_path / "a")
    vae_jax.export(trained, tmp_path / "a", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "mine"]


def test_what_cannot_be_exported_leaves_nothing(tmp_path):
    class Plain(nets.MLP):
        def __call__(self, y):
            return super().__call__(jnp.float32(y)[:, None])

    trained = make(likelihoods.Bernoulli((3,)), conditioning=nets.OneHot(2))
    model = trained.model.clone(conditioning=Plain((2,)))
    with pytest.raises(UnsupportedError, match="export: the shape of y is unknown; Plain has no"):
        vae_jax.export(TrainedModel(model, trained.params), tmp_path / "a")
    with pytest.raises(InputError, match="batch_size = 0: must be at least 1"):
        vae_jax.export(trained, tmp_path / "a", batch_size=0)
    assert not list(tmp_path.iterdir())
