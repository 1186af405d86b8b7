"""The ladder: specification, path against numpy and quadrature, rates of layers, balancing."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

from vae_jax.distributions import DiagGaussian
from vae_jax.errors import InputError
from vae_jax.likelihoods import Bernoulli
from vae_jax.models import Hierarchical, Level, map_levels, vector_levels
from vae_jax.nets import OneHot
from vae_jax.nets.residual import Block, Style
from vae_jax.objectives import elbo
from vae_jax.objectives.balance import balanced_rate, layer_free_bits_rate, layer_weights
from vae_jax.objectives.terms import layer_rates
from vae_jax.types import Outputs

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
K, B = 3, 2
EVENT = (7, 5, 1)
VECTORS = Hierarchical(vector_levels((2, 3), (4, 5)), Bernoulli((6,)))
MAPS = Hierarchical(
    map_levels("4 7", EVENT, latents=(2, 1), widths=(4, 3)), Bernoulli(EVENT), activation=nn.gelu
)
MODELS = {"vectors": VECTORS, "maps": MAPS}


def binary(model, num=B, seed=0):
    return np.float32(
        np.random.default_rng(seed).random((num, *model.likelihood.event_shape)) < 0.5
    )


@functools.cache
def random_params(model):
    """Parameters of the model's shapes from numpy: no bias and no head is zero."""
    rng = np.random.default_rng(2)
    shapes = jax.eval_shape(model.init, jax.random.key(0), binary(model), jax.random.key(0))
    return jax.tree.map(
        lambda leaf: np.float32(rng.normal(size=leaf.shape) / np.sqrt(max(leaf.size, 4)) * 2),
        shapes,
    )


@functools.cache
def compiled(model, method=None, **options):
    return jit(functools.partial(model.apply, method=method, **options))


def parts(model, array):
    return np.split(np.asarray(array), np.cumsum(model.layers)[:-1], axis=-1)


# The line


def test_a_line_names_levels_from_the_top_down():
    assert map_levels("1x1 4x2,8x3", (8, 8, 1), latents=2, widths=(9, 8, 7)) == (
        *(Level(None, 9, 2, 1), Level((4, 4), 8, 2, 2), Level((8, 8), 7, 2, 3)),
    )
    assert map_levels("", (8, 8, 1)) == map_levels("1 2 4", (8, 8, 1))
    assert map_levels("", (8, 8, 1), latents=(3, 2)) == map_levels("1 4", (8, 8, 1), latents=(3, 2))
    odd = map_levels("1, 2, 4, 7x0", (28, 28, 1))
    assert [level.grid for level in odd] == [
        None,
        (2, 2),
        (4, 4),
        (7, 7),
        (14, 14),
    ]  # the last one is half of the image
    assert [level.layers for level in odd] == [1, 1, 1, 0, 0]
    assert [level.grid for level in map_levels("3 5", (5, 9, 2))] == [
        (2, 3),
        (3, 5),
    ]  # resolutions are of the longer side
    assert Hierarchical(
        map_levels("1 2x2 4", EVENT, latents=(3, 2, 1)), Bernoulli(EVENT)
    ).layers == (3, 8, 8, 4 * 3)
    assert (VECTORS.layers, MAPS.layers) == ((2, 3), (4 * 3 * 2, 7 * 5))


@pytest.mark.parametrize("line", ["1", "1x2 4", "1 2x0 7"])
def test_every_way_up_and_down(line):
    model = Hierarchical(map_levels(line, EVENT, latents=2, widths=3), Bernoulli(EVENT))
    shapes = jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), binary(model), jax.random.key(0))[0]
    )
    assert shapes.log_px_z.shape == (1, B)
    assert shapes.z.shape == (1, B, sum(model.layers))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("4x2 1x1", "resolutions must grow from the top down"),
        ("4 4", "each named once"),
        ("1x1 3x1", r"no map of resolution 3; an image of 8x8 has 8, 4, 2, 1"),
        ("1x1x1", r"'1x1x1' is not an entry; must be resolution x number"),
        ("a", "'a' is not an entry"),
        ("-1x2", "is not an entry"),
        ("1x0 4x1", "the first entry, the top, must have a stochastic layer"),
    ],
)
def test_a_wrong_line_says_what_is_allowed(line, message):
    with pytest.raises(InputError, match=message):
        map_levels(line, (8, 8, 1))


def test_wrong_sizes_say_what_is_allowed():
    with pytest.raises(
        InputError,
        match=r"widths = \(1, 2, 3\): must be one number, or one for each of the 2 entries",
    ):
        map_levels("1 4", (8, 8, 1), widths=(1, 2, 3))
    with pytest.raises(InputError, match="latents = 0: must be at least 1"):
        map_levels("1 4", (8, 8, 1), latents=0)
    with pytest.raises(InputError, match=r"needs images \[H, W, C\], but the data are \(6,\)"):
        map_levels("1 4", (6,))
    with pytest.raises(
        InputError, match=r"latents = \(1, 2\): must have the length of widths = \(3,\)"
    ):
        vector_levels((1, 2), (3,))


# The path


def numpy_path(params, x, choose):
    """The vector ladder in numpy: (mean, logvar) of p and q per layer, last state, for x [N, 6]."""
    p = params["params"]
    relu = functools.partial(np.maximum, 0)

    def dense(at, h):
        return np.asarray(h, np.float64) @ at["kernel"] + at["bias"]

    def block(at, h):
        inner = dense(at["Dense_0"], relu(h))
        return h + dense(at["out"], relu(inner))

    def gaussian(raw):
        mean, logvar = np.split(raw, 2, -1)
        logvar = -14 + np.logaddexp(0, logvar + 14)
        return mean, 8 - 22 / np.logaddexp(0, 22) * np.logaddexp(0, 8 - logvar)

    up, down, features = p["bottom_up"], p["top_down"], []
    h = x
    for i in range(2):
        h = dense(up[f"Down_{i}"]["Dense_0"], relu(h) if i else h)
        h = block(up[f"Blocks_{i}"]["block_0"], h)
        features.insert(0, h)
    h = np.broadcast_to(down["start"], (len(x), 4))
    layers = []
    for i in range(2):
        h = dense(down["rises_0"]["Dense_0"], relu(h)) if i else h
        at = down[f"rungs_{i}"]
        prior = gaussian(dense(at["prior_head"], relu(h)))
        hidden = dense(at["from_state"], relu(h)) + dense(at["from_features"], relu(features[i]))
        posterior = gaussian(dense(at["posterior_head"], relu(hidden)))
        z = choose(i, posterior)
        h = block(at["refine"]["block_0"], h + dense(at["from_z"], z))
        layers.append((prior, posterior))
    logits = dense(p["likelihood"]["EventLayer_0"]["out"], relu(h))
    return layers, logits


def test_the_path_by_hand():
    x, params = binary(VECTORS), random_params(VECTORS)
    outputs = compiled(VECTORS, num_samples=K)(params, x, jax.random.key(0))
    rows = np.tile(x, (K, 1))
    z = parts(VECTORS, np.asarray(outputs.z).reshape(K * B, -1))
    layers, logits = numpy_path(params, rows, lambda i, q: z[i])

    def flat(side, moment):
        return np.concatenate([layer[side][moment] for layer in layers], -1).reshape(K, B, -1)

    close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5)
    for side, distribution in enumerate((outputs.prior, outputs.posterior)):
        close(distribution.mean, flat(side, 0))
        close(distribution.logvar, flat(side, 1))
    for term, side in ((outputs.log_pz, 0), (outputs.log_qz_x, 1)):
        close(term, stats.norm.logpdf(outputs.z, flat(side, 0), np.exp(flat(side, 1) / 2)).sum(-1))
    close(outputs.log_px_z, (rows * logits - np.logaddexp(0, logits)).sum(-1).reshape(K, B))
    ratio = np.exp(flat(1, 1) - flat(0, 1))
    terms = 0.5 * (ratio - 1 - np.log(ratio) + (flat(1, 0) - flat(0, 0)) ** 2 / np.exp(flat(0, 1)))
    close(outputs.kl, terms.sum(-1).mean(0))
    close(layer_rates(outputs), [part.sum(-1).mean(0) for part in parts(VECTORS, terms)])

    layers, _ = numpy_path(params, x, lambda i, q: q[0])  # along the posterior means
    code = compiled(VECTORS, "encode")(params, x)
    close(code.mean, np.concatenate([layer[1][0] for layer in layers], -1))
    close(code.logvar, np.concatenate([layer[1][1] for layer in layers], -1))


@pytest.mark.parametrize("name", MODELS)
def test_rates_against_monte_carlo(name):
    model, num = MODELS[name], 2_000
    outputs = compiled(model, num_samples=num)(
        random_params(model), binary(model), jax.random.key(3)
    )
    assert (
        outputs.z.shape
        == outputs.prior.mean.shape
        == outputs.posterior.logvar.shape
        == (num, B, sum(model.layers))
    )
    q, p, z = outputs.posterior, outputs.prior, outputs.z
    log_ratio = parts(model, q.log_prob_terms(z) - p.log_prob_terms(z))
    rates = np.asarray(layer_rates(outputs))
    assert rates.shape == (len(model.layers), B)
    assert np.all(rates > 1e-3)  # nothing is compared at q = p
    whole = np.asarray(outputs.log_qz_x - outputs.log_pz)
    estimates = [part.sum(-1) for part in log_ratio] + [whole]
    for actual, estimate in zip([*rates, np.asarray(outputs.kl)], estimates, strict=True):
        error = estimate.std(0, ddof=1) / np.sqrt(num)
        assert np.all(np.abs(actual - estimate.mean(0)) < 4 * error)
    np.testing.assert_allclose(rates.sum(0), outputs.kl, rtol=1e-4)


def test_the_joint_is_a_density():
    model = Hierarchical(map_levels("1x2", (3, 1, 1), latents=1, widths=3), Bernoulli((3, 1, 1)))
    params, axis = (
        jax.tree.map(lambda leaf: leaf / 2, random_params(model)),
        np.linspace(-9, 9, 121),
    )
    grid = np.float32(list(itertools.product(axis, axis)))
    x = np.float32(list(itertools.product((0, 1), repeat=3))).reshape(8, 3, 1, 1)
    log_joint = compiled(model, "log_joint")
    terms = log_joint(params, x, jnp.broadcast_to(grid[:, None], (len(grid), len(x), 2)))
    log_px = jax.nn.logsumexp(sum(terms), 0) + 2 * np.log(axis[1] - axis[0])
    np.testing.assert_allclose(np.exp(log_px).sum(), 1, rtol=1e-4)
    assert np.ptp(log_px) > 0.1

    for layer in range(2):  # wide posteriors: importance weights with light tails
        head = params["params"]["top_down"][f"rungs_{layer}"]["posterior_head"]
        head["bias"] = np.float32([0, 2.5])
    outputs = compiled(model, num_samples=10_000)(params, x, jax.random.key(0))
    w = np.exp(
        np.asarray(outputs.log_px_z + outputs.log_pz - outputs.log_qz_x, np.float64) - log_px
    )
    error = w.std(0, ddof=1) / np.sqrt(len(w))
    assert np.all(error < 0.05)
    assert np.all(np.abs(w.mean(0) - 1) < 4 * error)


@pytest.mark.parametrize("name", ["vectors", pytest.param("maps", marks=pytest.mark.slow)])
def test_codes_are_decoded_one_by_one(name):
    model, x = MODELS[name], binary(MODELS[name])
    params = random_params(model)
    outputs = compiled(model, num_samples=K)(params, x, jax.random.key(0))
    decode = compiled(model, "decode")
    together = decode(params, outputs.z)
    np.testing.assert_allclose(together.log_prob(x), outputs.log_px_z, rtol=1e-4, atol=1e-5)
    for k, b in np.ndindex(K, B):
        np.testing.assert_allclose(
            decode(params, outputs.z[k, b]).logits, together.logits[k, b], rtol=1e-4, atol=1e-5
        )
    inferred = compiled(model, "infer")(params, x)
    again = compiled(model, "outputs", num_samples=K)(params, inferred, x, jax.random.key(0))
    np.testing.assert_allclose(again.log_qz_x, outputs.log_qz_x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["vectors", pytest.param("maps", marks=pytest.mark.slow)])
def test_examples_do_not_see_each_other(name):
    model, key = MODELS[name], jax.random.key(0)
    x, other = binary(model), binary(model, seed=1)
    other[1] = x[1]
    apply = compiled(model, num_samples=K)
    a, b = apply(random_params(model), x, key), apply(random_params(model), other, key)
    for term in ("log_px_z", "log_pz", "log_qz_x"):
        same = np.abs(getattr(a, term) - getattr(b, term)) < 1e-4
        np.testing.assert_array_equal(same, [[False, True]] * K)
    assert not np.allclose(
        a.z[0, 1], a.z[1, 1], atol=1e-2
    )  # draws of one example differ in all layers


def test_the_mean_of_a_draw_is_seen_below():
    """Given the draws above it, each layer's z has the spread that its posterior says."""
    outputs = compiled(MAPS, num_samples=2_000)(
        random_params(MAPS), binary(MAPS), jax.random.key(3)
    )
    eps = (outputs.z - outputs.posterior.mean) / outputs.posterior.stddev
    num = eps.shape[0] * B
    assert np.all(np.abs(eps.mean((0, 1))) < 4.5 / np.sqrt(num))
    np.testing.assert_allclose(
        np.cov(np.asarray(eps[:, 0]).T), np.eye(sum(MAPS.layers)), atol=5 / np.sqrt(num / B)
    )


def test_prior_and_posterior_share_the_path():
    x, params, key = binary(VECTORS), random_params(VECTORS), jax.random.key(0)
    moved = jax.tree.map(np.copy, params)
    moved["params"]["top_down"]["rungs_0"]["from_z"]["kernel"] += 0.5
    a, b = (compiled(VECTORS, num_samples=K)(p, x, key) for p in (params, moved))
    for side in ("prior", "posterior"):
        (top_a, below_a), (top_b, below_b) = (parts(VECTORS, getattr(o, side).mean) for o in (a, b))
        np.testing.assert_array_equal(top_a, top_b)
        assert np.all(np.abs(below_a - below_b).max(-1) > 1e-3), side
    kinds = params["params"]["top_down"]["rungs_0"]
    assert set(kinds) == {
        "prior_head",
        "posterior_head",
        "from_state",
        "from_features",
        "from_z",
        "refine",
    }


# Drawing from the prior


def test_temperature():
    params, key, num = random_params(MAPS), jax.random.key(0), 4
    draw = jit(lambda key, t: MAPS.apply(params, key, num, temperature=t, method="sample_prior"))
    plain = draw(key, jnp.ones(2))
    np.testing.assert_allclose(
        jit(lambda: MAPS.apply(params, key, num, method="sample_prior"))(),
        plain,
        rtol=1e-4,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        draw(key, jnp.zeros(2)), draw(jax.random.key(1), jnp.zeros(2)), atol=1e-6
    )
    assert np.all(np.isfinite(draw(key, jnp.zeros(2))))
    for t, expected in (([0.5, 1.0], [True, True]), ([1.0, 0.5], [False, True])):
        z = parts(MAPS, draw(key, jnp.array(t)))
        assert [
            not np.allclose(a, b, atol=1e-4) for a, b in zip(parts(MAPS, plain), z, strict=True)
        ] == expected
    # z = mean + t std eps: linear in t at the top, where the mean does not depend on a draw.
    top = [parts(MAPS, draw(key, jnp.full(2, t)))[0] for t in (0.0, 0.25, 1.0)]
    np.testing.assert_allclose(top[1] - top[0], 0.25 * (top[2] - top[0]), rtol=1e-3, atol=1e-4)
    generate = jit(lambda t: MAPS.apply(params, key, num, temperature=t, method="generate"))
    decoded = compiled(MAPS, "decode")(params, draw(key, jnp.full(2, 0.3)))
    np.testing.assert_allclose(
        generate(0.3).logits, decoded.logits, rtol=1e-4, atol=1e-4
    )  # one number is for all layers
    with pytest.raises(
        InputError,
        match=r"temperature has shape \(3,\): must be one number, or one for each of the 2 layers",
    ):
        generate((0.1, 0.2, 0.3))


def test_the_prior_is_standard_at_first():
    params = jit(VECTORS.init)(jax.random.key(0), binary(VECTORS), jax.random.key(1))
    outputs = compiled(VECTORS, num_samples=K)(params, binary(VECTORS), jax.random.key(2))
    np.testing.assert_allclose(outputs.prior.mean, 0, atol=1e-6)
    np.testing.assert_allclose(outputs.prior.logvar, 0, atol=1e-3)


# Networks


@pytest.mark.parametrize("shape", [(64, 32), (4, 6, 6, 32)])
def test_blocks_start_near_the_identity(shape):
    h = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for depth in (4, 100):
        block = Block(Style(depth=depth))
        added = jit(lambda block=block: block.init_with_output(jax.random.key(0), h)[0] - h)()
        # For a state of variance 1, relu halves the power twice: a block adds about 1 / 4 / depth.
        assert 0.1 / depth < np.mean(np.square(added)) < 0.5 / depth


def leaves(tree):
    return {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def gradient(model, params, num=B):
    x = binary(model, num)
    return jit(
        jax.grad(lambda params: elbo(model.apply(params, x, jax.random.key(0), num_samples=K))[0])
    )(params)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_everything(name):
    params = random_params(MODELS[name])
    actual = leaves(gradient(MODELS[name], params))
    assert actual.keys() == leaves(params).keys()
    for path, leaf in actual.items():
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path


@pytest.mark.slow
def test_remat_computes_again_and_changes_no_gradient():
    params, again = random_params(MAPS), MAPS.clone(remat=True)
    a, b = leaves(gradient(MAPS, params)), leaves(gradient(again, params))
    assert a.keys() == b.keys()
    for path, leaf in a.items():
        np.testing.assert_allclose(leaf, b[path], rtol=1e-4, atol=1e-5, err_msg=path)
    programs = [
        jax.make_jaxpr(lambda p, m=m: m.apply(p, binary(m), jax.random.key(0)).kl)(params)
        for m in (MAPS, again)
    ]
    assert ["checkpoint[" in str(program) or "remat" in str(program) for program in programs] == [
        False,
        True,
    ]


def test_bfloat16_keeps_distributions_in_float32():
    model, params = MAPS.clone(dtype=jnp.bfloat16), random_params(MAPS)
    x = binary(MAPS)
    low, full = (compiled(m, num_samples=K)(params, x, jax.random.key(0)) for m in (model, MAPS))
    assert {leaf.dtype for leaf in jax.tree.leaves(low)} == {jnp.dtype("float32")}
    evidence = jax.eval_shape(functools.partial(model.apply, method="infer"), params, x)
    assert {feature.dtype for feature in evidence.features} == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(low.kl, full.kl, rtol=0.05)
    np.testing.assert_allclose(low.log_px_z, full.log_px_z, rtol=0.05)


def test_vmap_over_parameters():
    x, keys = binary(VECTORS), jax.random.split(jax.random.key(0), 2)
    several, apply = (
        jax.tree.map(lambda leaf: jnp.stack([leaf, 1.5 * leaf]), random_params(VECTORS)),
        compiled(VECTORS, num_samples=K),
    )
    together = jit(jax.vmap(functools.partial(VECTORS.apply, num_samples=K), (0, None, 0)))(
        several, x, keys
    )
    for i in range(2):
        alone = apply(jax.tree.map(lambda leaf, i=i: leaf[i], several), x, keys[i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-4),
            together,
            alone,
        )


# Conditions


@pytest.mark.parametrize("name", ["vectors", pytest.param("maps", marks=pytest.mark.slow)])
def test_y_goes_everywhere(name):
    model = MODELS[name].clone(conditioning=OneHot(3))
    params, x, key = random_params(model), binary(model), jax.random.key(0)
    one, two = (jnp.array([k, 2]) for k in (0, 1))
    a, b = (compiled(model, num_samples=K)(params, x, key, y=y) for y in (one, two))
    for side in ("prior", "posterior"):  # y of the first example is another, y of the second is not
        for part_a, part_b in zip(
            *(parts(model, getattr(o, side).mean) for o in (a, b)), strict=True
        ):
            moved = np.abs(part_a - part_b).max(-1) > 1e-4
            np.testing.assert_array_equal(moved, [[True, False]] * K, err_msg=side)
    decode = compiled(model, "decode")
    np.testing.assert_allclose(
        decode(params, a.z, y=one).log_prob(x), a.log_px_z, rtol=1e-4, atol=1e-5
    )
    assert np.all(np.abs(decode(params, a.z, y=two).log_prob(x)[:, 0] - a.log_px_z[:, 0]) > 1e-4)
    log_pz, log_px_z = compiled(model, "log_joint")(params, x, a.z, y=one)
    np.testing.assert_allclose(log_pz, a.log_pz, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(log_px_z, a.log_px_z, rtol=1e-4, atol=1e-5)
    generate = functools.partial(model.apply, params, num_samples=2, method="generate")
    assert jax.eval_shape(lambda: generate(key, y=one).mean).shape == x.shape
    codes = [compiled(model, "encode")(params, x, y=y).mean for y in (one, two)]
    np.testing.assert_array_equal(np.abs(codes[0] - codes[1]).max(-1) > 1e-4, [True, False])
    with pytest.raises(ValueError, match="needs y"):
        model.apply(params, x, key)


@pytest.mark.slow
def test_the_encoder_sees_the_corrupted_copy():
    x, other, params, key = (
        binary(VECTORS),
        binary(VECTORS, seed=1),
        random_params(VECTORS),
        jax.random.key(0),
    )
    apply = compiled(VECTORS, num_samples=K)
    plain, denoising = apply(params, other, key), apply(params, x, key, inputs=other)
    np.testing.assert_allclose(plain.z, denoising.z, rtol=1e-5, atol=1e-6)
    expected = compiled(VECTORS, "decode")(params, plain.z).log_prob(x)
    np.testing.assert_allclose(denoising.log_px_z, expected, rtol=1e-4)


# Balance


def outputs_of(kl, sizes):
    """Outputs whose layers have these KLs [L, B], spread evenly over each layer's dimensions."""
    spread = [
        jnp.sqrt(2 * rates / size)[:, None] * np.ones(size, np.float32)
        for rates, size in zip(kl, sizes, strict=True)
    ]
    mean = jnp.concatenate(spread, -1)[None]
    zeros, terms = np.zeros(mean.shape, np.float32), np.zeros((1, mean.shape[1]), np.float32)
    q, p = DiagGaussian(mean, zeros), DiagGaussian(zeros, zeros)
    return Outputs(terms - 50, terms, terms, kl.sum(0), mean, q, p, tuple(sizes))


@functools.partial(jit, static_argnums=1)
def balance_of(kl, sizes):
    outputs = outputs_of(kl, sizes)
    return (
        layer_weights(outputs),
        balanced_rate(outputs),
        balanced_rate(outputs, 0.5),
        layer_free_bits_rate(outputs, 1.5),
    )


def test_weights_by_hand():
    kl, sizes = np.float32([[1, 3], [0.5, 1.5], [20, 40]]), (2, 10, 30)  # per dimension 1, 0.1, 1
    gamma = 3 * np.array([1.0, 0.1, 1.0]) / 2.1
    expected = gamma, (gamma * kl.mean(1)).sum(), ((gamma + 1) / 2 * kl.mean(1)).sum(), 2 + 1.5 + 30
    for actual, value in zip(balance_of(kl, sizes), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4)
    np.testing.assert_allclose(
        balance_of(np.float32([[1, 1], [5, 5], [15, 15]]), sizes)[0], 1, rtol=1e-4
    )
    np.testing.assert_allclose(balance_of(np.zeros((3, 2), np.float32), (4, 4, 4))[0], 1, rtol=1e-6)


def test_no_gradient_passes_through_the_weights():
    kl, sizes = np.float32([[3], [2]]), (2, 10)
    gamma = 2 * np.array([1.5, 0.2]) / 1.7
    actual = jit(jax.grad(lambda kl: balanced_rate(outputs_of(kl, sizes), 0.5)))(kl)
    np.testing.assert_allclose(actual[:, 0], 1 + 0.5 * (gamma - 1), rtol=1e-4)


def test_balance_in_the_elbo():
    outputs = compiled(VECTORS, num_samples=K)(
        random_params(VECTORS), binary(VECTORS), jax.random.key(0)
    )
    rates = np.asarray(layer_rates(outputs).mean(1))
    options = (
        {"kl_balancing": 0.0},
        {"layer_free_bits": 0.0},
        {"kl_balancing": 1.0},
        {"layer_free_bits": rates.mean()},
    )
    evaluate = jit(lambda outputs: [elbo(outputs, beta=0.7, **chosen) for chosen in ({}, *options)])
    (plain, metrics), (off, _), (bare, _), (balanced, same), (freed, _) = evaluate(outputs)
    np.testing.assert_allclose([off, bare], plain, rtol=1e-6)
    gamma = np.asarray(layer_weights(outputs))
    np.testing.assert_allclose(
        balanced, metrics["distortion"] + 0.7 * (gamma * rates).sum(), rtol=1e-5
    )
    assert abs(balanced - plain) > 1e-3
    assert all(same[name] == metrics[name] for name in ("elbo", "rate", "distortion"))
    np.testing.assert_allclose(
        freed, metrics["distortion"] + 0.7 * (rates.max() + rates.mean()), rtol=1e-5
    )
    with pytest.raises(ValueError, match="use a single one"):
        elbo(outputs, kl_balancing=1.0, free_bits=0.1)
