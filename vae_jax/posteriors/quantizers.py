"""Quantizers: features h -> q(codes | x), a `Quantized` over [B, D], D = P d for P codes of size d.

A quantizer is a posterior head: it owns the last linear map, from features to the vectors z_e that
are quantized. A feature map [B, h, w, F] gives one code per position, a vector [B, F] all codes of
the grid. Gradients are straight-through (Bengio et al., 2013, arXiv:1308.3432): z_q has the value
of the code vector and the gradient of z_e.

Variables not trained by gradients are in the collection "codebook", next to "params". Optimizers
see them with a zero gradient, and `objectives.vq_post_update` updates them.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.distributions import Quantized
from vae_jax.distributions.base import allow_broadcasting
from vae_jax.distributions.codes import nearest_codes
from vae_jax.errors import InputError
from vae_jax.nets.dense import Dense
from vae_jax.types import Array

FSQ_MARGIN = 1e-3  # fraction of the range that the bound of FSQ excludes


def straight_through(value: Array, gradient_of: Array) -> Array:
    """The exact value, with the gradient of `gradient_of`, an array of the shape of the value."""
    return jax.lax.stop_gradient(value) + (gradient_of - jax.lax.stop_gradient(gradient_of))


class Projection(nn.Module):
    """Features to one float32 vector per grid position.

    ``[B, *grid, F]`` or ``[B, F]`` -> ``[B, *grid, size]``.
    """

    size: int

    @nn.compact
    def __call__(self, h: Array, grid: Sequence[int]) -> Array:
        grid = tuple(grid)
        if h.ndim == 2:
            vectors = Dense(math.prod(grid) * self.size, dtype=h.dtype, wide=True, name="out")(h)
            return vectors.reshape(h.shape[0], *grid, self.size)
        if h.shape[1:-1] != grid:
            raise InputError(
                f"grid = {grid}: must equal the shape of the encoder's features, {h.shape[1:-1]}"
            )
        return Dense(self.size, dtype=h.dtype, wide=True, name="out")(h)


class VectorQuantizer(nn.Module):
    """The nearest of M learned vectors, in squared distance.

    van den Oord et al., 2017, arXiv:1711.00937. With `ema`, each vector is a moving average of the
    z_e assigned to it (appendix A.1): "codebook" holds the `embedding` [M, d], its `sums` [M, d]
    and `counts` [M]. Otherwise `embedding` is a parameter, trained by its own loss term, and
    "codebook" holds only the counts, which identify unused codes. Counts are fractions of all
    codes; the averages start at uniform usage.
    """

    num_codes: int = 512
    code_dim: int = 64
    ema: bool = True

    def setup(self) -> None:
        shape = (self.num_codes, self.code_dim)
        # Vectors of length 1, approximately.
        init = nn.initializers.variance_scaling(1.0, "fan_out", "uniform")
        self.project = Projection(self.code_dim)
        self.variable(
            "codebook", "counts", lambda: jnp.full(self.num_codes, 1 / self.num_codes, jnp.float32)
        )
        if self.ema:
            table = self.variable(
                "codebook", "embedding", lambda: init(self.make_rng("params"), shape, jnp.float32)
            )
            self.variable("codebook", "sums", lambda: table.value / self.num_codes)
            self.embedding = jax.lax.stop_gradient(table.value)
        else:
            self.embedding = self.param("embedding", init, shape, jnp.float32)

    def codebook(self) -> Array:
        """The vectors [M, d]."""
        return self.embedding

    def __call__(self, h: Array, grid: Sequence[int]) -> Quantized:
        z_e = self.project(h, grid)
        codes = nearest_codes(jax.lax.stop_gradient(z_e), jax.lax.stop_gradient(self.embedding))
        if self.ema:
            vectors = self.embedding[codes]
        else:
            # The gradient of a look-up is a scatter, which is not deterministic on GPU.
            chosen = jax.nn.one_hot(codes, self.num_codes, dtype=self.embedding.dtype)
            vectors = jnp.matmul(chosen, self.embedding, precision=jax.lax.Precision.HIGHEST)
        learning = "average" if self.ema else "gradient"
        return _make_quantized(z_e, vectors, codes, self.num_codes, learning)


class FiniteScalarQuantizer(nn.Module):
    """Each of d numbers rounded to one of L_i levels: prod(levels) codes without learning.

    Mentzer et al., 2023, arXiv:2309.15505. A number v is bounded to f(v) = tanh(v + tan(o / r)) r -
    o, where r = (L - 1)(1 - margin) / 2 and o is 1/2 for an even number of levels, 0 for an odd
    one. It is rounded to the integers -floor(L / 2) .. ceil(L / 2) - 1. The vector is these divided
    by floor(L / 2), in [-1, 1]. The code is their number in the mixed base of the levels, the first
    digit fastest. The loss has no term besides the distortion.

    Raises InputError unless every level is 2 or more and the codes fit in int32.
    """

    levels: Sequence[int] = (8, 5, 5, 5)

    def setup(self) -> None:
        levels = tuple(self.levels)
        if not levels or min(levels) < 2 or math.prod(levels) >= 2**31:
            raise InputError(
                f"levels = {levels}: must be one or more numbers of at least 2 "
                "with a product below 2^31"
            )
        self.project = Projection(len(levels))

    @property
    def num_codes(self) -> int:
        """M = prod(levels)."""
        return math.prod(self.levels)

    @property
    def code_dim(self) -> int:
        """The size of a vector, d = len(levels)."""
        return len(self.levels)

    def codebook(self) -> Array:
        """The vectors [M, d] of all codes."""
        return jnp.asarray(self.vectors_of(np.arange(self.num_codes)), jnp.float32)

    @allow_broadcasting
    def vectors_of(self, codes: Array | np.ndarray) -> Array:
        """Codes [...] -> vectors [..., d]."""
        levels, basis = self._base()
        return ((codes[..., None] // basis) % levels - levels // 2) / np.float32(levels // 2)

    @allow_broadcasting
    def codes_of(self, vectors: Array) -> Array:
        """Vectors [..., d] on the grid of levels -> codes int32 [...]."""
        levels, basis = self._base()
        digits = jnp.round(vectors * (levels // 2)).astype(jnp.int32) + levels // 2
        return (digits * basis).sum(-1)

    @allow_broadcasting
    def __call__(self, h: Array, grid: Sequence[int]) -> Quantized:
        bounded = self._bound(self.project(h, grid))
        half = np.float32(np.asarray(self.levels) // 2)
        vectors = jax.lax.stop_gradient(jnp.round(bounded) / half)
        return _make_quantized(
            bounded / half, vectors, self.codes_of(vectors), self.num_codes, "none"
        )

    @allow_broadcasting
    def _bound(self, z: Array) -> Array:
        levels = np.asarray(self.levels)
        reach = (levels - 1) * (1 - FSQ_MARGIN) / 2
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        reach, offset, shift = np.asarray([reach, offset, np.tan(offset / reach)], np.float32)
        return jnp.tanh(z + shift) * reach - offset

    def _base(self) -> tuple[np.ndarray, np.ndarray]:
        levels = np.asarray(self.levels, np.int32)
        return levels, np.cumprod([1, *levels[:-1]], dtype=np.int32)


def _make_quantized(
    z_e: Array, vectors: Array, codes: Array, num_codes: int, learning: str
) -> Quantized:
    """A `Quantized` from z_e and vectors [B, *grid, d] and codes [B, *grid]."""
    z_e, vectors = (part.reshape(codes.shape[0], -1) for part in (z_e, vectors))
    return Quantized(straight_through(vectors, z_e), z_e, vectors, codes, num_codes, learning)
