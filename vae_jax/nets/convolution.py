"""2-D convolutions and transposed convolutions that are fast on every backend, on the CPU also inside `lax.scan`.

A convolution with stride s and padding lo is one trilinear form in a large image x, a kernel k and a small image y,

    T(x, k, y) = sum_{n,p,q} sum_{i,j} x[n, s p + i - lo, s q + j - lo] . k[i, j] . y[n, p, q]

Its derivative with respect to each argument is a map of the other two, and each map's gradients are the other maps:

    correlate  (x, k) -> y    the convolution
    spread     (y, k) -> x    its gradient in the image; with a flipped kernel, the transposed convolution
    pair       (x, y) -> k    its gradient in the kernel

On the CPU, XLA is fast at `correlate` and, inside a loop, 20-100 times slower than need be at the other two. There they
are rewritten on *cells*: a cell is a block of s x s pixels laid out as channels, and an image of cells meets y with
stride 1 and a = ceil(k / s) taps a side. Then `spread` is a stride-1 convolution of y (where cells are narrow, a product
whose blocks are added where they overlap), and `pair` is a product of shifted windows. On GPU and TPU all three are XLA's
own; the choice is made when the function is lowered.
Reverse mode works to any order. Forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) is not available.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.nets.dense import add_bias
from vae_jax.types import Array

Pair = tuple[int, int]  # rows, columns


class Geometry(NamedTuple):
    """The static part of T: which pixels of the large image meet which of the small one."""

    stride: int
    kernel: Pair
    large: Pair  # size of x
    small: Pair  # size of y

    @property
    def taps(self) -> Pair:
        """Size of the kernel in cells: ceil(k / s)."""
        return tuple(-(-k // self.stride) for k in self.kernel)

    @property
    def span(self) -> Pair:
        """Rows and columns, of x or of zeros around it, that the kernel passes over."""
        return tuple(
            (p - 1) * self.stride + k for p, k in zip(self.small, self.kernel, strict=True)
        )

    def padding(self, total: Pair) -> list[Pair]:
        """Zeros before and after x that bring it to a total size; a negative number crops."""
        low = (max(span - size, 0) // 2 for span, size in zip(self.span, self.large, strict=True))
        return [(lo, end - lo - size) for lo, end, size in zip(low, total, self.large, strict=True)]


def geometry_of(
    x: Array, kernel: Array, stride: int, padding: str, *, transposed: bool
) -> Geometry:
    """The geometry of a convolution of x, or of the transposed one, in which x is the small image.

    "SAME" makes ceil(n / s) of n pixels, transposed n s; "VALID" (n - k) // s + 1, transposed n s + max(k - s, 0).
    """
    if x.ndim != 4 or kernel.ndim != 4:
        raise InputError(
            f"x has shape {x.shape}, kernel {kernel.shape}: must have rank 4, NHWC and HWIO"
        )
    check_range("stride", stride, 1)
    same = check_choice("padding", padding, ("SAME", "VALID")) == "SAME"
    size, taps = x.shape[1:3], kernel.shape[:2]
    if transposed:
        large = tuple(
            n * stride + (0 if same else max(k - stride, 0))
            for n, k in zip(size, taps, strict=True)
        )
        return Geometry(stride, taps, large, small=size)
    small = tuple(
        -(-n // stride) if same else (n - k) // stride + 1 for n, k in zip(size, taps, strict=True)
    )
    if min(small) < 1:
        raise InputError(
            f"x has shape {x.shape}: must be at least {taps} pixels with padding = 'VALID'"
        )
    return Geometry(stride, taps, size, small)


def _pad(x: Array, padding: list[Pair], axis: int = 1) -> Array:
    """Zeros around rows and columns, which are `axis` and the next; unlike `jnp.pad`, a negative number crops."""
    sides = [(0, 0)] * axis + padding + [(0, 0)] * (x.ndim - axis - 2)
    return lax.pad(x, jnp.zeros((), x.dtype), [(lo, hi, 0) for lo, hi in sides])


def _convolve(x: Array, kernel: Array, stride: int, padding: list[Pair]) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (stride,) * 2, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _native_correlate(g: Geometry, x: Array, kernel: Array) -> Array:
    return _convolve(x, kernel, g.stride, g.padding(g.span))


def _native_spread(g: Geometry, y: Array, kernel: Array) -> Array:
    x = jax.ShapeDtypeStruct((y.shape[0], *g.large, kernel.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _native_correlate(g, x, kernel), x)(y)[0]


def _native_pair(g: Geometry, x: Array, y: Array) -> Array:
    kernel = jax.ShapeDtypeStruct((*g.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda kernel: _native_correlate(g, x, kernel), kernel)(y)[0]


def _product(spec: str, x: Array, y: Array) -> Array:
    """An einsum that sums in float32 or wider."""
    return jnp.einsum(spec, x, y, preferred_element_type=jnp.promote_types(x.dtype, jnp.float32))


def _cells(g: Geometry, x: Array) -> Array:
    """Pixels ``[N, H, W, C]`` as the cells that y meets, ``[N, P + a - 1, Q + b - 1, s s C]``."""
    s, (n, *_, channels) = g.stride, x.shape
    rows, columns = (p + a - 1 for p, a in zip(g.small, g.taps, strict=True))
    x = _pad(x, g.padding((rows * s, columns * s))).reshape(n, rows, s, columns, s, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, s * s * channels)


def _pixels(g: Geometry, cells: Array) -> Array:
    """The inverse of `_cells`: ``[N, P + a - 1, Q + b - 1, s s C] -> [N, H, W, C]``."""
    s, (n, rows, columns, _) = g.stride, cells.shape
    x = (
        cells.reshape(n, rows, columns, s, s, -1)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(n, rows * s, columns * s, -1)
    )
    return _pad(x, [(-lo, -hi) for lo, hi in g.padding((rows * s, columns * s))])


def _slide_kernel(y: Array, kernel: Array) -> Array:
    """Full convolution of y ``[N, P, Q, O]``, kernel ``[a, b, O, C]`` -> ``[N, P + a - 1, Q + b - 1, C]``, XLA's own."""
    return _convolve(y, kernel[::-1, ::-1], 1, [(a - 1, a - 1) for a in kernel.shape[:2]])


def _overlap_add(y: Array, kernel: Array) -> Array:
    """The same as one product, for each pixel its a x b block of C channels, and the sum of the shifted blocks."""
    a, b, outputs, channels = kernel.shape
    blocks = _product(
        "to,ok->tk", y.reshape(-1, outputs), kernel.transpose(2, 0, 1, 3).reshape(outputs, -1)
    )
    blocks = blocks.reshape(*y.shape[:3], a, b, channels)
    shifted = [
        _pad(blocks[..., i, j, :], [(i, a - 1 - i), (j, b - 1 - j)])
        for i in range(a)
        for j in range(b)
    ]
    return sum(shifted).astype(y.dtype)


def _cell_spread(g: Geometry, y: Array, kernel: Array) -> Array:
    """Full convolution of y with the kernel as cells, then cells as pixels."""
    s, (a, b), (kh, kw, cin, cout) = g.stride, g.taps, kernel.shape
    kernel = jnp.pad(kernel, [(0, a * s - kh), (0, b * s - kw), (0, 0), (0, 0)]).reshape(
        a, s, b, s, cin, cout
    )
    kernel = kernel.transpose(0, 2, 5, 1, 3, 4).reshape(a, b, cout, s * s * cin)
    # XLA's convolution fills a vector register with output channels: with fewer than 16 it is three times as slow.
    return _pixels(g, (_overlap_add if s * s * cin < 16 else _slide_kernel)(y, kernel))


def _window_products(moving: Array, padding: list[Pair], still: Array, places: list[Pair]) -> Array:
    """Products ``[place, C, D]`` of still ``[N, P, Q, D]`` with windows of moving ``[N, H, W, C]``, padded, at these places."""
    (n, p, q, d), c = still.shape, moving.shape[-1]
    if (
        len(places) == 1
    ):  # Nothing moves: a product per example, summed afterwards, takes half the time of one over all.
        return _product("npqc,npqd->ncd", moving, still).sum(0)[None]
    moving = _pad(
        moving.transpose(3, 0, 1, 2), padding, axis=2
    )  # the layout that the product wants, once for all windows
    still = still.reshape(n * p * q, d)

    def products(places: list[Pair]) -> Array:
        windows = jnp.stack([moving[:, :, i : i + p, j : j + q] for i, j in places])
        return _product("mt,td->md", windows.reshape(len(places) * c, n * p * q), still).reshape(
            -1, c, d
        )

    # Every window is a copy: side by side in one product up to 256 rows, beyond which nothing is gained but memory used.
    size = max(256 // c, 1)
    return jnp.concatenate([products(places[k : k + size]) for k in range(0, len(places), size)])


def _cell_pair(g: Geometry, x: Array, y: Array) -> Array:
    """For each of the a b taps, the product of cells ``[N, P + a - 1, Q + b - 1, s s Cin]`` with y, one of them shifted."""
    s, (a, b), cin, cout = g.stride, g.taps, x.shape[-1], y.shape[-1]
    cells, taps = _cells(g, x), [(i, j) for i in range(a) for j in range(b)]
    # Every shift is a copy, so the narrower of the two is shifted: the cells forward, or y within zeros backward.
    if s * s * cin <= cout:
        kernel = _window_products(cells, [(0, 0), (0, 0)], y, taps)
    else:
        kernel = _window_products(y, [(a - 1, a - 1), (b - 1, b - 1)], cells, taps[::-1]).swapaxes(
            1, 2
        )
    kernel = kernel.reshape(a, b, s, s, cin, cout).transpose(0, 2, 1, 3, 4, 5)
    return kernel.reshape(a * s, b * s, cin, cout)[: g.kernel[0], : g.kernel[1]].astype(x.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def correlate(g: Geometry, x: Array, kernel: Array) -> Array:
    """Maps x ``[N, H, W, Cin]``, kernel ``[kh, kw, Cin, Cout]`` -> y ``[N, P, Q, Cout]``."""
    chex.assert_rank([x, kernel], 4)
    return _native_correlate(g, x, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def spread(g: Geometry, y: Array, kernel: Array) -> Array:
    """Maps y ``[N, P, Q, Cout]``, kernel ``[kh, kw, Cin, Cout]`` -> x ``[N, H, W, Cin]``."""
    chex.assert_rank([y, kernel], 4)
    return lax.platform_dependent(
        y, kernel, cpu=partial(_cell_spread, g), default=partial(_native_spread, g)
    )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def pair(g: Geometry, x: Array, y: Array) -> Array:
    """Maps x ``[N, H, W, Cin]``, y ``[N, P, Q, Cout]`` -> kernel ``[kh, kw, Cin, Cout]``."""
    chex.assert_rank([x, y], 4)
    return lax.platform_dependent(
        x, y, cpu=partial(_cell_pair, g), default=partial(_native_pair, g)
    )


# Forward, each map keeps its two arguments; backward, it pairs the cotangent with each of them.
correlate.defvjp(
    lambda g, x, k: (correlate(g, x, k), (x, k)),
    lambda g, r, y: (spread(g, y, r[1]), pair(g, r[0], y)),
)
spread.defvjp(
    lambda g, y, k: (spread(g, y, k), (y, k)),
    lambda g, r, x: (correlate(g, x, r[1]), pair(g, x, r[0])),
)
pair.defvjp(
    lambda g, x, y: (pair(g, x, y), (x, y)),
    lambda g, r, k: (spread(g, r[1], k), correlate(g, r[0], k)),
)


def conv(x: Array, kernel: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    """Convolution of x ``[N, H, W, Cin]`` with kernel ``[kh, kw, Cin, Cout]``, as in `flax.linen.Conv`."""
    return correlate(geometry_of(x, kernel, stride, padding, transposed=False), x, kernel)


def conv_transpose(x: Array, kernel: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    """Transposed convolution, ``[N, H, W, Cin]`` with kernel ``[kh, kw, Cin, Cout]``: `flax.linen.ConvTranspose`."""
    return spread(
        geometry_of(x, kernel, stride, padding, transposed=True),
        x,
        kernel[::-1, ::-1].swapaxes(2, 3),
    )


class _Layer(nn.Module):
    """The parameters of flax.linen's layers, by name, shape and initial value: checkpoints move both ways."""

    function: ClassVar[Callable[..., Array]]
    features: int
    kernel_size: int | Pair
    stride: int = 1
    padding: str = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32
    wide: bool = False  # the result in float32 whatever the dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        size = (
            (self.kernel_size,) * 2
            if isinstance(self.kernel_size, int)
            else tuple(self.kernel_size)
        )
        kernel = self.param(
            "kernel", self.kernel_init, (*size, x.shape[-1], self.features), self.param_dtype
        )
        bias = (
            self.param("bias", self.bias_init, (self.features,), self.param_dtype)
            if self.use_bias
            else None
        )
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        y = self.function(x, kernel, stride=self.stride, padding=self.padding)
        return add_bias(y, bias, wide=self.wide)


class Conv(_Layer):
    """Convolution ``[N, H, W, Cin] -> [N, P, Q, features]``; see `conv`."""

    function = staticmethod(conv)


class ConvTranspose(_Layer):
    """Transposed convolution ``[N, H, W, Cin] -> [N, P, Q, features]``; see `conv_transpose`."""

    function = staticmethod(conv_transpose)
