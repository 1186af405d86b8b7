"""Blocks of transformers: attention with rotary positions, and a key/value cache."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.errors import InputError, check_range
from vae_jax.nets.conditioning import Shift
from vae_jax.nets.dense import Dense
from vae_jax.types import Array

MASKED = -1e9  # the logit of a masked position: weight exactly 0 beside others, finite alone
WAVELENGTHS = 10_000.0  # the longest over the shortest, of rotary positions


class Cache(NamedTuple):
    """Keys and values of the positions so far, each [N, L, heads, F / heads]."""

    keys: Array
    values: Array


def rotate(x: Array, positions: Array) -> Array:
    """Vectors x [N, L, heads, D], rotated by angles proportional to their positions [N, L].

    Products of rotated vectors depend on the difference of their positions only. D must be even.
    Su et al., 2021, arXiv:2104.09864.
    """
    half = x.shape[-1] // 2
    rates = WAVELENGTHS ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = positions[:, :, None, None].astype(jnp.float32) * rates[None, None, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def attend(queries: Array, keys: Array, values: Array, mask: Array) -> Array:
    """Attention [N, L, heads, D] of queries [N, L, ...] to keys [N, M, ...]; mask [N or 1, L, M].

    Weights are the softmax of products / sqrt(D), in float32.
    """
    logits = jnp.einsum("nlhd,nmhd->nhlm", queries, keys, preferred_element_type=jnp.float32)
    logits = jnp.where(mask[:, None], logits * queries.shape[-1] ** -0.5, MASKED)
    weights = jax.nn.softmax(logits, axis=-1).astype(values.dtype)
    return jnp.einsum("nhlm,nmhd->nlhd", weights, values)


class Block(nn.Module):
    """Attention, then two dense layers, each added to a layer-normalized stream [N, L, F].

    An optional context [N, C] is first added to each position by a linear map. The layer norm comes
    before attention and layers (Xiong et al., 2020, arXiv:2002.04745). The stream is float32.
    """

    features: int
    heads: int
    dtype: Any = None  # dtype of products

    def setup(self) -> None:
        self.context = Shift()
        self.norms = [nn.LayerNorm(dtype=jnp.float32) for _ in range(2)]
        self.queries_keys_values = Dense(3 * self.features, dtype=self.dtype)
        self.out = Dense(self.features, dtype=self.dtype, wide=True)
        self.hidden = Dense(4 * self.features, dtype=self.dtype)
        self.mlp_out = Dense(self.features, dtype=self.dtype, wide=True)

    def __call__(self, x: Array, positions: Array, mask: Array, c: Array | None = None) -> Array:
        """The stream x [N, L, F] at positions [N or 1, L], with mask [N or 1, L, L]."""
        x = self.context(x, c)
        return self._add(x, attend(*self._project(x, positions), mask))

    def step(
        self, x: Array, position: Array, cache: Cache, c: Array | None = None
    ) -> tuple[Array, Cache]:
        """The stream [N, 1, F] at a position [N] after those in the cache, and the next cache."""
        x = self.context(x, c)
        queries, keys, values = self._project(x, position[:, None])
        places = jnp.arange(cache.keys.shape[1])[None]
        here = (places == position[:, None])[:, :, None, None]
        cache = Cache(jnp.where(here, keys, cache.keys), jnp.where(here, values, cache.values))
        mask = (places <= position[:, None])[:, None]
        return self._add(x, attend(queries, *cache, mask)), cache

    @nn.nowrap
    def empty_cache(self, num: int, length: int) -> Cache:
        """The cache before the first of `length` positions."""
        shape = (num, length, self.heads, self.features // self.heads)
        return Cache(*[jnp.zeros(shape, self.dtype or jnp.float32)] * 2)

    def _project(self, x: Array, positions: Array) -> tuple[Array, Array, Array]:
        """Queries, keys and values [N, L, heads, D]."""
        h = self.queries_keys_values(self.norms[0](x))
        h = h.reshape(*x.shape[:2], 3, self.heads, -1)
        queries, keys = (rotate(h[:, :, i], positions).astype(h.dtype) for i in range(2))
        return queries, keys, h[:, :, 2]

    def _add(self, x: Array, attended: Array) -> Array:
        x = x + self.out(attended.reshape(*x.shape[:2], -1))
        return x + self.mlp_out(nn.gelu(self.hidden(self.norms[1](x))))


def check_sizes(features: int, layers: int, heads: int) -> None:
    """Raises InputError unless the features are a multiple of twice the heads."""
    check_range("layers", layers, 1)
    check_range("heads", heads, 1)
    if features < 1 or features % (2 * heads):
        raise InputError(f"features = {features}: must be a multiple of 2 * heads, of {2 * heads}")
