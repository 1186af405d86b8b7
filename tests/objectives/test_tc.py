"""beta-TCVAE: estimators of q(z) by enumeration and in numpy, and the sum of the rate's parts."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vae_jax.distributions import Bernoulli, DiagGaussian
from vae_jax.objectives import beta_tc, elbo
from vae_jax.objectives.tc import (
    aggregate_log_densities,
    stratified_log_weights,
    uniform_log_weights,
)
from vae_jax.types import Outputs

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
K, B, D, N = 2, 4, 3, 10
RNG = np.random.default_rng(0)
MEAN, LOGVAR = RNG.normal(size=(B, D)), RNG.normal(-1, 0.5, (B, D))
Z = MEAN + np.exp(LOGVAR / 2) * RNG.normal(size=(K, B, D))
LOG_PX_Z = RNG.normal(-20, 3, (K, B))


def made(posterior=None, layers=(D,)):
    q = DiagGaussian(jnp.float32(MEAN), jnp.float32(LOGVAR))
    p = DiagGaussian(jnp.zeros(D), jnp.zeros(D))
    z = jnp.float32(Z)
    return Outputs(
        log_px_z=jnp.float32(LOG_PX_Z),
        log_pz=p.log_prob(z),
        log_qz_x=q.log_prob(z),
        kl=None,
        z=z,
        posterior=q if posterior is None else posterior,
        prior=p,
        layers=layers,
    )


def by_loops(weights):
    """MI, TC and KL_dim, one number at a time."""
    mi, tc, dim_kl = [], [], []
    for k, i in itertools.product(range(K), range(B)):
        log_q = [
            [stats.norm.logpdf(Z[k, i, d], MEAN[j, d], np.exp(LOGVAR[j, d] / 2)) for d in range(D)]
            for j in range(B)
        ]
        log_q = np.array(log_q)  # [B, D]
        joint = np.log(sum(weights[i, j] * np.exp(log_q[j].sum()) for j in range(B)))
        product = sum(
            np.log(sum(weights[i, j] * np.exp(log_q[j, d]) for j in range(B))) for d in range(D)
        )
        mi.append(log_q[i].sum() - joint)
        tc.append(joint - product)
        dim_kl.append(product - stats.norm.logpdf(Z[k, i]).sum())
    return np.mean(mi), np.mean(tc), np.mean(dim_kl)


@pytest.mark.parametrize("stratified", [False, True])
def test_the_three_parts_by_loops(stratified):
    off = (1 - 1 / N) / (B - 1)
    weights = off + (1 / N - off) * np.eye(B) if stratified else np.full((B, B), 1 / (N * B))
    mi, tc, dim_kl = by_loops(weights)
    options = {"mi_weight": 0.5, "tc_weight": 4.0, "dim_weight": 2.0}
    loss, metrics = jit(
        lambda terms: beta_tc(terms, num_examples=N, stratified=stratified, **options)
    )(made())
    np.testing.assert_allclose(
        [metrics["mi"], metrics["tc"], metrics["dim_kl"]], [mi, tc, dim_kl], rtol=1e-4
    )
    np.testing.assert_allclose(loss, -LOG_PX_Z.mean() + 0.5 * mi + 4 * tc + 2 * dim_kl, rtol=1e-5)
    assert metrics.keys() == {"loss", "elbo", "distortion", "rate", "mi", "tc", "dim_kl"}


@pytest.mark.parametrize("stratified", [False, True])
def test_the_parts_sum_to_the_rate_and_the_neutral_setting_is_the_elbo(stratified):
    loss, metrics = beta_tc(made(), num_examples=N, tc_weight=1.0, stratified=stratified)
    expected, plain = elbo(made())
    np.testing.assert_allclose(
        metrics["mi"] + metrics["tc"] + metrics["dim_kl"], plain["rate"], rtol=1e-5
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(metrics["elbo"], plain["elbo"], rtol=1e-6)


def test_the_stratified_weights():
    for batch_size, num_examples in ((2, 5), (4, 10), (7, 7)):
        weights = np.exp(stratified_log_weights(batch_size, num_examples))
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
        np.testing.assert_allclose(np.diag(weights), 1 / num_examples, rtol=1e-6)
        np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_allclose(np.exp(uniform_log_weights(4, 10)), 1 / 40, rtol=1e-6)


def test_the_stratified_estimate_is_right_on_average_over_all_batches():
    num_examples, batch_size = 6, 3
    mean, logvar, z = (
        RNG.normal(size=(num_examples, 1)),
        RNG.normal(size=(num_examples, 1)),
        RNG.normal(size=num_examples),
    )
    density = np.array(
        [stats.norm.pdf(value, mean[:, 0], np.exp(logvar[:, 0] / 2)) for value in z]
    )  # q(z_i | x_j)
    exact = density.mean(1)
    batches = np.array(list(itertools.permutations(range(num_examples), batch_size)))
    estimates = {}
    for weights_fn in (stratified_log_weights, uniform_log_weights):

        def estimate(index, weights_fn=weights_fn):
            q = DiagGaussian(jnp.float32(mean)[index], jnp.float32(logvar)[index])
            rows = jnp.float32(z)[index][:, None]
            return aggregate_log_densities(q, rows, weights_fn(batch_size, num_examples))[0]

        values = np.exp(jit(jax.vmap(estimate))(batches))
        estimates[weights_fn] = np.array([values[batches == i].mean() for i in range(num_examples)])
    np.testing.assert_allclose(estimates[stratified_log_weights], exact, rtol=1e-5)
    assert np.all(estimates[uniform_log_weights] < 0.8 * exact)
    column_0 = np.array(
        [np.r_[1 / 6, 5 / 12, 5 / 12] @ density[i, batch] for batch in batches for i in batch]
    )
    column_0 = np.array([column_0[batches.ravel() == i].mean() for i in range(num_examples)])
    assert (
        np.abs(column_0 / exact - 1).max() > 0.05
    )  # the weights that are often copied: 1/N in column 0


def test_a_batch_of_all_data_gives_the_aggregate_posterior_itself():
    joint, each = aggregate_log_densities(made().posterior, made().z, stratified_log_weights(B, B))
    pairwise = stats.norm.logpdf(Z[:, :, None], MEAN, np.exp(LOGVAR / 2))  # [K, B, B, D]
    np.testing.assert_allclose(
        joint, special.logsumexp(pairwise.sum(-1), 2) - np.log(B), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        each, special.logsumexp(pairwise, 2) - np.log(B), rtol=1e-4, atol=1e-5
    )
    assert joint.shape == (K, B)
    assert each.shape == (K, B, D)


@pytest.mark.slow
def test_the_total_correlation_is_zero_where_dimensions_are_independent_and_not_elsewhere():
    # z at all pairs of two codes: independent dimensions; without two of the pairs: equal ones.
    def tc(codes):
        codes = jnp.float32(codes)
        q = DiagGaussian(codes, jnp.full(codes.shape, -8.0))
        terms = made().replace(
            z=codes[None], posterior=q, log_qz_x=q.log_prob(codes[None]), layers=(2,)
        )
        return beta_tc(terms.replace(log_pz=jnp.zeros((1, len(codes)))), num_examples=len(codes))[
            1
        ]["tc"]

    assert tc([[0, 0], [0, 1], [1, 0], [1, 1]]) == pytest.approx(0, abs=1e-5)
    assert tc([[0, 0], [1, 1]]) == pytest.approx(np.log(2), rel=1e-5)


def test_traced_weights():
    weights = jnp.array([[1.0, 1.0, 1.0], [0.5, 6.0, 2.0]])

    def loss(w):
        return beta_tc(made(), num_examples=N, mi_weight=w[0], tc_weight=w[1], dim_weight=w[2])[0]

    _, metrics = beta_tc(made(), num_examples=N)
    parts = np.array([metrics["mi"], metrics["tc"], metrics["dim_kl"]])
    np.testing.assert_allclose(
        jit(jax.vmap(loss))(weights), metrics["distortion"] + weights @ parts, rtol=1e-5
    )
    assert all(
        np.all(np.isfinite(leaf))
        for leaf in jax.tree.leaves(jax.grad(lambda t: beta_tc(t, num_examples=N)[0])(made()))
    )


def test_what_is_refused():
    with pytest.raises(
        ValueError, match="beta_tc needs a diagonal Gaussian posterior, not a Bernoulli"
    ):
        beta_tc(made(Bernoulli(jnp.zeros((B, D)))), num_examples=N)
    with pytest.raises(ValueError, match=r"beta_tc needs a posterior over \[B, D\]"):
        beta_tc(made(DiagGaussian(jnp.zeros((K, B, D)), jnp.zeros((K, B, D)))), num_examples=N)
    with pytest.raises(ValueError, match=r"in 2 layer\(s\)"):
        beta_tc(made(layers=(1, 2)), num_examples=N)
    with pytest.raises(
        ValueError, match=r"batch size = 4: must be at least 2 and at most num_examples = 3"
    ):
        beta_tc(made(), num_examples=3)
