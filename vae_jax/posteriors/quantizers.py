"""Quantizers: features h -> q(codes | x), a `Quantized` distribution over [B, D], D = P d for a grid of P codes of size d.

A quantizer is a posterior head: it holds the last linear map, from features to the vectors z_e that are quantized. A map of
features [B, h, w, F] gives one code for each place, a vector [B, F] as many as the grid has. Gradients pass straight through
(Bengio et al., 2013, arXiv:1308.3432): z_q is the code's vector in value, and z_e to whatever is differentiated.

What is no parameter of a gradient lies in the collection "codebook" of the same tree, next to "params": optimizers see it with
a gradient of zero, and `objectives.vq_post_update` is what changes it.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.distributions import Quantized
from vae_jax.distributions.codes import nearest_codes
from vae_jax.errors import InputError
from vae_jax.nets.dense import Dense
from vae_jax.types import Array

FSQ_MARGIN = 1e-3  # by how much less than its whole range the bound of FSQ reaches


def straight_through(value: Array, gradient_of: Array) -> Array:
    """The value, to the last bit, with the gradient of another array of its shape, and none of its own."""
    return jax.lax.stop_gradient(value) + (gradient_of - jax.lax.stop_gradient(gradient_of))


class Projection(nn.Module):
    """Features as one vector for each place of the grid, float32: ``[B, *grid, F]`` or ``[B, F] -> [B, *grid, size]``."""

    size: int

    @nn.compact
    def __call__(self, h: Array, grid: Sequence[int]) -> Array:
        grid = tuple(grid)
        if h.ndim == 2:
            vectors = Dense(math.prod(grid) * self.size, dtype=h.dtype, wide=True, name="out")(h)
            return vectors.reshape(h.shape[0], *grid, self.size)
        if h.shape[1:-1] != grid:
            raise InputError(
                f"grid = {grid}: must be that of the encoder's features, {h.shape[1:-1]}"
            )
        return Dense(self.size, dtype=h.dtype, wide=True, name="out")(h)


class VectorQuantizer(nn.Module):
    """The nearest of M vectors that are learned, in squared distance (van den Oord et al., 2017, arXiv:1711.00937).

    With `ema`, each vector is a moving average of the z_e that chose it (appendix A.1): "codebook" holds the `embedding`
    [M, d], its `sums` [M, d] and its `counts` [M]. Without, `embedding` is a parameter, moved by the gradient of its own term
    in the loss, and "codebook" holds the counts alone, by which unused codes are known. Counts are shares of
    all codes, and the averages begin as if all were in equal use.
    """

    num_codes: int = 512
    code_dim: int = 64
    ema: bool = True

    def setup(self) -> None:
        shape = (self.num_codes, self.code_dim)
        init = nn.initializers.variance_scaling(
            1.0, "fan_out", "uniform"
        )  # vectors of length 1, about
        self.project = Projection(self.code_dim)
        self.variable(
            "codebook", "counts", lambda: jnp.full(self.num_codes, 1 / self.num_codes, jnp.float32)
        )
        if self.ema:
            table = self.variable(
                "codebook", "embedding", lambda: init(self.make_rng("params"), shape)
            )
            self.variable("codebook", "sums", lambda: table.value / self.num_codes)
            self.embedding = jax.lax.stop_gradient(table.value)
        else:
            self.embedding = self.param("embedding", init, shape)

    def codebook(self) -> Array:
        """The vectors [M, d]."""
        return self.embedding

    def __call__(self, h: Array, grid: Sequence[int]) -> Quantized:
        z_e = self.project(h, grid)
        codes = nearest_codes(jax.lax.stop_gradient(z_e), jax.lax.stop_gradient(self.embedding))
        if self.ema:
            vectors = self.embedding[codes]
        else:  # The gradient of a look-up is a scatter, whose sums a GPU takes in any order; that of a product is not.
            chosen = jax.nn.one_hot(codes, self.num_codes)
            vectors = jnp.matmul(chosen, self.embedding, precision=jax.lax.Precision.HIGHEST)
        learning = "average" if self.ema else "gradient"
        return _quantized(z_e, vectors, codes, self.num_codes, learning)


class FiniteScalarQuantizer(nn.Module):
    """Each of d numbers rounded to one of L_i levels: prod(levels) codes that need no learning (Mentzer et al., 2023).

    arXiv:2309.15505. A number v is bounded to f(v) = tanh(v + tan(o / r)) r - o, where r = (L - 1)(1 - margin) / 2 and o is
    1/2 for an even number of levels, 0 for an odd one, and rounded to the integers -floor(L / 2) .. ceil(L / 2) - 1. The
    vector is these divided by floor(L / 2), in [-1, 1]; the code is their number in the mixed base of the levels, the first
    one fastest. There is no term in the loss beside the distortion.

    InputError unless there are levels, each of 2 or more, and no more codes than an int32 tells apart.
    """

    levels: Sequence[int] = (8, 5, 5, 5)

    def setup(self) -> None:
        levels = tuple(self.levels)
        if not levels or min(levels) < 2 or math.prod(levels) >= 2**31:
            raise InputError(
                f"levels = {levels}: must be one or more numbers, each at least 2, whose product is below 2^31"
            )
        self.project = Projection(len(levels))

    @property
    def num_codes(self) -> int:
        """M = prod(levels)."""
        return math.prod(self.levels)

    @property
    def code_dim(self) -> int:
        """d, the number of levels given."""
        return len(self.levels)

    def codebook(self) -> Array:
        """The vectors [M, d] of all codes."""
        return jnp.asarray(self.vectors_of(np.arange(self.num_codes)))

    def vectors_of(self, codes: Array) -> Array:
        """Codes [...] -> vectors [..., d]."""
        levels, basis = self._base()
        return ((codes[..., None] // basis) % levels - levels // 2) / np.float32(levels // 2)

    def codes_of(self, vectors: Array) -> Array:
        """Vectors [..., d], on the grid of levels -> codes int32 [...]."""
        levels, basis = self._base()
        digits = jnp.round(vectors * (levels // 2)).astype(jnp.int32) + levels // 2
        return (digits * basis).sum(-1)

    def __call__(self, h: Array, grid: Sequence[int]) -> Quantized:
        bounded = self._bounded(self.project(h, grid))
        half = np.float32(np.asarray(self.levels) // 2)
        vectors = jax.lax.stop_gradient(jnp.round(bounded) / half)
        return _quantized(bounded / half, vectors, self.codes_of(vectors), self.num_codes, "none")

    def _bounded(self, z: Array) -> Array:
        levels = np.asarray(self.levels)
        reach, offset = (levels - 1) * (1 - FSQ_MARGIN) / 2, np.where(levels % 2 == 0, 0.5, 0.0)
        reach, offset, shift = np.float32([reach, offset, np.tan(offset / reach)])
        return jnp.tanh(z + shift) * reach - offset

    def _base(self) -> tuple[np.ndarray, np.ndarray]:
        levels = np.asarray(self.levels, np.int32)
        return levels, np.cumprod([1, *levels[:-1]], dtype=np.int32)


def _quantized(
    z_e: Array, vectors: Array, codes: Array, num_codes: int, learning: str
) -> Quantized:
    """Of z_e and vectors [B, *grid, d], codes [B, *grid]."""
    z_e, vectors = (part.reshape(codes.shape[0], -1) for part in (z_e, vectors))
    return Quantized(straight_through(vectors, z_e), z_e, vectors, codes, num_codes, learning)
