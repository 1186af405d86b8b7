"""Hyper-parameters on their way from a config to the objective, where 0 has a meaning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import objectives
from vae_jax.config import Config, sweep
from vae_jax.config.validation import check
from vae_jax.errors import InputError
from vae_jax.experiment import builders

KEY = jax.random.key(0)
X = jax.random.bernoulli(KEY, 0.4, (8, 6)).astype(jnp.float32)


def tiny(**fields):
    config = Config()
    config.model.hidden, config.model.latent_dim = (5,), 3
    for path, value in fields.items():
        group, name = path.split("__")
        setattr(getattr(config, group), name, value)
    return config


def loss_and_grad(config, step=7):
    model = builders.build_model(config, (6,))
    params = model.init(KEY, X, KEY)
    loss_fn = builders.build_loss(config, model, len(X))
    return jax.value_and_grad(loss_fn, has_aux=True)(params, {"x": X}, KEY, step)


@pytest.mark.parametrize(
    ("fields", "a", "b"),
    [
        ({}, 10.0, 100.0),
        ({"objective__dip_kind": 2}, 10.0, 10.0),
        ({"objective__off_diagonal_weight": 3.0}, 3.0, 30.0),
        ({"objective__dip_kind": 2, "objective__diagonal_weight": 7.0}, 10.0, 7.0),
    ],
)
def test_weights_of_dip_are_those_of_the_paper_for_each_kind(fields, a, b):
    config = tiny(objective__name="dip", **fields)
    check(config)
    (loss, metrics), _ = loss_and_grad(config)
    expected = (
        metrics["distortion"]
        + metrics["rate"]
        + a * metrics["off_diagonal"]
        + b * metrics["diagonal"]
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    # The two kinds have different covariances.
    model = builders.build_model(config, (6,))
    outputs = model.apply(model.init(KEY, X, KEY), X, jax.random.split(KEY)[0])
    objective = objectives.dip_i if config.objective.dip_kind == 1 else objectives.dip_ii
    np.testing.assert_allclose(
        loss, objective(outputs, off_diagonal_weight=a, diagonal_weight=b)[0], rtol=1e-6
    )


def test_a_sweep_of_the_diagonal_weight_may_have_the_papers():
    config = tiny(objective__name="dip", objective__dip_kind=2)

    def loss(weight):
        return loss_and_grad(sweep.with_values(config, {"diagonal_weight": weight}))[0][0]

    losses = jax.jit(jax.vmap(loss))(jnp.array([0.0, 7.0]))
    for number, weight in enumerate((10.0, 7.0)):
        config.objective.diagonal_weight = weight
        np.testing.assert_allclose(losses[number], loss_and_grad(config)[0][0], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["diag_gaussian", "planar"])
@pytest.mark.parametrize("beta_start", [0.0, 2.0])
def test_a_trial_with_capacity_0_is_that_without(posterior, beta_start):
    config = tiny(
        model__posterior=posterior,
        objective__beta=2.0,
        objective__beta_schedule="linear",
        objective__beta_start=beta_start,
        objective__beta_steps=10,
    )

    def trial(capacity):
        return loss_and_grad(sweep.with_values(config, {"capacity": capacity}))

    # Not compiled: fused differently, the two programs may differ in the last bit.
    (swept, _), swept_grads = trial(jnp.float32(0))
    (off, _), off_grads = loss_and_grad(config)
    assert swept == off
    for ours, theirs in zip(jax.tree.leaves(swept_grads), jax.tree.leaves(off_grads), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    (other, _), _ = trial(jnp.float32(3))
    assert other != off


def test_a_negative_monte_carlo_rate_is_kept_at_capacity_0():
    outputs = _outputs(rate=-0.5)
    loss, metrics = objectives.elbo(outputs, capacity=0.0, beta=4.0)
    np.testing.assert_allclose(loss, metrics["distortion"] + 4 * -0.5)


def _outputs(rate):
    model = builders.build_model(tiny(), (6,))
    outputs = model.apply(model.init(KEY, X, KEY), X, KEY)
    return outputs.replace(kl=jnp.full(len(X), rate))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"optimizer__warmup_steps": 20, "codes__prior_steps": 10, "train__num_steps": 50},
            r"warmup_steps = 20: must be below config\.codes\.prior_steps = 10",
        ),
        (
            {"optimizer__warmup_steps": 20, "codes__prior_steps": 40, "train__num_steps": 50},
            r"warmup_steps = 20: must be below config\.train\.num_steps = 50 less "
            r"config\.codes\.prior_steps = 40",
        ),
    ],
)
def test_a_warmup_longer_than_a_phase_is_refused(fields, message):
    config = tiny(model__kind="vq", objective__name="vq", codes__prior="pixelcnn", **fields)
    config.model.latent_dim, config.codes.grid = Config().model.latent_dim, (2, 2)
    with pytest.raises(InputError, match=message):
        check(config)


@pytest.mark.parametrize(("part", "name"), [("posterior", "iaf"), ("prior", "autoregressive")])
def test_a_made_narrower_than_its_input_is_refused(part, name):
    fields = {f"model__{part}": name, f"model__{part}_width": 2}
    with pytest.raises(InputError, match=rf"{part}_width = 2: must be at least .*latent_dim = 3"):
        check(tiny(**fields))
    with pytest.raises(InputError, match=r"width = 2: must be at least 3.*dimensions 1 to 1"):
        loss_and_grad(tiny(**fields))
    check(tiny(**fields | {f"model__{part}_width": 3}))
