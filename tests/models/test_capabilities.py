"""What models say that they support, without parameters."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.distributions import ContinuousBernoulli
from vae_jax.errors import InputError
from vae_jax.models import VQVAE, Hierarchical, Stacked, UnsupportedError, vector_levels
from vae_jax.models.trained import TrainedModel
from vae_jax.posteriors.quantizers import VectorQuantizer

KEY = jax.random.key(0)
LIKELIHOOD = likelihoods.Gaussian((3,))
FLAT = VAE(
    nets.MLP((4,)),
    nets.MLP((4,)),
    posteriors.DiagGaussianHead(2),
    priors.StandardNormal(2),
    LIKELIHOOD,
)
CODES = VQVAE(
    nets.MLP((4,)),
    VectorQuantizer(5, 2),
    nets.MLP((4,)),
    LIKELIHOOD,
    priors.UniformCodes((2, 2), 5),
)
STACKED = Stacked((1, 2), priors.VampPrior((3,), 4), LIKELIHOOD, hidden=(4,))
LADDER = Hierarchical(vector_levels((1, 2), (4, 4)), LIKELIHOOD)


class PlainPrior(nn.Module):
    """A prior without a temperature."""

    def __call__(self):
        return ContinuousBernoulli(jnp.zeros(2))


NO_TEMPERATURE = FLAT.clone(prior=PlainPrior())


@pytest.mark.parametrize(
    ("model", "temperature", "traversals", "flat_posterior"),
    [
        (FLAT, True, True, True),
        (FLAT.clone(prior=priors.VampPrior((3,)), conditioning=nets.OneHot(3)), True, True, True),
        (CODES, True, False, True),
        (LADDER, True, True, False),
        (STACKED, True, True, False),
        (NO_TEMPERATURE, False, True, True),
    ],
)
def test_capabilities(model, temperature, traversals, flat_posterior):
    trained = TrainedModel(model, params={})
    assert trained.supports("temperature") == temperature
    assert trained.supports("traversals") == traversals
    assert trained.supports("flat_posterior") == flat_posterior


def test_a_temperature_that_the_prior_does_not_have():
    params = NO_TEMPERATURE.init(KEY, jnp.zeros((1, 3)), KEY)
    trained = TrainedModel(NO_TEMPERATURE, params)
    assert trained.sample(KEY, 2).shape == (2, 3)
    with pytest.raises(UnsupportedError, match="ContinuousBernoulli has no temperature; omit it"):
        trained.sample(KEY, 2, temperature=0.5)


def test_an_unknown_capability():
    with pytest.raises(InputError, match=r"'temperatur': unknown; .*did you mean 'temperature'"):
        FLAT.supports("temperatur")


@pytest.mark.parametrize("model", [FLAT, CODES, LADDER, STACKED])
def test_missing_parts_are_none(model):
    assert model.critic is None
    assert model.classifier is None
    assert (model.posterior is None) == (model is not FLAT)
