"""Hamiltonian Monte Carlo for many chains at once, each with a step size of its own (Neal, 2011, arXiv:1206.1901)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vae_jax.types import Array

LogDensity = Callable[[Array], Array]  # z [K, B, D] -> [K, B]


def transition(
    key: Array, z: Array, log_density: LogDensity, step_size: Array, *, num_leapfrog: int
) -> tuple[Array, Array]:
    """One transition of every chain z [K, B, D] that leaves its density invariant; the new z and the acceptance rate [K, B].

    Args:
      key: for momenta and acceptance.
      z: the chains.
      log_density: unnormalized, of each chain.
      step_size: [K, B] or what broadcasts to it.
      num_leapfrog: steps of one trajectory.
    """
    key_momentum, key_accept = jax.random.split(key)
    momentum = jax.random.normal(key_momentum, z.shape)
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
    log_ratio = jnp.where(
        jnp.isfinite(log_ratio), log_ratio, -jnp.inf
    )  # of a trajectory that diverged
    accept = jnp.log(jax.random.uniform(key_accept, log_ratio.shape)) < log_ratio
    return jnp.where(accept[..., None], proposed, z), jnp.exp(jnp.minimum(log_ratio, 0.0))
