"""Standardized inputs and densities in the units of the data: models on x equal models on u."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn

from vae_jax import VAE, distributions, likelihoods, nets, posteriors, priors
from vae_jax.errors import InputError
from vae_jax.models import VQVAE, Hierarchical, Stacked, vector_levels
from vae_jax.nets.units import Units
from vae_jax.posteriors.quantizers import VectorQuantizer

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(64, 3)) * [2e4, 1e-6, 12] + [5e4, 3e-6, 1.6e9]
UNITS = Units.fit(TABLE)
X = jnp.float32(TABLE)
U = UNITS.standardize(X)
LOG_SCALES = np.log(TABLE.std(0)).sum()
KEY = jax.random.key(0)


def vae(likelihood, **parts):
    return VAE(
        nets.MLP((5,)),
        nets.MLP((5,)),
        posteriors.DiagGaussianHead(2),
        parts.pop("prior", priors.StandardNormal(2)),
        likelihood,
        **parts,
    )


def ladder(likelihood):
    return Hierarchical(vector_levels((2, 2), (5, 5)), likelihood)


def codes(likelihood):
    quantizer = VectorQuantizer(6, 2)
    return VQVAE(
        nets.MLP((5,)), quantizer, nets.MLP((5,)), likelihood, priors.UniformCodes((2,), 6)
    )


MODELS = {
    "fixed sigma": vae(likelihoods.Gaussian((3,), 0.5)),
    "learned sigma": vae(likelihoods.LearnedGaussian((3,), (3,))),
    "predicted sigma": vae(likelihoods.PredictedGaussian((3,))),
    "optimal sigma": vae(likelihoods.OptimalGaussian((3,))),
    "laplace": vae(likelihoods.PredictedLaplace((3,))),
    "mixed": vae(likelihoods.Mixed((3,), ("gaussian*3",))),
    "vamp": vae(
        likelihoods.Gaussian((3,)), prior=priors.VampPrior((3,), 4, low=-jnp.inf, high=jnp.inf)
    ),
    "ladder": ladder(likelihoods.LearnedGaussian((3,), (3,))),
    "stacked": Stacked(
        (2, 2),
        priors.VampPrior((3,), 4, low=-jnp.inf, high=jnp.inf),
        likelihoods.Gaussian((3,)),
        hidden=(5,),
    ),
    "codes": codes(likelihoods.LearnedGaussian((3,), (3,))),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_bound_of_x_is_that_of_standardized_x_less_the_log_scales(name):
    model = MODELS[name]
    in_units = model.clone(units=UNITS)
    params = model.init(KEY, U, KEY)
    assert jax.tree.structure(params) == jax.tree.structure(in_units.init(KEY, X, KEY))
    of_u = model.apply(params, U, KEY, num_samples=2)
    of_x = in_units.apply(params, X, KEY, num_samples=2)
    np.testing.assert_allclose(of_x.log_px_z, of_u.log_px_z - LOG_SCALES, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(of_x.z, of_u.z)
    np.testing.assert_array_equal(of_x.log_pz, of_u.log_pz)
    samples = in_units.apply(params, KEY, 5, method="generate").mean
    plain = model.apply(params, KEY, 5, method="generate").mean
    np.testing.assert_allclose(samples, TABLE.mean(0) + TABLE.std(0) * plain, rtol=1e-5)


def test_a_classifier_sees_standardized_values():
    model = vae(likelihoods.Gaussian((3,)), classifier=nets.Classifier(nets.MLP((4,)), 2))
    params = model.init(KEY, U, KEY)
    np.testing.assert_array_equal(
        model.clone(units=UNITS).apply(params, X, method="classify"),
        model.apply(params, U, method="classify"),
    )


def test_a_density_of_dollars_is_exact():
    p = distributions.Scaled(
        distributions.DiagGaussian(jnp.zeros(2), jnp.float32([0.0, 2.0])),
        distributions.Affine((5e4, 0.0), (2e4, 1e-12)),
    )
    x = np.array([6e4, 3e-12])
    expected = scipy.stats.norm.logpdf(x, [5e4, 0], [2e4, 1e-12 * np.e])
    np.testing.assert_allclose(p.log_prob_terms(jnp.float32(x)), expected, rtol=1e-6)
    np.testing.assert_allclose(p.log_prob(jnp.float32(x)), expected.sum(), rtol=1e-6)
    draws = p.sample(KEY, (4000,))
    np.testing.assert_allclose(draws.std(0), [2e4, 1e-12 * np.e], rtol=0.05)
    narrow = p.with_temperature(0.5)
    np.testing.assert_allclose(narrow.sample(KEY, (4000,)).std(0), draws.std(0) / 2, rtol=1e-5)
    assert p.event_shape == (2,)
    assert p.batch_shape == ()


def test_an_image_has_units_by_channel():
    images = RNG.normal(size=(20, 4, 3, 2)) * [3, 500]
    units = Units.fit(images)
    u = np.asarray(units.standardize(jnp.float32(images)))
    np.testing.assert_allclose(u.std((0, 1, 2)), 1, rtol=1e-5)
    p = units.scale_density(distributions.DiagGaussian(jnp.zeros((4, 3, 2)), jnp.zeros(()), 3))
    expected = scipy.stats.norm.logpdf(images, images.mean((0, 1, 2)), images.std((0, 1, 2)))
    np.testing.assert_allclose(p.log_prob(jnp.float32(images)), expected.sum((1, 2, 3)), rtol=1e-5)


def test_counts_enter_as_logarithms_and_keep_their_mass():
    counts = RNG.poisson([3.0, 4000.0], (200, 2))
    units = Units.fit(counts, counts=True, real=False)
    u = np.asarray(units.standardize(jnp.float32(counts)))
    logs = np.log1p(counts)
    np.testing.assert_allclose(u, (logs - logs.mean(0)) / logs.std(0), rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(units.restore(u), counts, rtol=1e-4, atol=1e-3)
    p = distributions.NegativeBinomial(jnp.zeros(2), jnp.zeros(2))
    assert units.scale_density(p) is p


def test_only_columns_of_real_numbers_have_a_scaled_density():
    x = np.stack([np.arange(10) * 1e4, np.arange(10) % 2, RNG.poisson(50, 10)], axis=1)
    head = likelihoods.Mixed((3,), ("gaussian", "bernoulli", "counts"))
    units = likelihoods.fit_units(head, x)
    assert units.counts == (False, False, True)
    assert units.density.scale == (x[:, 0].std(), 1.0, 1.0)
    assert units.density.loc[1:] == (0.0, 0.0)
    p = units.scale_density(head.apply(head.init(KEY, jnp.ones((1, 4))), jnp.ones((1, 4))))
    assert set(np.unique(p.sample(KEY, (50,))[..., 1])) == {0.0, 1.0}


def test_positive_columns_enter_as_logarithms_and_keep_their_density():
    """Of an amount of dollars and one of grams, each with its own unit."""
    x = np.exp(RNG.normal([14, -18], [2, 0.5], (300, 2)))
    x = np.stack([x[:, 0], RNG.poisson(9, 300), x[:, 1]], axis=1)
    head = likelihoods.Mixed((3,), ("positive", "counts", "positive"))
    units = likelihoods.fit_units(head, x)
    logs = np.log(np.where([True, False, True], x, x + 1))
    u = np.asarray(units.standardize(jnp.float32(x)))
    np.testing.assert_allclose(u, (logs - logs.mean(0)) / logs.std(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(units.restore(u), x, rtol=1e-4, atol=1e-3)
    assert np.isfinite(units.standardize(jnp.zeros((1, 3)))).all()  # missing values
    center = np.exp(logs.mean(0))
    np.testing.assert_allclose(units.density.scale, [center[0], 1, center[2]], rtol=1e-9)
    assert units.density.loc == (0.0, 0.0, 0.0)
    p = units.scale_density(head.apply(head.init(KEY, jnp.ones((1, 4))), jnp.zeros((1, 4))))
    terms = p.log_prob_terms(jnp.float32(x))[:, [0, 2]]
    expected = scipy.stats.lognorm.logpdf(x[:, [0, 2]], 1, 0, center[[0, 2]])
    np.testing.assert_allclose(terms, expected, rtol=1e-3, atol=1e-3)
    assert Units.from_json(json.loads(json.dumps(dataclasses.asdict(units)))) == units
    masks = likelihoods.column_masks(head)
    assert not units.is_close(Units.fit(x, **(masks | {"positive": False})))
    values = dataclasses.asdict(units) | {"positive": (True,)}
    with pytest.raises(ValueError, match="positive of 1 columns, not 3"):
        Units.from_json(values)


def test_units_follow_from_the_attributes_of_a_likelihood_of_other_origin():
    class Positive(nn.Module):
        support = (0.0, np.inf)
        positive = True

    x = np.exp(RNG.normal([14, -18], [2, 0.5], (300, 2)))
    x[7, 1] = np.nan
    expected = likelihoods.fit_units(likelihoods.LogNormal((2,)), x)
    assert likelihoods.fit_units(Positive(), x) == expected
    assert likelihoods.fit_units(nn.Dense(2), x) == Units.fit(x)  # real numbers
    with pytest.raises(InputError, match="x has values of 0 in column 1"):
        likelihoods.fit_units(Positive(), np.nan_to_num(x))
    with pytest.raises(InputError, match="column 1 has no value"):
        likelihoods.fit_units(Positive(), x[7:8])


def test_a_constant_column_keeps_its_scale():
    x = np.stack([np.full(7, 0.1), np.arange(7.0)], axis=1)
    assert Units.fit(x).density.scale == (1.0, x[:, 1].std())


def test_units_survive_json():
    units = Units.fit(TABLE, counts=(False, True, False))
    assert Units.from_json(json.loads(json.dumps(dataclasses.asdict(units)))) == units
    assert units.is_close(Units.fit(TABLE * (1 + 1e-9), counts=(False, True, False)))
    assert not units.is_close(UNITS)
    assert not units.is_close(None)


@pytest.mark.parametrize("scale", [[1.0, 0.0], [1.0, float("nan")], [1.0]])
def test_damaged_units_are_refused(scale):
    values = {"inputs": [[0.0, 0.0], scale], "density": [[0.0, 0.0], [1.0, 1.0]]}
    with pytest.raises(ValueError, match="units of"):
        Units.from_json(values | {"counts": [False, False]})


def test_x_of_other_columns_is_refused():
    with pytest.raises(InputError, match="units: of 3 columns or channels, but x has shape"):
        UNITS.standardize(jnp.ones((2, 4)))
