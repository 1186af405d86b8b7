"""MSE, PSNR and SSIM against loops over pixels and windows, and scikit-image if installed."""

import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.errors import InputError
from vae_jax.evaluation.reconstruction import mse, psnr, ssim, to_psnr


def pair(*shape, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=shape)
    return x, np.clip(0.8 * x + noise * rng.normal(size=shape), 0, 1)


def slow_ssim(x, y, size=11):
    """The formula of the paper for an image [H, W] in [0, 1]: a loop over windows, in float64."""
    i = np.arange(size) - size // 2
    w = np.exp(-(i[:, None] ** 2 + i**2) / (2 * 1.5**2))
    w /= w.sum()
    values = []
    for r in range(x.shape[0] - size + 1):
        for c in range(x.shape[1] - size + 1):
            a, b = x[r : r + size, c : c + size], y[r : r + size, c : c + size]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb, cov = (
                (w * (a - ma) ** 2).sum(),
                (w * (b - mb) ** 2).sum(),
                (w * (a - ma) * (b - mb)).sum(),
            )
            value = (
                (2 * ma * mb + 1e-4)
                * (2 * cov + 9e-4)
                / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
            )
            values.append(value)
    return np.mean(values)


@pytest.mark.parametrize("shape", [(28, 28, 1), (16, 12, 3), (11, 30, 1)])
def test_ssim_is_the_formula_of_the_paper(shape):
    x, y = pair(3, *shape)
    expected = [
        np.mean([slow_ssim(a[..., c], b[..., c]) for c in range(shape[-1])])
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(jnp.asarray(x), jnp.asarray(y)), expected, rtol=2e-5)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(8, 8, 7), (10, 28, 9), (5, 4, 3), (1, 1, 1), (2, 9, 1)]
)
def test_small_images_have_the_largest_odd_window(height, width, size):
    x, y = pair(2, height, width, 1)
    expected = [slow_ssim(a[..., 0], b[..., 0], size) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(ssim(jnp.asarray(x), jnp.asarray(y)), expected, rtol=2e-5)


def test_ssim_is_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    x, y = pair(3, 28, 28, 1)
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1.0,
    }
    maps = [
        metrics.structural_similarity(a[..., 0], b[..., 0], full=True, **options)[1]
        for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(
        ssim(jnp.asarray(x), jnp.asarray(y)), [m[5:-5, 5:-5].mean() for m in maps], rtol=2e-5
    )


@pytest.mark.parametrize("value_range", [(0, 255), (-1, 1), (-0.5, 0.5)])
def test_the_same_images_in_another_range_have_the_same_numbers(value_range):
    x, y = pair(2, 14, 14, 1)
    low, high = value_range
    scaled = [jnp.asarray(low + (high - low) * image) for image in (x, y)]
    np.testing.assert_allclose(
        ssim(*scaled, value_range=value_range), ssim(jnp.asarray(x), jnp.asarray(y)), rtol=1e-4
    )
    np.testing.assert_allclose(
        psnr(*scaled, value_range=value_range), psnr(jnp.asarray(x), jnp.asarray(y)), rtol=1e-4
    )


def test_ssim_of_equal_and_of_constant_images():
    x, _ = pair(2, 20, 20, 1)
    np.testing.assert_allclose(ssim(jnp.asarray(x), jnp.asarray(x)), 1, atol=1e-5)
    a, b = (
        jnp.full((1, 20, 20, 1), 0.25),
        jnp.full((1, 20, 20, 1), 0.75),
    )  # no variance: only luminance is left
    np.testing.assert_allclose(
        ssim(a, b), (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4), rtol=1e-4
    )


def test_ssim_of_flat_regions_and_of_faint_structure_is_exact():
    """A variance far below the square of the mean keeps its digits."""
    rng = np.random.default_rng(0)
    flat = np.where(np.arange(24) < 12, 0.3, 0.9)[None, :, None, None] * np.ones((1, 24, 24, 1))
    faint = 0.9 + 0.002 * rng.normal(size=(1, 24, 24, 1))
    x, y = (
        np.float32(np.concatenate([flat, faint])),
        np.float32(np.concatenate([flat + 1e-3 * rng.normal(size=flat.shape), faint + 0.001])),
    )
    expected = [
        slow_ssim(np.float64(a[..., 0]), np.float64(b[..., 0])) for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(jnp.asarray(x), jnp.asarray(y)), expected, atol=2e-6)


def test_ssim_falls_with_noise_and_in_more_images_than_a_batch():
    x, _ = pair(300, 12, 12, 1)
    means = [
        float(ssim(jnp.asarray(x), jnp.asarray(pair(300, 12, 12, 1, noise=n)[1])).mean())
        for n in (0.05, 0.2, 0.8)
    ]
    assert means == sorted(means, reverse=True)
    y = pair(300, 12, 12, 1)[1]
    np.testing.assert_allclose(
        ssim(jnp.asarray(x), jnp.asarray(y))[-1], slow_ssim(x[-1, ..., 0], y[-1, ..., 0]), rtol=2e-5
    )


def test_mse_and_psnr_by_hand():
    x, y = (
        jnp.zeros((2, 2, 2, 1)),
        jnp.array([[0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 1.0]]).reshape(2, 2, 2, 1),
    )
    np.testing.assert_allclose(mse(x, y), [0.01, 0.25], rtol=1e-6)
    np.testing.assert_allclose(psnr(x, y), [20, 10 * np.log10(4)], rtol=1e-5)
    np.testing.assert_allclose(
        psnr(x, y, value_range=(-5, 5)), [40, 20 + 10 * np.log10(4)], rtol=1e-5
    )
    np.testing.assert_allclose(psnr(x, x), 120, rtol=1e-6)
    for value_range in ((0.0, 1.0), (-5.0, 5.0)):  # equal on host and device
        host = to_psnr(np.array([0.01, 0.0]), value_range)
        np.testing.assert_allclose(host, to_psnr(jnp.array([0.01, 0.0]), value_range), rtol=1e-6)
        assert host[1] == 120


def test_bytes_do_not_wrap_around():
    x, y = np.array([[250, 3]], np.uint8), np.array([[3, 250]], np.uint8)
    np.testing.assert_allclose(mse(x, y), [247**2])


def test_bad_input():
    x = jnp.zeros((2, 12, 12, 1))
    with pytest.raises(InputError, match=r"y.shape = \(2, 12, 12\): must match x"):
        ssim(x, x[..., 0])
    with pytest.raises(InputError, match="must be images"):
        ssim(x[..., 0], x[..., 0])
    with pytest.raises(InputError, match=r"high - low = 0\.0: must be greater than 0"):
        psnr(x, x, value_range=(1.0, 1.0))
    with pytest.raises(InputError, match=r"must be \[N, \*E\]"):
        mse(jnp.zeros(3), jnp.zeros(3))
