"""Evaluations of data with missing values are those of the observed values."""

import types

import jax
import jax.numpy as jnp
import linear_gaussian as linear
import numpy as np
import pytest
from scipy import stats

from vae_jax import data, likelihoods
from vae_jax.evaluation import ais, anomaly, baseline, make_evaluator, reconstruction, summarize
from vae_jax.evaluation.gap import inference_gap
from vae_jax.experiment.metrics.likelihood import _bits_per_dim

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
OBSERVED = RNG.random((12, linear.E)) < 0.6
OBSERVED[0] = False  # a row without any
OBSERVED[1] = True


def exact_log_px(x, w, b):
    """Log p of the observed part of each row: a marginal of a Gaussian."""
    covariance = w.T @ w + linear.SIGMA**2 * np.eye(linear.E)
    values = [
        stats.multivariate_normal(b[seen], covariance[np.ix_(seen, seen)]).logpdf(row[seen])
        if seen.any()
        else 0.0
        for row, seen in zip(np.float64(x), OBSERVED, strict=True)
    ]
    return np.array(values)


@pytest.mark.slow
def test_annealing_encloses_the_evidence_of_the_observed_part():
    params, (w, b) = linear.parameters(good=False)
    model = linear.model()
    x, z = ais.simulate(model, params, jax.random.key(4), len(OBSERVED))
    exact = exact_log_px(x, w, b)
    options = {"num_chains": 8, "num_temperatures": 60, "num_leapfrog": 5, "observed": OBSERVED}
    filled = jnp.where(OBSERVED, x, 1e3)
    below = ais.run_ais(model, params, filled, jax.random.key(5), **options)
    above = ais.run_ais(model, params, x, jax.random.key(6), posterior_z=z, **options)
    for estimate, sign in ((below, 1), (above, -1)):
        ratio = np.exp(sign * (estimate.log_px - exact))
        assert abs(ratio.mean() - 1) < 4 * ratio.std(ddof=1) / np.sqrt(len(ratio)), ratio
        assert ratio.std() < 0.5
    np.testing.assert_allclose(below.log_px[0], 0, atol=1e-4)  # nothing is observed


def test_the_best_posterior_of_a_factorial_posterior_is_exact():
    """Each latent moves other columns: any part of them has a diagonal posterior."""
    params, (w, b) = linear.parameters(good=False)
    w = np.float32([[1.5, -1.0, 0, 0, 0], [0, 0, 0.7, 1.0, -2.0]])
    params["params"]["likelihood"]["EventLayer_0"]["out"]["kernel"] = jnp.asarray(w)
    x = np.where(OBSERVED, linear.examples(12, w=w, b=b), -1e3)
    gaps = inference_gap(
        linear.model(), params, x, exact_log_px(x, w, b), jax.random.key(7),
        num_samples=2_000, num_steps=1_500, observed=OBSERVED,
    )  # fmt: skip
    assert abs(gaps["approximation_gap"]) < 0.02
    assert gaps["amortization_gap"] > 0.05


def test_bits_per_dim_and_errors_are_of_the_observed_values():
    params, (w, b) = linear.parameters()
    x = linear.examples(12, w=w, b=b)
    source = data.ArraySource(np.where(OBSERVED, x, 50.0), None, observed=OBSERVED)
    evaluate = make_evaluator(linear.model(), batch_size=5)
    terms = evaluate(params, source, KEY)
    np.testing.assert_array_equal(terms.num_observed, OBSERVED.sum(1))
    decoded = terms.code @ w + b
    squares = np.where(OBSERVED, np.square(decoded - x), 0).sum(1)
    np.testing.assert_allclose(terms.mse, squares / np.maximum(OBSERVED.sum(1), 1), rtol=1e-3)
    assert terms.distortion[0] == 0
    numbers = summarize(terms, (linear.E,), (-9.0, 9.0))
    assert numbers["observed_values"] == pytest.approx(OBSERVED.mean() * linear.E)
    bits = -terms.elbo.sum(dtype=np.float64) / OBSERVED.sum() / np.log(2)
    assert numbers["bits_per_dim"] == pytest.approx(bits)
    assert numbers["mse"] == pytest.approx(terms.mse[1:].mean(), rel=1e-6)
    complete = evaluate(params, data.ArraySource(x, None), KEY)
    assert complete.num_observed is None
    assert "observed_values" not in summarize(complete, (linear.E,), (-9.0, 9.0))


def test_bits_per_observed_value_have_the_error_of_a_ratio():
    observed = RNG.integers(1, 9, 4000)
    log_px = -2.0 * observed + RNG.normal(0, 0.5, 4000)
    log_px[0] = np.nan
    context = types.SimpleNamespace(
        terms=types.SimpleNamespace(num_observed=observed),
        dataset=types.SimpleNamespace(text=None),
    )
    numbers = _bits_per_dim(context, log_px, {})
    assert numbers["observed_values"] == pytest.approx(observed[1:].mean())
    means = [
        -log_px[index].sum() / observed[index].sum() / np.log(2)
        for index in RNG.integers(1, 4000, (300, 4000))
    ]
    assert numbers["bits_per_dim"] == pytest.approx(2 / np.log(2), abs=0.02)
    assert numbers["bits_per_dim_stderr"] == pytest.approx(np.std(means), rel=0.15)


def test_error_of_a_reconstruction_and_scores_by_value():
    x, y = jnp.zeros((3, 4)), jnp.array([[1.0, 2, 3, 4]] * 3)
    observed = jnp.array([[True, False, True, False], [True] * 4, [False] * 4])
    np.testing.assert_allclose(reconstruction.mse(x, y, observed), [5, 7.5, np.nan])
    table = anomaly.scores([[-4.0, -4, 0]], [-8.0, -8, 0], None, None, num_observed=[2, 4, 0])
    assert table["elbo_per_value"].tolist() == [4, 2, 0]
    assert table["reconstruction_per_value"].tolist() == [2, 1, 0]
    assert table["elbo"].tolist() == [8, 8, 0]


COLUMNS = {
    "gaussian": RNG.normal(5, 2, 90),
    "student_t": RNG.standard_t(3, 90),
    "positive": np.exp(RNG.normal(1, 1, 90)),
    "counts": RNG.negative_binomial(2, 0.3, 90),
    "poisson": RNG.poisson(3, 90),
    "zero_inflated": RNG.poisson(4, 90) * (RNG.random(90) < 0.6),
    "bernoulli": RNG.random(90) < 0.3,
    "categorical:3": RNG.integers(0, 3, 90),
    "ordinal:4": RNG.integers(0, 4, 90),
}


def test_the_baseline_of_a_table_knows_observed_values_alone():
    """Each column as if the rows without it were not there."""
    x = np.stack(list(COLUMNS.values()), axis=1).astype(np.float32)
    observed = RNG.random(x.shape) < 0.7
    test, seen = x[:15], observed[:15]
    model = likelihoods.Mixed((9,), tuple(COLUMNS))
    train = data.ArraySource(np.where(observed, x, 0), None, observed=observed)
    source = data.ArraySource(np.where(seen, test, 0), None, observed=seen)
    scores = baseline.fit_baseline(model, train).score(source)
    expected, squares = np.zeros(15), np.zeros(15)
    for number, kind in enumerate(COLUMNS):
        rows = x[observed[:, number], number : number + 1]
        alone = baseline.fit_baseline(
            likelihoods.Mixed((1,), (kind,)), data.ArraySource(rows, None)
        )
        expected += np.where(seen[:, number], alone.log_prob(test[:, number : number + 1]), 0)
        error = np.square(test[:, number] - np.float64(rows).mean())
        squares += np.where(seen[:, number], error, 0)
    np.testing.assert_allclose(scores.log_px, expected, rtol=1e-6)
    np.testing.assert_allclose(scores.mse, squares / np.maximum(seen.sum(1), 1), rtol=1e-6)
    assert not scores.is_constant


def test_pixels_that_are_never_observed_have_a_baseline():
    x = RNG.random((40, 3, 3, 1)).astype(np.float32)
    observed = RNG.random(x.shape) < 0.7
    observed[:, 0, 0] = False
    train = data.ArraySource(np.where(observed, x, 0), None, observed=observed)
    test = data.ArraySource(x[:5], None)
    heads = (
        likelihoods.Gaussian((3, 3, 1)), likelihoods.PredictedGaussian((3, 3, 1)),
        likelihoods.Bernoulli((3, 3, 1)), likelihoods.StudentT((3, 3, 1)),
        likelihoods.DiscretizedLogistic((3, 3, 1), levels=4),
    )  # fmt: skip
    for head in heads:
        scores = baseline.fit_baseline(head, train).score(test)
        assert np.isfinite(scores.log_px).all(), head
