"""The variational mixture of posteriors."""

import math
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import Distribution, uniform_mixture
from vae_jax.errors import InputError
from vae_jax.priors.base import Encode
from vae_jax.types import Array, Scalar


class VampPrior(nn.Module):
    """p(z) = 1/K sum_k q(z | u_k): the mean of the posteriors of K learned pseudo-inputs u_k.

    Tomczak and Welling, 2018, arXiv:1705.07120. The posterior must be a diagonal Gaussian.
    Pseudo-inputs stay in the range of the data, `low` to `high`: u = low + (high - low)
    sigmoid(raw) with raw ~ N(0, 1) initially. Without an upper bound, u = low + softplus(raw);
    without any bound, u = raw. To start from data, set `raw_inputs` to `to_raw(x)`.

    In a conditional model, `num_condition` is the size of c, and each u_k has its own learned
    pseudo-condition, initially near 1 / num_condition in each entry: uniform for one-hot c. The
    prior itself is not conditional.

    Raises:
      InputError: c is given, the posterior is not a diagonal Gaussian, or only `high` is finite.
    """

    event_shape: Sequence[int]
    needs_encode: ClassVar[bool] = True
    num_components: int = 500
    low: float = 0.0
    high: float = 1.0
    num_condition: int = 0

    @nn.compact
    def __call__(self, c: Array | None = None, *, encode: Encode | None = None) -> Distribution:
        if c is not None:
            raise InputError(
                "VampPrior is not conditional; leave condition_prior off, or use LearnedDiagonal"
            )
        if encode is None:
            raise InputError(
                "encode = None: VampPrior is made of posteriors; pass the model's own encode"
            )
        return uniform_mixture(encode(self._pseudo_inputs(), self._pseudo_conditions()))

    def _pseudo_inputs(self) -> Array:
        shape = (self.num_components, *self.event_shape)
        raw = self.param("raw_inputs", nn.initializers.normal(1.0), shape, jnp.float32)
        if self._is_bounded():
            return self.low + (self.high - self.low) * jax.nn.sigmoid(raw)
        return self.low + jax.nn.softplus(raw) if math.isfinite(self.low) else raw

    def _pseudo_conditions(self) -> Array | None:
        if not self.num_condition:
            return None

        def init(key: Array, shape: tuple[int, ...]) -> Array:
            return 1 / self.num_condition + 0.1 * jax.random.normal(key, shape, jnp.float32)

        return self.param("conditions", init, (self.num_components, self.num_condition))

    def to_raw(self, x: Array, *, margin: Scalar = 1e-4) -> Array:
        """The `raw_inputs` for pseudo-inputs x [K, *E].

        They are kept off the bounds by the fraction `margin` of the range.
        """
        if not self._is_bounded():
            if not math.isfinite(self.low):
                return x
            above = jnp.maximum(x - self.low, margin)
            return above + jnp.log(-jnp.expm1(-above))  # the inverse of softplus
        share = jnp.clip((x - self.low) / (self.high - self.low), margin, 1 - margin)
        return jnp.log(share) - jnp.log1p(-share)

    def _is_bounded(self) -> bool:
        if not self.low < self.high or (math.isfinite(self.high) and not math.isfinite(self.low)):
            raise InputError(
                f"low, high = {self.low}, {self.high}: must be low < high; "
                "high must be infinite if low is"
            )
        return math.isfinite(self.high)
