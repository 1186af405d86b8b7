"""Missing values: only what is observed counts, whatever stands at the other entries."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, distributions, elbo, likelihoods, make_loss_fn, nets, posteriors, priors
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.evaluation.likelihood import log_likelihood
from vae_jax.models.hierarchical import Hierarchical
from vae_jax.models.ladder_levels import vector_levels
from vae_jax.models.vqvae import VQVAE
from vae_jax.nets.units import Units
from vae_jax.posteriors import quantizers

KEY = jax.random.key(0)
FILLS = (0, 1e9, jnp.nan)  # at missing entries
HEADS = [
    likelihoods.Bernoulli((5,)),
    likelihoods.ContinuousBernoulli((5,)),
    likelihoods.Categorical((5,), levels=3),
    likelihoods.BetaBinomial((5,), levels=9),
    likelihoods.DiscretizedLogistic((5,), levels=9),
    likelihoods.DiscretizedLogisticMixture((5,), levels=9),
    likelihoods.Gaussian((5,)),
    likelihoods.OptimalGaussian((5,)),
    likelihoods.PredictedGaussian((5,)),
    likelihoods.LearnedLaplace((5,)),
    likelihoods.NegativeBinomial((5,)),
    likelihoods.Mixed((5,), ("gaussian*2", "bernoulli", "categorical:2", "counts")),
    likelihoods.StudentT((5,), "predicted"),
    likelihoods.LogNormal((5,)),
    likelihoods.Gaussian((1, 5, 1)),
]


def make_model(head, **fields):
    parts = (nets.MLP((7,)), nets.MLP((7,)), posteriors.DiagGaussianHead(2))
    return VAE(*parts, priors.StandardNormal(2), head, **fields)


def make_vae(**fields):
    return make_model(likelihoods.Gaussian((5,)), **fields)


def make_hierarchical(**fields):
    return Hierarchical(vector_levels((4, 4), (2, 2)), likelihoods.Gaussian((5,)), **fields)


def make_vq(**fields):
    quantizer = quantizers.VectorQuantizer(4, 2)
    prior = priors.UniformCodes((3,), 4)
    parts = (nets.MLP((7,)), quantizer, nets.MLP((7,)))
    return VQVAE(*parts, likelihoods.Gaussian((5,)), prior, **fields)


def draw_x_of(head):
    return draw_x(head.event_shape) + head.positive


def draw_x(shape=(5,), n=6):
    return jax.random.bernoulli(KEY, 0.5, (n, *shape)).astype(jnp.float32)


def draw_mask(x):
    return jax.random.bernoulli(jax.random.key(7), 0.6, x.shape)


def name_of(head):
    return f"{type(head).__name__}{len(head.event_shape)}"


@pytest.mark.parametrize("head", HEADS, ids=name_of)
def test_all_observed_is_the_density_bitwise_and_missing_values_change_nothing(head):
    """Of every likelihood: the loss, and its gradient."""
    model, x = make_model(head), draw_x_of(head)
    params = model.init(KEY, x, KEY)

    @jax.jit
    def loss(params, x, observed):
        batch = {"x": x} if observed is None else {"x": x, "observed": observed}
        return make_loss_fn(model, elbo)(params, batch, KEY, 0)[0]

    plain, masked = loss(params, x, None), loss(params, x, jnp.ones_like(x, bool))
    # The compiler fuses the parts of a table with its mask, and rounds elsewhere.
    np.testing.assert_array_max_ulp(plain, masked, 1 if isinstance(head, likelihoods.Mixed) else 0)
    observed = draw_mask(x)
    gradient = jax.jit(jax.value_and_grad(loss))
    results = [
        gradient(params, jnp.where(observed, x, fill), observed) for fill in (0, 1e9, jnp.nan)
    ]
    jax.tree.map(np.testing.assert_array_equal, results[0], results[1])
    jax.tree.map(np.testing.assert_array_equal, results[0], results[2])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results[0]))
    assert results[0][0] != loss(params, x, None)


def test_missing_values_of_every_kind_of_column_change_nothing():
    kinds = ("student_t", "positive", "poisson", "zero_inflated", "ordinal:3", "ordinal:2")
    model, x = make_model(likelihoods.Mixed((6,), kinds)), draw_x((6,)) + jnp.eye(6)[1]
    params, observed = model.init(KEY, x, KEY), draw_mask(x)

    @jax.jit
    @jax.value_and_grad
    def loss(params, x):
        return make_loss_fn(model, elbo)(params, {"x": x, "observed": observed}, KEY, 0)[0]

    results = [loss(params, jnp.where(observed, x, fill)) for fill in FILLS]
    jax.tree.map(np.testing.assert_array_equal, *results[:2])
    jax.tree.map(np.testing.assert_array_equal, *results[1:])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results[0]))
    p = model.apply(params, jax.random.normal(KEY, (6, 2)), method="decode")
    terms = np.asarray(p.log_prob_terms(x), np.float64)
    expected = (terms * np.asarray(observed)).sum(1)
    np.testing.assert_allclose(p.observed_log_prob(x, observed), expected, rtol=2e-6, atol=1e-5)
    np.testing.assert_array_equal(p.observed_log_prob(x, observed | True), p.log_prob(x))


@pytest.mark.parametrize("head", HEADS, ids=name_of)
def test_density_of_what_is_observed_is_the_sum_of_its_terms(head):
    """Computed by hand, for draws of z."""
    model, x = make_model(head), draw_x_of(head)
    params = model.init(KEY, x, KEY)
    p = model.apply(params, jax.random.normal(KEY, (4, 6, 2)), method="decode")
    if isinstance(p, distributions.OptimalGaussian):
        pytest.skip("its terms depend on all values")
    observed = draw_mask(x)
    terms = np.asarray(p.log_prob_terms(x), np.float64)
    expected = (terms * np.asarray(observed)).sum(tuple(range(2, terms.ndim)))
    np.testing.assert_allclose(p.observed_log_prob(x, observed), expected, rtol=2e-6, atol=1e-5)


def test_optimal_sigma_is_the_root_mean_square_of_what_is_observed():
    x = draw_x()
    observed = draw_mask(x)
    p = distributions.OptimalGaussian(jnp.full_like(x, 0.3))
    squared = np.where(observed, (x - 0.3) ** 2, 0)
    variance = squared.sum() / observed.sum()
    terms = -0.5 * (np.log(2 * np.pi * variance) + squared / variance)
    expected = np.where(observed, terms, 0).sum(1)
    np.testing.assert_allclose(p.observed_log_prob(x, observed), expected, rtol=1e-5)


def test_density_in_units_of_the_data_counts_scales_of_what_is_observed():
    scale = distributions.Affine((1.0, 2.0, 0.0), (10.0, 0.1, 3.0))
    p = distributions.Scaled(distributions.DiagGaussian(jnp.zeros(3), jnp.zeros(3)), scale)
    x, observed = jnp.array([4.0, 2.05, 7.0]), jnp.array([True, True, False])
    marginal = distributions.DiagGaussian(
        jnp.array([1.0, 2.0]), 2 * jnp.log(jnp.array([10.0, 0.1]))
    )
    np.testing.assert_allclose(
        p.observed_log_prob(x, observed), marginal.log_prob(x[:2]), rtol=1e-6
    )
    assert p.observed_log_prob(x, jnp.ones(3, bool)) == p.log_prob(x)


def test_log_px_of_what_is_observed_is_exact_on_a_linear_gaussian_model():
    """The marginal is N(b, W W^T + s^2 I); importance samples of the whole prior converge to it."""
    model = VAE(
        nets.MLP(()), nets.MLP(()), posteriors.DiagGaussianHead(2), priors.StandardNormal(2),
        likelihoods.Gaussian((5,), sigma=0.7),
    )  # fmt: skip
    x = jax.random.normal(KEY, (6, 5))
    params = model.init(KEY, x, KEY)
    observed = draw_mask(x)
    layer = params["params"]["likelihood"]["EventLayer_0"]["out"]
    w, b = (np.asarray(layer[name], np.float64) for name in ("kernel", "bias"))
    cov = w.T @ w + 0.49 * np.eye(5)
    batch = {"x": x, "observed": observed}
    run = jax.jit(lambda params: log_likelihood(model, params, batch, KEY, num_samples=20_000))
    log_px, ess, _ = run(params)
    for row in range(6):
        seen = np.asarray(observed[row])
        residual = np.asarray(x[row], np.float64)[seen] - b[seen]
        part = cov[np.ix_(seen, seen)]
        exact = -0.5 * (
            residual @ np.linalg.solve(part, residual)
            + np.linalg.slogdet(part)[1]
            + seen.sum() * np.log(2 * np.pi)
        )
        error = 1 / np.sqrt(float(ess[row]))
        assert abs(float(log_px[row]) - exact) < 5 * error
        assert ess[row] > 1_000


@pytest.mark.parametrize("make", [make_hierarchical, make_vq])
def test_other_models_see_only_what_is_observed(make):
    model, x = make(), draw_x()
    params = model.init(KEY, x, KEY)
    apply = jax.jit(lambda x, observed: model.apply(params, x, KEY, observed=observed).log_px_z)
    assert (apply(x, None) == apply(x, jnp.ones_like(x, bool))).all()
    observed = draw_mask(x)
    assert (apply(x, observed) == apply(jnp.where(observed, x, 99.0), observed)).all()
    encode = jax.jit(lambda x: model.apply(params, x, observed=observed, method="encode").center)
    assert (encode(x) == encode(jnp.where(observed, x, 99.0))).all()


@pytest.mark.parametrize(
    "make", [lambda **f: make_model(HEADS[6], **f), make_hierarchical, make_vq]
)
def test_networks_may_see_the_mask(make):
    """Without it, a missing value looks as an observed 0."""
    x = draw_x().at[:, 0].set(0.0)
    observed = jnp.ones_like(x, bool).at[:, 0].set(False)
    for mask_input in (False, True):
        model = make(mask_input=mask_input)
        params = model.init(KEY, x, KEY)
        features = [
            jax.tree.leaves(model.apply(params, x, observed=mask, method="infer"))[0]
            for mask in (None, observed)
        ]
        assert (features[0] == features[1]).all() != mask_input


def test_pseudo_inputs_of_a_vamp_prior_are_observed():
    head = likelihoods.Gaussian((5,))
    model = make_model(head, mask_input=True).clone(prior=priors.VampPrior((5,), 3))
    x = draw_x()
    params = model.init(KEY, x, KEY)
    outputs = model.apply(params, x, KEY, observed=draw_mask(x))
    assert outputs.prior.means.shape == (3, 2)
    assert np.isfinite(outputs.log_pz).all()


def test_categories_enter_networks_one_hot_and_missing_ones_as_zeros():
    table = np.array([[1.0, 2.0, 10.0], [3.0, 0.0, 30.0]])
    units = Units.fit(table, categories=(0, 3, 0), real=(True, False, True))
    inputs = np.asarray(units.encode(jnp.float32(table)))
    assert inputs.tolist() == [[-1, 0, 0, 1, -1], [1, 1, 0, 0, 1]]
    assert units.num_inputs == 5
    assert units.repeat(jnp.arange(3)).tolist() == [0, 1, 1, 1, 2]
    assert Units.from_json(dataclasses.asdict(units)) == units
    head = likelihoods.Mixed((3,), ("gaussian", "categorical:3", "gaussian"))
    model = make_model(head, units=units)
    x, observed = jnp.float32(table), jnp.array([[True, False, True], [True, True, False]])
    params = model.init(KEY, x, KEY)
    q = model.apply(params, x, observed=observed, method="encode")
    layer = params["params"]["encoder"]
    kernel = jax.tree.leaves(layer)[1]
    assert kernel.shape[0] == 5
    changed = x.at[0, 1].set(0.0).at[1, 2].set(-1e6)
    np.testing.assert_array_equal(
        q.mean, model.apply(params, changed, observed=observed, method="encode").mean
    )


def test_entries_that_depend_on_each_other_are_refused():
    color = likelihoods.DiscretizedLogisticMixture((2, 2, 3), levels=9)
    x = draw_x((2, 2, 3))
    model = make_model(color)
    params = model.init(KEY, x, KEY)
    with pytest.raises(UnsupportedError, match="depend on each other"):
        model.apply(params, x, KEY, observed=draw_mask(x))


@pytest.mark.parametrize("observed", [jnp.ones((6, 4), bool), jnp.ones((6, 5))])
def test_mask_of_another_shape_or_type_is_refused(observed):
    model, x = make_vae(), draw_x()
    params = model.init(KEY, x, KEY)
    with pytest.raises(InputError, match=r"observed has shape \(6, .\) .* must be \(6, 5\)"):
        model.apply(params, x, KEY, observed=observed)
