"""Settings of JAX that a person, a notebook or the environment makes change no number of ours."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax import VAE, likelihoods, load, nets, objectives, posteriors, priors, train
from vae_jax.config import Config, Data
from vae_jax.data import from_arrays, order
from vae_jax.experiment import train_and_evaluate
from vae_jax.models import VQVAE, Hierarchical, vector_levels
from vae_jax.posteriors.quantizers import VectorQuantizer

GREY = np.random.default_rng(0).integers(0, 256, (64, 6)).astype(np.uint8)
X = (GREY[:4] > 127).astype(np.float32)
KEY = jax.random.key(1, impl="threefry2x32")
LIKELIHOOD = likelihoods.Bernoulli((6,))
MODELS = {
    "vae": (
        VAE(
            nets.MLP((3,)),
            nets.MLP((3,)),
            posteriors.DiagGaussianHead(2),
            priors.Mixture(2, 3),
            LIKELIHOOD,
        ),
        functools.partial(objectives.elbo, beta=0.5),
    ),
    "codes": (
        VQVAE(
            nets.MLP((4,)),
            VectorQuantizer(5, 2),
            nets.MLP((3,)),
            LIKELIHOOD,
            priors.UniformCodes((2,), 5),
        ),
        objectives.vq,
    ),
    "ladder": (Hierarchical(vector_levels((1,), (3,)), LIKELIHOOD), objectives.elbo),
}


def x64():
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


SETTINGS = {
    "x64": x64,
    "rbg": lambda: jax.default_prng_impl("rbg"),
    "old_threefry": lambda: jax.threefry_partitionable(False),
    "rank_promotion": lambda: jax.numpy_rank_promotion("raise"),
    "debug_nans": lambda: jax.debug_nans(True),
}


def losses(params, key):
    """Loss, metrics and gradient of each kind of model, in one program."""
    results = {}
    for name, (model, objective) in MODELS.items():
        loss_fn = objectives.make_loss_fn(model, objective)
        value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
        results[name] = value_and_grad(params[name], {"x": X}, key, jnp.int32(3))
    return results


def draws():
    """All data of a binarized set, with the key of a person, and the order."""
    numbers = {}
    for binarization in ("dynamic", "static"):
        arrays = {"train_images": GREY, "test_images": GREY, "test_labels": np.arange(64) % 3}
        arrays["train_labels"] = arrays["test_labels"]
        data = from_arrays(arrays, binarization=binarization)
        numbers[binarization] = (np.asarray(data.test.images), data.preparation["test_sha256"])
        numbers[f"{binarization} batch"] = data.train.take(jnp.arange(8), KEY)
    numbers["order"] = order.batch_index(jnp.arange(3), num_examples=64, batch_size=8, seed=3)
    return jax.device_get(numbers)


@functools.cache
def reference():
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.uniform(-0.5, 0.5, leaf.shape).astype(leaf.dtype), param_shapes()
    )
    return params, jax.device_get(jax.jit(losses)(params, KEY)), draws()


def param_shapes():
    return {name: jax.eval_shape(model.init, KEY, X, KEY) for name, (model, _) in MODELS.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_data_and_order_are_as_without(name):
    params, numbers, data = reference()
    with SETTINGS[name]():
        drawn = draws()
    for field, expected in data.items():
        if name == "old_threefry" and field == "dynamic batch":
            continue  # drawn with a key of the person's own, under the person's own setting
        jax.tree.map(np.testing.assert_array_equal, drawn[field], expected)
    if name in ("rbg", "old_threefry"):
        return  # draws from a person's own key are the person's
    with SETTINGS[name]():
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
        assert param_shapes() == shapes
        result = jax.device_get(jax.jit(losses)(params, KEY))
    assert jax.tree.structure(result) == jax.tree.structure(numbers)
    for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(numbers), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["x64", "rank_promotion"])
def test_a_train_state_keeps_its_types(name):
    model, objective = MODELS["vae"]
    tx = optax.adam(1e-3)
    with SETTINGS[name]():
        x = jnp.zeros((4, 6), jnp.float32)
        init = functools.partial(train.init_state, model=model, x=x, tx=tx, ema=True)
        state = jax.eval_shape(init, jax.random.key(0))
        step = functools.partial(
            train.train_step,
            loss_fn=objectives.make_loss_fn(model, objective),
            tx=tx,
            ema_decay=0.9,
        )
        after, metrics = jax.eval_shape(step, state, {"x": x})
        types = jax.tree.map(lambda leaf: leaf.dtype, (state, after))
    assert types[0] == types[1]
    assert {leaf.dtype.name for leaf in jax.tree.leaves(metrics)} == {"float32", "int32"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["together", *SETTINGS])
def test_a_run_is_as_without(name, tmp_path):
    """Losses, hash, results and the parameters of the checkpoint, bit for bit; 10 s each."""
    config = Config(data=Data(binarization="dynamic"))
    config.model.hidden = (8,)
    config.train.num_steps = config.train.eval_every = config.train.log_every = 20
    config.train.batch_size = 32
    config.evaluation.metrics = ()
    numbers = train_and_evaluate(config, tmp_path / "plain")
    with contextlib.ExitStack() as stack:
        for setting in SETTINGS if name == "together" else (name,):
            stack.enter_context(SETTINGS[setting]())
        same = train_and_evaluate(config, tmp_path / "other")
        params = load(tmp_path / "plain").params
        x = np.zeros((2, 8, 8, 1), np.float32)
        center = jax.device_get(load(tmp_path / "plain").encode(x).center)
    assert same["data"] == numbers["data"]
    assert same["test"] == numbers["test"]
    assert same["valid"] == numbers["valid"]
    model = load(tmp_path / "other")
    jax.tree.map(np.testing.assert_array_equal, params, model.params)
    np.testing.assert_allclose(model.encode(x).center, center, rtol=1e-5)
