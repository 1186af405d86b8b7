"""The trivial baseline against plain numpy, scipy, and its definition."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats

from vae_jax import data, likelihoods
from vae_jax.evaluation import baseline as lib
from vae_jax.evaluation import baseline_scores
from vae_jax.evaluation.baseline import fit_baseline
from vae_jax.evaluation.baseline_scores import read_rows
from vae_jax.evaluation.common import choose_examples
from vae_jax.evaluation.frequencies import fit_counts

RNG = np.random.default_rng(0)


def splits(train, test, **options):
    arrays = {"train_images": train, "valid_images": test[:2], "test_images": test}
    return data.from_arrays(arrays, **options)


def test_binary_pixels_have_their_training_frequencies():
    x = (RNG.random((40, 3, 3)) < 0.3).astype(np.uint8)
    x[:, 0, 0] = 0  # a pixel that training never sees lit, and test does
    test = x[:11].copy()
    test[0, 0, 0] = 1
    dataset = splits(x, test)
    baseline = fit_baseline(likelihoods.Bernoulli((3, 3, 1)), dataset.train)
    expected = np.zeros(len(test))
    for row, image in enumerate(test.reshape(-1, 9)):
        for pixel, value in enumerate(image):
            ones = int(x.reshape(-1, 9)[:, pixel].sum())
            p = (ones + 1) / 42
            expected[row] += math.log(p if value else 1 - p)
    scores = baseline.score(dataset.test)
    np.testing.assert_allclose(scores.log_px, expected, rtol=1e-12)
    assert scores.name == "independent pixels (frequencies)"
    assert not scores.is_constant


def test_dynamic_binarization_counts_by_its_probabilities_and_the_test_set_is_the_binarized_one():
    grey = RNG.integers(0, 256, (30, 4, 4)).astype(np.uint8)
    dataset = splits(grey, grey[:8], binarization="dynamic")
    baseline = fit_baseline(likelihoods.Bernoulli((4, 4, 1)), dataset.train)
    p = (grey.reshape(30, 16).astype(np.float64).sum(0) / 255 + 1) / 32
    x = np.asarray(dataset.test.images).reshape(8, 16).astype(np.float64)
    assert set(np.unique(x)) == {0, 1}
    expected = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    np.testing.assert_allclose(baseline.score(dataset.test).log_px, expected, rtol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_levels_have_a_histogram_for_each_pixel(shared, monkeypatch):
    if shared:
        monkeypatch.setattr(lib, "MAX_ENTRIES", 10)
    k = RNG.integers(0, 4, (25, 2, 2))
    k[:, 0, 0] = 2
    dataset = splits((k / 3).astype(np.float32), (k[:6] / 3).astype(np.float32))
    baseline = fit_baseline(likelihoods.Categorical((2, 2, 1), 4), dataset.train)
    counts = np.array(
        [[(column == level).sum() for level in range(4)] for column in k.reshape(25, 4).T]
    )
    if shared:
        counts = np.tile(counts.sum(0), (4, 1))
    pooled = counts.sum(0) + 1 if not shared else counts[0] + 1
    p = counts + 4 * pooled / pooled.sum()
    p = p / p.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(baseline.factors[0][1].log_p).sum(1), 1)
    expected = [sum(math.log(p[d, row[d]]) for d in range(4)) for row in k[:6].reshape(6, 4)]
    np.testing.assert_allclose(baseline.score(dataset.test).log_px, expected, rtol=1e-12)


def test_columns_have_a_gaussian_each_in_their_own_units():
    x = RNG.normal(size=(50, 3)) * [1.0, 1e5, 1e-5] + [0.0, 4e6, 1.0]
    x = x.astype(np.float32)
    dataset = splits(x, x[:9])
    baseline = fit_baseline(likelihoods.LearnedGaussian((3,)), dataset.train)
    wide = x.astype(np.float64)
    expected = scipy.stats.norm(wide.mean(0), wide.std(0)).logpdf(wide[:9]).sum(1)
    scores = baseline.score(dataset.test)
    np.testing.assert_allclose(scores.log_px, expected, rtol=1e-9)
    np.testing.assert_allclose(scores.mse, np.square(wide[:9] - wide.mean(0)).mean(1))
    np.testing.assert_allclose(scores.deviation, wide.std(0), rtol=1e-9)
    assert scores.name == "independent columns (Gaussians)"


def test_a_constant_pixel_has_a_finite_density():
    x = RNG.random((50, 2, 2)).astype(np.float32)
    x[:, 0, 0] = 0
    dataset = splits(x, x[:9])
    baseline = fit_baseline(likelihoods.PredictedGaussian((2, 2, 1)), dataset.train)
    variance = x.reshape(50, 4).astype(np.float64).var(0)
    variance = (50 * variance + variance.mean()) / 51
    wide = x.reshape(50, 4).astype(np.float64)
    expected = scipy.stats.norm(wide.mean(0), np.sqrt(variance)).logpdf(wide[:9]).sum(1)
    np.testing.assert_allclose(baseline.score(dataset.test).log_px, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "axes"),
    [
        (likelihoods.Gaussian((2, 3, 2)), (0, 1, 2)),
        (likelihoods.OptimalGaussian((2, 3, 2)), (0, 1, 2)),
        (likelihoods.LearnedLaplace((2, 3, 2), (2,)), (0, 1)),
        (likelihoods.LearnedGaussian((2, 3, 2), (2, 1, 1)), (1, 2)),
    ],
)
def test_a_scale_that_the_likelihood_shares_is_shared(likelihood, axes):
    x = (RNG.random((50, 2, 3, 2)) * RNG.random((2, 3, 2))).astype(np.float32)
    dataset = splits(x, x[:9])
    wide = x.astype(np.float64)
    variance = np.broadcast_to(wide.var(0).mean(axes, keepdims=True), (2, 3, 2))
    expected = scipy.stats.norm(wide.mean(0), np.sqrt(variance)).logpdf(wide[:9]).sum((1, 2, 3))
    scores = fit_baseline(likelihood, dataset.train).score(dataset.test)
    np.testing.assert_allclose(scores.log_px, expected, rtol=1e-6)


def test_counts_are_negative_binomial_by_their_moments_or_poisson():
    wide = RNG.negative_binomial(2, 0.2, 400)
    narrow = RNG.binomial(5, 0.5, 400)
    x = np.stack([wide, narrow, np.zeros(400, int)], axis=1)
    dataset = splits(x, x[:20], values="counts")
    baseline = fit_baseline(likelihoods.NegativeBinomial((3,)), dataset.train)
    mean = x.mean(0) + 0.5 / 400
    r = mean[0] ** 2 / (x[:, 0].var() - mean[0])
    expected = scipy.stats.nbinom(r, r / (r + mean[0])).logpmf(x[:20, 0])
    expected = expected + scipy.stats.poisson(mean[1:]).logpmf(x[:20, 1:]).sum(1)
    scores = baseline.score(dataset.test)
    np.testing.assert_allclose(scores.log_px, expected, rtol=1e-9)


def test_nearly_poisson_counts_have_no_jump():
    class Moments:
        count, mean = np.array([10**6]), np.array([3.0])

    for excess in (1e-5, 1e-7):
        Moments.variance = Moments.mean + excess
        log_p = fit_counts(Moments, np.array([0])).log_prob(np.array([[4.0]]))
        np.testing.assert_allclose(log_p, scipy.stats.poisson(3.0).logpmf(4), atol=1e-4)


def test_mixed_tables_go_by_column():
    x = np.stack(
        [RNG.normal(5, 2, 60), RNG.random(60) < 0.2, RNG.integers(0, 3, 60), RNG.poisson(2, 60)],
        axis=1,
    ).astype(np.float32)
    dataset = splits(x, x[:7])
    columns = ("gaussian", "bernoulli", "categorical:3", "counts")
    baseline = fit_baseline(likelihoods.Mixed((4,), columns), dataset.train)
    wide = x.astype(np.float64)
    p = (wide[:, 1].sum() + 1) / 62
    counts = np.bincount(x[:, 2].astype(int), minlength=3)
    pooled = (counts + 1) / 63
    q = (counts + 3 * pooled) / 63
    mean = wide[:, 3].mean() + 0.5 / 60
    excess = wide[:, 3].var() - mean
    count = scipy.stats.poisson(mean)
    if excess > 0:
        r = mean**2 / excess
        count = scipy.stats.nbinom(r, r / (r + mean))
    expected = scipy.stats.norm(wide[:, 0].mean(), wide[:, 0].std()).logpdf(wide[:7, 0])
    expected = expected + np.log(np.where(wide[:7, 1] > 0, p, 1 - p))
    expected = expected + np.log(q[x[:7, 2].astype(int)]) + count.logpmf(x[:7, 3])
    np.testing.assert_allclose(baseline.score(dataset.test).log_px, expected, rtol=1e-6)


def test_student_t_log_normal_and_added_zeros_are_those_of_maximum_likelihood():
    """No other parameters near the fit are likelier, and the fit is at least as good as scipy's."""
    rng = np.random.default_rng(3)
    x = np.stack(
        [
            5 + 2 * rng.standard_t(2.5, 800),
            rng.normal(3, 1e-4, 800),
            np.exp(rng.normal(2, 1.5, 800)),
            rng.poisson(3, 800),
            rng.negative_binomial(2, 0.2, 800) * (rng.random(800) < 0.6),
            rng.integers(0, 4, 800),
        ],
        axis=1,
    )
    kinds = ("student_t", "student_t", "positive", "poisson", "zero_inflated", "ordinal:4")
    x = np.float64(np.float32(x))
    dataset = splits(np.float32(x), np.float32(x[:9]))
    baseline = fit_baseline(likelihoods.Mixed((6,), kinds), dataset.train)
    fits = {int(place): factor for places, factor in baseline.factors for place in places}

    for place in (0, 1):
        t = fits[0]
        ours = scipy.stats.t.logpdf(x[:, place], t.df[place], t.loc[place], t.scale[place]).sum()
        theirs = scipy.stats.t.logpdf(x[:, place], *scipy.stats.t.fit(x[:, place])).sum()
        gaussian = scipy.stats.norm.logpdf(x[:, place], x[:, place].mean(), x[:, place].std()).sum()
        assert ours > max(theirs, gaussian) - 0.2
    assert abs(fits[0].df[0] - 2.5) < 1
    assert fits[0].df[1] > 15
    logs = np.log(x[:, 2])
    expected = scipy.stats.lognorm.logpdf(x[:, 2], logs.std(), 0, np.exp(logs.mean()))
    np.testing.assert_allclose(fits[2].log_prob(x[:, 2:3])[:, 0], expected, rtol=1e-9)
    np.testing.assert_array_equal(fits[2].log_prob(np.array([[0.0], [-1.0]])), -np.inf)
    rate = x[:, 3].mean() + 0.5 / 800
    expected = scipy.stats.poisson.logpmf(x[:, 3], rate)
    np.testing.assert_allclose(fits[3].log_prob(x[:, 3:4])[:, 0], expected, rtol=1e-9)

    def added(gate, mean, r):
        counted = scipy.stats.nbinom.logpmf(x[:, 4], r, r / (r + mean)) + np.log1p(-gate)
        return np.where(x[:, 4] == 0, np.logaddexp(np.log(gate), counted), counted).sum()

    fit = fits[4]
    at = fit.gate[0], fit.counts.mean[0], fit.counts.r[0]
    np.testing.assert_allclose(fit.log_prob(x[:, 4:5]).sum(), added(*at), rtol=1e-9)
    best = scipy.optimize.minimize(
        lambda p: -added(scipy.special.expit(p[0]), *np.exp(p[1:])), [0, 2, 0], method="Nelder-Mead"
    )
    assert added(*at) > -best.fun - 0.3
    codes = np.bincount(np.int64(x[:, 5]), minlength=4)
    expected = np.log((codes + 4 * (codes + 1) / 804) / 804)
    np.testing.assert_allclose(fits[5].log_prob(x[:, 5:])[:, 0], expected[np.int64(x[:, 5])])
    total = sum(factor.log_prob(x[:9, places]).sum(1) for places, factor in baseline.factors)
    np.testing.assert_allclose(baseline.score(dataset.test).log_px, total, rtol=1e-9)
    assert "Student-t distributions and log-normals and Poissons" in baseline.name


@pytest.mark.parametrize(
    ("head", "values"),
    [
        (likelihoods.StudentT, [3.0, 3.0, 3.0, 3.0, 3.0]),
        (likelihoods.StudentT, [0.0, 0.0, 0.0, 0.0, 1e6]),
        (likelihoods.LogNormal, [2.0, 2.0, 2.0, 2.0, 2.0]),
        (likelihoods.Poisson, [0, 0, 0, 0, 0]),
        (likelihoods.ZeroInflatedNegativeBinomial, [0, 0, 0, 0, 0]),
        (likelihoods.ZeroInflatedNegativeBinomial, [0, 0, 0, 0, 7]),
        (likelihoods.ZeroInflatedNegativeBinomial, [4, 4, 4, 4, 4]),
    ],
)
def test_fits_to_degenerate_columns_are_finite(head, values):
    x = np.array(values, np.float32)[:, None]
    options = {"values": "counts"} if head((1,)).integers else {}
    dataset = splits(x.astype(int) if options else x, x.astype(int) if options else x, **options)
    baseline = fit_baseline(head((1,)), dataset.train)
    assert np.isfinite(baseline.score(dataset.test).log_px).all()
    assert np.isfinite(baseline.log_prob(np.array([[5.0]]))).all()


def test_chunks_streams_and_rendered_images_give_the_same(monkeypatch):
    x = RNG.integers(0, 2, (30, 4, 4)).astype(np.uint8) * 255
    likelihood = likelihoods.Bernoulli((4, 4, 1))
    dataset = splits(x, x[:9], binarization="dynamic")
    streamed = splits(x, x[:9], binarization="dynamic", streaming=True)
    expected = fit_baseline(likelihood, dataset.train).score(dataset.test).log_px
    monkeypatch.setattr(baseline_scores, "CHUNK_VALUES", 16 * 7)
    for source in (dataset.train, streamed.train):
        found = fit_baseline(likelihood, source).score(dataset.test).log_px
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    sprites = data.SpriteSource(3, 5)
    monkeypatch.setattr(baseline_scores, "CHUNK_VALUES", 2 * 64 * 64)
    rows = np.concatenate(list(read_rows(sprites, np.arange(5))))
    whole = np.asarray(sprites.take(np.arange(5), None)["x"]).reshape(5, -1)
    np.testing.assert_array_equal(rows, whole)


def test_constant_data_are_noticed_and_large_data_are_sampled(monkeypatch):
    x = np.full((30, 4, 4), 255, np.uint8)
    dataset = splits(x, x[:9])
    assert fit_baseline(likelihoods.Bernoulli((4, 4, 1)), dataset.train).is_constant
    table = np.full((30, 3), 7.25, np.float32)
    dataset = splits(table, table[:9])
    baseline = fit_baseline(likelihoods.Gaussian((3,)), dataset.train)
    assert baseline.is_constant
    assert np.isfinite(baseline.score(dataset.test).log_px).all()
    monkeypatch.setattr(lib, "MAX_VALUES", 3 * 12)
    rows = RNG.normal(size=(30, 3)).astype(np.float32)
    chosen = choose_examples(30, lib.MAX_VALUES // 3)
    assert len(chosen) == len(set(chosen)) == 12
    source = splits(rows, rows[:2]).train
    np.testing.assert_allclose(
        fit_baseline(likelihoods.Gaussian((3,)), source).mean, rows[chosen].mean(0), rtol=1e-6
    )
