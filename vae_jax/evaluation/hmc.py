"""Hamiltonian Monte Carlo for chains with separate step sizes (Neal, 2011, arXiv:1206.1901)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vae_jax.types import Array

LogDensity = Callable[[Array], Array]  # z [K, B, D] -> [K, B]


def transition(
    key: Array, z: Array, log_density: LogDensity, step_size: Array, *, num_leapfrog: int
) -> tuple[Array, Array]:
    """One transition of every chain z [K, B, D]; returns the new z and the acceptance rate [K, B].

    It leaves the density of each chain invariant.

    Args:
      key: PRNG key of momenta and acceptance.
      z: the chains.
      log_density: unnormalized log density of each chain.
      step_size: [K, B], or broadcasts to it.
      num_leapfrog: steps of one trajectory.
    """
    key_momentum, key_accept = jax.random.split(key)
    momentum = jax.random.normal(key_momentum, z.shape, z.dtype)
    eps = step_size[..., None]
    gradient = jax.grad(lambda z: log_density(z).sum())

    def leap(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], None]:
        z, momentum, slope = carry
        momentum = momentum + eps / 2 * slope
        z = z + eps * momentum
        slope = gradient(z)
        return (z, momentum + eps / 2 * slope, slope), None

    (proposed, last, _), _ = jax.lax.scan(
        leap, (z, momentum, gradient(z)), None, length=num_leapfrog
    )
    energy = log_density(z) - jnp.square(momentum).sum(-1) / 2
    log_ratio = log_density(proposed) - jnp.square(last).sum(-1) / 2 - energy
    log_ratio = jnp.where(jnp.isfinite(log_ratio), log_ratio, -jnp.inf)  # reject if diverged
    accept = jnp.log(jax.random.uniform(key_accept, log_ratio.shape, log_ratio.dtype)) < log_ratio
    return jnp.where(accept[..., None], proposed, z), jnp.exp(jnp.minimum(log_ratio, 0.0))
