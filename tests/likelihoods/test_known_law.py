"""A table of known law with columns of every kind: the model's log p(x) against the law's own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special, stats

from vae_jax import (
    VAE,
    data,
    likelihoods,
    make_loss_fn,
    nets,
    objectives,
    posteriors,
    priors,
    train,
)
from vae_jax.evaluation.likelihood import make_likelihoods

KINDS = (
    "gaussian",
    "student_t",
    "positive",
    "counts",
    "poisson",
    "zero_inflated",
    "bernoulli",
    "categorical:4",
    "ordinal:4",
)
W = np.random.default_rng(0).normal(size=(2, 12)) * 0.9
B = np.array([30.0, -2.0, 1.0, 2.0, 1.0, 2.0, 0.3, 0.0, 0.5, -0.5, 0.2, 0.0])
SCALE = np.array([8.0, 0.4, 0.6, 0.7, 0.6, 0.6, 1.5, 1.2, 1.2, 1.2, 1.2, 2.0])
THRESHOLDS = np.array([-1.5, 0.0, 2.0])
GATE = 0.25  # share of zeros that are no counts


def decode(z):
    """Twelve outputs for z [..., 2], linear in z."""
    return B + SCALE * (z @ W)


def ordinal(loc):
    below = special.expit(THRESHOLDS - loc[..., None])
    edges = [np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])]
    return np.diff(np.concatenate(edges, -1), axis=-1)


def draw(rng, n):
    o = decode(rng.normal(size=(n, 2)))
    x = np.empty((n, 9))
    x[:, 0] = rng.normal(o[:, 0], 4.0)
    x[:, 1] = o[:, 1] + 0.5 * rng.standard_t(4, n)
    x[:, 2] = np.exp(rng.normal(o[:, 2], 0.4))
    x[:, 3] = rng.negative_binomial(2.0, 2 / (2 + np.exp(o[:, 3])))
    x[:, 4] = rng.poisson(np.exp(o[:, 4]))
    x[:, 5] = rng.negative_binomial(3.0, 3 / (3 + np.exp(o[:, 5]))) * (rng.random(n) > GATE)
    x[:, 6] = rng.random(n) < special.expit(o[:, 6])
    for column, masses in ((7, special.softmax(o[:, 7:11], -1)), (8, ordinal(o[:, 11]))):
        x[:, column] = (rng.random(n)[:, None] > masses.cumsum(-1)).sum(1).clip(0, 3)
    return x.astype(np.float32)


def log_px_z(x, o):
    """log p(x | z) for x [n, 1, 9] and outputs o [m, 12], by scipy."""
    c = np.moveaxis(x.astype(np.float64), -1, 0)
    codes = x[:, 0].astype(int)
    zinb = stats.nbinom.logpmf(c[5], 3.0, 3 / (3 + np.exp(o[:, 5]))) + np.log1p(-GATE)
    return (
        stats.norm.logpdf(c[0], o[:, 0], 4.0)
        + stats.t.logpdf(c[1], 4, o[:, 1], 0.5)
        + stats.lognorm.logpdf(c[2], 0.4, scale=np.exp(o[:, 2]))
        + stats.nbinom.logpmf(c[3], 2.0, 2 / (2 + np.exp(o[:, 3])))
        + stats.poisson.logpmf(c[4], np.exp(o[:, 4]))
        + np.where(c[5] == 0, np.logaddexp(zinb, np.log(GATE)), zinb)
        + special.log_expit(np.where(c[6] == 1, 1, -1) * o[:, 6])
        + special.log_softmax(o[:, 7:11], -1).T[codes[:, 7]]
        + np.log(ordinal(o[:, 11])).T[codes[:, 8]]
    )


def log_px(x, points=60, limit=6.0):
    """log p(x) [n] by the trapezoid rule over z, whose error is below 1e-9 here."""
    grid = np.linspace(-limit, limit, points)
    z = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    log_pz = stats.norm.logpdf(z).sum(-1) + 2 * np.log(grid[1] - grid[0])
    parts = [x[i : i + 20, None] for i in range(0, len(x), 20)]
    return np.concatenate([special.logsumexp(log_px_z(p, decode(z)) + log_pz, 1) for p in parts])


@pytest.mark.slow  # 20 seconds
def test_held_out_log_px_is_within_a_twentieth_nat_of_the_law():
    """0.004 +- 0.002 nats below it after 6,000 steps; the parameters of the law are unknown."""
    rng = np.random.default_rng(1)
    x, test = draw(rng, 20_000), draw(rng, 1_000)
    head = likelihoods.Mixed((9,), KINDS)
    model = VAE(
        nets.MLP((64, 64), jnp.tanh),
        nets.MLP((32,), jnp.tanh),
        posteriors.DiagGaussianHead(2),
        priors.StandardNormal(2),
        head,
        units=likelihoods.fit_units(head, x),
    )
    source, num_steps = data.ArraySource(jnp.asarray(x)), 4_000
    tx = optax.adam(optax.cosine_decay_schedule(3e-3, num_steps))
    state = train.init_state(jax.random.key(0), model, source.images[:1], tx)
    order = functools.partial(data.order.batch_index, num_examples=len(x), batch_size=256, seed=0)
    loss_fn = make_loss_fn(model, objectives.iwae, num_samples=8)
    epoch = train.make_train_epoch(loss_fn, tx, order=order, num_steps=num_steps)
    state, _ = epoch(state, source)
    run = make_likelihoods(model, num_samples=1_000)
    held_out = data.ArraySource(jnp.asarray(test))
    difference = log_px(test) - run(state.params, held_out, jax.random.key(1)).log_px
    stderr = difference.std() / np.sqrt(len(test))
    assert -4 * stderr < difference.mean() < 0.05
