"""2-D convolutions and transposed convolutions that are fast on every backend, on the CPU also inside `lax.scan`.

A convolution with stride s and padding lo is one trilinear form in a large image x, a kernel k and a small image y,

    T(x, k, y) = sum_{n,p,q} sum_{i,j} x[n, s p + i - lo, s q + j - lo] . k[i, j] . y[n, p, q]

Its derivative with respect to each argument is a map of the other two, and each map's gradients are the other maps:

    correlate  (x, k) -> y    the convolution
    spread     (y, k) -> x    its gradient in the image; with a flipped kernel, the transposed convolution
    pair       (x, y) -> k    its gradient in the kernel

XLA on the CPU is fast at stride-1 and forward convolutions and up to a hundred times slower than need be at the other two.
There both are rewritten on *cells*: a cell is a block of s x s pixels laid out as channels, and an image of cells meets
y with stride 1 and a = ceil(k / s) taps a side. Then `spread` is a stride-1 convolution of y, and `pair` is one matrix
product per tap. On GPU and TPU all three are XLA's own; the choice is made when the function is lowered.

Reverse mode works to any order. Forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) is not available.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.types import Array

Pair = tuple[int, int]  # rows, columns


class Geometry(NamedTuple):
    """The static part of T: which pixels of the large image meet which of the small one."""

    stride: int
    kernel: Pair
    large: Pair  # size of x
    small: Pair  # size of y
    low: Pair  # zeros before x; those after it follow

    @property
    def taps(self) -> Pair:
        """Size of the kernel in cells: ceil(k / s)."""
        return tuple(-(-k // self.stride) for k in self.kernel)

    def padding(self, spans: Pair) -> list[Pair]:
        """Zeros before and after x that make it `spans` long; a negative number crops."""
        return [(lo, span - lo - size) for lo, span, size in zip(self.low, spans, self.large, strict=True)]


def geometry_of(x: Array, kernel: Array, stride: int, padding: str, *, transposed: bool) -> Geometry:
    """The geometry of a convolution of x, or of the transposed one, in which x is the small image."""
    for name, array, axes in (("x", x, "[N, H, W, Cin]"), ("kernel", kernel, "[kh, kw, Cin, Cout]")):
        if array.ndim != 4:
            raise InputError(f"{name} has shape {array.shape}: must have rank 4, {axes}")
    check_range("stride", stride, 1)
    check_choice("padding", padding, ("SAME", "VALID"))
    size, (kh, kw), same = x.shape[1:3], kernel.shape[:2], padding == "SAME"
    sides = list(zip(size, (kh, kw), strict=True))
    if transposed:
        small, large = size, tuple(n * stride + (0 if same else max(k - stride, 0)) for n, k in sides)
        low = tuple(max(k - stride, 0) // 2 if same else 0 for _, k in sides)
    else:
        large, small = size, tuple(-(-n // stride) if same else (n - k) // stride + 1 for n, k in sides)
        low = tuple(max((p - 1) * stride + k - n, 0) // 2 if same else 0 for p, (n, k) in zip(small, sides, strict=True))
    if min(small) < 1:
        raise InputError(f"x has size {size}: must be at least the kernel's, {(kh, kw)}, with padding='VALID'")
    return Geometry(stride, (kh, kw), large, small, low)


def _pad(x: Array, padding: list[Pair]) -> Array:
    """Zeros around rows and columns of ``[N, H, W, C]``; unlike `jnp.pad`, a negative number crops."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((lo, hi, 0) for lo, hi in padding), (0, 0, 0)])


def _convolve(x: Array, kernel: Array, stride: int, padding: list[Pair]) -> Array:
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _native_correlate(g: Geometry, x: Array, kernel: Array) -> Array:
    (p, q), (kh, kw) = g.small, g.kernel
    return _convolve(x, kernel, g.stride, g.padding(((p - 1) * g.stride + kh, (q - 1) * g.stride + kw)))


def _native_spread(g: Geometry, y: Array, kernel: Array) -> Array:
    x = jax.ShapeDtypeStruct((y.shape[0], *g.large, kernel.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _native_correlate(g, x, kernel), x)(y)[0]


def _native_pair(g: Geometry, x: Array, y: Array) -> Array:
    kernel = jax.ShapeDtypeStruct((*g.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda kernel: _native_correlate(g, x, kernel), kernel)(y)[0]


def _cell_spread(g: Geometry, y: Array, kernel: Array) -> Array:
    """A stride-1 convolution ``[N, P, Q, Cout] -> [N, P + a - 1, Q + b - 1, s s Cin]``, then cells laid out as pixels."""
    s, (a, b), (kh, kw, cin, cout) = g.stride, g.taps, kernel.shape
    kernel = jnp.pad(kernel, [(0, a * s - kh), (0, b * s - kw), (0, 0), (0, 0)]).reshape(a, s, b, s, cin, cout)
    kernel = kernel.transpose(0, 2, 5, 1, 3, 4).reshape(a, b, cout, s * s * cin)
    cells = _convolve(y, kernel[::-1, ::-1], 1, [(a - 1, a - 1), (b - 1, b - 1)])
    n, rows, columns, _ = cells.shape
    x = cells.reshape(n, rows, columns, s, s, cin).transpose(0, 1, 3, 2, 4, 5).reshape(n, rows * s, columns * s, cin)
    return _pad(x, [(-lo, -hi) for lo, hi in g.padding((rows * s, columns * s))])


def _cell_pair(g: Geometry, x: Array, y: Array) -> Array:
    """For each of the a b taps, the product of shifted cells ``[N, P, Q, s s Cin]`` with y ``[N, P, Q, Cout]``."""
    s, (a, b), (n, p, q, cout), cin = g.stride, g.taps, y.shape, x.shape[-1]
    rows, columns = p + a - 1, q + b - 1
    x = _pad(x, g.padding((rows * s, columns * s))).reshape(n, rows, s, columns, s, cin)
    cells = x.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, s * s * cin)
    # A product per example, summed afterwards, is up to twice as fast as contracting over examples too.
    product = partial(jnp.einsum, "npqc,npqo->nco", preferred_element_type=jnp.promote_types(x.dtype, jnp.float32))
    taps = [[product(cells[:, i : i + p, j : j + q], y).sum(0) for j in range(b)] for i in range(a)]
    kernel = jnp.array(taps).reshape(a, b, s, s, cin, cout).transpose(0, 2, 1, 3, 4, 5)
    return kernel.reshape(a * s, b * s, cin, cout)[: g.kernel[0], : g.kernel[1]].astype(x.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def correlate(g: Geometry, x: Array, kernel: Array) -> Array:
    """X ``[N, H, W, Cin]``, kernel ``[kh, kw, Cin, Cout]`` -> y ``[N, P, Q, Cout]``."""
    chex.assert_rank([x, kernel], 4)
    return _native_correlate(g, x, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def spread(g: Geometry, y: Array, kernel: Array) -> Array:
    """Y ``[N, P, Q, Cout]``, kernel ``[kh, kw, Cin, Cout]`` -> x ``[N, H, W, Cin]``."""
    chex.assert_rank([y, kernel], 4)
    return lax.platform_dependent(y, kernel, cpu=partial(_cell_spread, g), default=partial(_native_spread, g))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def pair(g: Geometry, x: Array, y: Array) -> Array:
    """X ``[N, H, W, Cin]``, y ``[N, P, Q, Cout]`` -> kernel ``[kh, kw, Cin, Cout]``."""
    chex.assert_rank([x, y], 4)
    return lax.platform_dependent(x, y, cpu=partial(_cell_pair, g), default=partial(_native_pair, g))


# A forward rule keeps both arguments; a backward rule pairs the cotangent with each of them in turn.
correlate.defvjp(lambda g, x, k: (correlate(g, x, k), (x, k)), lambda g, xk, y: (spread(g, y, xk[1]), pair(g, xk[0], y)))
spread.defvjp(lambda g, y, k: (spread(g, y, k), (y, k)), lambda g, yk, x: (correlate(g, x, yk[1]), pair(g, x, yk[0])))
pair.defvjp(lambda g, x, y: (pair(g, x, y), (x, y)), lambda g, xy, k: (spread(g, xy[1], k), correlate(g, xy[0], k)))


def conv(x: Array, kernel: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    """Convolution of x ``[N, H, W, Cin]`` with kernel ``[kh, kw, Cin, Cout]``, as `flax.linen.Conv` computes it.

    The result is ``[N, P, Q, Cout]`` with P = ceil(H / stride) for padding "SAME", (H - kh) // stride + 1 for "VALID".
    """
    return correlate(geometry_of(x, kernel, stride, padding, transposed=False), x, kernel)


def conv_transpose(x: Array, kernel: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    """Transposed convolution of x ``[N, H, W, Cin]`` with kernel ``[kh, kw, Cin, Cout]``, as `flax.linen.ConvTranspose`.

    The result is ``[N, P, Q, Cout]`` with P = H stride for padding "SAME", H stride + max(kh - stride, 0) for "VALID".
    """
    g = geometry_of(x, kernel, stride, padding, transposed=True)
    return spread(g, x, kernel[::-1, ::-1].swapaxes(2, 3))


class _Layer(nn.Module):
    """The fields and parameters of `flax.linen.Conv`, so that checkpoints move between the two."""

    features: int
    kernel_size: int | Pair
    stride: int = 1
    padding: str = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    def convolve(self, x: Array, kernel: Array) -> Array:
        raise NotImplementedError

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """X ``[N, H, W, Cin]`` -> ``[N, P, Q, features]``."""
        size = (self.kernel_size,) * 2 if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
        kernel = self.param("kernel", self.kernel_init, (*size, x.shape[-1], self.features), self.param_dtype)
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        y = self.convolve(x, kernel)
        if bias is None:
            return y
        wide = jnp.promote_types(y.dtype, jnp.float32)  # the bias gradient sums over all pixels: in bfloat16 it saturates
        return (y.astype(wide) + bias.astype(wide).reshape(1, 1, 1, -1)).astype(y.dtype)


class Conv(_Layer):
    """Convolution layer; see `conv`."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv(x, kernel, stride=self.stride, padding=self.padding)


class ConvTranspose(_Layer):
    """Transposed convolution layer; see `conv_transpose`."""

    def convolve(self, x: Array, kernel: Array) -> Array:
        return conv_transpose(x, kernel, stride=self.stride, padding=self.padding)
