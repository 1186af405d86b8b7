"""Reconstruction quality: MSE, PSNR and SSIM of each example."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.common import check_same
from vae_jax.types import Array

WINDOW, SIGMA = 11, 1.5  # the Gaussian window of SSIM, in pixels
K1, K2 = 0.01, 0.03
FLOOR = 1e-12  # minimum MSE / peak^2: PSNR is at most 120 dB
BATCH = 256  # images whose windows are in memory at once


def mse(x: Array, y: Array, observed: Array | None = None) -> Array:
    """Mean squared error [N] over the event, of x and y [N, *E], in the square of their units.

    With `observed` [N, *E] over the values where it is True, NaN without any.
    """
    _check_pair(x, y)
    # As float32, since the difference of bytes would wrap around.
    squares = jnp.square(x.astype(jnp.float32) - y.astype(jnp.float32))
    axes = tuple(range(1, x.ndim))
    if observed is None:
        return squares.mean(axes)
    return jnp.where(observed, squares, 0).sum(axes) / observed.sum(axes)


def psnr(x: Array, y: Array, *, value_range: tuple[float, float] = (0.0, 1.0)) -> Array:
    """Peak signal-to-noise ratio [N], 10 log10(R^2 / MSE) in dB, of x and y [N, *E]; max. 120.

    R is the width of `value_range`, the range of possible values, not of the values in the image.
    """
    return to_psnr(mse(x, y), value_range)


def to_psnr(mse: Array | np.ndarray, value_range: tuple[float, float]) -> Any:
    """The PSNR of errors [N], as for `psnr`; of a NumPy array in float64."""
    width = _width(value_range)
    if isinstance(mse, np.ndarray):
        return -10 * np.log10(np.maximum(mse.astype(np.float64) / width**2, FLOOR))
    return -10 * jnp.log10(jnp.maximum(mse / width**2, FLOOR))


def ssim(x: Array, y: Array, *, value_range: tuple[float, float] = (0.0, 1.0)) -> Array:
    """Structural similarity [N] of images x and y [N, H, W, C]; 1 if they are equal.

        SSIM = (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2)),
        c1 = (.01 R)^2, c2 = (.03 R)^2

    with means m, variances s^2 and the covariance s_xy under an 11x11 Gaussian window of sigma 1.5,
    whose weights sum to 1 (Wang et al., 2004, IEEE TIP 13(4)). The mean is over the positions of
    the window inside the image, then over channels.

    Values are first mapped from `value_range` to [0, 1], so that R = 1 and the range does not
    change the result. In images below 11 pixels the window has the largest odd size that fits; only
    compare such numbers for equal sizes.

    Raises:
      InputError: no images [N, H, W, C], or x and y differ in shape.
    """
    _check_pair(x, y)
    if x.ndim != 4 or not all(x.shape[1:]):
        raise InputError(f"x: has shape {tuple(x.shape)}; must be images, [N, H, W, C], for SSIM")
    width = _width(value_range)
    if not len(x):
        return jnp.zeros(0)
    x, y = ((jnp.asarray(image, jnp.float32) - value_range[0]) / width for image in (x, y))
    return _ssim(x, y)


def window_size(height: int, width: int) -> int:
    """The side of the window of SSIM in pixels: 11, or the largest odd number that fits."""
    side = min(WINDOW, height, width)
    return side - (side + 1) % 2


@jax.jit
def _ssim(x: Array, y: Array) -> Array:
    size = window_size(*x.shape[1:3])
    window = jnp.asarray(_gaussian_window(size), jnp.float32)
    rows, columns = (_valid_filter(length, size) for length in x.shape[1:3])

    def blur(image: Array) -> Array:
        precision = jax.lax.Precision.HIGHEST
        return jnp.einsum("ph,hwc,qw->pqc", rows, image, columns, precision=precision)

    def one_image(pair: tuple[Array, Array]) -> Array:
        x, y = pair
        mean_x, mean_y = blur(x), blur(y)
        places = mean_x.shape

        # Differences to the mean of the window: a difference of squares, E[x^2] - E[x]^2, would
        # lose all digits of a small variance in float32.
        def add(sums: tuple[Array, Array], offset: Array) -> tuple[tuple[Array, Array], None]:
            row, column = offset // size, offset % size
            dx, dy = (
                jax.lax.dynamic_slice(image, (row, column, 0), places) - mean
                for image, mean in ((x, mean_x), (y, mean_y))
            )
            weight = window[row] * window[column]
            variances, covariance = sums
            return (variances + weight * (dx**2 + dy**2), covariance + weight * dx * dy), None

        zeros = jnp.zeros(places, jnp.float32)
        (variances, covariance), _ = jax.lax.scan(add, (zeros, zeros), jnp.arange(size**2))
        luminance = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
        return (luminance * (2 * covariance + K2**2) / (variances + K2**2)).mean()

    return jax.lax.map(one_image, (x, y), batch_size=BATCH)


def _gaussian_window(size: int) -> np.ndarray:
    """Weights [size] with sum 1, in float64."""
    weights = np.exp(-0.5 * ((np.arange(size) - size // 2) / SIGMA) ** 2)
    return weights / weights.sum()


@functools.cache
def _valid_filter(length: int, size: int) -> np.ndarray:
    """The matrix [length - size + 1, length] of Gaussian means of `size` neighbors."""
    weights = _gaussian_window(size)
    places = np.arange(length) - np.arange(length - size + 1)[:, None]
    inside = (places >= 0) & (places < size)
    return np.where(inside, weights[places.clip(0, size - 1)], 0).astype(np.float32)


def _check_pair(x: Array, y: Array) -> None:
    check_same("y.shape", tuple(y.shape), "x", tuple(x.shape))
    if x.ndim < 2:
        raise InputError(f"x: has shape {tuple(x.shape)}; must be [N, *E]")


def _width(value_range: tuple[float, float]) -> float:
    check_range("value_range: high - low", value_range[1] - value_range[0], 0, open_low=True)
    return value_range[1] - value_range[0]
