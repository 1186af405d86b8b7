"""DIP-VAE against numpy's covariance; InfoVAE and WAE against the MMD by a double loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import Bernoulli, Deterministic, DiagGaussian
from vae_jax.likelihoods import Gaussian
from vae_jax.models import VAE
from vae_jax.nets import MLP
from vae_jax.objectives import dip_i, dip_ii, elbo, info, make_loss_fn, reconstruction, wae
from vae_jax.objectives.loss import objective_key
from vae_jax.objectives.mmd import SCALES, kernel_matrix, squared_mmd
from vae_jax.posteriors import DeterministicHead
from vae_jax.priors import StandardNormal
from vae_jax.types import Outputs

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
K, B, D = 2, 5, 3
RNG = np.random.default_rng(0)
MEAN, LOGVAR = RNG.normal(0.5, 1.0, (B, D)), RNG.normal(-1, 0.5, (B, D))
Z = MEAN + np.exp(LOGVAR / 2) * RNG.normal(size=(K, B, D))
LOG_PX_Z = RNG.normal(-20, 3, (K, B))
KL = 0.5 * (MEAN**2 + np.exp(LOGVAR) - LOGVAR - 1).sum(1)
DISTORTION, RATE = -LOG_PX_Z.mean(), KL.mean()
KEY = jax.random.key(3)


def made(posterior=None, prior=None, layers=(D,)):
    zeros = jnp.zeros(D)
    return Outputs(
        log_px_z=jnp.float32(LOG_PX_Z),
        log_pz=jnp.zeros((K, B)),
        log_qz_x=jnp.zeros((K, B)),
        kl=jnp.float32(KL),
        z=jnp.float32(Z),
        posterior=DiagGaussian(jnp.float32(MEAN), jnp.float32(LOGVAR))
        if posterior is None
        else posterior,
        prior=DiagGaussian(zeros, zeros) if prior is None else prior,
        layers=layers,
    )


# DIP-VAE


@pytest.mark.parametrize(
    ("objective", "added"), [(dip_i, 0), (dip_ii, np.diag(np.exp(LOGVAR).mean(0)))]
)
def test_dip_against_numpy(objective, added):
    covariance = np.cov(MEAN.T, bias=True) + added
    off_diagonal = sum(covariance[i, j] ** 2 for i in range(D) for j in range(D) if i != j)
    diagonal = sum((covariance[i, i] - 1) ** 2 for i in range(D))
    loss, metrics = jit(functools.partial(objective, off_diagonal_weight=3.0, diagonal_weight=7.0))(
        made()
    )
    np.testing.assert_allclose(metrics["off_diagonal"], off_diagonal, rtol=1e-5)
    np.testing.assert_allclose(metrics["diagonal"], diagonal, rtol=1e-5)
    np.testing.assert_allclose(loss, DISTORTION + RATE + 3 * off_diagonal + 7 * diagonal, rtol=1e-5)
    assert metrics.keys() == {"loss", "elbo", "distortion", "rate", "off_diagonal", "diagonal"}
    np.testing.assert_allclose(metrics["elbo"], -(DISTORTION + RATE), rtol=1e-6)


def test_dip_ii_is_the_covariance_of_draws():
    n = 200_000
    index = RNG.integers(B, size=n)
    z = MEAN[index] + np.exp(LOGVAR[index] / 2) * RNG.normal(size=(n, D))
    products = (z - MEAN.mean(0))[:, :, None] * (z - MEAN.mean(0))[:, None]
    covariance = np.diag(np.exp(LOGVAR).mean(0)) + np.cov(MEAN.T, bias=True)
    assert np.all(np.abs(products.mean(0) - covariance) < 4 * products.std(0) / np.sqrt(n))


@pytest.mark.parametrize("objective", [dip_i, dip_ii])
def test_dip_without_weights_is_the_elbo_and_weights_may_be_traced(objective):
    loss, _ = objective(made(), off_diagonal_weight=0.0, diagonal_weight=0.0)
    np.testing.assert_allclose(loss, elbo(made())[0], rtol=1e-6)
    weights = jnp.array([[0.0, 0.0], [2.0, 0.5]])
    losses = jit(
        jax.vmap(lambda w: objective(made(), off_diagonal_weight=w[0], diagonal_weight=w[1])[0])
    )(weights)
    _, metrics = objective(made())
    sums = np.array([metrics["off_diagonal"], metrics["diagonal"]])
    np.testing.assert_allclose(losses, DISTORTION + RATE + weights @ sums, rtol=1e-5)


def test_dip_takes_a_posterior_with_one_variance_for_all():
    shared = DiagGaussian(jnp.float32(MEAN), jnp.float32(-1.0))
    _, metrics = dip_ii(made(shared))
    covariance = np.exp(-1) * np.eye(D) + np.cov(MEAN.T, bias=True)
    np.testing.assert_allclose(
        metrics["diagonal"], ((np.diag(covariance) - 1) ** 2).sum(), rtol=1e-5
    )


@pytest.mark.parametrize("objective", [dip_i, dip_ii])
def test_dip_needs_a_gaussian_over_the_batch(objective):
    for other in (Bernoulli(jnp.zeros((B, D))), Deterministic(jnp.zeros((B, D)))):
        with pytest.raises(
            ValueError, match=f"{objective.__name__} needs a diagonal Gaussian posterior, not a"
        ):
            objective(made(other))
    with pytest.raises(ValueError, match=rf"{objective.__name__} needs a posterior over \[B, D\]"):
        objective(made(DiagGaussian(jnp.zeros((K, B, D)), jnp.zeros((K, B, D)))))


# MMD


def kernel_by_hand(a, b, kernel, bandwidth, scales):
    squared, width = sum((a - b) ** 2), 2 * len(a) * bandwidth**2
    return sum(
        np.exp(-squared / (s * width)) if kernel == "rbf" else s * width / (s * width + squared)
        for s in scales
    )


def mmd_by_hand(a, b, *options):
    within = [
        np.mean(
            [
                kernel_by_hand(x[i], x[j], *options)
                for i in range(len(x))
                for j in range(len(x))
                if i != j
            ]
        )
        for x in (a, b)
    ]
    return sum(within) - 2 * np.mean([kernel_by_hand(p, q, *options) for p in a for q in b])


@pytest.mark.parametrize("kernel", ["rbf", "imq"])
@pytest.mark.parametrize(("bandwidth", "scales"), [(1.0, (1.0,)), (0.6, SCALES)])
def test_mmd_by_a_double_loop(kernel, bandwidth, scales):
    a, b = Z[0], RNG.normal(1.0, 2.0, (7, D))
    actual = jit(lambda a, b: squared_mmd(a, b, kernel=kernel, bandwidth=bandwidth, scales=scales))(
        jnp.float32(a), jnp.float32(b)
    )
    np.testing.assert_allclose(
        actual, mmd_by_hand(a, b, kernel, bandwidth, scales), rtol=1e-4, atol=1e-6
    )


def test_the_mmd_of_equal_distributions_is_zero_on_average_and_of_others_positive():
    draws = 3000

    @jit
    def mmds(shift, scale):
        a, b = jax.random.normal(KEY, (2, draws, B, D))
        options = {"kernel": "imq", "scales": SCALES}
        return jax.vmap(lambda a, b: squared_mmd(a, shift + scale * b, **options))(a, b)

    equal = np.float64(mmds(0.0, 1.0))
    stderr = equal.std(ddof=1) / np.sqrt(draws)
    assert abs(equal.mean()) < 4 * stderr
    a, b = jax.random.normal(KEY, (2, 500, D))
    bias = (
        2 / B * (len(SCALES) - kernel_matrix(a, b, kernel="imq", scales=SCALES).mean())
    )  # with the pairs i = j counted
    assert 4 * stderr < bias / 10
    assert equal.min() < 0  # as an unbiased estimate of zero must be at times
    for shift, scale in ((1.0, 1.0), (0.0, 0.3)):
        assert np.float64(mmds(shift, scale)).mean() > 0.1


def test_the_width_of_the_kernel_is_the_mean_squared_distance_of_two_draws():
    a, b = np.float64(0.7 * jax.random.normal(KEY, (2, 20_000, D)))
    squared = ((a - b) ** 2).sum(1)
    assert abs(squared.mean() - 2 * D * 0.7**2) < 4 * squared.std() / np.sqrt(20_000)
    point = jnp.zeros((1, D)).at[0, 0].set(jnp.sqrt(2 * D) * 0.7)
    for kernel, value in (("rbf", np.exp(-1)), ("imq", 0.5)):
        np.testing.assert_allclose(
            kernel_matrix(jnp.zeros((1, D)), point, kernel=kernel, bandwidth=0.7),
            [[value]],
            rtol=1e-5,
        )


@pytest.mark.parametrize(
    ("objective", "kernel", "scales"), [(info, "rbf", (1.0,)), (wae, "imq", SCALES)]
)
def test_info_and_wae_by_hand(objective, kernel, scales):
    options = {"info_alpha": 0.25} if objective is info else {}
    loss, metrics = jit(lambda terms: objective(terms, key=KEY, mmd_weight=8.0, **options))(made())
    prior = np.float64(jax.random.normal(KEY, (K, B, D)))
    mmd = np.mean([mmd_by_hand(Z[k], prior[k], kernel, 1.0, scales) for k in range(K)])
    np.testing.assert_allclose(metrics["mmd"], mmd, rtol=1e-4)
    np.testing.assert_allclose(
        loss, DISTORTION + (0.75 * RATE if objective is info else 0) + 8 * mmd, rtol=1e-5
    )
    assert metrics.keys() == {"loss", "elbo", "distortion", "rate", "mmd"}
    np.testing.assert_allclose(metrics["elbo"], -(DISTORTION + RATE), rtol=1e-6)
    assert objective(made(), key=jax.random.key(4))[1]["mmd"] != metrics["mmd"]


def test_the_neutral_settings():
    np.testing.assert_allclose(
        info(made(), key=KEY, info_alpha=0.0, mmd_weight=0.0)[0], elbo(made())[0], rtol=1e-6
    )
    np.testing.assert_allclose(
        wae(made(), key=KEY, mmd_weight=0.0)[0], reconstruction(made())[0], rtol=1e-6
    )


def test_a_prior_given_a_condition_is_drawn_from_once_for_each_example():
    centers = jnp.float32(100.0 * np.arange(B)[:, None] + np.zeros(D))
    prior = DiagGaussian(centers, jnp.full((B, D), -14.0))
    terms = made(prior=prior).replace(z=jnp.broadcast_to(centers, (K, B, D)))
    # Each z equals the draw of its example, far from all others: only those K B pairs count.
    _, metrics = info(terms, key=KEY)
    np.testing.assert_allclose(metrics["mmd"], -2 / B, rtol=1e-4)


def test_traced_hyper_parameters():
    values = jnp.array([[0.0, 1.0, 0.5], [0.7, 20.0, 2.0]])

    def loss(v):
        return info(made(), key=KEY, info_alpha=v[0], mmd_weight=v[1], bandwidth=v[2])[0]

    expected = [
        info(made(), key=KEY, info_alpha=a, mmd_weight=w, bandwidth=s)[0]
        for a, w, s in values.tolist()
    ]
    np.testing.assert_allclose(jit(jax.vmap(loss))(values), expected, rtol=1e-5)


def test_wae_trains_a_deterministic_posterior_and_is_given_a_key_of_its_own():
    model = VAE(MLP(()), MLP(()), DeterministicHead(D), StandardNormal(D), Gaussian((4,)))
    x = jnp.float32(RNG.normal(size=(B, 4)))
    params = jit(model.init)(jax.random.key(0), x, KEY)
    loss_fn = make_loss_fn(model, wae, needs_key=True, mmd_weight=5.0)
    (loss, metrics), gradient = jit(jax.value_and_grad(loss_fn, has_aux=True))(
        params, {"x": x}, KEY, 0
    )
    terms = model.apply(params, x, KEY)
    expected, own = wae(terms, key=objective_key(KEY), mmd_weight=5.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["mmd"], own["mmd"], rtol=1e-4)
    assert np.isneginf(metrics["elbo"])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    plain = jit(jax.grad(make_loss_fn(model, reconstruction), has_aux=True))(
        params, {"x": x}, KEY, 0
    )[0]
    difference = jax.tree.map(
        lambda a, b: np.abs(a - b).max(),
        gradient["params"]["posterior"],
        plain["params"]["posterior"],
    )
    assert min(jax.tree.leaves(difference)) > 1e-3
    words = {
        tuple(jax.random.key_data(key).tolist())
        for key in (*jax.random.split(KEY), objective_key(KEY), KEY)
    }
    assert len(words) == 4


def test_what_is_refused():
    with pytest.raises(ValueError, match="info needs log q"):
        info(made(Deterministic(jnp.zeros((B, D)))), key=KEY)
    for objective in (info, wae):
        with pytest.raises(
            ValueError, match=rf"{objective.__name__} needs a posterior over \[B, D\]"
        ):
            objective(made(layers=(1, 2)), key=KEY)
        with pytest.raises(
            ValueError, match="kernel = 'rfb': unknown; allowed are rbf, imq; did you mean 'rbf'"
        ):
            objective(made(), key=KEY, kernel="rfb")
    with pytest.raises(ValueError, match="must be at least 2 of each"):
        squared_mmd(jnp.zeros((1, D)), jnp.zeros((1, D)))
