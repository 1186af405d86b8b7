"""Fast 2-D convolutions and transposed convolutions, on the CPU also inside `lax.scan`.

A convolution with stride s and padding lo is a trilinear form in a large image x, a kernel k and a
small image y,

    T(x, k, y) = sum_{n,p,q} sum_{i,j} x[n, s p + i - lo, s q + j - lo] . k[i, j] . y[n, p, q]

Its derivative with respect to each argument is a map of the other two, and the gradients of each
map are the other maps:

    correlate  (x, k) -> y    the convolution
    spread     (y, k) -> x    its gradient in x; with a flipped kernel, transposed convolution
    pair       (x, y) -> k    its gradient in the kernel

On the CPU, XLA is fast at `correlate` and, inside a loop, 20-100x slower than necessary at the
other two. There they are rewritten on *cells*: a cell is a block of s x s pixels laid out as
channels. An image of cells meets y with stride 1 and a = ceil(k / s) taps a side. Then `spread` is
a stride-1 convolution of y (for narrow cells, a product whose overlapping blocks are added), and
`pair` is a product of shifted windows, or with stride 1 a convolution of x by y. On GPU and TPU all
three are XLA's own. The choice is made at lowering.

Reverse mode works to any order. Forward mode (`jax.jvp`, `jax.jacfwd`, `jax.hessian`) is not
available.
"""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.nets.conv_geometry import Geometry, geometry_of
from vae_jax.types import Array


def _pad(x: Array, padding: list[tuple[int, int]], axis: int = 1) -> Array:
    """Pad rows and columns, axes `axis` and `axis` + 1, with zeros; negative numbers crop."""
    sides = [(0, 0)] * axis + padding + [(0, 0)] * (x.ndim - axis - 2)
    return lax.pad(x, jnp.zeros((), x.dtype), [(lo, hi, 0) for lo, hi in sides])


def _convolve(
    x: Array, kernel: Array, stride: int, padding: list[tuple[int, int]], dtype: Any = None
) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride,) * 2,
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        preferred_element_type=dtype,
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
    return jnp.einsum(spec, x, y, preferred_element_type=_wide(x))


def _wide(x: Array) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)


def _cells(g: Geometry, x: Array) -> Array:
    """Pixels ``[N, H, W, C]`` as the cells that y meets, ``[N, P + a - 1, Q + b - 1, s s C]``."""
    s, (n, *_, channels) = g.stride, x.shape
    rows, columns = (p + a - 1 for p, a in zip(g.small, g.taps, strict=True))
    x = _pad(x, g.outside).reshape(n, rows, s, columns, s, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, s * s * channels)


def _pixels(g: Geometry, cells: Array) -> Array:
    """The inverse of `_cells`: ``[N, P + a - 1, Q + b - 1, s s C] -> [N, H, W, C]``."""
    s, (n, rows, columns, _) = g.stride, cells.shape
    x = (
        cells.reshape(n, rows, columns, s, s, -1)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(n, rows * s, columns * s, -1)
    )
    return _pad(x, [(-lo, -hi) for lo, hi in g.outside])


def _slide_kernel(y: Array, kernel: Array, crop: list[tuple[int, int]] | None = None) -> Array:
    """Full convolution by XLA, without the rows and columns to `crop` before and after.

    Maps y ``[N, P, Q, O]`` and kernel ``[a, b, O, C]`` to ``[N, P + a - 1, Q + b - 1, C]``.
    """
    taps = kernel.shape[:2]
    crop = crop or [(0, 0)] * 2
    padding = [(a - 1 - lo, a - 1 - hi) for a, (lo, hi) in zip(taps, crop, strict=True)]
    return _convolve(y, kernel[::-1, ::-1], 1, padding)


def _overlap_add(y: Array, kernel: Array) -> Array:
    """`_slide_kernel` as one product: the sum of the shifted a x b blocks of all pixels."""
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
    return sum(shifted).astype(y.dtype)  # type: ignore[union-attr]


def _cell_spread(g: Geometry, y: Array, kernel: Array) -> Array:
    """Full convolution of y with the kernel as cells, then cells to pixels."""
    s, (a, b), (kh, kw, cin, cout) = g.stride, g.taps, kernel.shape
    kernel = jnp.pad(kernel, [(0, a * s - kh), (0, b * s - kw), (0, 0), (0, 0)]).reshape(
        a, s, b, s, cin, cout
    )
    kernel = kernel.transpose(0, 2, 5, 1, 3, 4).reshape(a, b, cout, s * s * cin)
    # XLA vectorizes over output channels: with fewer than 16 its convolution is 3x slower.
    if s * s * cin < 16:
        return _pixels(g, _overlap_add(y, kernel))
    if s == 1:  # cells are pixels: those that would be cropped are not computed
        return _slide_kernel(y, kernel, crop=g.outside)
    return _pixels(g, _slide_kernel(y, kernel))


def _window_products(
    moving: Array, padding: list[tuple[int, int]], still: Array, places: list[tuple[int, int]]
) -> Array:
    """Products ``[place, C, D]`` of windows of `moving`, padded, with `still`.

    `moving` is ``[N, H, W, C]`` and `still` ``[N, P, Q, D]``; `places` are the corners of the
    windows.
    """
    (n, p, q, d), c = still.shape, moving.shape[-1]
    if len(places) == 1:
        # Nothing moves: one product per example, then a sum, takes half the time of one over all.
        return _product("npqc,npqd->ncd", moving, still).sum(0)[None]
    # The layout for the product, once for all windows.
    moving = _pad(moving.transpose(3, 0, 1, 2), padding, axis=2)
    still = still.reshape(n * p * q, d)

    def products(places: list[tuple[int, int]]) -> Array:
        windows = jnp.stack([moving[:, :, i : i + p, j : j + q] for i, j in places])
        windows = windows.reshape(len(places) * c, n * p * q)
        return _product("mt,td->md", windows, still).reshape(-1, c, d)

    # Every window is a copy: products of up to 256 rows; more would only cost memory.
    size = max(256 // c, 1)
    return jnp.concatenate([products(places[k : k + size]) for k in range(0, len(places), size)])


def _slide_image(x: Array, y: Array) -> Array:
    """The products of all windows of x with y as a convolution of x by the large kernel y.

    x ``[N, P + a - 1, Q + b - 1, C]`` and y ``[N, P, Q, D]`` -> ``[a, b, C, D]``. Channels are the
    batch, and examples are the channels.
    """
    # In these layouts in memory; XLA is 50 to 100 times slower if only their names are exchanged.
    image, kernel = lax.optimization_barrier((x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3)))
    return _convolve(image, kernel, 1, [(0, 0), (0, 0)], _wide(x)).transpose(1, 2, 0, 3)


def _cell_pair(g: Geometry, x: Array, y: Array) -> Array:
    """For each of the a b taps, the product of cells with y, one of them shifted.

    The cells are ``[N, P + a - 1, Q + b - 1, s s Cin]``.
    """
    s, (a, b), cin, cout = g.stride, g.taps, x.shape[-1], y.shape[-1]
    cells, taps = _cells(g, x), [(i, j) for i in range(a) for j in range(b)]
    if s == 1 and len(taps) > 1 and cin >= 16:  # at larger strides, or few channels, slower
        return _slide_image(cells, y).astype(x.dtype)
    # Every shift is a copy, so shift the narrower one: the cells, or y within zeros in reverse.
    if s * s * cin <= cout:
        kernel = _window_products(cells, [(0, 0), (0, 0)], y, taps)
    else:
        padding = [(a - 1, a - 1), (b - 1, b - 1)]
        kernel = _window_products(y, padding, cells, taps[::-1]).swapaxes(1, 2)
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


# Forward, each map saves its two arguments; backward, it pairs the cotangent with each.
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
    """Convolution as in `flax.linen.Conv`: x ``[N, H, W, Cin]``, kernel ``[kh, kw, Cin, Cout]``."""
    return correlate(geometry_of(x, kernel, stride, padding, transposed=False), x, kernel)


def conv_transpose(x: Array, kernel: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    """Transposed convolution as in `flax.linen.ConvTranspose`.

    x ``[N, H, W, Cin]``, kernel ``[kh, kw, Cin, Cout]``.
    """
    geometry = geometry_of(x, kernel, stride, padding, transposed=True)
    return spread(geometry, x, kernel[::-1, ::-1].swapaxes(2, 3))
