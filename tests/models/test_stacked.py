"""Stacked layers: against numpy, closed forms and quadrature, with any prior of the top layer."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import special, stats

from vae_jax import elbo, nets, objectives, priors
from vae_jax.distributions import (
    LOGVAR_RANGE,
    ContinuousBernoulli,
    DiagGaussian,
    MixtureOfGaussians,
    SideBySide,
    inverse_soft_clip,
)
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.likelihoods import Bernoulli, Gaussian
from vae_jax.models import Stacked
from vae_jax.objectives.balance import layer_free_bits_rate
from vae_jax.objectives.terms import bound_metrics, layer_rates

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
K, B, E = 3, 2, 4
KEY = jax.random.key(0)
close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5)


def gated(prior, layers=(2, 3), **fields):
    return Stacked(layers, prior, Bernoulli((E,)), hidden=(6, 5), gated=True, **fields)


VAMP = gated(priors.VampPrior((E,), 3))


def binary(num=B, seed=0):
    return np.float32(np.random.default_rng(seed).random((num, E)) < 0.5)


@functools.cache
def random_params(model, **options):
    """Parameters of the model's shapes from numpy: none is zero."""
    rng, y = np.random.default_rng(2), {k: jnp.zeros(B, int) for k in options}
    shapes = jax.eval_shape(lambda: model.init(KEY, binary(), KEY, **y))
    return jax.tree.map(
        lambda leaf: np.float32(rng.normal(size=leaf.shape) / np.sqrt(leaf.shape[0])), shapes
    )


@functools.cache
def compiled(model, method=None, **options):
    return jit(functools.partial(model.apply, method=method, **options))


# By hand


class ByHand:
    """The networks of two gated layers in numpy, with a VampPrior of the top."""

    def __init__(self, params):
        self.params = params["params"]
        self.down = self.params["top_down"]

    @staticmethod
    def gate(at, h):
        """(A h + a) sigmoid(B h + b) for the only layer of a network."""
        layer = at["Dense_0"]
        a, b = np.split(np.float64(h) @ layer["kernel"] + layer["bias"], 2, -1)
        return a * special.expit(b)

    @staticmethod
    def gaussian(head, h):
        """Mean and standard deviation."""
        mean, raw = (h @ head[name]["kernel"] + head[name]["bias"] for name in ("mean", "logvar"))
        low, high = LOGVAR_RANGE
        inner = low + np.logaddexp(0, raw - low)
        share = np.logaddexp(0, high - inner) / np.logaddexp(0, high - low)
        return mean, np.exp((high - (high - low) * share) / 2)

    def joint(self, name, *features):
        return self.gate(self.down[name]["joint"], np.concatenate(features, -1))

    def q_top(self, x):
        h = self.gate(self.params["bottom_up"]["of_x_0"], x)
        return self.gaussian(self.down["posterior_heads_0"], self.joint("posterior_networks_0", h))

    def q_below(self, x, z):
        h = self.gate(self.params["bottom_up"]["of_x_1"], x)
        of_z = self.gate(self.down["posterior_networks_1"]["of_z_0"], z)
        return self.gaussian(
            self.down["posterior_heads_1"], self.joint("posterior_networks_1", h, of_z)
        )

    def p_below(self, z):
        of_z = self.gate(self.down["prior_networks_0"]["of_z_0"], z)
        return self.gaussian(self.down["prior_heads_0"], self.joint("prior_networks_0", of_z))

    def log_p_top(self, z):
        means, stds = self.q_top(special.expit(np.float64(self.params["prior"]["raw_inputs"])))
        terms = stats.norm.logpdf(z[..., None, :], means, stds).sum(-1)
        return special.logsumexp(terms, -1) - np.log(len(means))

    def log_px(self, x, top, below):
        h = [self.gate(self.down["decoder"][f"of_z_{i}"], z) for i, z in enumerate((top, below))]
        out = self.params["likelihood"]["EventLayer_0"]["out"]
        logits = self.joint("decoder", *h) @ out["kernel"] + out["bias"]
        return (x * logits - np.logaddexp(0, logits)).sum(-1)

    def terms(self, x, top, below):
        """log p(x | z), log p(z) and log q(z | x) by layer for z of both layers."""
        log_p = [self.log_p_top(top), stats.norm.logpdf(below, *self.p_below(top)).sum(-1)]
        q = (top, self.q_top(x)), (below, self.q_below(x, top))
        log_q = [stats.norm.logpdf(z, *moments).sum(-1) for z, moments in q]
        return self.log_px(x, top, below), log_p, log_q


@pytest.mark.parametrize("num_components", [1, 3])
def test_the_terms_by_hand(num_components):
    model = gated(priors.VampPrior((E,), num_components))
    x, params = binary(), random_params(model)
    outputs = compiled(model, num_samples=K)(params, x, KEY)
    by_hand, rows = ByHand(params), np.tile(x, (K, 1))
    top, below = np.split(np.float64(outputs.z).reshape(K * B, -1), [2], axis=-1)
    log_px, log_p, log_q = by_hand.terms(rows, top, below)
    for actual, expected in (
        (outputs.log_px_z, log_px),
        (outputs.log_pz, sum(log_p)),
        (outputs.log_qz_x, sum(log_q)),
    ):
        close(actual, expected.reshape(K, B))
    assert outputs.kl is None
    rates = [(q - p).reshape(K, B).mean(0) for q, p in zip(log_q, log_p, strict=True)]
    close(layer_rates(outputs), rates)
    loss, metrics = elbo(outputs)
    close(metrics["elbo"], (log_px + sum(log_p) - sum(log_q)).mean())
    close([loss, metrics["rate"]], [-metrics["elbo"], np.sum(rates, 0).mean()])
    close(layer_free_bits_rate(outputs, 1.0), np.maximum(np.mean(rates, 1), 1.0).sum())

    code = compiled(model, "encode")(params, x)  # along the posterior means
    mean, std = by_hand.q_top(x)
    expected = zip((mean, std), by_hand.q_below(x, mean), strict=True)
    for actual, (of_top, of_below) in zip((code.mean, code.stddev), expected, strict=True):
        close(actual, np.concatenate([of_top, of_below], -1))


def test_draws_have_the_moments_of_each_layer():
    params, num, by_hand = random_params(VAMP), 20_000, ByHand(random_params(VAMP))
    z = np.float64(compiled(VAMP, "sample_prior", num_samples=num)(params, KEY))
    top, below = np.split(z, [2], axis=-1)
    means, stds = by_hand.q_top(special.expit(np.float64(params["params"]["prior"]["raw_inputs"])))
    mean = means.mean(0)
    std = np.sqrt((stds**2 + means**2).mean(0) - mean**2)
    assert np.all(np.abs(top.mean(0) - mean) < 4.5 * std / np.sqrt(num))
    np.testing.assert_allclose(top.std(0), std, rtol=0.05)
    mean, std = by_hand.p_below(top)
    eps = (below - mean) / std
    np.testing.assert_allclose(np.cov(eps.T), np.eye(3), atol=0.05)
    assert np.all(np.abs(eps.mean(0)) < 4.5 / np.sqrt(num))


# Closed forms


def linear(prior, seed=0):
    """A linear-Gaussian model of two layers with its exact posterior, and log p(x)."""
    rng, sigma, std = np.random.default_rng(seed), 0.7, 0.6
    a, a0 = 0.8, -0.3  # z_2 = a z_1 + a0 + std eps
    w, b = rng.normal(size=(2, E)), rng.normal(size=E)
    cov = np.array([[1, a], [a, a**2 + std**2]])  # of z
    mean_x, cov_x = np.array([0, a0]) @ w + b, w.T @ cov @ w + sigma**2 * np.eye(E)

    def head(kernel, mean_in, mean_out, variance):
        """mean_out + (input - mean_in) kernel, with a variance."""
        raw = float(inverse_soft_clip(np.log(variance), *LOGVAR_RANGE))
        return {
            "mean": {"kernel": kernel[:, None], "bias": [mean_out - mean_in @ kernel]},
            "logvar": {"kernel": 0 * kernel[:, None], "bias": [raw]},
        }

    def regress(cov_in, cov_in_out, variance):
        """Coefficients and residual variance of a Gaussian given its inputs."""
        kernel = np.linalg.solve(cov_in, cov_in_out)
        return kernel, variance - cov_in_out @ kernel

    with_x = cov @ w  # covariance of z and x
    k_top, v_top = regress(cov_x, with_x[0], 1.0)
    cov_in = np.block([[cov_x, with_x[:1].T], [with_x[:1], np.eye(1)]])
    k_below, v_below = regress(cov_in, np.append(with_x[1], a), cov[1, 1])
    top_down = {
        "posterior_heads_0": head(k_top, mean_x, 0.0, v_top),
        "posterior_heads_1": head(k_below, np.append(mean_x, 0.0), a0, v_below),
        "prior_heads_0": head(np.array([a]), np.zeros(1), a0, std**2),
    }
    params = {
        "top_down": top_down,
        "likelihood": {"EventLayer_0": {"out": {"kernel": w, "bias": b}}},
    }
    if isinstance(prior, priors.Mixture):
        params["prior"] = {"means": np.zeros((1, 1)), "logvars": np.zeros((1, 1)), "logits": [0.0]}
    model = Stacked((1, 1), prior, Gaussian((E,), sigma), hidden=())
    params = jax.tree.map(
        jnp.float32, {"params": params}, is_leaf=lambda leaf: isinstance(leaf, list)
    )
    x = np.float32(rng.multivariate_normal(mean_x, cov_x, size=B))
    return model, params, x, stats.multivariate_normal(mean_x, cov_x).logpdf(np.float64(x))


@pytest.mark.parametrize("prior", [priors.StandardNormal(1), priors.Mixture(1, 1)])
def test_with_the_exact_posterior_every_weight_is_the_likelihood(prior):
    model, params, x, log_px = linear(prior)
    outputs = compiled(model, num_samples=K)(params, x, KEY)
    log_w = outputs.log_px_z + outputs.log_pz - outputs.log_qz_x
    np.testing.assert_allclose(log_w, np.tile(log_px, (K, 1)), atol=2e-3)
    np.testing.assert_allclose(objectives.iwae(outputs)[1]["bound"], log_px.mean(), atol=2e-3)
    assert isinstance(outputs.prior, DiagGaussian) == (outputs.kl is not None)


def test_the_closed_form_rate_against_draws():
    model, params, x, log_px = linear(priors.StandardNormal(1))
    params["params"]["top_down"]["posterior_heads_1"]["mean"]["bias"] += 0.5  # a gap
    num = 4_000
    outputs = compiled(model, num_samples=num)(params, x, KEY)
    by_draws = np.asarray(outputs.log_qz_x - outputs.log_pz)
    assert np.all(
        np.abs(by_draws.mean(0) - outputs.kl) < 4 * by_draws.std(0, ddof=1) / np.sqrt(num)
    )
    close(layer_rates(outputs).sum(0), outputs.kl)
    assert bound_metrics(0.0, outputs)["elbo"] < log_px.mean() - 0.05
    log_w = np.float64(outputs.log_px_z + outputs.log_pz - outputs.log_qz_x)
    estimate = special.logsumexp(log_w, 0) - np.log(num)
    np.testing.assert_allclose(estimate, log_px, atol=0.1)


def test_the_joint_with_a_vamp_prior_is_a_density():
    model = gated(priors.VampPrior((E,), 3), layers=(1, 1))
    params = jax.tree.map(np.copy, random_params(model))
    heads = params["params"]["top_down"]
    heads["posterior_heads_0"]["logvar"]["kernel"] *= 0  # importance weights with light tails
    heads["posterior_heads_1"]["logvar"]["bias"] += 1.5
    axis = np.linspace(-12, 12, 101)
    grid = np.float32(list(itertools.product(axis, axis)))
    x = np.float32(list(itertools.product((0, 1), repeat=E)))
    z = jnp.broadcast_to(grid[:, None], (len(grid), len(x), 2))
    terms = compiled(model, "log_joint")(params, x, z)
    log_px = jax.nn.logsumexp(sum(terms), 0) + 2 * np.log(axis[1] - axis[0])
    np.testing.assert_allclose(np.exp(log_px).sum(), 1, rtol=1e-3)
    outputs = compiled(model, num_samples=2_000)(params, x, KEY)
    log_w = np.float64(outputs.log_px_z + outputs.log_pz - outputs.log_qz_x)
    w = np.exp(log_w - log_px)
    error = w.std(0, ddof=1) / np.sqrt(len(w))
    assert np.all(error < 0.1)
    assert np.all(np.abs(w.mean(0) - 1) < 4 * error)


# Parts


class PlainPrior(nn.Module):
    """A prior without a temperature."""

    def __call__(self):
        return ContinuousBernoulli(jnp.zeros(2))


def test_a_temperature_narrows_each_layer_or_is_refused():
    params = random_params(VAMP)
    draw = jit(lambda t: VAMP.apply(params, KEY, 5, temperature=t, method="sample_prior"))
    plain = compiled(VAMP, "sample_prior", num_samples=5)(params, KEY)
    close(draw(jnp.ones(2)), plain)
    by_hand, cold = ByHand(params), np.float64(draw(jnp.array([1.0, 1e-4])))
    np.testing.assert_array_equal(cold[:, :2], np.float64(draw(jnp.ones(2)))[:, :2])
    np.testing.assert_allclose(cold[:, 2:], by_hand.p_below(cold[:, :2])[0], atol=2e-3)
    plain = gated(PlainPrior())
    assert VAMP.supports("temperature")
    assert not VAMP.supports("flat_posterior")
    assert not plain.supports("temperature")
    with pytest.raises(UnsupportedError, match="ContinuousBernoulli has no temperature"):
        plain.apply(random_params(plain), KEY, 5, temperature=0.5, method="sample_prior")


@pytest.mark.parametrize(
    ("prior", "condition_prior"),
    [
        (priors.VampPrior((E,), 3, num_condition=3), False),
        (priors.Mixture(2, 2), True),
        (priors.LearnedDiagonal(2), True),
    ],
)
def test_a_condition_reaches_every_network(prior, condition_prior):
    model = gated(prior, conditioning=nets.OneHot(3), condition_prior=condition_prior)
    params, x, one = random_params(model, y=True), binary(), np.array([0, 0])
    two = np.array([1, 0])
    a, b = (compiled(model, num_samples=K)(params, x, KEY, y=y) for y in (one, two))
    for name in ("log_px_z", "log_pz", "log_qz_x", "z"):
        other, same = np.moveaxis(np.abs(getattr(a, name) - getattr(b, name)), 1, 0)
        assert np.all(other.reshape(K, -1).max(-1) > 1e-4), name
        assert np.all(same < 1e-5), name
    log_pz, log_px_z = compiled(model, "log_joint")(params, x, a.z, y=one)
    close(log_pz, a.log_pz)
    close(log_px_z, a.log_px_z)
    prior_of = [
        compiled(model, "sample_prior", num_samples=2)(params, KEY, y=y) for y in (one, two)
    ]
    top = np.abs(prior_of[0] - prior_of[1])[:, :2].max(-1) > 1e-5
    np.testing.assert_array_equal(top, [condition_prior, False])


def test_pseudo_inputs_have_the_mask_of_observed_values():
    model = gated(priors.VampPrior((E,), 3), mask_input=True)
    params, x = random_params(model), binary()
    everything = np.ones(x.shape, bool)
    a = compiled(model, num_samples=K)(params, x, KEY)
    b = compiled(model, num_samples=K)(params, x, KEY, observed=everything)
    close(a.log_pz, b.log_pz)
    shapes = jax.tree.map(jnp.shape, params["params"]["bottom_up"]["of_x_0"]["Dense_0"])
    assert shapes["kernel"] == (2 * E, 12)


def test_networks_of_p_reverse_the_widths():
    down = jax.tree.map(jnp.shape, random_params(VAMP)["params"]["top_down"])

    def widths(name):
        return [down[name][part]["Dense_0"]["kernel"][1] // 2 for part in ("of_z_0", "joint")]

    assert widths("posterior_networks_1") == [6, 5]
    assert widths("prior_networks_0") == widths("decoder") == [5, 6]


def test_sizes_that_do_not_fit():
    with pytest.raises(InputError, match=r"StandardNormal has latents of shape \(3,\): must be"):
        gated(priors.StandardNormal(3)).init(KEY, binary(), KEY)
    with pytest.raises(InputError, match=r"layers = \(\): must have at least one entry"):
        gated(priors.StandardNormal(3), layers=()).init(KEY, binary(), KEY)


def test_blocks_side_by_side():
    rng = np.random.default_rng(0)
    mixture = MixtureOfGaussians(
        *(jnp.float32(rng.normal(size=(3, 2))) for _ in range(2)), jnp.zeros(3)
    )
    below = DiagGaussian(*(jnp.float32(rng.normal(size=(K, B, 1))) for _ in range(2)))
    p, value = SideBySide((mixture, below)), jnp.float32(rng.normal(size=(K, B, 3)))
    assert (p.batch_shape, p.event_shape) == ((K, B), (3,))
    close(p.log_prob(value), mixture.log_prob(value[..., :2]) + below.log_prob(value[..., 2:]))
    np.testing.assert_array_equal(
        p.mean, np.concatenate([np.broadcast_to(mixture.mean, (K, B, 2)), below.mean], -1)
    )
    draws = p.sample(KEY, (3_000,))
    assert draws.shape == (3_000, K, B, 3)
    np.testing.assert_allclose(draws.mean(0), p.mean, atol=0.25)
