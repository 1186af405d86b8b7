"""Scores and imputations of rows in blocks: the formulas, missing values, and any parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.errors import UnsupportedError
from vae_jax.evaluation.imputation import impute
from vae_jax.models import VQVAE
from vae_jax.models.blocks import block_rows, over_blocks
from vae_jax.models.rows import impute_rows, score_rows
from vae_jax.models.trained import TrainedModel
from vae_jax.posteriors.quantizers import VectorQuantizer

KEY = jax.random.key(3)
COLUMNS = ("gaussian*2", "bernoulli", "categorical:3")
MODEL = VAE(
    nets.MLP((8,)),
    nets.MLP((8,)),
    posteriors.DiagGaussianHead(2),
    priors.StandardNormal(2),
    likelihoods.Mixed((4,), COLUMNS),
)
RNG = np.random.default_rng(0)
X = np.column_stack(
    [RNG.normal(size=(300, 2)), RNG.integers(0, 2, 300), RNG.integers(0, 3, 300)]
).astype(np.float32)
OBSERVED = RNG.random(X.shape) < 0.7
PARAMS = jax.jit(MODEL.init)(KEY, X[:1], KEY)


def batch(stop=300):
    return {"x": np.where(OBSERVED, X, 0)[:stop], "observed": OBSERVED[:stop]}


def draws(num_samples, chunk=4):
    """Outputs and p(x | z) of the draws that the first block has, in chunks."""
    parts = []
    for number in range(-(-num_samples // chunk)):
        key = jax.random.fold_in(jax.random.fold_in(KEY, 0), number)
        first = batch(256)
        options = {"observed": first["observed"], "num_samples": chunk}
        outputs = MODEL.apply(PARAMS, first["x"], key, **options)
        p = MODEL.apply(PARAMS, outputs.z, method="decode")
        parts.append((outputs, p.log_prob_terms(jnp.where(OBSERVED[:256], X[:256], p.center))))
    terms = np.concatenate([terms for _, terms in parts])[:num_samples]
    log_w = [o.log_px_z + o.log_pz - o.log_qz_x for o, _ in parts]
    return parts[0][0].kl, terms, np.concatenate(log_w)[:num_samples].astype(np.float64)


def test_scores_by_their_formulas():
    """Six draws, four at a time, of which the last two are ignored."""
    scores = score_rows(MODEL, PARAMS, batch(), KEY, num_samples=6, weights=True, columns=True)
    kl, terms, log_w = draws(6)
    terms = np.where(OBSERVED[:256], terms, np.nan)
    np.testing.assert_allclose(scores.columns[:256], -terms.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores.distortion[:256], -np.nansum(terms, -1).mean(0), rtol=1e-4)
    np.testing.assert_allclose(scores.rate[:256], kl, rtol=1e-4)
    np.testing.assert_allclose(scores.elbo, -scores.distortion - scores.rate)
    w = np.exp(log_w)
    np.testing.assert_allclose(scores.log_px[:256], np.log(w.mean(0)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores.ess[:256], w.sum(0) ** 2 / (w**2).sum(0), rtol=1e-3)


def test_missing_values_change_nothing():
    options = {"num_samples": 2, "weights": True, "columns": True}
    scores = score_rows(MODEL, PARAMS, batch(), KEY, **options)
    other = {**batch(), "x": np.where(OBSERVED, X, 1).astype(np.float32)}
    jax.tree.map(
        np.testing.assert_array_equal, score_rows(MODEL, PARAMS, other, KEY, **options), scores
    )
    np.testing.assert_array_equal(np.isnan(scores.columns), ~OBSERVED)


def test_parts_and_padding_change_nothing():
    options = {"num_samples": 3, "weights": True, "columns": True}
    size = block_rows((4,))
    assert size == 256
    whole = score_rows(MODEL, PARAMS, batch(), KEY, **options)
    last = {name: rows[size:] for name, rows in batch().items()}
    part = score_rows(MODEL, PARAMS, last, KEY, first_block=1, **options)
    assert whole.elbo.shape == (300,)
    np.testing.assert_array_equal(part.log_px, whole.log_px[size:])
    jitted = jax.jit(lambda rows: score_rows(MODEL, PARAMS, rows, KEY, **options).elbo)
    np.testing.assert_allclose(jitted(batch()), whole.elbo, rtol=1e-5)


def test_many_blocks_in_several_calls():
    def numbers(model, params, rows, key, *, factor):
        return rows["x"].sum(-1) * factor

    x = np.ones((40 * 256 + 7, 4), np.float32)
    result = over_blocks(numbers, MODEL, PARAMS, {"x": x}, KEY, factor=2.0)
    np.testing.assert_array_equal(result, np.full(len(x), 8.0))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((30,), 256), ((28, 28, 1), 128), ((64, 64, 3), 8), ((1,), 256), ((9**9,), 8)],
)
def test_larger_events_have_smaller_blocks(shape, size):
    assert block_rows(shape) == size


def test_imputations_are_those_of_the_evaluation():
    result = impute_rows(MODEL, PARAMS, batch(), KEY, num_samples=5)
    first = impute(MODEL, PARAMS, batch(256), jax.random.fold_in(KEY, 0), num_samples=5, chunk=4)
    for name in ("values", "stddev", "probability", "ess"):
        np.testing.assert_allclose(
            getattr(result, name)[:256], getattr(first, name), rtol=1e-4, atol=1e-5
        )
    model = TrainedModel(MODEL, PARAMS)
    x = np.where(OBSERVED, X, 0)
    method = model.impute(KEY, x, observed=OBSERVED, num_samples=5)
    np.testing.assert_array_equal(method.values, result.values)
    several = model.impute(KEY, x, observed=OBSERVED, num_samples=5, num_imputations=3)
    assert several.shape == (300, 3, 4)
    for number in range(3):
        np.testing.assert_array_equal(several[:, number][OBSERVED], X[OBSERVED])
    assert set(np.unique(several[..., 3])) == {0, 1, 2}


def test_rows_without_density_have_the_highest_scores():
    """Also if there are no others."""
    positive = MODEL.clone(likelihood=likelihoods.Mixed((2,), ("positive*2",)))
    x = np.ones((3, 2), np.float32)
    model = TrainedModel(positive, jax.jit(positive.init)(KEY, x, KEY), checks=False)
    np.testing.assert_array_equal(model.log_prob(KEY, -x, num_samples=3), -np.inf)
    np.testing.assert_array_equal(model.score(KEY, -x, kind="likelihood", num_samples=3), np.inf)
    assert np.isfinite(model.log_prob(KEY, x, num_samples=3)).all()


def test_codes_have_scores_but_no_weights():
    codes = VQVAE(
        nets.MLP((4,)),
        VectorQuantizer(5, 2),
        nets.MLP((4,)),
        likelihoods.Mixed((4,), COLUMNS),
        priors.UniformCodes((2,), 5),
    )
    model = TrainedModel(codes, jax.jit(codes.init)(KEY, X[:1], KEY))
    scores = model.explain(KEY, X[:5])
    assert scores.log_px is None
    np.testing.assert_allclose(scores.rate, 2 * np.log(5), rtol=1e-5)
    np.testing.assert_allclose(scores.columns.sum(1), scores.distortion, rtol=1e-4)
    with pytest.raises(UnsupportedError, match="codes have no density"):
        score_rows(codes, model.params, {"x": X}, KEY, num_samples=2, weights=True)
