"""Discrete codes: quantizers, the VQ-VAE, its losses, codebook and the prior of codes."""

import functools
import itertools
import json
import math
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vae_jax import likelihoods, nets, objectives, priors, train
from vae_jax.distributions import (
    Distribution,
    EmbeddedCodes,
    Quantized,
    UniformCodes,
)
from vae_jax.distributions.codes import nearest_codes
from vae_jax.errors import InputError
from vae_jax.evaluation.codes import code_usage
from vae_jax.models import VQVAE
from vae_jax.posteriors import quantizers
from vae_jax.types import Outputs, pytree_dataclass, static

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
vq = jit(objectives.vq)
B, M, DIM, GRID = 5, 4, 3, (2, 1)
KEY = jax.random.key(0)
X = np.random.default_rng(0).random((B, 6)).astype(np.float32)


def make(*, ema=True, quantizer=None, prior=None, **options):
    """Vectors of 6 pixels, and two codes out of four."""
    quantizer = quantizer or quantizers.VectorQuantizer(M, DIM, ema=ema)
    prior = prior or priors.UniformCodes(GRID, quantizer.num_codes)
    return VQVAE(
        nets.MLP((8,)), quantizer, nets.MLP((8,)), likelihoods.Gaussian((6,), 0.3), prior, **options
    )


@functools.cache
def initial(ema):
    return jax.device_get(jit(make(ema=ema).init)(KEY, X, KEY))


def difference(a, b):
    """Paths of the leaves that differ between two trees, and by how much."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True)
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.abs(np.asarray(p) - q).max()
        for (path, p), q in pairs
    }
    return {path: size for path, size in sizes.items() if size > 0}


def test_the_nearest_code_is_the_nearest():
    rng = np.random.default_rng(1)
    vectors, codebook = (
        rng.normal(size=(2, 7, 3)).astype(np.float32),
        rng.normal(size=(11, 3)).astype(np.float32),
    )
    squared = np.square(vectors[..., None, :].astype(float) - codebook).sum(-1)
    np.testing.assert_array_equal(nearest_codes(vectors, codebook), squared.argmin(-1))


def test_the_first_of_equal_codes_is_the_nearest_and_nan_has_an_index():
    codebook = jnp.array([[3.0], [1.0], [1.0], [-1.0]])
    codes = nearest_codes(jnp.array([[1.0], [0.0], [jnp.nan]]), codebook)
    assert codes.dtype == jnp.int32
    np.testing.assert_array_equal(codes, [1, 1, 3])


@pytest.mark.parametrize("kind", ["average", "gradient", "none"])
def test_gradients_pass_straight_through(kind):
    quantizer = quantizers.VectorQuantizer(M, DIM, ema=kind == "average")
    quantizer = quantizers.FiniteScalarQuantizer((2, 5, 4)) if kind == "none" else quantizer
    h = jax.random.normal(jax.random.key(1), (B, 2, 3, 7))
    params = jit(lambda h: quantizer.init(KEY, h, (2, 3)))(h)

    def quantize(h):
        return quantizer.apply(params, h, (2, 3))

    q, codebook = quantize(h), quantizer.apply(params, method="codebook")
    assert q.learning == kind
    assert q.codes.shape == (B, 2, 3)
    np.testing.assert_array_equal(q.z_q, codebook[q.codes].reshape(B, -1))  # to the last bit
    np.testing.assert_array_equal(q.embedding, q.z_q)
    gradient = jit(jax.grad(lambda h: jnp.sin(quantize(h).z_q).sum()))(h)
    expected = jit(lambda h, cotangent: jax.vjp(lambda h: quantize(h).z_e, h)[1](cotangent)[0])(
        h, jnp.cos(q.z_q)
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(gradient).min(axis=(0, 1, 2)).max() > 0


def gradients(ema, commitment, codebook_weight):
    model = make(ema=ema)

    def loss(params):
        return objectives.vq(
            model.apply(params, X, KEY), commitment=commitment, codebook_weight=codebook_weight
        )[0]

    return jax.device_get(jit(jax.grad(loss))(initial(ema)))


def test_each_term_moves_its_own_part():
    neither, codebook, commitment = (
        gradients(False, 0.0, 0.0),
        gradients(False, 0.0, 1.5),
        gradients(False, 0.5, 0.0),
    )
    assert np.all(
        neither["params"]["quantizer"]["embedding"] == 0
    )  # the decoder's loss passes it by
    assert neither["params"]["encoder"]["Dense_0"]["kernel"].any()
    assert difference(neither, codebook).keys() == {"params/quantizer/embedding"}
    moved = difference(neither, commitment)
    assert moved
    assert {path.split("/")[1] for path in moved} == {"encoder", "quantizer"}
    assert "params/quantizer/embedding" not in moved

    q = make(ema=False).apply(initial(False), X, method="encode")
    codes, z_e = np.asarray(q.codes).reshape(-1), np.asarray(q.z_e).reshape(-1, DIM)
    e = initial(False)["params"]["quantizer"]["embedding"]
    by_hand = np.zeros_like(e)
    for code, vector in zip(codes, z_e, strict=True):
        by_hand[code] += 1.5 * 2 * (e[code] - vector) / B
    np.testing.assert_allclose(
        codebook["params"]["quantizer"]["embedding"], by_hand, rtol=1e-4, atol=1e-6
    )


def test_an_average_has_no_gradient_and_no_term():
    zero, heavy = gradients(True, 0.25, 0.0), gradients(True, 0.25, 7.0)
    assert not difference(zero, heavy)
    assert not any(leaf.any() for leaf in jax.tree.leaves(zero["codebook"]))


def test_the_loss_by_hand():
    model, params = make(ema=False), initial(False)
    outputs = jit(functools.partial(model.apply, num_samples=2))(params, X, KEY)
    loss, metrics = vq(outputs, commitment=0.5, codebook_weight=2.0)
    q = outputs.posterior
    squared = np.square(np.asarray(q.z_e) - np.asarray(q.z_q)).sum() / B
    log_px_z = model.apply(params, q.z_q, method="decode").log_prob(X)
    assert outputs.log_px_z.shape == outputs.log_pz.shape == outputs.log_qz_x.shape == (2, B)
    assert outputs.z.shape == (2, B, 2 * DIM)
    np.testing.assert_allclose(metrics["distortion"], -log_px_z.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["quantization_error"], squared, rtol=1e-5)
    np.testing.assert_allclose(loss, -log_px_z.mean() + 2.5 * squared, rtol=1e-5)
    np.testing.assert_allclose(metrics["rate"], 2 * math.log(M), rtol=1e-6)
    np.testing.assert_allclose(metrics["elbo"], log_px_z.mean() - 2 * math.log(M), rtol=1e-6)
    np.testing.assert_allclose(metrics["prior_bits_per_code"], 2, rtol=1e-6)


def outputs_of(codes, num_codes, z_e=None):
    codes = jnp.asarray(codes)
    z = jnp.zeros((len(codes), 2 * codes[0].size)) if z_e is None else jnp.asarray(z_e, jnp.float32)
    zeros = jnp.zeros((1, len(codes)))
    return Outputs(
        zeros, zeros, zeros, zeros[0], z[None], Quantized(z, z, z, codes, num_codes), None
    )


def test_perplexity_and_statistics_by_hand():
    z_e = np.arange(12.0).reshape(2, 6)  # two examples, three places, two dimensions
    _, metrics = vq(outputs_of([[[0, 2, 2]], [[0, 3, 2]]], 5, z_e))
    shares = np.array([2, 0, 3, 1, 0]) / 6
    entropy = -sum(p * math.log(p) for p in shares if p)
    np.testing.assert_allclose(metrics["perplexity"], math.exp(entropy), rtol=1e-6)
    np.testing.assert_allclose(metrics["codes_in_use"], 0.6)
    np.testing.assert_allclose(metrics["statistics"]["counts"], shares, rtol=1e-6)
    sums = [
        z_e[0, :2] + z_e[1, :2],
        [0, 0],
        z_e[0, 2:4] + z_e[0, 4:] + z_e[1, 4:],
        z_e[1, 2:4],
        [0, 0],
    ]
    np.testing.assert_allclose(metrics["statistics"]["sums"], np.divide(sums, 6), rtol=1e-6)
    assert "candidates" not in metrics["statistics"]

    _, alone = vq(outputs_of([[[1]], [[1]]], 5))
    assert alone["perplexity"] == 1
    _, all_of_them = vq(outputs_of([[[1, 0]], [[2, 3]]], 4))
    np.testing.assert_allclose(all_of_them["perplexity"], 4, rtol=1e-6)


def test_candidates_are_outputs_of_the_encoder():
    z_e = np.random.default_rng(0).normal(size=(4, 6))
    outputs = outputs_of(np.zeros((4, 1, 3), int), 50, z_e)
    vectors, weights = vq(outputs, key=KEY)[1]["statistics"]["candidates"]
    rows = np.asarray(vectors / weights[:, None])
    distances = np.abs(rows[:, None] - z_e.reshape(12, 2)).max(-1)
    assert distances.min(-1).max() < 1e-6
    assert set(distances.argmin(-1)) > set(range(6))  # of different examples and places
    # The mean over devices is again one of the vectors, unless two weights are close.
    other, others = vq(outputs, key=jax.random.key(1))[1]["statistics"]["candidates"]
    blend = np.asarray((vectors + other) / (weights + others)[:, None])
    assert np.mean(np.abs(blend[:, None] - z_e.reshape(12, 2)).max(-1).min(-1) < 1e-2) > 0.75


def random_statistics(rng, candidates=True):
    counts = rng.dirichlet(np.full(M, 0.5)).astype(np.float32)
    counts[M - 1] = 0
    statistics = {
        "counts": counts,
        "sums": rng.normal(size=(M, DIM)).astype(np.float32) * counts[:, None],
    }
    if candidates:
        weights = rng.random(M).astype(np.float32) + 0.1
        statistics["candidates"] = (
            rng.normal(size=(M, DIM)).astype(np.float32) * weights[:, None],
            weights,
        )
    return statistics


def test_the_averages_against_a_loop():
    rng, decay, epsilon = np.random.default_rng(3), 0.9, 1e-2
    params = initial(True)
    update = jit(objectives.vq_post_update(decay=decay, epsilon=epsilon, revive_below=None))
    book = jax.tree.map(np.float64, params["codebook"]["quantizer"])
    n, m, e = book["counts"].copy(), book["sums"].copy(), book["embedding"].copy()
    np.testing.assert_allclose(m / n[:, None], e, rtol=1e-6)
    for step in range(6):
        statistics = random_statistics(rng, candidates=False)
        drifted = jax.tree.map(lambda leaf: leaf * 0.5, params)  # what weight decay would have done
        new = jax.device_get(update(drifted, params, statistics, KEY, step))
        assert not difference(new["params"], drifted["params"])
        for i in range(M):
            n[i] = decay * n[i] + (1 - decay) * statistics["counts"][i]
            m[i] = decay * m[i] + (1 - decay) * statistics["sums"][i]
        for i in range(M):
            e[i] = m[i] / ((n[i] + epsilon / M * n.sum()) / (n.sum() + epsilon * n.sum()) * n.sum())
        for name, expected in {"counts": n, "sums": m, "embedding": e}.items():
            np.testing.assert_allclose(
                new["codebook"]["quantizer"][name], expected, rtol=2e-5, atol=1e-7
            )
        params = {"params": params["params"], "codebook": new["codebook"]}


@pytest.mark.parametrize("ema", [True, False])
def test_unused_codes_come_back(ema):
    rng, params, below = np.random.default_rng(4), initial(ema), 0.1
    update = jit(objectives.vq_post_update(decay=0.5, revive_below=below))
    plain = jit(objectives.vq_post_update(decay=0.5, revive_below=None))
    revived = []
    for step in range(8):
        statistics = random_statistics(rng)
        expected = jax.device_get(plain(params, params, statistics, KEY, step))
        new = jax.device_get(update(params, params, statistics, KEY, step))
        counts = expected["codebook"]["quantizer"]["counts"]
        dead = counts < below * counts.mean()
        fresh, book = new["codebook"]["quantizer"]["counts"], new["codebook"]["quantizer"]
        vectors = np.divide(statistics["candidates"][0], statistics["candidates"][1][:, None])
        np.testing.assert_array_equal(fresh[~dead], counts[~dead])
        np.testing.assert_allclose(fresh[dead], counts.mean(), rtol=1e-6)
        where = "codebook" if ema else "params"
        embedding = new[where]["quantizer"]["embedding"]
        np.testing.assert_array_equal(
            embedding[~dead], expected[where]["quantizer"]["embedding"][~dead]
        )
        np.testing.assert_allclose(embedding[dead], vectors[dead], rtol=1e-5)
        if ema:
            np.testing.assert_allclose(book["sums"][dead], vectors[dead] * counts.mean(), rtol=1e-5)
        revived.append(bool(dead[M - 1]))
        params = new
    assert not any(revived[:2])  # 0.5^4 < 0.1 of the share at the start
    assert any(revived)
    assert not any(a and b for a, b in itertools.pairwise(revived))  # which its new count sees to


def test_a_frozen_codebook_stays():
    for ema in (True, False):
        params, statistics = initial(ema), random_statistics(np.random.default_rng(5))
        update = objectives.vq_post_update(frozen_from=3)
        drifted = jax.tree.map(lambda leaf: leaf * 0.5, params)
        moved, held = (
            update(drifted, params, statistics, KEY, jnp.asarray(step)) for step in (2, 3)
        )
        assert not difference(held["codebook"], params["codebook"])
        assert difference(moved["codebook"], params["codebook"])
        if not ema:
            assert not difference(
                held["params"]["quantizer"]["embedding"], params["params"]["quantizer"]["embedding"]
            )


def test_updates_that_cannot_be_are_refused():
    update = objectives.vq_post_update()
    with pytest.raises(ValueError, match="pass it one, or revive_below=None"):
        update(
            initial(True),
            initial(True),
            random_statistics(np.random.default_rng(0), candidates=False),
            KEY,
            0,
        )
    with pytest.raises(ValueError, match="no codebook to update"):
        update({"params": {}}, {"params": {}}, {}, KEY, 0)
    with pytest.raises(ValueError, match="Quantized, not a UniformCodes"):
        objectives.vq(outputs_of([[[0]]], 1).replace(posterior=UniformCodes(GRID, M)))


def test_weight_decay_leaves_an_averaged_codebook():
    model, params = make(), initial(True)
    loss_fn = objectives.make_loss_fn(model, objectives.vq, needs_key=True)
    tx = optax.adamw(0.1, weight_decay=0.5)
    state = train.init_state(KEY, model, X, tx)
    state = state.replace(params=params)
    keep = objectives.vq_post_update(decay=1.0, epsilon=0.0, revive_below=None)
    step = functools.partial(train.train_step, loss_fn=loss_fn, tx=tx)
    kept, metrics = jit(functools.partial(step, post_update=keep))(state, {"x": X})
    lost, _ = jit(step)(state, {"x": X})
    assert "statistics" not in metrics
    np.testing.assert_allclose(
        kept.params["codebook"]["quantizer"]["embedding"],
        params["codebook"]["quantizer"]["embedding"],
        rtol=1e-6,
    )
    assert difference(
        lost.params["codebook"], params["codebook"]
    )  # so that there was something to be kept from
    assert difference(kept.params["params"]["encoder"], params["params"]["encoder"])


@pytest.mark.parametrize("levels", [(2,), (8, 5, 5, 5), (4, 2, 3)])
def test_finite_scalars(levels):
    quantizer = quantizers.FiniteScalarQuantizer(levels)
    num = math.prod(levels)
    assert (quantizer.num_codes, quantizer.code_dim) == (num, len(levels))
    codes = np.arange(num)
    vectors = quantizer.apply({}, method="codebook")
    assert len(np.unique(vectors, axis=0)) == num
    np.testing.assert_array_equal(quantizer.apply({}, vectors, method="codes_of"), codes)
    # By hand: digits of a mixed base, the first level the fastest.
    for code in (0, num // 2, num - 1):
        rest, expected = code, []
        for level in levels:
            expected.append((rest % level - level // 2) / (level // 2))
            rest //= level
        np.testing.assert_allclose(vectors[code], expected, rtol=1e-6)

    # All codes are reached from real numbers, no others are, and z = 0 lies in the middle.
    line = np.stack([np.linspace(-9, 9, 4001, dtype=np.float32)] * len(levels), -1)
    zeros = np.zeros(len(levels), np.float32)
    eye = {"params": {"project": {"out": {"kernel": np.diag(zeros + 1), "bias": zeros}}}}
    q = jit(lambda h: quantizer.apply(eye, h, (1,)))(np.concatenate([line, zeros[None]]))
    z_q = np.asarray(q.z_q)
    np.testing.assert_array_equal(z_q[-1], zeros)
    for axis, level in enumerate(levels):
        np.testing.assert_allclose(
            np.unique(z_q[:, axis]), (np.arange(level) - level // 2) / (level // 2), rtol=1e-6
        )
    assert np.all(np.diff(z_q[:-1], axis=0) >= 0)
    np.testing.assert_array_less(np.abs(q.z_e), 1)
    np.testing.assert_array_equal(q.codes[:, 0], quantizer.apply({}, q.z_q, method="codes_of"))


def test_finite_scalars_learn_without_terms_of_their_own():
    model = make(quantizer=quantizers.FiniteScalarQuantizer((3, 2)))
    params = jit(model.init)(KEY, X, KEY)
    assert params.keys() == {"params"}
    outputs = jit(model.apply)(params, X, KEY)
    loss, metrics = vq(outputs, commitment=100.0)
    assert loss == metrics["distortion"] == -outputs.log_px_z.mean()
    assert outputs.posterior.num_codes == 6
    with pytest.raises(InputError, match="levels = \\(4, 1\\): must be"):
        make(quantizer=quantizers.FiniteScalarQuantizer((4, 1))).init(KEY, X, KEY)


@pytest.mark.parametrize("ema", [True, False])
def test_the_elbo_bounds_the_likelihood_summed_over_all_codes(ema):
    model, params = make(ema=ema), initial(ema)
    everything = np.asarray(list(itertools.product(range(M), repeat=2))).reshape(-1, *GRID)
    z = model.apply(params, everything, method="embed")
    log_px_z = model.apply(params, z[:, None], method="decode").log_prob(X)  # [M^P, B]
    outputs = model.apply(params, X, KEY)
    log_pz = outputs.prior.log_prob(z)
    np.testing.assert_allclose(log_pz, -2 * math.log(M), rtol=1e-6)
    log_px = jax.nn.logsumexp(log_px_z + log_pz[:, None], axis=0)
    _, metrics = vq(outputs)
    elbo = outputs.log_px_z[0] - outputs.kl
    assert np.all(elbo <= log_px)
    np.testing.assert_allclose(metrics["elbo"], elbo.mean(), rtol=1e-6)
    # The gap is the KL to the exact posterior, -log p(codes | x).
    flat = np.asarray(outputs.posterior.codes).reshape(B, 2) @ np.array([M, 1])
    log_exact = np.asarray(log_px_z + log_pz[:, None] - log_px)[flat, np.arange(B)]
    np.testing.assert_allclose(elbo - log_px, log_exact, rtol=1e-4, atol=1e-4)
    assert np.exp(np.asarray(log_px_z + log_pz[:, None] - log_px)).sum(0) == pytest.approx(
        np.ones(B), rel=1e-5
    )


def test_distributions_of_codes():
    uniform = UniformCodes((2, 3), 5)
    codes = uniform.sample(KEY, (400,))
    assert codes.shape == (400, 2, 3)
    assert set(np.unique(codes)) == set(range(5))
    np.testing.assert_allclose(uniform.log_prob(codes), -6 * math.log(5), rtol=1e-6)
    assert uniform.log_prob(codes.at[0, 0, 0].set(5))[0] == -np.inf
    assert uniform.log_prob(codes.at[0, 0, 0].set(-1))[0] == -np.inf
    assert uniform.with_temperature(0.5) == uniform

    codebook = jax.random.normal(KEY, (5, 2))
    p = EmbeddedCodes(uniform, codebook)
    assert (p.event_shape, p.batch_shape) == ((12,), ())
    z, log_p = p.sample_and_log_prob(KEY, (3,))
    np.testing.assert_array_equal(z, p.sample(KEY, (3,)))
    np.testing.assert_allclose(p.log_prob(z), log_p)
    assert p.log_prob(z + 1e-3).tolist() == [-np.inf] * 3
    q = make().apply(initial(True), X, method="encode")
    z, log_q = q.sample_and_log_prob(KEY, (2,))
    assert (z.shape, log_q.shape) == ((2, B, 2 * DIM), (2, B))
    np.testing.assert_array_equal(q.log_prob(z), log_q)
    assert np.all(q.log_prob(z + 1) == -np.inf)
    np.testing.assert_array_equal(q.center, q.z_q)


def test_generate_decodes_codes_of_the_prior():
    model, params = make(), initial(True)
    p = model.apply(params, KEY, 7, method="generate")
    assert p.mean.shape == (7, 6)
    everything = np.asarray(list(itertools.product(range(M), repeat=2))).reshape(-1, *GRID)
    means = model.apply(
        params, model.apply(params, everything, method="embed"), method="decode"
    ).mean
    distances = np.abs(np.asarray(p.mean)[:, None] - means).max(-1)
    assert distances.min(-1).max() < 1e-5
    assert len(set(distances.argmin(-1))) > 1


S = 12


@pytree_dataclass
class Table(Distribution):
    """Independent codes."""

    logits: jax.Array  # [*grid, M]
    event_ndims: int = static(2)

    @property
    def event_shape(self):
        return self.logits.shape[:-1]

    def log_prob(self, value):
        return (jax.nn.one_hot(value, M) * jax.nn.log_softmax(self.logits)).sum((-3, -2, -1))


class TableCodes(nn.Module):
    """The least prior that learns."""

    grid: tuple = GRID
    num_codes: int = M

    @nn.compact
    def __call__(self):
        return Table(
            self.param("logits", nn.initializers.zeros_init(), (*self.grid, self.num_codes))
        )


def two_phase_loss(model):
    make_loss_fn = functools.partial(objectives.make_loss_fn, model, needs_key=True)
    first = make_loss_fn(objectives.vq)
    second = make_loss_fn(objectives.fit_prior_loss, forward=objectives.prior_pass)
    return objectives.switch_losses(first, second, S)


@functools.cache
def two_phases():
    """A run of 2 S steps, from S on of the prior alone, with an optimizer that is split."""
    model = make(prior=TableCodes())
    loss_fn = two_phase_loss(model)

    def scale(of_prior):
        return optax.scale_by_schedule(lambda t: jnp.where((t >= S) == of_prior, 1.0, 0.0))

    def labels(tree):
        return jax.tree_util.tree_map_with_path(lambda path, _: path[1].key == "prior", tree)

    split = optax.partition({True: scale(True), False: scale(False)}, labels)
    tx = optax.chain(optax.adamw(0.05, weight_decay=0.1), split)
    state = train.init_state(KEY, model, X, tx)
    post_update = objectives.vq_post_update(frozen_from=S)
    step = jit(functools.partial(train.train_step, loss_fn=loss_fn, tx=tx, post_update=post_update))
    states, metrics = [state], []
    for _ in range(2 * S):
        state, values = step(state, {"x": X})
        states.append(jax.device_get(state))
        metrics.append(jax.device_get(values))
    return [jax.device_get(s.params) for s in (states[0], states[S], states[-1])], metrics


def test_the_first_phase_leaves_the_prior_and_the_second_all_else():
    (start, middle, end), _ = two_phases()
    first, second = difference(start, middle), difference(middle, end)
    assert not any("prior" in path for path in first)
    assert {path.split("/")[1] for path in first} == {
        "encoder",
        "decoder",
        "quantizer",
        "likelihood",
    }
    assert {path.split("/")[1] for path in second} == {"prior"}


def test_both_phases_learn_and_tell_the_same():
    _, metrics = two_phases()
    assert all(m.keys() == metrics[0].keys() for m in metrics)
    losses = [float(m["loss"]) for m in metrics]
    assert losses[S - 1] < losses[0] - 1
    np.testing.assert_allclose(
        metrics[0]["prior_bits_per_code"], 2, rtol=1e-6
    )  # uniform until it is trained
    np.testing.assert_allclose(losses[S], 2 * math.log(M), rtol=1e-5)
    assert losses[-1] < losses[S] - 0.5
    last = metrics[-1]
    np.testing.assert_allclose(
        last["prior_bits_per_code"], losses[-1] / (2 * math.log(2)), rtol=1e-5
    )
    assert len({float(m["distortion"]) for m in metrics[S:]}) == 1
    assert last["elbo"] > metrics[S]["elbo"]


def products(jaxpr):
    """How many matrix products a program holds, what it calls included."""
    inner = [
        value
        for eqn in jaxpr.eqns
        for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=is_program)
    ]
    return sum(eqn.primitive.name == "dot_general" for eqn in jaxpr.eqns) + sum(
        products(getattr(value, "jaxpr", value)) for value in inner if is_program(value)
    )


def is_program(value):
    return hasattr(value, "jaxpr") or hasattr(value, "eqns")


def test_the_second_phase_pays_for_no_gradient_of_the_model():
    loss_fn = two_phase_loss(make())
    gradient = jax.grad(lambda params, step: loss_fn(params, {"x": X}, KEY, step)[0])
    program = jax.make_jaxpr(gradient)(initial(True), 0).jaxpr
    forward, backward = (
        [products(b.jaxpr) for b in eqn.params["branches"]]
        for eqn in program.eqns
        if "branches" in eqn.params
    )
    assert forward[0] == forward[1] > 3  # branch 1 is the first phase
    assert (backward[0], backward[1] > 4) == (0, True)


def test_a_learned_prior_of_any_kind_begins_uniform_and_is_drawn_from():
    model = make(prior=priors.PixelCNNCodes(GRID, M, features=4, layers=1))
    params = jit(model.init)(KEY, X, KEY)
    outputs, p = jit(
        lambda p: (
            model.apply(p, X, KEY),
            model.apply(p, KEY, 3, method="generate", temperature=0.5),
        )
    )(params)
    np.testing.assert_allclose(outputs.kl, 2 * math.log(M), rtol=1e-5)
    assert p.mean.shape == (3, 6)


def test_sizes_that_halve_badly():
    event = (7, 10, 2)
    grid = (2, 3)
    model = VQVAE(
        nets.ResNetEncoder(8, 4, 1),
        quantizers.VectorQuantizer(M, DIM),
        nets.ResNetDecoder(event, 8, 4, 1),
        likelihoods.Gaussian(event),
        priors.UniformCodes(grid, M),
        nets.OneHot(3),
    )
    x, y = np.zeros((2, *event), np.float32), np.zeros(2, np.int32)
    outputs = jax.eval_shape(lambda: model.init_with_output(KEY, x, KEY, y=y)[0])
    assert outputs.posterior.codes.shape == (2, *grid)
    assert outputs.log_px_z.shape == (1, 2)
    with pytest.raises(
        InputError,
        match="grid = \\(3, 3\\): must equal the shape of the encoder's features, \\(2, 3\\)",
    ):
        jax.eval_shape(model.clone(prior=priors.UniformCodes((3, 3), M)).init, KEY, x, KEY)
    with pytest.raises(InputError, match="num_codes = 5 of the prior: must be the quantizer's, 4"):
        jax.eval_shape(model.clone(prior=priors.UniformCodes(grid, 5)).init, KEY, x, KEY)


@pytest.mark.parametrize("num_levels", [0, 1, 2, 3])
def test_the_residual_decoder_mirrors_its_encoder(num_levels):
    event = (9, 12, 1)
    encoder, decoder = (
        nets.ResNetEncoder(8, 4, 1, num_levels),
        nets.ResNetDecoder(event, 8, 4, 1, num_levels),
    )
    head = likelihoods.Bernoulli(event)

    def forward(c):
        h, params = encoder.init_with_output(KEY, jnp.zeros((2, *event)), c)
        features, _ = decoder.init_with_output(KEY, h, c)
        p, _ = head.init_with_output(KEY, features)
        return h, p.logits, params

    h, logits, params = jax.eval_shape(forward, jnp.zeros((2, 3)))
    assert h.shape == (2, -(-9 // 2**num_levels), -(-12 // 2**num_levels), 8)
    assert logits.shape == (2, *event)
    assert sum(
        "condition" in str(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ) == 2 * (num_levels + 1)


def test_the_published_network_has_its_size():
    event = (32, 32, 3)
    encoder = jax.eval_shape(nets.ResNetEncoder().init, KEY, jnp.zeros((1, *event)))
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(encoder) if len(leaf.shape) == 4)
    block = [(3, 3, 128, 32), (1, 1, 32, 128)]
    assert shapes == sorted([(4, 4, 3, 64), (4, 4, 64, 128), (3, 3, 128, 128), *block, *block])
    decoder = jax.eval_shape(nets.ResNetDecoder(event).init, KEY, jnp.zeros((1, 8, 8, 64)))
    shapes = sorted(leaf.shape for leaf in jax.tree.leaves(decoder) if len(leaf.shape) == 4)
    assert shapes == sorted([(3, 3, 64, 128), (4, 4, 128, 64), *block, *block])


def test_use_of_codes_over_a_split():
    codes = np.array([[[0, 1]], [[1, 3]]])
    entropy = 0.5 * math.log(2) + 0.5 * math.log(4)
    use = code_usage(codes, 8)
    assert use == pytest.approx(
        {"perplexity": math.exp(entropy), "codes_in_use": 3 / 8, "bits_per_code": 1.5}
    )
    assert code_usage(np.zeros(3, int), 8) == {
        "perplexity": 1.0,
        "codes_in_use": 1 / 8,
        "bits_per_code": 0.0,
    }
    assert code_usage(np.arange(8), 8)["perplexity"] == pytest.approx(8)
    for bad in (np.zeros(3), np.zeros(0, int), np.array([8]), np.array([-1])):
        with pytest.raises(InputError, match="codes: "):
            code_usage(bad, 8)


@pytest.mark.slow
def test_eight_devices_have_the_codebook_of_one():
    script = pathlib.Path(__file__).parents[1] / "programs" / "eight_devices_vq.py"
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=1",
        "JAX_PLATFORMS": "cpu",
    }
    env["PYTHONPATH"] = os.pathsep.join([str(script.parents[2]), env.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.splitlines()[-1])
    assert results["devices"] == 8
    assert results["revived"] > 0
    assert results["moved"] > 0.1
    assert results["jit"] < 1e-4
    assert results["pmap_averages"] < 1e-4
    assert results["pmap_replicas_differ"] == 0
