"""Models with their parameters: examples and labels as people have them, bounds and scores."""

import dataclasses
import functools
import math
import re
from decimal import Decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.data import from_arrays
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.evaluation.anomaly import scores
from vae_jax.models import VQVAE, Hierarchical, UnsupportedError, vector_levels
from vae_jax.models.arguments import check_key, check_temperature
from vae_jax.models.examples import convert_labels
from vae_jax.models.trained import TrainedModel
from vae_jax.posteriors.quantizers import VectorQuantizer

KEY = jax.random.key(0)
EVENT = (4, 4, 1)
BYTES = np.random.default_rng(0).integers(0, 256, (5, 4, 4)).astype(np.uint8)
BYTES[0, 0, :2] = 0, 255
UNIT = (BYTES[..., None] / np.float32(255)).astype(np.float32)
IMAGES = {f"{split}_images": BYTES for split in ("train", "valid", "test")}
FLAT = VAE(
    nets.MLP((4,)),
    nets.MLP((4,)),
    posteriors.DiagGaussianHead(2),
    priors.StandardNormal(2),
    likelihoods.Gaussian(EVENT, 2.0),
)


def form(**options):
    return Inputs.of(from_arrays(IMAGES, **options))


@functools.cache
def trained(kind="grey"):
    changes = {
        "grey": {},
        "binary": {"likelihood": likelihoods.Bernoulli(EVENT)},
        "labels": {"conditioning": nets.OneHot(3)},
        "columns": {"conditioning": nets.Vector(2)},
        "autoencoder": {"posterior": posteriors.DeterministicHead(2)},
    }
    model = FLAT.clone(**changes[kind])
    y = {"labels": jnp.zeros(1, int), "columns": jnp.zeros((1, 2))}.get(kind)
    params = jax.jit(model.init)(KEY, jnp.zeros((1, *EVENT)), KEY, y=y)
    inputs = form(binarization="dynamic") if kind == "binary" else form()
    return TrainedModel(model, params, inputs=inputs)


def test_images_as_the_run_took_them():
    model = trained()
    expected = model.model.apply(model.params, UNIT, method="encode").mean
    for x in (BYTES, BYTES[..., None], UNIT, UNIT[..., 0], UNIT.astype(np.float64), BYTES * 1):
        np.testing.assert_allclose(model.encode(x).mean, expected, rtol=1e-5)
    np.testing.assert_allclose(model.encode(jnp.asarray(BYTES)).mean, expected, rtol=1e-5)
    np.testing.assert_allclose(model.encode(BYTES.tolist()).mean, expected, rtol=1e-5)
    assert model.reconstruct(BYTES).shape == (5, *EVENT)
    assert model.interpolate(BYTES, BYTES[::-1], 3).shape == (3, 5, *EVENT)


def test_bool_images_are_zeros_and_ones():
    x = BYTES > 127
    expected = trained().encode(x[..., None].astype(np.float32)).mean
    np.testing.assert_array_equal(trained().encode(x).mean, expected)


def test_counts_and_16_bits_and_classes_by_name():
    counts = {key: x.astype(np.int64) * 10 for key, x in IMAGES.items()}
    inputs = Inputs.of(from_arrays(counts, values="counts"))
    np.testing.assert_array_equal(inputs.convert(counts["test_images"])[..., 0], BYTES * 10.0)
    wide = {key: x.astype(np.uint16) * 16 for key, x in IMAGES.items()}
    inputs = Inputs.of(from_arrays(wide))
    dataset = from_arrays(wide)
    np.testing.assert_array_equal(inputs.convert(wide["test_images"]), dataset.test.images)
    labels = {f"{split}_labels": np.array(list("abcab")) for split in ("train", "valid", "test")}
    inputs = Inputs.of(from_arrays(IMAGES | labels))
    model = trained("labels")
    named = TrainedModel(model.model, model.params, inputs=inputs)
    number = model.encode(BYTES, y=[0, 1, 2, 0, 1]).mean
    np.testing.assert_array_equal(named.encode(BYTES, y=list("abcab")).mean, number)
    with pytest.raises(InputError, match="y = 'd': no such class; allowed are a, b, c"):
        named.encode(BYTES, y=list("abcad"))


def test_the_form_goes_round_through_json():
    inputs = form(binarization="dynamic")
    assert Inputs.from_json({**inputs.__dict__, "shape": [4, 4, 1], "classes": []}) == inputs


@pytest.mark.parametrize(
    ("kind", "x", "message"),
    [
        ("grey", UNIT * 255, r"x has values from 0 to 255, .* 0 to 1: divide by 255"),
        ("binary", UNIT * 255, r"x has values from 0 to 255, .*: divide by 255"),
        ("grey", UNIT * 2 - 1, r"x has values from -1 to 1, the model was trained on 0 to 1"),
        ("binary", UNIT - 0.1, r"likelihood Bernoulli allows 0 to 1"),
        ("grey", UNIT * np.nan, r"NaN or infinite"),
        ("grey", BYTES.astype(np.int32) * 2, r"integers from 0 to 510; must be 0 to 255"),
        ("grey", BYTES[:, :3], r"x has shape \(5, 3, 4\): must be \[B, 4, 4, 1\], images of 4x4"),
        ("grey", BYTES[0], r"x has shape \(4, 4\): .*; of one example pass x\[None\]"),
        ("grey", UNIT[0], r"x has shape \(4, 4, 1\): .*; of one example pass x\[None\]"),
        ("grey", np.array(["a"]), r"x has shape \(1,\)"),
    ],
)
def test_examples_that_are_refused(kind, x, message):
    model = trained(kind)
    for call in (model.encode, model.reconstruct, functools.partial(model.elbo, KEY)):
        with pytest.raises(InputError, match=message):
            call(x)


@pytest.mark.parametrize("x", [(BYTES > 99).astype(np.uint8), UNIT / 255], ids=["bits", "floats"])
def test_nearly_black_images_are_named(x, caplog):
    model = trained()
    model.encode(x)
    assert "the images are nearly black; if they were on another scale" in caplog.text
    caplog.clear()
    for bright in (BYTES // 99, BYTES > 99, 0 * BYTES):
        model.encode(bright)
    assert not caplog.messages


MASKED_X = "x is a masked array; fill it, and pass `observed`, False at masked entries"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode(np.ma.array(UNIT, mask=UNIT > 0.9)), MASKED_X),
        (
            lambda m: m.encode(UNIT, observed=np.ma.array(UNIT > 0, mask=UNIT > 0.9)),
            "observed is a masked array; fill its masked entries",
        ),
        (lambda m: m.encode([UNIT[0], UNIT[1, :2]]), "x holds entries of unequal lengths"),
        (lambda m: m.sample(KEY, 0), "num_samples = 0: must be a whole number, at least 1"),
        (lambda m: m.sample(KEY, 2.5), "num_samples = 2.5: must be a whole number"),
        (lambda m: m.sample(0, 2), "key = 0: must be one PRNG key"),
        (lambda m: m.sample(jax.random.split(KEY), 2), "key has shape (2,) and dtype key"),
        (lambda m: m.sample(KEY, 2, temperature=-1.0), "temperature = -1.0: must be one number"),
        (lambda m: m.generate(KEY, 2, temperature=np.nan), "temperature = nan: must be one number"),
        *(
            (lambda m, value=value: m.generate(KEY, 2, temperature=value), "must be one number")
            for value in ("0.7", np.array(0.7, object), np.ones(1), jnp.ones((6, 1)), Decimal(1))
        ),
        (lambda m: m.sample(np.zeros(3, np.uint32), 2), "key has shape (3,) and dtype uint32"),
        (lambda m: m.score(KEY, BYTES, num_samples=0), "num_samples = 0: must be a whole number"),
        (lambda m: m.impute(KEY, BYTES, num_imputations=True), "num_imputations = True: must be"),
        (lambda m: m.decode(np.zeros((3, 7))), "z has shape (3, 7): must be [..., D]"),
        (lambda m: m.interpolate(BYTES[:2], BYTES[:3]), "end has 3 examples, start 2"),
    ],
)
def test_arguments_that_are_refused(call, message):
    with pytest.raises(InputError) as error:
        call(trained())
    assert message in str(error.value)


@pytest.mark.parametrize("temperature", [0, 0.7, np.float32(0.7), jnp.array(0.7, jnp.bfloat16)])
@pytest.mark.parametrize("key", [KEY, jax.random.PRNGKey(0), np.zeros(2, np.uint32)])
def test_keys_and_temperatures_that_are_allowed(key, temperature):
    check_key(key)
    check_temperature(temperature)
    jax.jit(check_key)(key)
    jax.jit(check_temperature)(temperature)


def test_a_wrong_size_of_y_is_not_blamed_on_z_alone():
    model = dataclasses.replace(trained("columns"), checks=False)
    assert model.decode(np.zeros((4, 2)), y=np.zeros((4, 2))).mean.shape == (4, *EVENT)
    with pytest.raises(InputError, match=r"z has shape \(4, 2\).*; or y, of shape \(4, 5\)"):
        model.decode(np.zeros((4, 2)), y=np.zeros((4, 5)))


def test_labels_of_two_axes_are_named_without_padding():
    model = trained("labels")
    assert model.elbo(KEY, BYTES, y=np.zeros(5, int)).shape == (5,)
    for y in (np.zeros((1, 5), int), np.zeros((5, 3), int)):
        message = re.escape(f"y has shape {y.shape}: must be [5], a class of each example")
        with pytest.raises(InputError, match=message):
            model.elbo(KEY, BYTES, y=y)
    with pytest.raises(InputError, match=": y is a masked array; fill its masked entries"):
        model.encode(UNIT, y=np.ma.array(np.zeros(5, int), mask=np.arange(5) == 1))


def test_integers_for_a_model_of_floats():
    floats = {key: x / np.float32(255) for key, x in IMAGES.items()}
    inputs = Inputs.of(from_arrays(floats))
    with pytest.raises(InputError, match=r"values from 0 to 255, .* 0 to 1: .* not scaled"):
        inputs.convert(BYTES)
    np.testing.assert_array_equal(inputs.convert((BYTES > 9) * 1)[..., 0], BYTES > 9)


def test_rows_of_a_table_far_out_are_anomalies_but_not_another_scale():
    inputs = Inputs((2,), (0.0, 1.0))
    np.testing.assert_array_equal(inputs.convert(np.array([[5.0, -3.0]])), [[5, -3]])
    with pytest.raises(InputError, match="values from -3 to 500"):
        inputs.convert(np.array([[500.0, -3.0]]))


def test_a_model_by_hand_checks_the_support_of_its_likelihood():
    model = trained("binary")
    model = TrainedModel(model.model, model.params)
    assert model.encode(UNIT).mean.shape == (5, 2)
    with pytest.raises(InputError, match="likelihood Bernoulli allows 0 to 1"):
        model.encode(UNIT * 255)
    counts = TrainedModel(model.model.clone(likelihood=likelihoods.NegativeBinomial(EVENT)), {})
    with pytest.raises(InputError, match="values that are not counts"):
        counts.encode(UNIT)
    unchecked = TrainedModel(model.model, model.params, checks=False)
    assert unchecked.encode(UNIT * 255).mean.shape == (5, 2)


def test_labels_of_one_column_are_those_without_it():
    model = trained("labels")
    y = np.array([0, 1, 2, 0, 1])
    for column in (y[:, None], y[:, None].astype(float)):
        np.testing.assert_array_equal(
            model.encode(UNIT, y=column).mean, model.encode(UNIT, y=y).mean
        )
    key = jax.random.key(0)
    np.testing.assert_array_equal(model.sample(key, 5, y=y[:, None]), model.sample(key, 5, y=y))
    for wrong in (y[:3], y[None]):
        with pytest.raises(InputError, match=r"y has the leading axes .*: must be \(5,\)"):
            model.encode(UNIT, y=wrong)


@pytest.mark.parametrize("y", [99, -1, 3, 0.5])
def test_a_class_that_does_not_exist(y):
    model = trained("labels")
    message = re.escape(f"y = {y}: no such class; must be 0 to 2")
    labels = np.full(5, y)
    calls = (
        lambda: model.encode(BYTES, y=labels),
        lambda: model.sample(KEY, 5, y=labels),
        lambda: model.decode(jnp.zeros((5, 2)), y=labels),
        lambda: model.elbo(KEY, BYTES, y=labels),
    )
    for call in calls:
        with pytest.raises(InputError, match=message):
            call()


def test_conditions_that_are_not_finite_or_too_few():
    y = np.ones((5, 2))
    y[3, 1] = np.nan
    for call in (
        lambda: trained("columns").encode(BYTES, y=y),
        lambda: trained("columns").sample(KEY, 5, y=y),
    ):
        with pytest.raises(InputError, match=r"y is nan at \(3, 1\): all of it must be finite"):
            call()
    with pytest.raises(InputError, match="y has 3 labels for 5 examples"):
        trained("labels").score(KEY, BYTES, y=np.zeros(3, int))
    for pair in ((1.0, 2.0), (np.inf, 0.0), (1.0, 0.5)):
        with pytest.raises(InputError, match="sizes must be finite, groups whole numbers from 0"):
            convert_labels(nets.SizeFactor(2), np.array([[1.0, 0.0], pair]))


def test_labels_of_other_forms():
    model = trained("labels")
    assert model.sample(KEY, 3, y=2).shape == (3, *EVENT)
    assert model.elbo(KEY, BYTES, y=1).shape == (5,)
    with pytest.raises(InputError, match="y = None: a conditional model needs y"):
        model.elbo(KEY, BYTES)
    with pytest.raises(InputError, match="without conditioning; omit it"):
        trained().elbo(KEY, BYTES, y=1)
    columns = trained("columns")
    assert columns.encode(BYTES, y=np.ones((5, 2))).mean.shape == (5, 2)
    with pytest.raises(InputError, match=r"y has shape \(5, 3\).*: must be \[B, 2\]"):
        columns.encode(BYTES, y=np.ones((5, 3)))


def test_inside_jit_nothing_is_checked_but_the_form_is_the_same():
    model = trained()
    mean = jax.jit(lambda x: model.encode(x).mean)
    np.testing.assert_allclose(mean(BYTES), model.encode(BYTES).mean, rtol=1e-5)
    assert jnp.isfinite(mean(UNIT * 255)).all()
    labels = trained("labels")
    assert jax.jit(lambda x, y: labels.elbo(KEY, x, y=y))(UNIT, np.full(5, 99)).shape == (5,)
    text = jax.jit(lambda x: model.encode(x).mean).lower(UNIT).as_text()
    assert "callback" not in text


def test_bounds_are_those_of_the_model():
    """The ELBO against the terms of the module; log p(x) against a quadrature over z [D = 2]."""
    model = trained()
    outputs = model.model.apply(model.params, UNIT, KEY, num_samples=4000)
    exact = outputs.log_px_z.mean(0) - outputs.kl
    elbo = model.elbo(KEY, BYTES, num_samples=4000)
    stderr = outputs.log_px_z.std(0) / 60
    assert (abs(elbo - exact) < 5 * stderr).all()
    grid = np.stack(np.meshgrid(*[np.linspace(-7, 7, 101)] * 2), -1).reshape(-1, 1, 2)
    z = jnp.asarray(np.broadcast_to(grid, (len(grid), 5, 2)), jnp.float32)
    log_pz, log_px_z = model.model.apply(model.params, UNIT, z, method="log_joint")
    log_px = jax.nn.logsumexp(log_pz + log_px_z, axis=0) + 2 * np.log(0.14)
    np.testing.assert_allclose(model.log_prob(KEY, BYTES, num_samples=3000), log_px, atol=0.02)
    assert (model.log_prob(KEY, BYTES, num_samples=3000) > elbo - 0.01).all()


def test_scores_are_those_of_the_evaluation():
    model = trained()
    outputs = model.model.apply(model.params, UNIT, KEY, num_samples=2000)
    elbo = outputs.log_px_z.mean(0) - outputs.kl
    log_px = model.log_prob(KEY, UNIT)
    stderr = float(outputs.log_px_z.std(0).max()) * math.sqrt(2 / 2000)
    for kind, score in scores(outputs.log_px_z, elbo, log_px, None).items():
        result = model.score(
            KEY, BYTES, kind=kind, num_samples=2000 if kind != "likelihood" else 100
        )
        np.testing.assert_allclose(result, score, atol=5 * stderr)
    with pytest.raises(InputError, match=r"kind = 'elbow': unknown; .* did you mean 'elbo'"):
        model.score(KEY, BYTES, kind="elbow")


def test_a_model_of_binarized_images_measures_the_binarized_test_set():
    model = trained("binary")
    test = from_arrays(IMAGES, binarization="dynamic").test.images.astype(jnp.float32)
    np.testing.assert_array_equal(model.elbo(KEY, BYTES), model.elbo(KEY, test))
    assert not np.array_equal(model.encode(BYTES).mean, model.encode(test).mean)


def test_what_other_kinds_allow():
    autoencoder = trained("autoencoder")
    assert autoencoder.score(KEY, BYTES, kind="reconstruction").shape == (5,)
    with pytest.raises(UnsupportedError, match="deterministic posterior has no marginal"):
        autoencoder.log_prob(KEY, BYTES, num_samples=2)
    codes = VQVAE(
        nets.MLP((4,)),
        VectorQuantizer(5, 2),
        nets.MLP((4,)),
        likelihoods.Bernoulli(EVENT),
        priors.UniformCodes((2,), 5),
    )
    codes = TrainedModel(codes, jax.jit(codes.init)(KEY, UNIT, KEY), inputs=form())
    assert codes.elbo(KEY, BYTES).shape == (5,)
    with pytest.raises(UnsupportedError, match=r"codes have no density.*use elbo"):
        codes.log_prob(KEY, BYTES)
    ladder = Hierarchical(vector_levels((1,), (4,)), likelihoods.Bernoulli(EVENT))
    ladder = TrainedModel(ladder, jax.jit(ladder.init)(KEY, UNIT, KEY), inputs=form())
    assert ladder.log_prob(KEY, BYTES, num_samples=3).shape == (5,)


def test_the_repr_is_short():
    model = trained()
    model = TrainedModel(
        model.model, model.params, step=20, selection_score=-23.5, score_name="ELBO"
    )
    text = r"TrainedModel\(VAE with Gaussian, images of 4x4 with 1 channel, [\d,]+ parameters, "
    assert re.fullmatch(rf"{text}step 20, ELBO on validation -23.5\)", repr(model))
