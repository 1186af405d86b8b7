"""Objectives against plain numpy, and the bound of a linear-Gaussian VAE against log p(x)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vae_jax import corruptions, schedules
from vae_jax.distributions import Bernoulli, DiagGaussian
from vae_jax.errors import InputError
from vae_jax.likelihoods import Gaussian
from vae_jax.models import VAE
from vae_jax.nets import MLP
from vae_jax.objectives import elbo, make_loss_fn, reconstruction
from vae_jax.posteriors import DeterministicHead, DiagGaussianHead, softplus_logvar
from vae_jax.priors import StandardNormal
from vae_jax.types import Outputs

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
K, B, D = 3, 4, 2
RNG = np.random.default_rng(0)
LOG_PX_Z, LOG_PZ, LOG_QZ_X = RNG.normal(
    [[[-90.0]], [[-3.0]], [[2.0]]], [[[9.0]], [[1.0]], [[1.0]]], (3, K, B)
)
# Dimension 0 is busy for some examples and idle for others; dimension 1 is idle for all.
MEAN = np.array([[2.0, 0.1], [0.0, 0.2], [-1.5, 0.0], [0.1, -0.1]])
LOGVAR = np.array([[-2.0, 0.0], [0.0, 0.1], [-1.0, 0.0], [0.1, -0.1]])
KL_TERMS = 0.5 * (MEAN**2 + np.exp(LOGVAR) - LOGVAR - 1)
KL = KL_TERMS.sum(1)
DISTORTION = -LOG_PX_Z.mean()
ELBO = (LOG_PX_Z.mean(0) - KL).mean()


def outputs(kl=KL, posterior=None):
    zeros = jnp.zeros(D)
    return Outputs(
        log_px_z=jnp.float32(LOG_PX_Z),
        log_pz=jnp.float32(LOG_PZ),
        log_qz_x=jnp.float32(LOG_QZ_X),
        kl=None if kl is None else jnp.float32(kl),
        z=jnp.zeros((K, B, D)),
        posterior=DiagGaussian(jnp.float32(MEAN), jnp.float32(LOGVAR))
        if posterior is None
        else posterior,
        prior=DiagGaussian(zeros, zeros),
    )


def close(actual, expected):
    return np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({}, -ELBO),
        ({"beta": 1.0}, -ELBO),
        ({"beta": 4.0}, DISTORTION + 4 * KL.mean()),
        ({"beta": 0.25}, DISTORTION + 0.25 * KL.mean()),
        ({"beta": 0.0}, DISTORTION),
        ({"capacity": 0.0}, -ELBO),
        ({"capacity": 0.5, "beta": 10.0}, DISTORTION + 10 * (KL.mean() - 0.5)),  # rate above C
        ({"capacity": 25.0, "beta": 10.0}, DISTORTION + 10 * (25.0 - KL.mean())),  # rate below C
        ({"free_bits": 0.0}, -ELBO),
        ({"free_bits": 0.3}, DISTORTION + KL_TERMS[:, 0].mean() + 0.3),
        ({"free_bits": 5.0}, DISTORTION + 10.0),
        ({"free_bits": 0.3, "beta": 2.0}, DISTORTION + 2 * (KL_TERMS[:, 0].mean() + 0.3)),
        (
            {"free_bits": 0.3, "capacity": 4.0, "beta": 3.0},
            DISTORTION + 3 * abs(KL_TERMS[:, 0].mean() + 0.3 - 4),
        ),
    ],
    ids=str,
)
def test_elbo_by_hand(options, loss):
    actual, metrics = jit(lambda outputs: elbo(outputs, **options))(outputs())
    close(actual, loss)
    expected = {
        "loss": loss,
        "elbo": ELBO,
        "distortion": DISTORTION,
        "rate": KL.mean(),
        "beta": options.get("beta", 1.0),
    }
    expected |= {"capacity": options["capacity"]} if "capacity" in options else {}
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        close(metrics[name], value)


def test_capacity_on_the_batch_mean_is_told_from_capacity_per_example():
    assert KL.min() < 0.5 < KL.mean()
    assert abs(np.abs(KL - 0.5).mean() - abs(KL.mean() - 0.5)) > 0.05


def test_free_bits_on_the_batch_mean_are_told_from_free_bits_per_example():
    on_the_mean = np.maximum(KL_TERMS.mean(0), 0.3).sum()
    per_example = np.maximum(KL_TERMS, 0.3).sum(1).mean()
    on_the_sum = max(KL.mean(), 2 * 0.3)
    assert min(abs(on_the_mean - per_example), abs(on_the_mean - on_the_sum)) > 0.1
    loss, _ = elbo(outputs(), free_bits=0.3)
    close(loss, DISTORTION + on_the_mean)


def test_free_bits_pass_no_gradient_below_the_allowance():
    def loss(mean):
        return elbo(outputs(posterior=DiagGaussian(mean, jnp.float32(LOGVAR))), free_bits=0.3)[0]

    gradient = jax.grad(loss)(jnp.float32(MEAN))
    close(gradient[:, 0], MEAN[:, 0] / B)  # of the idle examples too: the allowance is the batch's
    np.testing.assert_array_equal(gradient[:, 1], 0)


def test_free_bits_without_a_closed_form_are_refused():
    bits = outputs(kl=None, posterior=Bernoulli(jnp.zeros((B, D))))
    with pytest.raises(
        ValueError, match=r"free bits need the KL of each dimension.*Bernoulli and DiagGaussian"
    ):
        elbo(bits, free_bits=0.1)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_without_a_closed_form_the_rate_is_monte_carlo(beta):
    rate = (LOG_QZ_X - LOG_PZ).mean()
    assert abs(rate - KL.mean()) > 1
    loss, metrics = elbo(outputs(kl=None), beta=beta)
    close(loss, DISTORTION + beta * rate)
    close(metrics["rate"], rate)
    close(metrics["elbo"], (LOG_PX_Z + LOG_PZ - LOG_QZ_X).mean())


def test_reconstruction_is_the_distortion():
    loss, metrics = reconstruction(outputs())
    close(loss, DISTORTION)
    for name, value in {
        "loss": DISTORTION,
        "elbo": ELBO,
        "distortion": DISTORTION,
        "rate": KL.mean(),
    }.items():
        close(metrics[name], value)


def test_the_gradient_of_each_term_is_its_weight():
    def loss(outputs):
        return elbo(outputs, beta=3.0)[0]

    gradient = jax.grad(loss)(outputs())
    close(gradient.log_px_z, np.full((K, B), -1 / (K * B)))
    close(gradient.kl, np.full(B, 3 / B))
    for unused in (gradient.log_pz, gradient.log_qz_x):
        np.testing.assert_array_equal(unused, 0)


# A linear-Gaussian model: x = w z + b + sigma eps, with everything known in closed form


SIGMA = 0.7
W, BIAS = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.0, -1.0])
EVIDENCE = stats.multivariate_normal(BIAS, np.outer(W, W) + SIGMA**2 * np.eye(3))
VARIANCE = 1 / (1 + W @ W / SIGMA**2)  # of the exact posterior
X = np.float32(EVIDENCE.rvs(5, random_state=1))
LOG_PX = EVIDENCE.logpdf(np.float64(X))


def linear_vae(likelihood=None):
    return VAE(
        encoder=MLP(()),
        decoder=MLP(()),
        posterior=DiagGaussianHead(1, softplus_logvar),
        prior=StandardNormal(1),
        likelihood=Gaussian((3,), SIGMA) if likelihood is None else likelihood,
    )


def linear_params(shift=0.0, scale=1.0):
    """The exact posterior, its mean moved by `shift`, its standard deviation times `scale`."""
    gain = VARIANCE / SIGMA**2 * W
    raw = np.log(np.expm1(scale * np.sqrt(VARIANCE) - 1e-3))  # the inverse of softplus_logvar
    mean = {"kernel": gain[:, None], "bias": np.array([shift - gain @ BIAS])}
    logvar = {"kernel": np.zeros((3, 1)), "bias": np.array([raw])}
    out = {"kernel": W[None], "bias": BIAS}
    params = {
        "posterior": {"mean": mean, "logvar": logvar},
        "likelihood": {"EventLayer_0": {"out": out}},
    }
    return jax.tree.map(jnp.float32, {"params": params})


apply = jit(linear_vae().apply, static_argnames="num_samples")


def test_the_parameters_set_by_hand_are_those_of_the_model():
    params = jit(linear_vae().init)(jax.random.key(0), X, jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, linear_params())


def test_with_the_exact_posterior_every_sample_gives_the_evidence():
    terms = apply(linear_params(), X, jax.random.key(0), num_samples=20)
    evidence = np.float64(terms.log_px_z) + terms.log_pz - terms.log_qz_x
    np.testing.assert_allclose(evidence, np.broadcast_to(LOG_PX, (20, 5)), rtol=1e-4)


@pytest.mark.parametrize("rate", ["closed form", "Monte Carlo"])
@pytest.mark.parametrize(
    ("shift", "scale"), [(0.0, 1.0), (0.2, 1.0), (-0.5, 2.0), (0.0, 0.4), (0.0, 3.0)]
)
def test_the_bound_is_below_the_evidence_by_the_gap(shift, scale, rate):
    num_samples = 4000
    terms = apply(linear_params(shift, scale), X, jax.random.key(1), num_samples=num_samples)
    per_sample = np.float64(terms.log_px_z) - np.float64(terms.kl)
    if rate == "Monte Carlo":
        terms = terms.replace(kl=None)
        per_sample = np.float64(terms.log_px_z) + terms.log_pz - terms.log_qz_x
    _, metrics = elbo(terms)
    stderr = per_sample.mean(1).std(ddof=1) / np.sqrt(num_samples)
    # KL(q || exact posterior), the same for every x
    gap = 0.5 * (scale**2 + shift**2 / VARIANCE - 1 - np.log(scale**2))
    assert metrics["elbo"] <= LOG_PX.mean() + 4 * stderr + 1e-4
    assert abs(metrics["elbo"] - (LOG_PX.mean() - gap)) <= 4 * stderr + 1e-4
    assert 4 * stderr < 0.2  # or nothing would be shown
    if (shift, scale) != (0.0, 1.0):
        assert gap > 4 * stderr


def test_the_exact_posterior_is_where_the_gradient_of_the_bound_vanishes():
    loss_fn = make_loss_fn(linear_vae(), elbo, num_samples=4000)
    gradient = jit(jax.grad(lambda params: loss_fn(params, {"x": X}, jax.random.key(0), 0)[0]))
    at, off = (gradient(linear_params(shift))["params"]["posterior"] for shift in (0.0, 0.2))
    # In `shift` the gap grows by shift / VARIANCE; the noise of 20,000 draws is a few hundredths.
    assert abs(at["mean"]["bias"][0]) < 0.1
    assert off["mean"]["bias"][0] == pytest.approx(0.2 / VARIANCE, abs=0.1)


# make_loss_fn


def seen(outputs, **hyper_parameters):
    """An objective that hands back all that it was given."""
    return outputs.log_px_z.sum(), {"outputs": outputs, **hyper_parameters}


@functools.cache
def compiled(**options):
    return jit(make_loss_fn(linear_vae(), seen, **options))


def run(key=0, step=0, **options):
    return compiled(**options)(
        linear_params(0.2, 2.0), {"x": X}, jax.random.key(key), jnp.array(step)
    )[1]


def test_hyper_parameters_may_be_numbers_and_schedules():
    options = {
        "beta": schedules.linear(0.0, 4.0, 10),
        "capacity": schedules.cyclical(0.0, 25.0, 100, num_cycles=1),
    }
    loss_fn = jit(make_loss_fn(linear_vae(), elbo, **options))
    for step, beta, capacity in ((0, 0.0, 0.0), (5, 2.0, 2.5), (10, 4.0, 5.0), (1000, 4.0, 25.0)):
        loss, metrics = loss_fn(linear_params(), {"x": X}, jax.random.key(0), jnp.array(step))
        close(metrics["beta"], beta)
        close(metrics["capacity"], capacity)
        close(loss, metrics["distortion"] + beta * abs(metrics["rate"] - capacity))
        close(metrics["elbo"], -(metrics["distortion"] + metrics["rate"]))
    numbers = run(step=7, beta=0.5, gamma=schedules.linear(1.0, 0.0, 10))
    close([numbers["beta"], numbers["gamma"]], [0.5, 0.3])


def test_num_samples_and_the_shapes_of_outputs():
    for num_samples in (1, 3):
        terms = run(num_samples=num_samples)["outputs"]
        assert (
            terms.log_px_z.shape == terms.log_pz.shape == terms.log_qz_x.shape == (num_samples, 5)
        )
        assert terms.z.shape == (num_samples, 5, 1)
        assert terms.kl.shape == (5,)
    assert len(np.unique(terms.z)) == 15
    exact = stats.norm.logpdf(np.float64(X), np.float64(terms.z) * W + BIAS, SIGMA).sum(-1)
    np.testing.assert_allclose(terms.log_px_z, exact, rtol=1e-5)


def test_the_encoder_sees_the_corrupted_and_the_likelihood_scores_the_clean():
    corruption = corruptions.gaussian_noise(5.0)
    clean, corrupted = run()["outputs"], run(corruption=corruption)["outputs"]
    assert np.all(np.abs(corrupted.posterior.mean - clean.posterior.mean) > 1e-3)
    exact = stats.norm.logpdf(np.float64(X), np.float64(corrupted.z) * W + BIAS, SIGMA).sum(-1)
    np.testing.assert_allclose(corrupted.log_px_z, exact, rtol=1e-4)
    zeros = run(corruption=lambda key, x: jnp.zeros_like(x))["outputs"].posterior.mean
    np.testing.assert_allclose(
        zeros, np.broadcast_to(0.2 - VARIANCE / SIGMA**2 * W @ BIAS, (5, 1)), rtol=1e-5
    )


def test_the_corruption_and_the_code_have_keys_of_their_own():
    class Keys:
        conditioning = None

        @staticmethod
        def apply(params, x, key, *, num_samples, inputs):
            return key, inputs

    def keys(corruption):
        loss_fn = make_loss_fn(Keys, lambda keys: (0.0, keys), corruption=corruption)
        return loss_fn({}, {"x": X}, jax.random.key(3), 0)[1]

    key_z, key_corruption = keys(lambda key, x: key)
    words = [
        tuple(jax.random.key_data(key).tolist())
        for key in (key_z, key_corruption, jax.random.key(3))
    ]
    assert len(set(words)) == 3
    without, inputs = keys(None)
    assert inputs is None
    assert without == key_z  # what the encoder sees does not change the draw


def test_the_key_decides():
    a, b, c = run(0)["outputs"], run(0)["outputs"], run(1)["outputs"]
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert np.all(np.abs(a.z - c.z) > 1e-6)


def test_a_deterministic_posterior_is_an_autoencoder():
    model = linear_vae().clone(posterior=DeterministicHead(1))
    params = linear_params()
    del params["params"]["posterior"]["logvar"]
    loss_fn = make_loss_fn(model, reconstruction)
    (loss, metrics), gradient = jit(jax.value_and_grad(loss_fn, has_aux=True))(
        params, {"x": X}, jax.random.key(0), 0
    )
    z = (X - BIAS) @ W * VARIANCE / SIGMA**2
    close(loss, -stats.norm.logpdf(np.float64(X), z[:, None] * W + BIAS, SIGMA).sum(1).mean())
    assert np.isposinf(metrics["rate"])
    assert np.isneginf(metrics["elbo"])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize("event_shape", [(4,), (1,), (3, 1)])
def test_data_of_another_shape_than_the_likelihoods_are_refused(event_shape):
    model = linear_vae(Gaussian(event_shape, SIGMA))
    with pytest.raises(InputError, match=r"x has shape \(5, 3\): must be \[B, "):
        jax.eval_shape(model.init, jax.random.key(0), X, jax.random.key(0))
