"""Networks inside affine flows."""

import itertools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.errors import InputError
from vae_jax.nets.dense import Dense, add_bias
from vae_jax.types import Array

# For last layers: flows start near the identity.
SMALL = nn.initializers.variance_scaling(1e-4, "fan_in", "truncated_normal")


def check_width(dim: int, width: int) -> None:
    """Raises InputError for a MADE too narrow to read all inputs that an output may depend on."""
    if width < dim:
        last_read = int(hidden_degrees(dim, width).max(initial=0))
        raise InputError(
            f"width = {width}: must be at least {dim}, the number of dimensions; narrower, no unit "
            f"reads dimensions {last_read} to {dim - 2} (from 0), on which later dimensions depend"
        )


def hidden_degrees(dim: int, width: int) -> np.ndarray:
    """The degree of each hidden unit of a MADE, [width]; a unit of degree d sees d inputs.

    Evenly spread from 0 to dim - 1; every degree occurs if the width is at least dim.
    """
    return np.arange(width) * dim // width


class MaskedDense(nn.Module):
    """An affine map [..., F] -> [..., features], its kernel times a mask [F, features]."""

    features: int
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array, mask: np.ndarray) -> Array:
        kernel = self.param("kernel", self.kernel_init, mask.shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return add_bias(x @ (kernel * mask), bias)


class Conditioner(nn.Module):
    """A perceptron from x [..., F] and context [..., C] to shift and raw log-scale [..., features].

    With `autoregressive` it is a MADE (Germain et al., 2015, arXiv:1502.03509) with F = features:
    output d depends only on the inputs before d and on the whole context, which enters the first
    layer. It computes in float32.
    """

    features: int
    width: int = 64
    depth: int = 2
    autoregressive: bool = False

    @nn.compact
    def __call__(self, x: Array, context: Array | None = None) -> tuple[Array, Array]:
        masks = self._masks(x.shape[-1])
        h = x
        for layer, mask in enumerate(masks[:-1]):
            h = MaskedDense(self.width)(h, mask)
            if layer == 0 and context is not None:
                h = h + Dense(self.width, name="context")(context)
            h = nn.elu(h)
        h = MaskedDense(2 * self.features, SMALL)(h, masks[-1])
        shift, log_scale = jnp.split(h, 2, axis=-1)
        return shift, log_scale

    def _masks(self, inputs: int) -> list[np.ndarray]:
        """One mask [in, out] per layer."""
        sizes = [inputs, *[self.width] * self.depth, 2 * self.features]
        if not self.autoregressive:
            return [np.ones(shape, np.float32) for shape in itertools.pairwise(sizes)]
        # A unit of degree d sees inputs 0 .. d - 1; output d, units of degree d or less. Units of
        # degree 0 see only the context.
        hidden = hidden_degrees(inputs, self.width)
        degrees = [np.arange(inputs) + 1, *[hidden] * self.depth, np.tile(np.arange(inputs), 2)]
        return [np.asarray(a[:, None] <= b, np.float32) for a, b in itertools.pairwise(degrees)]
