"""Anomaly scores by hand, and measures of separation against scikit-learn, loops and simulation."""

import io
import math
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from vae_jax.errors import InputError
from vae_jax.evaluation.anomaly import (
    auroc,
    average_precision,
    detection_rates,
    input_complexity,
    reconstruction_probability,
    scores,
    threshold,
)


def draws(n=80, m=50, seed=0, shift=1.0, step=0.0):
    """Scores of both kinds; with a step, rounded to it, so that many are equal."""
    rng = np.random.default_rng(seed)
    normal, anomalous = rng.normal(size=n), rng.normal(shift, 1.5, size=m)
    return (np.round(s / step) * step for s in (normal, anomalous)) if step else (normal, anomalous)


def labeled(normal, anomalous):
    return np.r_[np.zeros(len(normal)), np.ones(len(anomalous))], np.r_[normal, anomalous]


@pytest.mark.parametrize("step", [0.0, 0.5, 2.0])
def test_auroc_is_the_share_of_pairs_and_scikit_learns(step):
    normal, anomalous = draws(step=step)
    pairs = np.mean([(a > b) + 0.5 * (a == b) for a in anomalous for b in normal])
    value = auroc(normal, anomalous).value
    assert value == pytest.approx(pairs, rel=1e-12)
    assert value == pytest.approx(metrics.roc_auc_score(*labeled(normal, anomalous)), rel=1e-12)
    assert auroc(anomalous, normal).value == pytest.approx(1 - value, rel=1e-12)


def test_delongs_error_is_the_spread_of_the_area():
    many = [auroc(*draws(seed=seed, step=0.3)) for seed in range(400)]
    assert np.std([e.value for e in many]) == pytest.approx(
        np.mean([e.stderr for e in many]), rel=0.12
    )


def test_delongs_error_by_hand():
    # Below the anomalous 1 and 2 are (1 + 1/2) / 3 and 2 / 3 of the normal; above the normal 0, 1,
    # 3: 1, 3/4 and 0.
    estimate = auroc([0.0, 1.0, 3.0], [1.0, 2.0])
    assert estimate.value == pytest.approx(3.5 / 6)
    assert estimate.stderr == pytest.approx(
        math.sqrt(np.var([1 / 2, 2 / 3], ddof=1) / 2 + np.var([1, 0.75, 0], ddof=1) / 3)
    )
    assert auroc([0.0, 1.0], [2.0, 3.0]) == (1.0, 0.0)
    assert math.isnan(auroc([0.0], [1.0]).stderr)


def test_scores_may_be_infinite():
    assert auroc([0.0, 1.0, -np.inf], [np.inf, np.inf]).value == 1.0
    assert average_precision([0.0, 1.0, -np.inf], [np.inf, np.inf]).value == 1.0
    assert threshold([0.0, 1.0, np.inf], quantile=0.9) == np.inf


@pytest.mark.parametrize("step", [0.0, 0.5])
def test_average_precision_is_that_of_loops_over_thresholds(step):
    normal, anomalous = draws(step=step)
    total, before = 0.0, 0.0
    for t in sorted({*normal, *anomalous}, reverse=True):
        recall = np.mean(anomalous >= t)
        flagged = (anomalous >= t).sum() + (normal >= t).sum()
        total += (recall - before) * (anomalous >= t).sum() / flagged
        before = recall
    assert average_precision(normal, anomalous, num_resamples=2).value == pytest.approx(
        total, rel=1e-12
    )


def test_the_bootstraps_error_is_the_spread_of_average_precision():
    many = [
        average_precision(*draws(200, 100, seed=seed), num_resamples=50, seed=seed)
        for seed in range(60)
    ]
    assert np.std([e.value for e in many]) == pytest.approx(
        np.mean([e.stderr for e in many]), rel=0.3
    )


def test_scores_that_tell_nothing():
    same = np.zeros(30)
    assert auroc(same, same[:10]) == (0.5, 0.0)
    assert average_precision(same, same[:10], num_resamples=2).value == pytest.approx(10 / 40)


def test_threshold_and_what_it_flags():
    normal = np.arange(100.0)
    assert threshold(normal, quantile=0.95) == 94.0
    rates = detection_rates(normal, np.array([94.0, 95.0, 200.0, -5.0]), threshold(normal))
    assert rates.false_positive.value == 0.05
    assert rates.true_positive.value == 0.5
    assert rates.false_positive.stderr == pytest.approx(math.sqrt(0.05 * 0.95 / 100))
    assert rates.true_positive.stderr == pytest.approx(0.25)
    assert (
        detection_rates(normal, normal, threshold(normal, quantile=1.0)).false_positive.value == 0.0
    )


def images(n=4, channels=1):
    rng = np.random.default_rng(0)
    bytes_ = rng.integers(0, 256, (n, 12, 10, channels)).astype(np.uint8)
    bytes_[0] = 7
    return bytes_


@pytest.mark.parametrize("channels", [1, 3])
def test_complexity_is_the_length_of_a_png_that_can_be_read_back(channels):
    whole = images(channels=channels)
    bits = input_complexity(whole / 255)
    for image, number in zip(whole, bits, strict=True):
        content = io.BytesIO()
        Image.fromarray(image[..., 0] if channels == 1 else image).save(
            content, "png", optimize=True
        )
        assert number == 8 * len(content.getvalue()) / image.size
    assert bits[0] < 0.8 * bits[1:].min()  # a constant image
    assert np.all(bits[1:] > 8)  # noise has 8 bits, and there is a header


def test_complexity_by_zlib_is_of_any_event():
    whole = images().reshape(4, -1)
    expected = [8 * len(zlib.compress(row.tobytes(), 9)) / row.size for row in whole]
    np.testing.assert_array_equal(input_complexity(whole / 255, compressor="zlib"), expected)
    np.testing.assert_array_equal(
        input_complexity(whole, value_range=(0, 255), compressor="zlib"), expected
    )
    np.testing.assert_array_equal(
        input_complexity(whole / 127.5 - 1, value_range=(-1, 1), compressor="zlib"), expected
    )


def test_reconstruction_probability_is_the_mean_of_logarithms():
    np.testing.assert_allclose(
        reconstruction_probability([[-1.0, -5.0], [-3.0, -6.0]]), [-2.0, -5.5]
    )


def test_scores_by_hand():
    x = images() / 255
    log_px_z, elbo, log_px = (
        [[-1.0, -2.0, -3.0, -4.0], [-3.0, -2.0, -1.0, 0.0]],
        [-10.0, -20, -30, -40],
        [-9.0, -19, -29, -39],
    )
    table = scores(log_px_z, elbo, log_px, x)
    np.testing.assert_allclose(table["reconstruction"], 2.0)
    np.testing.assert_allclose(table["elbo"], [10, 20, 30, 40])
    np.testing.assert_allclose(table["likelihood"], [9, 19, 29, 39])
    expected = np.array([9, 19, 29, 39]) / 120 / math.log(2) - input_complexity(x)
    np.testing.assert_allclose(table["likelihood_less_[png]"], expected)
    bound = scores(log_px_z, elbo, None, x, compressor="zlib")
    expected = np.array([10, 20, 30, 40]) / 120 / math.log(2) - input_complexity(
        x, compressor="zlib"
    )
    np.testing.assert_allclose(bound["elbo_less_[zlib]"], expected)
    assert set(bound) == {"reconstruction", "elbo", "elbo_less_[zlib]"}
    without = scores(log_px_z, elbo, log_px, None)
    assert set(without) == {"reconstruction", "elbo", "likelihood"}
    for name, values in without.items():
        np.testing.assert_array_equal(values, table[name])


def test_bad_input():
    with pytest.raises(
        InputError, match=r"anomalous: is nan at \[1\], one of 1 such; must not be NaN"
    ):
        auroc([0.0], [1.0, np.nan])
    with pytest.raises(
        InputError, match=r"normal: has shape \(0,\); must be \[N\] with N at least 1"
    ):
        auroc([], [1.0])
    with pytest.raises(InputError, match=r"quantile = 1\.5: must be at least 0 and at most 1"):
        threshold([1.0], quantile=1.5)
    with pytest.raises(
        InputError, match=r"compressor = 'pngs': unknown; allowed are png, zlib; did you mean 'png'"
    ):
        input_complexity(images() / 255, compressor="pngs")
    with pytest.raises(InputError, match="x: has values from 1 to 255; must be in value_range"):
        input_complexity(images())
    with pytest.raises(InputError, match="has values from nan to nan"):
        input_complexity(np.full((1, 2, 2), np.nan))
    with pytest.raises(InputError, match="compressor = 'zlib' allows any"):
        input_complexity(np.zeros((2, 7)))
    with pytest.raises(InputError, match="the number of examples of elbo = 3: must match x, 4"):
        scores(np.zeros((1, 4)), np.zeros(3), None, images() / 255)
    with pytest.raises(InputError, match=r"must be \[K, N\]"):
        reconstruction_probability(np.zeros(3))
