"""Corruptions of the encoder's input, for denoising models: maps ``(key, x [B, *E]) -> [B, *E]``.

Vincent et al., 2010 (denoising autoencoders); Im et al., 2017, arXiv:1511.06406 (the denoising
criterion for VAEs).

>>> import jax
>>> import jax.numpy as jnp
>>> from vae_jax import corruptions
>>> corrupt = corruptions.masking(rate=1.0)
>>> float(corrupt(jax.random.key(0), jnp.ones((8, 28, 28, 1))).sum())
0.0
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vae_jax.types import Array

Corruption = Callable[[Array, Array], Array]


def gaussian_noise(stddev: float) -> Corruption:
    """Add N(0, stddev^2) to every entry of x [B, *E]; the result may leave the data range."""
    return lambda key, x: x + stddev * jax.random.normal(key, x.shape, x.dtype)


def masking(rate: float) -> Corruption:
    """Set each entry of x [B, *E] to zero with probability `rate`."""
    p = jnp.float32(rate)
    return lambda key, x: jnp.where(jax.random.bernoulli(key, p, x.shape), 0.0, x)


def salt_and_pepper(rate: float) -> Corruption:
    """Set each entry of x [B, *E] with probability `rate` to zero or one, equally likely."""

    def corrupt(key: Array, x: Array) -> Array:
        u = jax.random.uniform(key, x.shape, x.dtype)
        return jnp.where(u < rate / 2, 0.0, jnp.where(u < rate, 1.0, x))

    return corrupt


def token_dropout(rate: float) -> Corruption:
    """Replace each token of a sequence with probability `rate` by padding, the id of no token.

    As the history of a decoder: the word dropout of Bowman et al., 2016, arXiv:1511.06349.
    """
    return masking(rate)
