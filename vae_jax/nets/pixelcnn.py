"""The gated PixelCNN: features of each pixel from those before it in raster order, all in one pass.

Two stacks of convolutions (van den Oord et al., 2016, arXiv:1606.05328). The vertical one sees the rows above, the horizontal
one the pixels to the left and, at every layer, the vertical one: together all that comes before, with no blind spot. Nothing
is masked. The embedded image is moved, one row down for the vertical stack and one pixel right for the horizontal one, and
after that kernels of (k // 2 + 1, k) and (1, k // 2 + 1) taps, which end at the pixel itself, keep the order.

With n layers the pixel (i, j) sees, where r = n (k // 2),

    row i                        columns j - 1 - r .. j - 1
    rows i - 1 - r .. i - 1      columns j - r .. j + r
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.errors import InputError, check_range
from vae_jax.nets.convolution import Conv
from vae_jax.nets.dense import Dense
from vae_jax.types import Array, Params


def pad(x: Array, rows: tuple[int, int], columns: tuple[int, int]) -> Array:
    """X [N, H, W, F] with zeros around rows and columns."""
    return jnp.pad(x, [(0, 0), rows, columns, (0, 0)])


def gate(h: Array) -> Array:
    """tanh(a) sigmoid(b) for the two halves a, b of the features: [..., 2 F] -> [..., F]."""
    a, b = jnp.split(h, 2, axis=-1)
    return jnp.tanh(a) * jax.nn.sigmoid(b)


class GatedLayer(nn.Module):
    """One layer of both stacks, with the condition added to both before the gate; the horizontal one is residual."""

    features: int
    kernel: int
    dtype: Any = None

    @nn.compact
    def __call__(
        self, vertical: Array, horizontal: Array, c: Array | None = None
    ) -> tuple[Array, Array]:
        """Both [N, H, W, features], and c [N, H or 1, W or 1, C] -> both."""
        reach, width = self.kernel // 2, 2 * self.features

        def dense(h: Array, features: int, name: str) -> Array:
            return Dense(features, dtype=self.dtype, name=name)(h)

        def conv(h: Array, size: tuple[int, int], name: str) -> Array:
            return Conv(width, kernel_size=size, padding="VALID", dtype=self.dtype, name=name)(h)

        above = conv(pad(vertical, (reach, 0), (reach, reach)), (reach + 1, self.kernel), "above")
        left = conv(pad(horizontal, (0, 0), (reach, 0)), (1, reach + 1), "left")
        if c is not None:
            above = above + dense(c, width, "above_condition")
            left = left + dense(c, width, "left_condition")
        left = left + dense(above, width, "above_to_left")
        return gate(above), horizontal + dense(gate(left), self.features, "residual")


class PixelCNN(nn.Module):
    """Logits of every value of an image, each given those before it: x [N, H, W, C] -> [N, H, W, C, levels].

    The order is by rows, columns, then channels. Inside a pixel, channel c has an output network of its own, which is given
    the channels before c beside the features of the pixels before: (features, x_0 .. x_{c-1}) -> relu -> logits.

    x holds floats in [0, 1], or, with an `embedding` of that size, integers 0 .. levels - 1 that have no order. Of two levels
    there is one logit, the log-odds of the second. InputError for a kernel of even size, no layer, or fewer than two levels.
    """

    levels: int = 2
    features: int = 32
    layers: int = 4
    kernel: int = 3
    embedding: int | None = None
    out_init: Callable[..., Array] = (
        nn.initializers.lecun_normal()
    )  # zeros: all values equally likely
    dtype: Any = None  # of compute; the logits are float32

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """X [N, H, W, C], and a condition c [N, C'] or its map [N, H or 1, W or 1, C'] -> logits [N, H, W, C, levels or 1]."""
        self._check()
        chex.assert_rank(x, 4)
        c = c[:, None, None] if c is not None and c.ndim == 2 else c
        values = self._values(x)
        embedded = Dense(self.features, dtype=self.dtype, name="embed")(
            values.reshape(*x.shape[:3], -1)
        )
        vertical, horizontal = (
            pad(embedded, (1, 0), (0, 0))[:, :-1],
            pad(embedded, (0, 0), (1, 0))[:, :, :-1],
        )
        for _ in range(self.layers):
            layer = GatedLayer(self.features, self.kernel, self.dtype)
            vertical, horizontal = layer(vertical, horizontal, c)
        return jnp.stack(
            [self._logits(nn.relu(horizontal), values, channel) for channel in range(x.shape[-1])],
            axis=3,
        )

    @nn.nowrap
    def init_params(self, key: Array, channels: int, context_features: int) -> Params:
        """Its parameters, for a distribution to hold beside the unbound network; they are the same for images of any size."""
        return self.init(
            key, jnp.zeros((1, 1, 1, channels)), jnp.zeros((1, 1, 1, context_features))
        )["params"]

    def _check(self) -> None:
        check_range("layers", self.layers, 1)
        check_range("levels", self.levels, 2)
        if self.kernel % 2 == 0 or self.kernel < 1:
            raise InputError(f"kernel = {self.kernel}: must be odd, 1 or more")

    def _values(self, x: Array) -> Array:
        """What stands for each value, ``[N, H, W, C, 1 or embedding]``."""
        if self.embedding is not None:
            return nn.Embed(self.levels, self.embedding, dtype=self.dtype, name="table")(
                x.astype(jnp.int32)
            )
        [values] = nn.dtypes.promote_dtype(2 * x[..., None] - 1, dtype=self.dtype)
        return values

    def _logits(self, h: Array, values: Array, channel: int) -> Array:
        """Those of one channel, [N, H, W, levels or 1]."""
        before = values[..., :channel, :].reshape(*h.shape[:3], -1)
        h = Dense(self.features, dtype=self.dtype, name=f"hidden_{channel}")(
            jnp.concatenate([h, before], axis=-1)
        )
        num_logits = 1 if self.levels == 2 else self.levels
        out = {
            "kernel_init": self.out_init,
            "dtype": self.dtype,
            "wide": True,
            "name": f"out_{channel}",
        }
        return Conv(num_logits, kernel_size=1, **out)(nn.relu(h))
