"""Values outside the support score -inf, never NaN, and those inside have finite gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import distributions as d
from vae_jax.distributions import DiagGaussian
from vae_jax.distributions.base import Distribution
from vae_jax.errors import InputError

ZEROS = jnp.zeros(3)
LEVELS = 4


class Flat:
    """A network with equal logits for every value."""

    def __init__(self, outputs):
        self.outputs = outputs

    def apply(self, params, x, context):
        return jnp.zeros((*x.shape, self.outputs)) + params["params"]


def autoregressive(levels, integers=False):
    context, params = jnp.zeros((1, 1, 1)), jnp.float32(0)
    network = Flat(1 if levels == 2 else levels)
    return d.Autoregressive(context, params, network, (1, 3), levels, integers)


# distribution, a value inside the support, entries outside it; the event is the last axis.
BOUNDED = {
    "bernoulli": (d.Bernoulli(ZEROS + 0.3), 1.0, (-0.1, 1.1)),
    "continuous_bernoulli": (d.ContinuousBernoulli(ZEROS + 0.3), 0.4, (-0.1, 1.1)),
    "categorical": (d.Categorical(jnp.zeros((3, LEVELS))), 2.0, (-1.0, 4.0)),
    "grid_categorical": (d.GridCategorical(jnp.zeros((3, LEVELS))), 1 / 3, (-0.2, 1.2)),
    "discretized_logistic": (d.DiscretizedLogistic(ZEROS, ZEROS, LEVELS), 1 / 3, (-0.2, 1.2)),
    "logistic_mixture": (
        d.DiscretizedLogisticMixture(*[jnp.zeros((3, 2))] * 3, LEVELS),
        1 / 3,
        (-0.2, 1.2),
    ),
    "beta_binomial": (d.BetaBinomial(ZEROS, ZEROS, LEVELS), 1 / 3, (-0.2, 1.2)),
    "negative_binomial": (d.NegativeBinomial(ZEROS, ZEROS), 2.0, (-1.0, -40.0)),
    "poisson": (d.Poisson(ZEROS), 2.0, (-1.0, -40.0)),
    "zero_inflated": (d.ZeroInflatedNegativeBinomial(ZEROS, ZEROS, ZEROS), 2.0, (-1.0, -40.0)),
    "log_normal": (d.LogNormal(ZEROS, ZEROS), 0.3, (0.0, -1.0)),
    "ordinal": (d.Ordinal(ZEROS, jnp.zeros((3, LEVELS - 2))), 2.0, (-1.0, 4.0)),
    "uniform_codes": (d.UniformCodes((3,), LEVELS, 1), 2.0, (-1.0, 4.0)),
    "mixed": (
        d.Mixed((d.Bernoulli(jnp.zeros(2)), d.NegativeBinomial(jnp.zeros(1), 0.0)), ((0, 2), (1,))),
        1.0,
        (-1.0,),
    ),
}


@pytest.mark.parametrize("where", range(3))
@pytest.mark.parametrize("name", BOUNDED)
def test_one_value_outside_the_support_scores_minus_infinity(name, where):
    p, inside, outside = BOUNDED[name]
    value = np.full(3, inside, np.float32)
    assert np.isfinite(p.log_prob(jnp.asarray(value)))
    for entry in outside:
        value[where] = entry
        terms = np.asarray(p.log_prob_terms(jnp.asarray(value)))
        np.testing.assert_array_equal(np.isneginf(terms), np.arange(3) == where)
        assert np.isfinite(np.delete(terms, where)).all()
        assert p.log_prob(jnp.asarray(value)) == -np.inf


@pytest.mark.parametrize("name", BOUNDED)
def test_gradients_stay_finite_beside_values_outside(name):
    p, inside, outside = BOUNDED[name]
    values = jnp.asarray([[inside] * 3, [outside[0]] * 3], jnp.float32)
    grads = jax.grad(lambda p: p.log_prob(values)[0], allow_int=True)(p)
    for leaf in jax.tree.leaves(grads):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    ("levels", "integers", "inside", "outside"),
    [(2, False, 1.0, (-1.0, 2.0)), (3, False, 0.5, (-0.5, 1.5)), (3, True, 2, (-1, 3))],
)
def test_autoregressive_values_off_the_grid(levels, integers, inside, outside):
    p = autoregressive(levels, integers)
    value = np.full((1, 3), inside)
    assert p.log_prob(jnp.asarray(value)) == pytest.approx(-3 * np.log(levels), rel=1e-6)
    for entry in outside:
        value[0, 1] = entry
        terms = np.asarray(p.log_prob_terms(jnp.asarray(value)))[0]
        np.testing.assert_array_equal(np.isneginf(terms), [False, True, False])
        assert p.log_prob(jnp.asarray(value)) == -np.inf


@pytest.mark.parametrize("channel", range(3))
def test_colors_off_the_grid(channel):
    shape = (1, 1, 3, 2)
    arrays = [jnp.zeros(shape)] * 3
    p = d.ColorLogisticMixture(*arrays, jnp.zeros((1, 1, 2)), LEVELS)
    value = np.full((1, 1, 3), 1 / 3, np.float32)
    value[..., channel] = 1.2
    terms = np.asarray(p.log_prob_terms(jnp.asarray(value)))[0, 0]
    np.testing.assert_array_equal(np.isneginf(terms), np.arange(3) == channel)
    assert p.log_prob(jnp.asarray(value)) == -np.inf


def test_values_that_round_to_the_grid_score_as_the_nearest():
    p = d.DiscretizedLogistic(ZEROS, ZEROS, LEVELS)
    near, exact = jnp.float32([-0.1, 1.1, 0.4]), jnp.float32([0, 1, 1 / 3])
    np.testing.assert_allclose(p.log_prob_terms(near), p.log_prob_terms(exact), rtol=1e-6)


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, float("nan"), np.float32(0), jnp.zeros(2)])
def test_temperature_0_is_refused_with_one_message(temperature):
    eye = jnp.eye(2)
    gaussian = DiagGaussian(jnp.zeros(2), jnp.zeros(2))
    mixture = d.MixtureOfGaussians(eye, eye, jnp.zeros(2))
    codes = d.UniformCodes((2,), 4, 1)
    for p in (
        gaussian,
        mixture,
        codes,
        d.FullGaussian(jnp.zeros(2), eye),
        d.Laplace(jnp.zeros(2), jnp.zeros(2)),
        d.StudentT(jnp.zeros(2), jnp.zeros(2), jnp.ones(2)),
        d.LogNormal(jnp.zeros(2), jnp.zeros(2)),
        d.OneHotCategorical(jnp.zeros(4), 2),
        d.EmbeddedCodes(codes, jnp.ones((4, 1))),
        d.Flowed(gaussian, None),
        autoregressive(2),
    ):
        with pytest.raises(InputError, match=r"temperature = .*: must be greater than 0; .*center"):
            p.with_temperature(temperature)


def test_every_distribution_checks_the_temperature():
    def below(cls):
        return {cls} | {sub for child in cls.__subclasses__() for sub in below(child)}

    overriding = [
        cls.__name__
        for cls in below(Distribution) - {Distribution}
        if cls.__module__.startswith("vae_jax") and "with_temperature" in vars(cls)
    ]
    assert not overriding


def test_a_traced_temperature_is_allowed():
    p = DiagGaussian(jnp.zeros(2), jnp.zeros(2))
    narrow = jax.jit(lambda t: p.with_temperature(t).stddev)(0.5)
    np.testing.assert_allclose(narrow, 0.5, rtol=1e-6)
