"""From a config to its parts: every name in every table, and what does not fit together."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vae_jax import likelihoods, objectives
from vae_jax.config import Config
from vae_jax.config.validation import check
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.builders.choices import TABLES, check_names
from vae_jax.experiment.builders.loss import OBJECTIVES
from vae_jax.experiment.builders.optimizer import LEARNING_RATES, OPTIMIZERS
from vae_jax.experiment.validation import validate

KEY = jax.random.key(0)
EVENT = (64, 64, 2)


def changed(**fields) -> Config:
    """A small config with other values; two underscores stand for the dot."""
    config = Config()
    config.model.hidden, config.model.channels, config.model.latent_dim = (5,), (2, 3), 3
    for name, value in fields.items():
        group, leaf = name.split("__")
        assert hasattr(getattr(config, group), leaf)
        setattr(getattr(config, group), leaf, value)
    return config


def shapes(model, event, batch=2, num_samples=4):
    """Shapes of the parameters and of a pass; nothing is computed."""
    x = jax.ShapeDtypeStruct((batch, *event), jnp.float32)
    params = jax.eval_shape(model.init, KEY, x, KEY)
    outputs = jax.eval_shape(
        lambda params, x: model.apply(params, x, KEY, num_samples=num_samples), params, x
    )
    return params["params"], outputs


def assert_refused(call, *parts: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize("event", [EVENT, (64, 64, 1)])
@pytest.mark.parametrize("network", ["mlp", "conv", "broadcast", "burgess"])
def test_networks(network, event) -> None:
    model = builders.build_model(changed(model__network=network), event)
    params, outputs = shapes(model, event)
    assert outputs.z.shape == (4, 2, 3)
    assert outputs.log_px_z.shape == (4, 2)
    assert outputs.kl.shape == (2,)
    kernels = [
        tuple(leaf.shape) for leaf in jax.tree.leaves(params["encoder"]) if len(leaf.shape) > 1
    ]
    expected = {
        "mlp": [(64 * 64 * event[-1], 5)],
        "conv": [(4, 4, event[-1], 2), (4, 4, 2, 3), (16 * 16 * 3, 5)],
        "burgess": [
            (4, 4, event[-1], 32),
            (4, 4, 32, 32),
            (4, 4, 32, 64),
            (4, 4, 64, 64),
            (1024, 256),
        ],
    }
    assert sorted(kernels) == sorted(expected["conv" if network == "broadcast" else network])


@pytest.mark.parametrize("network", ["mlp", "conv", "broadcast"])
def test_decoder_mirrors_the_encoder(network) -> None:
    model = builders.build_model(changed(model__network=network, model__hidden=(7, 5)), EVENT)
    widths = "features" if network == "mlp" else "hidden"
    assert getattr(model.encoder, widths) == (7, 5)
    assert getattr(model.decoder, widths) == (5, 7)
    if network != "mlp":
        assert (model.encoder.channels, model.decoder.channels) == ((2, 3), (3, 2))


def test_a_list_serves_as_widths() -> None:
    _, outputs = shapes(builders.build_model(changed(model__hidden=[7, 5]), (12,)), (12,))
    assert outputs.z.shape == (4, 2, 3)


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("name", TABLES["model.activation"])
def test_activations(network, name) -> None:
    model = builders.build_model(changed(model__network=network, model__activation=name), EVENT)
    for part in (model.encoder, model.decoder):
        assert part.activation is getattr(nn, name)


@pytest.mark.parametrize(
    ("sigma", "kind", "shape"),
    [
        ("fixed", likelihoods.Gaussian, None),
        ("scalar", likelihoods.LearnedGaussian, ()),
        ("channel", likelihoods.LearnedGaussian, (2,)),
        ("pixel", likelihoods.LearnedGaussian, EVENT),
        ("predicted", likelihoods.PredictedGaussian, None),
    ],
)
def test_sigmas(sigma, kind, shape) -> None:
    config = changed(model__likelihood="gaussian", model__sigma=sigma, model__init_sigma=0.2)
    model = builders.build_model(config, EVENT)
    assert type(model.likelihood) is kind
    params, outputs = shapes(model, EVENT)
    assert outputs.log_px_z.shape == (4, 2)
    learned = params["likelihood"].get("logvar")
    assert (None if learned is None else learned.shape) == shape
    if sigma != "predicted":
        h = jnp.zeros((1, 5))
        head = model.likelihood.clone(parent=None)
        variance = jnp.exp(head.apply(head.init(KEY, h), h).logvar)
        np.testing.assert_allclose(variance, 0.2**2, rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in builders.CORRUPTIONS if name != "none"])
def test_corruptions(name) -> None:
    x = jnp.full((4, 50), 0.5)
    corrupted, untouched = (
        builders.build_corruption(
            changed(objective__corruption=name, objective__corruption_level=level)
        )(KEY, x)
        for level in (0.5, 0.0)
    )
    np.testing.assert_array_equal(untouched, x)
    share = float((corrupted != x).mean())
    assert share == 1 if name == "gaussian" else 0.3 < share < 0.7


def test_no_corruption() -> None:
    assert (
        builders.build_corruption(
            changed(objective__corruption="none", objective__corruption_level=0.5)
        )
        is None
    )


def metrics(config: Config, steps, event=(12,)) -> dict:
    """What the loss function says at these steps, one entry each."""
    model = builders.build_model(config, event)
    loss_fn = builders.build_loss(config, model, 1_000)
    x = jax.random.bernoulli(KEY, 0.5, (6, *event)).astype(jnp.float32)
    params = jax.tree.map(
        lambda leaf: jnp.full(leaf.shape, 0.1), jax.eval_shape(model.init, KEY, x, KEY)
    )
    at = jax.jit(jax.vmap(lambda step: loss_fn(params, {"x": x}, KEY, step)[1]))
    return {name: np.asarray(value) for name, value in at(jnp.asarray(steps)).items()}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [4, 4, 4, 4, 4]),
        ("linear", [1, 2.5, 4, 4, 4]),
        ("sigmoid", [1, 2.5, 4, 4, 4]),
        ("cyclical", [1, 1, 4, 4, 4]),  # two cycles of 50 steps, the first half of each a rise
    ],
)
def test_beta_schedules(schedule, expected) -> None:
    config = changed(
        objective__beta=4.0,
        objective__beta_start=1.0,
        objective__beta_steps=100,
        objective__beta_cycles=2,
        objective__beta_schedule=schedule,
    )
    m = metrics(config, [0, 50, 100, 101, 10_000])
    np.testing.assert_allclose(m["beta"], expected, rtol=1e-5)
    np.testing.assert_allclose(m["loss"], m["distortion"] + m["beta"] * m["rate"], rtol=1e-5)


def test_cycles() -> None:
    config = changed(
        objective__beta_schedule="cyclical", objective__beta_steps=100, objective__beta_cycles=5
    )
    beta = metrics(config, np.arange(101))["beta"]
    np.testing.assert_allclose(
        beta[[0, 5, 10, 19, 20, 25, 40, 80, 100]], [0, 0.5, 1, 1, 0, 0.5, 0, 0, 1], atol=1e-5
    )


def test_capacity_grows_to_its_end() -> None:
    m = metrics(
        changed(objective__capacity=5.0, objective__capacity_steps=10, objective__beta=2.0),
        [0, 5, 10, 99],
    )
    np.testing.assert_allclose(m["capacity"], [0, 2.5, 5, 5], rtol=1e-6)
    np.testing.assert_allclose(
        m["loss"], m["distortion"] + 2 * np.abs(m["rate"] - m["capacity"]), rtol=1e-5
    )
    assert "capacity" not in metrics(changed(), [0])


def test_free_bits() -> None:
    m = metrics(changed(objective__free_bits=50.0), [0])  # more than any dimension has
    np.testing.assert_allclose(m["loss"], m["distortion"] + 3 * 50, rtol=1e-5)


def test_samples() -> None:
    config = changed(objective__num_samples=7)
    model = builders.build_model(config, (12,))
    x = jnp.zeros((6, 12))
    seen, own = [], objectives.elbo

    def elbo(outputs, **kwargs):
        seen.append(outputs.z.shape)
        return own(outputs, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        entry = OBJECTIVES["elbo"]._replace(objective=elbo)
        patch.setitem(OBJECTIVES, "elbo", entry)
        loss_fn = builders.build_loss(config, model, 1_000)
        jax.eval_shape(
            lambda step: loss_fn(model.init(KEY, x, KEY), {"x": x}, KEY, step), jnp.int32(0)
        )
    assert seen == [(7, 6, 3)]


def test_hyper_parameters_come_from_the_fields_with_their_names() -> None:
    c = changed(objective__mmd_weight=3.0, objective__renyi_alpha=0.25).objective
    read = builders.loss._hyper_parameters
    assert read(OBJECTIVES["wae"], c, 7) == {
        "mmd_weight": 3.0,
        "kernel": "imq",
        "scales": objectives.mmd.SCALES,
    }
    assert read(OBJECTIVES["renyi"], c, 7) == {"alpha": 0.25}
    assert read(OBJECTIVES["iwae"], c, 7) == {}
    assert read(OBJECTIVES["beta_tc"], c, 7)["num_examples"] == 7

    def added(outputs, *, mmd_weight, gap):
        """An objective that shares a field and has a keyword that is none."""

    assert read(builders.loss.Entry(added), c, 7) == {"mmd_weight": 3.0}


UNKNOWN = [
    ("evaluation.figures", "pgn", "png"),
    ("evaluation.projection", "tnse", "tsne"),
    ("model.kind", "hierarchic", "hierarchical"),
    ("model.network", "mpl", "mlp"),
    ("model.activation", "rely", "relu"),
    ("model.dtype", "bfloat", "bfloat16"),
    ("model.conditioning", "labels", "label"),
    ("model.posterior", "diag_gausian", "diag_gaussian"),
    ("model.posterior_scale", "bound", "bounded"),
    ("model.prior", "standard_norm", "standard_normal"),
    ("model.likelihood", "bernouli", "bernoulli"),
    ("model.sigma", "pixels", "pixel"),
    ("model.df", "predict", "predicted"),
    ("codes.quantizer", "vqq", "vq"),
    ("codes.prior", "pixel_cnn", "pixelcnn"),
    ("objective.name", "elbow", "elbo"),
    ("objective.beta_schedule", "liner", "linear"),
    ("objective.kernel", "imp", "imq"),
    ("objective.corruption", "gausian", "gaussian"),
    ("optimizer.name", "adan", "adam"),
    ("optimizer.schedule", "cosin", "cosine"),
    ("data.binarization", "treshold", "threshold"),
    ("train.tracker", "wandbb", "wandb"),
    ("data.values", "count", "counts"),
    ("data.alphabet", "charaters", "characters"),
    ("data.property", "logq", "logp"),
    ("evaluation.search_goal", "maximise", "maximize"),
    ("evaluation.search_property", "wieght", "weight"),
    ("hierarchy.networks", "seperate", "separate"),
    ("hierarchy.merge", "precison", "precision"),
    ("train.order", "by_lenght", "by_length"),
    ("train.select", "bset", "best"),
]


def test_every_table_of_names_is_tried() -> None:
    assert {field for field, *_ in UNKNOWN} == set(TABLES)


def build_all(config: Config) -> None:
    builders.build_optimizer(config)
    builders.build_data(config)
    builders.build_loss(config, builders.build_model(config, (12,)), 1_000)


@pytest.mark.parametrize(("field", "value", "hint"), UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_unknown_names(field, value, hint) -> None:
    config = changed(**{field.replace(".", "__"): value})
    assert_refused(
        lambda: check_names(config),
        f"config.{field} = {value!r}: unknown",
        *TABLES[field],
        f"did you mean {hint!r}?",
    )


def test_an_unknown_data_set() -> None:
    assert_refused(
        lambda: build_all(changed(data__name="sprits")),
        "config.data.name = 'sprits'",
        "sprites",
        "digits",
        "npz",
        "names of tensorflow-datasets",
        "did you mean 'sprites'?",
    )


def test_the_unknown_names_would_build_when_known() -> None:
    build_all(changed())


@pytest.mark.parametrize("event", [(28, 28, 1), (64, 32, 1), (32, 64, 3)])
def test_burgess_needs_64x64(event) -> None:
    assert_refused(
        lambda: builders.build_model(changed(model__network="burgess"), event),
        "config.model.network = 'burgess'",
        "64x64",
        str(event),
    )


@pytest.mark.parametrize("network", ["conv", "broadcast", "burgess"])
def test_convolutions_need_images(network) -> None:
    assert_refused(
        lambda: builders.build_model(changed(model__network=network), (784,)),
        f"config.model.network = {network!r}",
        "images [H, W, C]",
        "(784,)",
    )


def valid_data(config: Config):
    dataset = builders.build_data(config)
    validate(config, dataset)
    return dataset


def npz(tmp_path, images: np.ndarray, **fields) -> Config:
    path = tmp_path / "set.npz"
    np.savez(path, train_images=images, test_images=images)
    fields = {"model__likelihood": "bernoulli", "train__batch_size": 2} | fields
    return changed(data__name="npz", data__path=os.fspath(path), **fields)


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 1.001)])
def test_data_out_of_the_range_of_the_likelihood(tmp_path, low, high) -> None:
    images = np.linspace(low, high, 240, dtype=np.float32).reshape(20, 12)
    assert_refused(
        lambda: valid_data(npz(tmp_path, images)),
        "config.model.likelihood = 'bernoulli'",
        "from 0 to 1",
        f"{low:g} to {high:g}",
        "'gaussian'",
        "0 to 255",
    )
    for likelihood in ("gaussian", "optimal_gaussian"):
        dataset = valid_data(npz(tmp_path, images, model__likelihood=likelihood))
        assert dataset.train.value_range == pytest.approx((low, high))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_data_in_the_range_of_the_likelihood(tmp_path, dtype) -> None:
    images = np.linspace(0, 255 if dtype == np.uint8 else 1, 240).reshape(20, 12).astype(dtype)
    assert valid_data(npz(tmp_path, images)).shape == (12,)


def test_batch_larger_than_the_data(tmp_path) -> None:
    config = npz(tmp_path, np.ones((20, 12)))  # two of them are for validation
    config.train.batch_size = 18
    assert valid_data(config).train.num_examples == 18
    config.train.batch_size = 19
    assert_refused(
        lambda: valid_data(config),
        "config.train.batch_size = 19",
        "larger than the data",
        "18 training",
        "choose at most 18",
    )


def test_fields_of_data_reach_the_data(tmp_path) -> None:
    images = np.linspace(0, 1, 240).reshape(20, 12)
    dataset = builders.build_data(
        npz(tmp_path, images, data__binarization="threshold", data__valid_fraction=0.5)
    )
    assert (dataset.train.num_examples, dataset.valid.num_examples) == (10, 10)
    assert dataset.preparation["binarization"] == "threshold"


def rates(config: Config) -> np.ndarray:
    """The learning rate of each step and one more: Adam's updates under a constant gradient."""
    tx = builders.build_optimizer(config)
    params = jnp.zeros(())

    def step(state, _):
        update, state = tx.update(jnp.ones(()), state, params)
        return state, -update

    return np.asarray(jax.lax.scan(step, tx.init(params), length=config.train.num_steps + 1)[1])


@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize(
    ("schedule", "middle", "end"), [("constant", 1, 1), ("cosine", 0.5, 0), ("linear", 0.5, 0)]
)
def test_learning_rates(schedule, middle, end, warmup) -> None:
    assert set(LEARNING_RATES) == {"constant", "cosine", "linear"}
    config = changed(
        optimizer__schedule=schedule,
        optimizer__learning_rate=0.2,
        optimizer__warmup_steps=warmup,
        train__num_steps=warmup + 40,
    )
    rate = rates(config) / 0.2
    np.testing.assert_allclose(rate[:warmup], np.arange(warmup) / max(warmup, 1), atol=1e-3)
    np.testing.assert_allclose(
        rate[[warmup, warmup + 20, warmup + 40]], [1, middle, end], atol=1e-3
    )
    assert (np.diff(rate[warmup:]) <= 1e-3).all()
    quarter = {"constant": 1, "linear": 0.75, "cosine": (1 + np.cos(np.pi / 4)) / 2}[schedule]
    assert rate[warmup + 10] == pytest.approx(quarter, abs=1e-3)


def updates(tx, gradients) -> np.ndarray:
    params = jnp.array([1.0, -2.0])
    state, out = tx.init(params), []
    for gradient in gradients:
        update, state = tx.update(jnp.asarray(gradient), state, params)
        out.append(np.asarray(update))
    return np.stack(out)


GRADIENT = np.array([0.6, -0.8], np.float32)  # of norm 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name) -> None:
    config = changed(
        optimizer__name=name,
        optimizer__learning_rate=0.1,
        optimizer__weight_decay=0.5 * (name == "adamw"),
    )
    reference = {
        "adam": optax.adam(0.1),
        "adamw": optax.adamw(0.1, weight_decay=0.5),
        "adamax": optax.adamax(0.1),
    }[name]
    ours = updates(builders.build_optimizer(config), [GRADIENT, 3 * GRADIENT])
    np.testing.assert_allclose(ours, updates(reference, [GRADIENT, 3 * GRADIENT]), rtol=1e-6)


def test_adamw_without_weight_decay_has_none() -> None:
    # Optax's own default is not zero.
    ours = updates(builders.build_optimizer(changed(optimizer__name="adamw")), [0 * GRADIENT])
    np.testing.assert_array_equal(ours, 0)


@pytest.mark.parametrize("name", ["adam", "adamax"])
def test_weight_decay_needs_adamw(name) -> None:
    config = changed(optimizer__name=name, optimizer__weight_decay=0.01)
    assert_refused(
        lambda: check(config),
        "config.optimizer.weight_decay = 0.01",
        "does nothing without optimizer.name 'adamw'",
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clip_norm_clips(name) -> None:
    clipped, free = (
        builders.build_optimizer(changed(optimizer__name=name, optimizer__clip_norm=norm))
        for norm in (1.0, 0.0)
    )
    # Adam does not see the scale of its gradients, but it sees that one is longer than another.
    long = updates(clipped, [0.5 * GRADIENT, 100 * GRADIENT])
    np.testing.assert_allclose(long, updates(free, [0.5 * GRADIENT, GRADIENT]), rtol=1e-5)
    assert not np.allclose(long, updates(free, [0.5 * GRADIENT, 100 * GRADIENT]), rtol=1e-2)


def test_a_model_from_the_config_learns_nothing_at_rate_zero_of_the_warmup() -> None:
    tx = builders.build_optimizer(changed(optimizer__warmup_steps=5))
    np.testing.assert_array_equal(updates(tx, [GRADIENT])[0], 0)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_epsilon_is_added_to_the_root_of_the_second_moment(name) -> None:
    config = changed(optimizer__name=name, optimizer__epsilon=0.5)
    tx = builders.build_optimizer(config)
    params, gradient = {"w": jnp.zeros(())}, {"w": jnp.float32(2.0)}
    updates, _ = tx.update(gradient, tx.init(params), params)
    assert float(updates["w"]) == pytest.approx(-1e-3 * 2 / (2 + 0.5), rel=1e-5)


def test_curves_say_where_training_and_validation_differ():
    config = Config()
    assert builders.describe_curves(config) == {"splits": {}, "phases": {}}
    config.train.num_steps, config.codes.prior_steps = 600, 200
    assert builders.describe_curves(config)["phases"] == {"only the prior from here on": 400}


@pytest.mark.parametrize(
    ("field", "value", "splits"),
    [
        ("name", "m2", {"train": "training, with the KL of y", "valid": "validation, given y"}),
        ("token_dropout", 0.3, {"train": "training, with token dropout"}),
        ("corruption", "masking", {"train": "training, from corrupted inputs"}),
    ],
)
def test_curves_of_other_quantities_have_other_names(field, value, splits):
    config = Config()
    setattr(config.objective, field, value)
    assert builders.describe_curves(config)["splits"] == splits


def test_curves_name_every_reason_to_differ():
    config = Config()
    config.objective.token_dropout, config.objective.corruption = 0.3, "masking"
    text = "training, with token dropout, from corrupted inputs"
    assert builders.describe_curves(config)["splits"] == {"train": text}
