"""Autoregressive draws to show: each is one of its distribution, and equal ones are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import Autoregressive

PROBABILITIES = {2: [0.7, 0.3], 3: [0.2, 0.5, 0.3]}


class Fixed:
    """A network with the same logits, plus the context, for every value."""

    def __init__(self, logits):
        self.logits = jnp.asarray(logits)

    def apply(self, params, x, context):
        del params
        logits = jnp.broadcast_to(self.logits, (*x.shape, len(self.logits)))
        return logits + context[..., None, :1] * jnp.arange(1, len(self.logits) + 1)


def make(levels, shifts):
    p = np.array(PROBABILITIES[levels])
    logits = [np.log(p[1] / p[0])] if levels == 2 else np.log(p)
    context = jnp.asarray(shifts, jnp.float32)[:, None, None, None]
    return Autoregressive(context, {}, Fixed(logits), (2, 3), levels, True)


@pytest.mark.parametrize("levels", PROBABILITIES)
def test_equal_distributions_have_equal_draws(levels):
    draws = make(levels, [0.0, 0.0, 5.0]).comparable(jax.random.key(0))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[2] >= draws[0]).all()  # as the distribution moves up, so does the draw
    assert (draws[2] > draws[0]).any()


@pytest.mark.parametrize("levels", PROBABILITIES)
def test_each_is_a_draw(levels):
    draw = jax.jit(jax.vmap(make(levels, [0.0]).comparable))
    values = draw(jax.random.split(jax.random.key(1), 2_000))
    share = np.bincount(np.asarray(values).ravel(), minlength=levels) / values.size
    np.testing.assert_allclose(share, PROBABILITIES[levels], atol=0.02)  # 4 standard errors


def test_samples_share_no_noise():
    draws = np.asarray(make(2, np.zeros(8)).typical(jax.random.key(0)))
    assert len(np.unique(draws.reshape(8, -1), axis=0)) > 1
