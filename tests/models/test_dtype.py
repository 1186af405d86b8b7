"""Networks that compute in bfloat16: what is rounded, what stays float32, and accuracy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vae_jax import elbo, make_loss_fn, train
from vae_jax.config import Config
from vae_jax.data import ArraySource
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.validation import validate
from vae_jax.nets import (
    MLP,
    BroadcastDecoder,
    Conv,
    ConvDecoder,
    ConvEncoder,
    ConvTranspose,
    Dense,
)

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)  # compiling is most of the time

NARROW, WIDE = jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float32)
KEY = jax.random.key(0)
MODELS = {  # network, likelihood, sigma, event
    "linear": ("mlp", "gaussian", "scalar", (12,)),
    "mlp": ("mlp", "bernoulli", "fixed", (8, 8, 1)),
    "conv": ("conv", "gaussian", "predicted", (7, 8, 2)),
}


def make(name, dtype):
    config = Config()
    c = config.model
    c.network, c.likelihood, c.sigma, event = MODELS[name]
    c.hidden, c.channels, c.latent_dim, c.dtype = (
        (() if name == "linear" else (32,)),
        (8,),
        3,
        dtype,
    )
    return builders.build_model(config, event), event


def images(event, num=64, seed=0):
    """Binary images of a few factors, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num, 3)) @ rng.normal(size=(3, int(np.prod(event)))) * 2
    return np.float32(rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).reshape(num, *event)


def distance(a, b):
    """The norm of the difference, relative to that of b."""
    a, b = (
        np.concatenate([np.float64(leaf).ravel() for leaf in jax.tree.leaves(tree)])
        for tree in (a, b)
    )
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def dtypes(tree):
    return {
        jnp.result_type(leaf)
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    }


def equations(jaxpr):
    """Every equation, those of inner programs included."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")
        ):
            if hasattr(inner, "eqns"):
                yield from equations(getattr(inner, "jaxpr", inner))


def loss_and_outputs(model, x):
    def loss(params):
        outputs = model.apply(params, x, KEY, num_samples=2)
        return elbo(outputs)[0], outputs

    return loss


# Layers


def test_the_dense_layer_is_flax_s():
    x = jax.random.normal(KEY, (5, 3))
    ours, theirs = nn.Sequential([Dense(4)]), nn.Sequential([nn.Dense(4)])
    params = theirs.init(KEY, x)
    jax.tree.map(np.testing.assert_array_equal, ours.init(KEY, x), params)
    params = jax.tree.map(lambda leaf: leaf + 1, params)  # no bias is zero
    np.testing.assert_allclose(ours.apply(params, x), theirs.apply(params, x), rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "wide"),
    [
        (Dense(4), (8192, 8), False),
        (Dense(4), (8192, 8), True),
        (Conv(4, 4, stride=2), (8, 64, 64, 8), False),
        (Conv(4, 3), (8, 32, 32, 16), False),
        (ConvTranspose(4, 4, stride=2), (8, 16, 16, 8), True),
    ],
    ids=["dense", "wide_dense", "conv", "conv_stride_1", "wide_conv_transpose"],
)
def test_layers_sum_in_float32(layer, shape, wide):
    """bfloat16 has 8 bits, so a sum in it would stop growing after 256 terms of equal size."""
    layer = layer.copy(dtype=jnp.bfloat16, wide=wide)
    # All numbers are positive and exact in bfloat16: only the rounding of results differs.
    rng = np.random.default_rng(0)
    x = np.float32(rng.integers(64, 192, shape) / 128)
    value, params = jax.eval_shape(layer.init_with_output, KEY, x)
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, 1 / 8, leaf.dtype), params)
    weights = np.float32(rng.integers(64, 192, value.shape) / 128)

    @functools.partial(jit, static_argnums=0)
    def value_and_gradient(layer, params, x):
        value, vjp = jax.vjp(layer.apply, params, x)
        return value, vjp(weights.astype(value.dtype))

    (value, gradient), exact = (
        value_and_gradient(layer, params, x),
        value_and_gradient(layer.copy(dtype=None), params, x),
    )
    assert value.dtype == (WIDE if wide else NARROW)
    assert dtypes(params) == dtypes(gradient) == {WIDE}
    assert distance(value, exact[0]) < 4e-3
    for leaf, truth in zip(jax.tree.leaves(gradient), jax.tree.leaves(exact[1]), strict=True):
        assert distance(leaf, truth) < 4e-3
    assert distance(gradient[0]["params"]["bias"], exact[1][0]["params"]["bias"]) < 1e-6


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (MLP(()), (5, 2, 3)),
        (MLP((4,)), (5, 2, 3)),
        (ConvEncoder((2,), (4,)), (5, 6, 6, 1)),
        (ConvEncoder((2,), ()), (5, 6, 6, 1)),
        (ConvDecoder((6, 6, 1), (3, 2), ()), (5, 4)),
        (BroadcastDecoder((6, 6, 1), (3, 2), ()), (5, 4)),
    ],
    ids=str,
)
def test_features_have_the_dtype_of_the_network(network, shape):
    for given, expected in ((None, WIDE), (jnp.float32, WIDE), (jnp.bfloat16, NARROW)):
        h, params = jax.eval_shape(
            network.copy(dtype=given).init_with_output, KEY, jnp.zeros(shape)
        )
        assert h.dtype == expected
        assert dtypes(params) <= {WIDE}


# Models


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_near_that_of_float32(name):
    (exact, event), (model, _) = make(name, "float32"), make(name, "bfloat16")
    x, rng = images(event), np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, KEY, x, KEY)
    params = jax.tree.map(
        lambda leaf: np.float32(rng.normal(size=leaf.shape) / np.sqrt(max(leaf.size, 4)) * 2),
        shapes,
    )
    gradient, outputs = jit(jax.grad(loss_and_outputs(model, x), has_aux=True))(params)
    true_gradient, truth = jit(jax.grad(loss_and_outputs(exact, x), has_aux=True))(params)
    assert dtypes((shapes, gradient, outputs)) == {WIDE}
    for field in ("z", "log_px_z", "log_pz", "log_qz_x", "kl"):
        assert distance(getattr(outputs, field), getattr(truth, field)) < 1e-2, field
    assert distance(gradient, true_gradient) < 0.1


@pytest.mark.parametrize("name", MODELS)
def test_products_are_narrow_and_all_the_rest_is_wide(name):
    model, event = make(name, "bfloat16")
    x = jnp.zeros((4, *event))
    params = jax.eval_shape(model.init, KEY, x, KEY)
    program = jax.make_jaxpr(jax.value_and_grad(loss_and_outputs(model, x), has_aux=True))(params)
    products, on_narrow = [], set()
    for equation in equations(program.jaxpr):
        operands = {v.aval.dtype for v in equation.invars if hasattr(v.aval, "dtype")}
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            products.append(operands)
        if NARROW in operands:
            on_narrow.add(equation.primitive.name)
    assert len(products) >= 5
    assert all(operands == {NARROW} for operands in products)
    assert not on_narrow & {
        "exp",
        "exp2",
        "log",
        "log1p",
        "logistic",
        "integer_pow",
        "square",
        "div",
        "erf_inv",
    }
    assert not [primitive for primitive in on_narrow if primitive.startswith("reduce")]


def train_model(dtype, seeds, num_steps=200):
    """The ELBO of the last 40 steps for each seed, on its own images."""
    model, event = make("mlp", dtype)
    tx = optax.adam(3e-3)
    epoch = train.make_train_epoch(
        make_loss_fn(model, elbo),
        tx,
        order=lambda steps: 128 * (steps % 4)[:, None] + jnp.arange(128),
        num_steps=num_steps,
    )
    for seed in seeds:
        x = images(event, 512, seed)
        state, metrics = epoch(
            train.init_state(jax.random.key(seed), model, x[:1], tx), ArraySource(x)
        )
        assert dtypes((state, metrics)) == {WIDE}
        yield float(metrics["elbo"][-40:].mean())


@pytest.mark.slow
def test_training_ends_where_that_of_float32_does():
    seeds = range(3)
    exact, narrow = list(train_model("float32", seeds)), list(train_model("bfloat16", seeds))
    assert min(exact) > -64 * np.log(2) + 10  # nats of a fair coin for each pixel
    np.testing.assert_allclose(
        narrow, exact, atol=0.1
    )  # of 29 nats; over 12 seeds the largest difference was 0.06


# By name


@pytest.mark.parametrize("network", builders.parts.NETWORKS)
@pytest.mark.parametrize(("name", "dtype"), [("float32", WIDE), ("bfloat16", NARROW)])
def test_the_dtype_of_the_config_reaches_both_networks(network, name, dtype):
    config = Config()
    config.model.network, config.model.dtype = network, name
    model = builders.build_model(config, (64, 64, 1))
    assert jnp.dtype(model.encoder.dtype) == jnp.dtype(model.decoder.dtype) == dtype


def test_an_unknown_dtype_is_refused_before_any_data_are_read():
    config = Config()
    config.model.dtype = "bfloat"
    with pytest.raises(
        InputError, match=r"config\.model\.dtype = 'bfloat': unknown; .*did you mean 'bfloat16'"
    ):
        validate(config)
