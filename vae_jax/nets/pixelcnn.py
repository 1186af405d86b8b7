"""The gated PixelCNN: features of each pixel from those before it in raster order, in one pass.

Two stacks of convolutions (van den Oord et al., 2016, arXiv:1606.05328). The vertical stack sees
the rows above. The horizontal one sees the pixels to the left and, at every layer, the vertical
stack: together all preceding pixels, without a blind spot. Nothing is masked. The embedded image is
shifted, one row down for the vertical stack and one pixel right for the horizontal one; kernels of
(k // 2 + 1, k) and (1, k // 2 + 1) taps, which end at the pixel itself, preserve the order.

With n layers and r = n (k // 2), the pixel (i, j) sees

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
    """Pad x [N, H, W, F] with zeros, as many before and after the rows and columns as given."""
    return jnp.pad(x, [(0, 0), rows, columns, (0, 0)])


def gate(h: Array) -> Array:
    """tanh(a) sigmoid(b) for the two halves a, b of the features: [..., 2 F] -> [..., F]."""
    a, b = jnp.split(h, 2, axis=-1)
    return jnp.tanh(a) * jax.nn.sigmoid(b)


class GatedLayer(nn.Module):
    """One layer of both stacks; the horizontal one is residual.

    The condition is added to both before the gate.
    """

    features: int
    kernel: int
    dtype: Any = None

    @nn.compact
    def __call__(
        self, vertical: Array, horizontal: Array, c: Array | None = None
    ) -> tuple[Array, Array]:
        """Both stacks [N, H, W, features] and c [N, H or 1, W or 1, C] -> both stacks."""
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
    """Logits of each value given those before it: x [N, H, W, C] -> [N, H, W, C, levels].

    The order is by rows, columns, then channels. Within a pixel, channel c has its own output
    network: (features of the pixels before, x_0 .. x_{c-1}) -> relu -> logits.

    x holds floats in [0, 1], or unordered integers 0 .. levels - 1 with an `embedding` of that
    size. Two levels have one logit, the log-odds of the second. Raises InputError for an even
    kernel size, no layers, or fewer than two levels.
    """

    levels: int = 2
    features: int = 32
    layers: int = 4
    kernel: int = 3
    embedding: int | None = None
    out_init: Callable[..., Array] = nn.initializers.lecun_normal()  # zeros: uniform at first
    dtype: Any = None  # dtype of compute; the logits are float32

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Images x [N, H, W, C] and an optional condition -> logits [N, H, W, C, levels or 1].

        The condition c is a vector [N, C'] or a map [N, H or 1, W or 1, C'].
        """
        self._check()
        chex.assert_rank(x, 4)
        c = c[:, None, None] if c is not None and c.ndim == 2 else c
        values = self._values(x)
        embedded = Dense(self.features, dtype=self.dtype, name="embed")(
            values.reshape(*x.shape[:3], -1)
        )
        vertical = pad(embedded, (1, 0), (0, 0))[:, :-1]
        horizontal = pad(embedded, (0, 0), (1, 0))[:, :, :-1]
        for _ in range(self.layers):
            layer = GatedLayer(self.features, self.kernel, self.dtype)
            vertical, horizontal = layer(vertical, horizontal, c)
        h = nn.relu(horizontal)
        channels = range(x.shape[-1])
        return jnp.stack([self._logits(h, values, channel) for channel in channels], axis=3)

    @nn.nowrap
    def init_params(self, key: Array, channels: int, context_features: int) -> Params:
        """Parameters for a distribution that holds them next to the unbound network.

        They are the same for images [N, H, W, channels] of any size.
        """
        context = jnp.zeros((1, 1, 1, context_features), jnp.float32)
        x = jnp.zeros((1, 1, 1, channels), jnp.float32)
        return self.init(key, x, context)["params"]

    def _check(self) -> None:
        check_range("layers", self.layers, 1)
        check_range("levels", self.levels, 2)
        if self.kernel % 2 == 0 or self.kernel < 1:
            raise InputError(f"kernel = {self.kernel}: must be odd, 1 or more")

    def _values(self, x: Array) -> Array:
        """The representation of each value, ``[N, H, W, C, 1 or embedding]``."""
        if self.embedding is not None:
            table = nn.Embed(self.levels, self.embedding, dtype=self.dtype, name="table")
            return table(x.astype(jnp.int32))
        [values] = nn.dtypes.promote_dtype(2 * x[..., None] - 1, dtype=self.dtype)
        return values

    def _logits(self, h: Array, values: Array, channel: int) -> Array:
        """The logits of one channel, [N, H, W, levels or 1]."""
        before = values[..., :channel, :].reshape(*h.shape[:3], -1)
        h = jnp.concatenate([h, before], axis=-1)
        h = Dense(self.features, dtype=self.dtype, name=f"hidden_{channel}")(h)
        out = Conv(
            1 if self.levels == 2 else self.levels,
            kernel_size=1,
            kernel_init=self.out_init,
            dtype=self.dtype,
            wide=True,
            name=f"out_{channel}",
        )
        return out(nn.relu(h))
