"""STL and DReG: the value of log q is that of the draws, only its gradient is recomputed."""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.objectives import iwae, stl
from vae_jax.objectives.importance import _path_log_weights, log_weights

KEY = jax.random.key(0)


def test_the_value_is_that_of_the_draws_even_if_the_inverse_is_off():
    model = VAE(
        nets.MLP((8,)),
        nets.MLP((8,)),
        posteriors.PlanarHead(2),
        priors.StandardNormal(2),
        likelihoods.Gaussian((3,)),
    )
    x = jax.random.normal(KEY, (4, 3))
    outputs = model.apply(model.init(KEY, x, KEY), x, KEY, num_samples=3)
    # As with an inverse that loses digits: the density at z is not the one of the draw.
    outputs = outputs.replace(log_qz_x=outputs.log_qz_x + 0.25)
    np.testing.assert_array_equal(_path_log_weights("stl", outputs), log_weights(outputs))
    assert stl(outputs)[0] == iwae(outputs)[0]
    assert jnp.isfinite(stl(outputs)[0])
