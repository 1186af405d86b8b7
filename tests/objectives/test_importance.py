"""Importance-weighted bounds and gradients on a linear-Gaussian VAE with exact log p(x)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vae_jax import schedules
from vae_jax.distributions import DiagGaussian, OneHotCategorical, Quantized
from vae_jax.likelihoods import Gaussian
from vae_jax.models import VAE, Hierarchical, vector_levels
from vae_jax.nets import MLP
from vae_jax.objectives import (
    ciwae,
    dreg,
    elbo,
    iwae,
    make_loss_fn,
    miwae,
    piwae,
    renyi,
    stl,
    two_player_pass,
)
from vae_jax.objectives.importance import power_mean
from vae_jax.posteriors import DeterministicHead, DiagGaussianHead, softplus_logvar
from vae_jax.priors import StandardNormal, VampPrior

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
SIGMA = 0.7
W, BIAS = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.0, -1.0])
EVIDENCE = stats.multivariate_normal(BIAS, np.outer(W, W) + SIGMA**2 * np.eye(3))
VARIANCE = 1 / (1 + W @ W / SIGMA**2)  # of the exact posterior
X = np.float32(EVIDENCE.rvs(3, random_state=1))
SHIFT, SCALE = (
    0.3,
    1.5,
)  # of the posterior that isn't exact: its mean is off, its standard deviation too large
MODEL = VAE(
    MLP(()), MLP(()), DiagGaussianHead(1, softplus_logvar), StandardNormal(1), Gaussian((3,), SIGMA)
)


def parameters(shift=SHIFT, scale=SCALE):
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


apply = jit(MODEL.apply, static_argnames="num_samples")


@functools.cache
def outputs(num_samples=6, key=0):
    return apply(parameters(), X, jax.random.key(key), num_samples=num_samples)


def log_w(terms):
    return np.float64(terms.log_px_z) + np.float64(terms.log_pz) - np.float64(terms.log_qz_x)


def log_mean_exp(values, axis=0):
    return special.logsumexp(values, axis) - np.log(values.shape[axis])


def gradients(loss_fn, params, keys):
    """The loss and its gradient for each of the keys."""
    return jit(
        jax.vmap(
            jax.value_and_grad(lambda params, key: loss_fn(params, {"x": X}, key, 0)[0]), (None, 0)
        )
    )(params, keys)


def posterior_gradients(gradient):
    """That of the posterior's parameters, as a matrix [keys, parameters]."""
    leaves = jax.tree.leaves(gradient["params"]["posterior"])
    return np.concatenate([np.float64(leaf).reshape(len(leaf), -1) for leaf in leaves], 1)


def assert_same_decoder(a, b):
    a, b = (gradient["params"]["likelihood"] for gradient in (a, b))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), a, b)


# Values


@pytest.mark.parametrize(
    "objective",
    [
        iwae,
        stl,
        functools.partial(miwae, groups=1),
        functools.partial(ciwae, elbo_weight=0.3),
        functools.partial(renyi, alpha=0.3),
        lambda terms: dreg(terms, terms),
        lambda terms: piwae(terms, terms, groups=1),
    ],
)
def test_one_sample_gives_the_elbo(objective):
    terms = outputs(1)
    expected, _ = elbo(terms.replace(kl=None))
    loss, metrics = jit(objective)(terms)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["bound"], -expected, rtol=1e-5)
    _, plain = elbo(terms)
    np.testing.assert_allclose(
        metrics["elbo"], plain["elbo"], rtol=1e-6
    )  # with the rate in closed form
    assert metrics.keys() == {"loss", "elbo", "distortion", "rate", "bound"}


def test_values_by_hand():
    weights = log_w(outputs())
    iwae_6, mean = log_mean_exp(weights).mean(), weights.mean()
    iwae_2 = np.mean([log_mean_exp(weights[i : i + 2]) for i in (0, 2, 4)])
    expected = [
        iwae_6,
        iwae_6,
        iwae_6,
        iwae_2,
        iwae_6,
        mean,
        iwae_6,
        0.25 * mean + 0.75 * iwae_6,
        iwae_6,
        mean,
    ]

    @jit
    def bounds(terms):
        pairs = [
            iwae(terms),
            stl(terms),
            dreg(terms, terms),
            miwae(terms, groups=3),
            miwae(terms, groups=1),
            miwae(terms, groups=6),
            piwae(terms, terms, groups=3),
            ciwae(terms, elbo_weight=0.25),
            ciwae(terms, elbo_weight=0.0),
            ciwae(terms, elbo_weight=1.0),
        ]
        return jnp.array([[-loss, metrics["bound"]] for loss, metrics in pairs])

    np.testing.assert_allclose(bounds(outputs()), np.array(expected)[:, None] * [1, 1], rtol=1e-5)
    assert mean < iwae_2 < iwae_6


def test_the_bound_grows_with_the_samples_and_stays_below_the_evidence():
    repeats = 4000
    terms = apply(parameters(), np.repeat(X, repeats, 0), jax.random.key(2), num_samples=64)
    bounds = {}
    for num_samples in (1, 4, 64):
        first = jax.tree.map(
            lambda array, n=num_samples: array[:n], (terms.log_px_z, terms.log_pz, terms.log_qz_x)
        )
        few = terms.replace(**dict(zip(("log_px_z", "log_pz", "log_qz_x"), first, strict=True)))
        bounds[num_samples] = log_mean_exp(log_w(few)).reshape(3, repeats).mean(0)
        np.testing.assert_allclose(
            jit(iwae)(few)[1]["bound"], bounds[num_samples].mean(), rtol=1e-4
        )
    for fewer, more in ((1, 4), (4, 64)):
        difference = bounds[more] - bounds[fewer]
        assert difference.mean() > 4 * difference.std(ddof=1) / np.sqrt(repeats)
    log_px = EVIDENCE.logpdf(np.float64(X)).mean()
    gaps = [log_px - bound.mean() for bound in bounds.values()]
    stderr = bounds[64].std(ddof=1) / np.sqrt(repeats)
    assert gaps[-1] > -4 * stderr - 1e-4
    assert abs(
        gaps[0] - 0.5 * (SCALE**2 + SHIFT**2 / VARIANCE - 1 - np.log(SCALE**2))
    ) < 4 * bounds[1].std() / np.sqrt(repeats)
    assert gaps[-1] < 0.05 * gaps[0]


def test_with_the_exact_posterior_every_bound_is_the_evidence():
    terms = apply(parameters(0.0, 1.0), X, jax.random.key(0), num_samples=6)
    log_px = EVIDENCE.logpdf(np.float64(X)).mean()
    for loss, _ in (
        iwae(terms),
        miwae(terms, groups=2),
        ciwae(terms, elbo_weight=0.5),
        renyi(terms, alpha=-1.0),
    ):
        np.testing.assert_allclose(-loss, log_px, rtol=1e-4)


def test_renyi_by_hand():
    terms = outputs()
    weights = log_w(terms)
    alphas = np.float32([-5, -1, 0, 0.5, 0.99, 0.9999, 1, 1.0001, 1.01, 2, 7])
    losses, metrics = jit(jax.vmap(lambda alpha: renyi(terms, alpha=alpha)))(alphas)
    for i, t in enumerate(1 - np.float64(alphas)):
        bound = weights.mean(0) if t == 0 else log_mean_exp(t * weights) / t
        np.testing.assert_allclose(losses[i], -bound.mean(), rtol=2e-6)
        np.testing.assert_allclose(metrics["bound"][i], bound.mean(), rtol=2e-6)
    assert np.all(np.diff(losses) > 1e-6)  # the bound falls with alpha


def test_renyi_has_its_limits():
    terms = outputs()
    alphas = jnp.array([0.0, 1.0])
    losses = jit(jax.vmap(lambda alpha: renyi(terms, alpha=alpha)[0]))(alphas)
    np.testing.assert_allclose(losses, [iwae(terms)[0], elbo(terms.replace(kl=None))[0]], rtol=1e-6)
    # far apart weights, of which all but one underflow
    far = jnp.float32([[-1000.0], [0.0], [500.0]])
    powers = jnp.float32([-2.0, -1e-3, 0.0, 1e-3, 1.0])
    values = jit(jax.vmap(power_mean, (None, 0)))(far, powers)[:, 0]
    expected = [
        log_mean_exp(t * np.float64(far[:, 0])) / t if t else far.mean()
        for t in (-2, -1e-3, 0, 1e-3, 1)
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    one_of_many = (
        jnp.full((5001, 1), -30.0).at[7].set(0.0)
    )  # where expm1 loses what a sum of exp keeps
    np.testing.assert_allclose(power_mean(one_of_many, 1.0), [-np.log(5001)], rtol=1e-6)
    slope = jit(jax.vmap(jax.grad(lambda w, t: power_mean(w, t)[0]), (None, 0)))
    slopes = slope(far, jnp.float32([-2.0, 0.0, 1e-20, 1.0]))
    third = np.full(3, 1 / 3)
    np.testing.assert_allclose(slopes[..., 0], [[1, 0, 0], third, third, [0, 0, 1]], rtol=1e-5)


# Gradients


def test_the_best_sample_weighs_most():
    terms = outputs()
    weights = special.softmax(log_w(terms), 0)
    assert weights.max() > 2 * weights.min()
    cases = [
        (iwae, weights),
        (functools.partial(renyi, alpha=0.5), special.softmax(0.5 * log_w(terms), 0)),
        (functools.partial(renyi, alpha=3.0), special.softmax(-2 * log_w(terms), 0)),
        (functools.partial(renyi, alpha=1.0), np.full((6, 3), 1 / 6)),
        (
            functools.partial(miwae, groups=3),
            special.softmax(log_w(terms).reshape(3, 2, 3), 1).reshape(6, 3) / 3,
        ),
        (functools.partial(ciwae, elbo_weight=0.25), 0.25 / 6 + 0.75 * weights),
    ]
    for objective, expected in cases:
        gradient = jit(jax.grad(lambda terms, objective=objective: objective(terms)[0]))(terms)
        for name, sign in (("log_px_z", -1), ("log_pz", -1), ("log_qz_x", 1)):
            np.testing.assert_allclose(getattr(gradient, name), sign * expected / 3, rtol=1e-4)


KEYS = jax.random.split(jax.random.key(7), 3000)
make_two_player_loss_fn = functools.partial(make_loss_fn, forward=two_player_pass)


@functools.cache
def many(objective, num_samples, **options):
    make = make_two_player_loss_fn if objective in (dreg, piwae) else make_loss_fn
    return gradients(make(MODEL, objective, num_samples=num_samples, **options), parameters(), KEYS)


@pytest.mark.parametrize("num_samples", [1, 5])
def test_at_the_exact_posterior_stl_has_no_gradient_for_any_draw(num_samples):
    def largest(objective):
        loss_fn = make_loss_fn(MODEL, objective, num_samples=num_samples)
        _, gradient = gradients(loss_fn, parameters(0.0, 1.0), KEYS[:50])
        return np.abs(posterior_gradients(gradient)).max()

    assert largest(stl) < 1e-3
    assert largest(iwae) > 0.1


def assert_same_mean(a, b):
    """The means over keys of two gradients [keys, parameters], drawn with the same keys."""
    difference = a - b
    stderr = difference.std(0, ddof=1) / np.sqrt(len(a))
    assert np.all(np.abs(difference.mean(0)) <= 4 * stderr + 1e-6)
    assert np.all(4 * stderr < 0.5 * np.abs(b.mean(0)).max())  # or nothing would be shown


def test_stl_is_unbiased_with_one_sample():
    (value, sticking), (other, plain) = many(stl, 1), many(iwae, 1)
    np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)
    assert_same_mean(posterior_gradients(sticking), posterior_gradients(plain))
    assert np.abs(posterior_gradients(sticking) - posterior_gradients(plain)).max() > 0.1
    assert_same_decoder(sticking, plain)


def test_dreg_is_unbiased_with_less_variance():
    (value, doubly), (other, plain) = many(dreg, 5), many(iwae, 5)
    np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)
    a, b = posterior_gradients(doubly), posterior_gradients(plain)
    assert_same_mean(a, b)
    assert np.all(a.var(0) < b.var(0))
    assert_same_decoder(doubly, plain)


def test_dreg_by_hand():
    key = jax.random.key(11)
    _, gradient = gradients(
        make_two_player_loss_fn(MODEL, dreg, num_samples=5), parameters(), key[None]
    )
    terms = apply(
        parameters(), X, jax.random.split(key)[0], num_samples=5
    )  # the loss draws z with the first of its keys
    z, mean, variance = (
        np.float64(a)[..., 0]
        for a in (terms.z, terms.posterior.mean, jnp.exp(terms.posterior.logvar))
    )
    v = special.softmax(log_w(terms), 0)
    slope = (
        (X - BIAS - z[..., None] * W) @ W / SIGMA**2 - z + (z - mean) / variance
    )  # d log w / d z, [K, B]
    expected = -(v**2 * slope).sum(0).mean()  # d z / d mean = 1
    np.testing.assert_allclose(
        gradient["params"]["posterior"]["mean"]["bias"][0, 0], expected, rtol=1e-4
    )


def test_piwae_gives_each_player_the_gradient_of_its_own_bound():
    (value, both), (other, generative), (_, inference) = (
        many(piwae, 6, groups=3),
        many(iwae, 6),
        many(miwae, 6, groups=3),
    )
    np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        posterior_gradients(both), posterior_gradients(inference), rtol=1e-3, atol=1e-3
    )
    assert_same_decoder(both, generative)
    assert np.abs(posterior_gradients(both) - posterior_gradients(generative)).max() > 0.1


def test_piwae_of_one_group_is_iwae():
    (value, one), (other, plain) = many(piwae, 6, groups=1), many(iwae, 6)
    np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        posterior_gradients(one), posterior_gradients(plain), rtol=1e-3, atol=1e-3
    )
    assert_same_decoder(one, plain)


# Two players


def test_the_two_passes_are_one_program():
    x = jnp.zeros((16, 3))
    model = MODEL.clone(encoder=MLP((128,)), decoder=MLP((64, 128)))
    params = jax.eval_shape(model.init, jax.random.key(0), x, jax.random.key(0))

    def flops(make, objective):
        loss_fn = make(model, objective, num_samples=8)
        lowered = jit(lambda params, key: loss_fn(params, {"x": x}, key, 0)[0]).lower(
            params, jax.random.key(0)
        )
        return lowered.compile().cost_analysis()["flops"]

    one = flops(make_loss_fn, iwae)
    assert one > 2 * 8 * 16 * 64 * 128  # the product of the decoder's layers is counted
    assert flops(make_two_player_loss_fn, dreg) < 1.05 * one


def test_hyper_parameters_of_two_players_may_be_schedules():
    def objective(inference, generative, *, weight):
        return inference.log_px_z.mean(), {"weight": weight}

    loss_fn = make_two_player_loss_fn(MODEL, objective, weight=schedules.linear(0.0, 4.0, 10))
    assert loss_fn(parameters(), {"x": X}, jax.random.key(0), jnp.array(5))[1]["weight"] == 2


def test_traced_hyper_parameters():
    terms, values = outputs(), jnp.array([0.0, 0.4, 1.0])
    for objective, name in ((ciwae, "elbo_weight"), (renyi, "alpha")):
        losses = jit(jax.vmap(lambda v, f=objective, n=name: f(terms, **{n: v})[0]))(values)
        np.testing.assert_allclose(
            losses, [objective(terms, **{name: float(v)})[0] for v in values], rtol=1e-6
        )


# What is refused


def test_deterministic_posteriors_are_refused():
    model = MODEL.clone(posterior=DeterministicHead(1))
    params = jit(model.init)(jax.random.key(0), X, jax.random.key(0))
    terms = model.apply(params, X, jax.random.key(0))
    pairs = functools.partial(piwae, terms, groups=1), functools.partial(dreg, terms)
    one = (
        f
        for f in (
            iwae,
            stl,
            functools.partial(miwae, groups=1),
            functools.partial(ciwae, elbo_weight=0.5),
        )
    )
    for objective in (*pairs, *one, functools.partial(renyi, alpha=0.5)):
        with pytest.raises(ValueError, match="deterministic posterior has no density"):
            objective(terms)


def test_posteriors_that_depend_on_the_draws_are_refused_where_they_are_held():
    terms = outputs()
    hierarchical = terms.replace(posterior=DiagGaussian(terms.z, terms.z), layers=(1,))
    for objective in (
        stl,
        lambda terms: dreg(terms, terms),
        lambda terms: piwae(terms, terms, groups=1),
    ):
        with pytest.raises(ValueError, match=r"needs a posterior over \[B, D\]"):
            objective(hierarchical)
    iwae(hierarchical)


def test_discrete_posteriors_are_refused():
    codes = jnp.zeros((3, 1))
    quantized = outputs().replace(
        posterior=Quantized(codes, codes, codes, jnp.zeros((3, 1), jnp.int32), num_codes=2)
    )
    categorical = outputs().replace(posterior=OneHotCategorical(codes, num_classes=1))
    with pytest.raises(ValueError, match="codes aren't random; use `vq`"):
        iwae(quantized)
    for objective in (stl, lambda terms: dreg(terms, terms)):
        with pytest.raises(ValueError, match="samples of a categorical posterior are not smooth"):
            objective(categorical)
    iwae(categorical)


def test_models_whose_players_share_parameters_are_refused():
    with pytest.raises(ValueError, match="belongs to both players"):
        make_two_player_loss_fn(MODEL.clone(prior=VampPrior((3,))), dreg)
    hierarchical = Hierarchical(vector_levels((1,), (2,)), MODEL.likelihood)
    with pytest.raises(ValueError, match="Hierarchical has no module `posterior`"):
        make_two_player_loss_fn(hierarchical, dreg)


@pytest.mark.parametrize("groups", [0, 4, 7])
def test_groups_that_do_not_divide_the_samples_are_refused(groups):
    for objective in (miwae, functools.partial(piwae, outputs())):
        with pytest.raises(ValueError, match=f"groups = {groups}: must divide the 6 samples"):
            objective(outputs(), groups=groups)


@pytest.mark.parametrize("num_samples", [1, 20])
def test_iwae_of_the_observed_values_is_the_bound_for_missing_data(num_samples):
    """The MIWAE of Mattei and Frellsen, 2019, arXiv:1812.02633, equation 5, in numpy."""
    observed = np.array([[True, False, True], [True, True, True], [False, False, True]])
    params, key = parameters(), jax.random.key(5)
    batch = {"x": jnp.where(observed, X, 77.0), "observed": jnp.asarray(observed)}
    loss, _ = jit(make_loss_fn(MODEL, iwae, num_samples=num_samples))(params, batch, key, 0)
    wide = jax.tree.map(np.float64, params)["params"]
    posterior = wide["posterior"]
    inputs = np.where(observed, X, 0)  # the encoder sees zeros
    mean = inputs @ posterior["mean"]["kernel"] + posterior["mean"]["bias"]
    stddev = np.log1p(np.exp(posterior["logvar"]["bias"])) + 1e-3
    noise = jax.random.normal(jax.random.split(key)[0], (num_samples, 3, 1))
    z = mean + stddev * np.float64(noise)
    terms = stats.norm(z * W + BIAS, SIGMA).logpdf(X)  # [K, B, 3]
    log_w = (terms * observed).sum(-1)
    log_w += (stats.norm(0, 1).logpdf(z) - stats.norm(mean, stddev).logpdf(z))[..., 0]
    bound = (special.logsumexp(log_w, axis=0) - np.log(num_samples)).mean()
    np.testing.assert_allclose(loss, -bound, rtol=1e-5)
