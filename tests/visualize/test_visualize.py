"""Figures: titles, chosen factors, projections, and the figures that a model supports."""

import concurrent.futures
import re
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import priors, visualize
from vae_jax.data import ArraySource
from vae_jax.distributions import Bernoulli, DiagGaussian
from vae_jax.visualize import image_figures, when_needed


@pytest.mark.parametrize(
    ("prior", "is_flat", "has_kl", "text"),
    [
        (priors.StandardNormal(2), True, True, "±2.5 prior standard deviations"),
        (
            priors.LearnedDiagonal(2),
            True,
            True,
            "−2.5 .. 2.5 in units of z, .*LearnedDiagonal.* is not the",
        ),
        *(
            (
                prior,
                False,
                True,
                "−2.5 .. 2.5 in units of z, .*hierarchy, learned.* is not the standard normal",
            )
            for prior in (None, priors.StandardNormal(1))
        ),
        (priors.StandardNormal(2), True, False, "±2.5 standard deviations of the codes .* shown$"),
        (None, False, False, "±2.5 standard deviations of the codes; layer 0 is the top"),
    ],
)
def test_traversals_say_what_they_go_over(prior, is_flat, has_kl, text):
    rng = np.random.default_rng(0)
    model = types.SimpleNamespace(prior=prior, supports=lambda capability: is_flat, layers=(1, 1))
    terms = types.SimpleNamespace(
        code=rng.normal(size=(9, 2)), kl=rng.random((9, 2)) if has_kl else None, y=None
    )
    figure = visualize.traversals(types.SimpleNamespace(model=model, image=lambda z, y: z), terms)
    assert re.search(text, " ".join(figure.axes[0].get_title().split()))
    labels = "".join(label.get_text() for label in figure.axes[0].texts)
    assert ("z0, layer 0 " in labels, "z1, layer 1 " in labels) == (not is_flat, not is_flat)


def test_which_latent_follows_which_factor():
    rng = np.random.default_rng(0)
    factors = rng.integers(0, [3, 40, 5, 1], (3000, 4))
    noise = rng.normal(size=(3000, 5))
    codes = np.stack(
        [
            factors[:, 1],
            -factors[:, 0] + 0.1 * noise[:, 0],
            noise[:, 1],
            factors[:, 0] + factors[:, 2] / 2,
            noise[:, 2],
        ],
        1,
    )
    names = ("shape", "angle", "size", "constant")
    assert visualize.match_factors(codes, factors, names) == ["angle", "shape", "", "", ""]
    assert visualize.match_factors(codes, factors)[:2] == ["factor 1", "factor 0"]
    assert (
        visualize.match_factors(codes, factors[:, 0])
        == visualize.match_factors(codes, None)
        == [""] * 5
    )
    assert visualize.match_factors(codes, factors.astype(float)) == [""] * 5


@pytest.mark.parametrize("size", [3, 600])
def test_equal_codes_have_a_plane(size):
    points, shares = visualize.principal_plane(np.ones((9, size)))
    assert points.shape == (9, 2)
    assert not points.any()
    assert not shares.any()


def test_the_principal_plane():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 4)) * [0.1, 3.0, 1.0, 0.2] + 5
    points, share = visualize.principal_plane(codes)
    variances = np.linalg.svd(codes - codes.mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(share, variances[:2] / variances.sum())
    np.testing.assert_allclose(np.square(points).sum(0), variances[:2])


class FakeModel:
    """Decodes nothing: codes are images; records the temperatures of its samples."""

    is_conditional = False
    model = types.SimpleNamespace(
        prior=priors.StandardNormal(4), conditioning=None, supports=lambda capability: True
    )

    def __init__(self, supported):
        self.supported = supported
        self.temperatures = []

    def supports(self, name):
        return name in self.supported

    def encode(self, x, *, y=None):
        return DiagGaussian(x.reshape(-1, 4), jnp.zeros((len(x), 4)))

    def decode(self, z, *, y=None):
        return Bernoulli(z.reshape(-1, 2, 2, 1), event_ndims=3)

    def image(self, z, *, y=None):
        return z.reshape(-1, 2, 2, 1)

    def interpolate(self, start, end, num_points, *, kind, y=None):
        return jnp.stack([start] * num_points)

    def generate(self, key, num_samples, *, y=None, temperature=None):
        self.temperatures.append(temperature)
        scale = 1 if temperature is None else temperature
        return self.decode(scale * jax.random.normal(key, (num_samples, 4)))


@pytest.mark.parametrize(
    ("supported", "names"),
    [
        ((), set()),
        (("temperature",), {"samples_low_temperature"}),
        (("traversals",), {"traversals"}),
    ],
)
def test_figures_that_a_model_supports(tmp_path, supported, names):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.random((4, 2, 2, 1)))
    source = ArraySource(x)
    dataset = types.SimpleNamespace(factor_names=(), preparation={}, test=source, text=None)
    kl = rng.random((4, 4))
    terms = types.SimpleNamespace(code=rng.normal(size=(4, 4)), kl=kl, rate=kl.sum(1), y=None)
    model = FakeModel(supported)
    paths = visualize.plot_all(model, dataset, terms, [], tmp_path / "figures")
    always = {"reconstructions", "interpolations", "samples", "latent_map"}
    assert {path.stem for path in paths} == always | names
    files = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert files == always | names
    arrays = {path.stem for path in (tmp_path / "figures").glob("*.npz")}
    assert arrays == {"reconstructions", "samples", "latents"}
    assert model.temperatures == ([None, 0.7] if "temperature" in supported else [None])


def test_figures_are_the_same_when_threads_compute_what_they_show(tmp_path):
    x = jnp.asarray(np.random.default_rng(0).random((4, 2, 2, 1)))
    dataset = types.SimpleNamespace(factor_names=(), preparation={}, test=ArraySource(x), text=None)
    kl = np.ones((4, 4))
    terms = types.SimpleNamespace(code=np.eye(4), kl=kl, rate=kl.sum(1), y=None)
    started = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:

        def start(function):
            started.append(function)
            return pool.submit(function).result

        for name, options in (("alone", {}), ("threads", {"start": start})):
            model = FakeModel(("temperature", "traversals"))
            visualize.plot_all(model, dataset, terms, [], tmp_path / name, **options)
    assert len(started) == 5
    files = sorted(path.name for path in (tmp_path / "alone").iterdir())
    assert len(files) == 6 + 3
    for name in files:
        paths = [tmp_path / folder / name for folder in ("alone", "threads")]
        if name.endswith(".png"):
            assert paths[0].read_bytes() == paths[1].read_bytes()
        else:
            chex.assert_trees_all_equal(*(dict(np.load(path)) for path in paths))


def test_an_error_of_a_computation_is_raised_by_the_figure(tmp_path):
    class Broken(FakeModel):
        def interpolate(self, start, end, num_points, *, kind, y=None):
            raise RuntimeError("too little memory")

    x = jnp.zeros((4, 2, 2, 1))
    dataset = types.SimpleNamespace(factor_names=(), preparation={}, test=ArraySource(x), text=None)
    terms = types.SimpleNamespace(code=np.eye(4), kl=None, rate=np.full(4, np.nan), y=None)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        options = {"start": lambda function: pool.submit(function).result}
        with pytest.raises(RuntimeError, match="too little memory"):
            visualize.plot_all(Broken(()), dataset, terms, [], tmp_path, **options)
    assert not list(tmp_path.iterdir())  # nothing is written before all is computed


def test_a_temperature_that_changes_nothing_has_no_figure():
    class Uniform(FakeModel):
        def generate(self, key, num_samples, *, y=None, temperature=None):
            return super().generate(key, num_samples, y=y)

    x = np.zeros((4, 2, 2, 1), np.float32)
    key = jax.random.key(0)
    for model, names in (
        (Uniform(("temperature",)), {"samples"}),
        (FakeModel(("temperature",)), {"samples", "samples_low_temperature"}),
    ):
        shown = {"data": x, "value_range": None}
        figures, arrays = image_figures._plot_samples(model, None, key, (), shown, when_needed)
        assert {name for name, draw in figures.items() if draw() is not None} == names
        assert set(arrays()) == {"mean", "draw"}


@pytest.mark.parametrize(("y", "is_said"), [(None, False), (jnp.zeros(4, int), True)])
def test_interpolations_of_a_conditional_model_name_its_y(y, is_said):
    x = np.zeros((4, 2, 2, 1), np.float32)
    figure = visualize.interpolations(FakeModel(()), x, y=y)
    assert ("with the y of the first" in figure.axes[0].get_title()) == is_said


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (None, ""),
        (np.arange(30) % 3, ", colored by class"),
        (np.linspace(0, 1, 30), ", colored by label"),
        (np.arange(30) % 2 + 0.5, ", colored by label"),  # two values of a factor
    ],
)
def test_a_map_says_what_its_colors_are(y, text):
    terms = types.SimpleNamespace(code=np.random.default_rng(0).normal(size=(30, 2)), y=y)
    title = visualize.latent_map(terms).texts[0].get_text()
    assert title.endswith(text)
    assert ("colored" in title) == bool(text)


@pytest.mark.parametrize(
    ("supported", "title"),
    [((), "between the vectors of the discrete codes"), (("traversals",), "between the codes")],
)
def test_interpolations_say_what_they_are_between(supported, title):
    terms = types.SimpleNamespace(code=np.zeros((4, 4)), kl=None)
    model = FakeModel(supported)
    kinds, codes = image_figures._describe_paths(model, terms)
    x = np.zeros((4, 2, 2, 1), np.float32)
    figure = visualize.interpolations(model, x, kinds=kinds, codes=codes)
    assert title in figure.axes[0].get_title()
    texts = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert ("spherical" in texts) == bool(supported)


def test_a_phase_that_an_unfinished_run_has_not_reached_has_no_line():
    history = [
        {"step": step, "split": split, "elbo": float(step)}
        for step in (10, 20)
        for split in ("train", "valid")
    ]
    [plain] = visualize.learning_curve(history, "elbo").axes
    for phases, labels in (({"b": 21}, []), ({"a": 20, "b": 900}, ["a"])):
        [axes] = visualize.learning_curve(history, "elbo", phases=phases).axes
        assert [line.get_label() for line in axes.lines] == ["training", "validation", *labels]
        assert axes.get_xlim() == plain.get_xlim()
