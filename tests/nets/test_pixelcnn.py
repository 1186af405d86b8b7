"""The order of the gated PixelCNN by Jacobians, and its distributions by enumeration."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax import distributions, likelihoods, train
from vae_jax.errors import InputError
from vae_jax.models import VAE
from vae_jax.nets import MLP, PixelCNN
from vae_jax.objectives import elbo, make_loss_fn
from vae_jax.posteriors import DiagGaussianHead
from vae_jax.priors import PixelCNNCodes, StandardNormal

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
EVENTS = {"binary": ((2, 3, 1), 2), "levels": ((2, 2, 1), 3), "channels": ((1, 2, 3), 2)}

log_prob = jit(lambda p, x: p.log_prob(x))
sample = jit(lambda p, key, shape=(): p.sample(key, shape), static_argnums=2)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def shaken(params, seed=0):
    """Parameters like these with all of them, biases too, far from their initial values."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: np.asarray(a) + np.float32(0.4 * rng.normal(size=a.shape)), params
    )


def network_of(levels, channels, context_features=3, **kwargs):
    network = PixelCNN(levels, features=6, **kwargs)
    return network, shaken(
        jit(lambda key: network.init_params(key, channels, context_features))(jax.random.key(0))
    )


@functools.cache
def example(case, lead=()):
    """A distribution over images few enough to enumerate, one for each context of `lead`."""
    event, levels = EVENTS[case]
    network, params = network_of(levels, event[2], layers=2)
    return distributions.Autoregressive(
        normal(*lead, *event[:2], 3), params, network, event, levels
    )


def all_images(event, levels):
    values = itertools.product(range(levels), repeat=math.prod(event))
    return np.float32(list(values)).reshape(-1, *event) / (levels - 1)


# The order


def sees(i, j, layers, kernel):
    """True if a value (row, column, channel) may depend on another, from the description."""
    (row, column, channel), (other_row, other_column, other_channel) = i, j
    reach = layers * (kernel // 2)
    if other_row == row:
        if other_column == column:
            return other_channel < channel
        return column - 1 - reach <= other_column < column
    return row - 1 - reach <= other_row < row and abs(other_column - column) <= reach


def dependences(shape, *, num_images=24, **sizes):
    """[i, j]: True if logits i have a derivative in value j at any image; an idle relu hides it."""
    network, params = network_of(3, shape[2], **sizes)
    size = math.prod(shape)
    weights = normal(3, seed=1)

    @jit
    def jacobian(images):
        def chosen_logits(
            x,
        ):  # one copy of each image for each value, of which the logits are taken
            logits = network.apply({"params": params}, x, normal(1, *shape[:2], 3)).reshape(
                num_images, size, size, 3
            )
            return jnp.einsum("niil,l->", logits, weights)

        return jax.grad(chosen_logits)(jnp.repeat(images, size, axis=0)).reshape(
            num_images, size, size
        )

    return np.abs(jacobian(jnp.abs(normal(num_images, *shape)))).max(0) > 0


@pytest.mark.parametrize(("channels", "layers", "kernel"), [(1, 2, 3), (1, 1, 5), (3, 1, 3)])
def test_a_value_depends_on_exactly_those_before_it_in_its_field_of_view(channels, layers, kernel):
    shape = (3, 4, channels)
    depends = dependences(shape, layers=layers, kernel=kernel)
    places = list(itertools.product(*map(range, shape)))
    expected = np.array([[sees(i, j, layers, kernel) for j in places] for i in places])
    np.testing.assert_array_equal(depends, expected)
    assert not np.triu(depends).any()


def test_enough_layers_see_all_that_comes_before():
    """No blind spot."""
    np.testing.assert_array_equal(dependences((3, 4, 1), layers=3), np.tri(12, k=-1, dtype=bool))


def test_codes_are_seen_in_order():
    network, params = network_of(4, 1, layers=2, embedding=5)
    codes = np.random.default_rng(0).integers(0, 4, 9)

    @jit
    def logits(codes):
        return network.apply(
            {"params": params}, codes.reshape(1, 3, 3, 1), normal(1, 3, 3, 3)
        ).reshape(9, 4)

    reference = logits(codes)
    for j in range(9):
        changed = [logits(np.where(np.arange(9) == j, value, codes)) for value in range(4)]
        depends = np.any(np.stack(changed) != reference, axis=(0, 2))
        np.testing.assert_array_equal(depends, np.arange(9) > j)


# The distribution


@pytest.mark.parametrize("case", EVENTS)
def test_masses_sum_to_one_and_draws_have_them(case):
    event, levels = EVENTS[case]
    p, num = example(case), 20_000
    images = all_images(event, levels)
    mass = np.exp(np.float64(log_prob(p, images)))
    np.testing.assert_allclose(mass.sum(), 1, rtol=1e-5)
    assert np.std(np.log(mass)) > 0.5  # far from uniform
    draws = np.asarray(sample(p, jax.random.key(1), (num,)))
    assert draws.shape == (num, *event)
    index = (
        np.rint(draws.reshape(num, -1) * (levels - 1)).astype(int)
        @ levels ** np.arange(math.prod(event))[::-1]
    )
    frequency = np.bincount(index, minlength=len(images)) / num
    assert np.all(np.abs(frequency - mass) < 4 * np.sqrt(mass * (1 - mass) / num) + 1 / num)


def test_the_factors_are_conditional_masses():
    """The terms, against ratios of sums over all images that begin alike."""
    event, levels = EVENTS["levels"]
    p, images = example("levels"), all_images(event, levels)
    mass = np.exp(np.float64(log_prob(p, images)))
    terms = np.asarray(jit(lambda p, x: p.log_prob_terms(x))(p, images)).reshape(len(images), -1)
    flat = images.reshape(len(images), -1)
    for i in range(flat.shape[1]):
        for image in range(0, len(images), 7):
            alike = (flat[:, :i] == flat[image, :i]).all(1)
            longer = (flat[:, : i + 1] == flat[image, : i + 1]).all(1)
            np.testing.assert_allclose(
                terms[image, i],
                np.log(mass[longer].sum() / mass[alike].sum()),
                rtol=1e-4,
                atol=1e-5,
            )


def test_samples_and_batches_broadcast():
    """Context [K, B, ...] with x [B, ...], a sample and its score, vmap over contexts."""
    event, _ = EVENTS["levels"]
    p = example("levels", (2, 3))
    assert (p.batch_shape, p.event_shape, p.event_ndims) == ((2, 3), event, 3)
    draws, logs = jit(lambda p, key: p.sample_and_log_prob(key, (4,)))(p, jax.random.key(0))
    assert (draws.shape, logs.shape) == ((4, 2, 3, *event), (4, 2, 3))
    parts = [[dataclasses.replace(p, context=p.context[k, b]) for b in range(3)] for k in range(2)]
    expected = [
        [[log_prob(parts[k][b], draws[s, k, b]) for b in range(3)] for k in range(2)]
        for s in range(4)
    ]
    np.testing.assert_allclose(logs, expected, rtol=1e-5)
    x = draws[0, 0]
    np.testing.assert_allclose(log_prob(p, x)[1, 2], log_prob(parts[1][2], x[2]), rtol=1e-5)
    axes = dataclasses.replace(p, context=0, params=None, temperature=None)
    mapped = jit(jax.vmap(lambda p, x: p.log_prob(x), in_axes=(axes, None)))(p, x)
    np.testing.assert_allclose(mapped, log_prob(p, x), rtol=1e-5)


def test_is_a_pytree():
    p = example("binary")
    stopped = jax.lax.stop_gradient(p)
    assert type(stopped) is type(p)
    assert stopped.network == p.network
    through = jit(lambda p: p)(p)
    x = all_images(*EVENTS["binary"])[:5]
    np.testing.assert_allclose(log_prob(through, x), log_prob(p, x), rtol=1e-5)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), p.params, shaken(p.params))
    trials = jit(jax.vmap(lambda params: dataclasses.replace(p, params=params).log_prob(x)))(
        stacked
    )
    np.testing.assert_allclose(trials[0], log_prob(p, x), rtol=1e-5)
    assert np.abs(trials[1] - trials[0]).max() > 0.1


def test_the_center_is_greedy_and_there_is_no_mean():
    p = example("levels", (3,))
    center = jit(lambda p: p.center)(p)
    assert center.shape == (3, 2, 2, 1)
    flat = np.asarray(center).reshape(3, 4)
    terms = jit(lambda p, x: p.log_prob_terms(x))
    best = np.asarray(terms(p, center)).reshape(3, 4)
    for i, value in itertools.product(range(4), (0.0, 0.5, 1.0)):
        other = flat.copy()
        other[:, i] = value
        assert np.all(
            np.asarray(terms(p, other.reshape(center.shape))).reshape(3, 4)[:, i]
            <= best[:, i] + 1e-6
        )
    assert not p.has_mean
    with pytest.raises(TypeError, match="no mean"):
        p.mean


def test_temperature():
    """The first factor by hand; a cold one draws the greedy sequence."""
    event, levels = EVENTS["levels"]
    p, images = example("levels"), all_images(event, levels)
    first = images[
        :: levels ** (math.prod(event) - 1)
    ]  # one image for each value of the first pixel
    hot = jit(lambda p, x, t: p.with_temperature(t).log_prob_terms(x))
    logs = np.float64([hot(p, first, t)[:, 0, 0, 0] for t in (1.0, 2.0)])
    expected = np.exp(logs[0] / 2) / np.exp(logs[0] / 2).sum()
    np.testing.assert_allclose(np.exp(logs[1]), expected, rtol=1e-5)
    cold = sample(p.with_temperature(1e-4), jax.random.key(0), (5,))
    np.testing.assert_array_equal(cold, np.broadcast_to(jit(lambda p: p.center)(p), cold.shape))


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_the_condition_reaches_every_pixel(shape):
    """As a vector or constant map; as a map, where a pixel reaches its row and those below."""
    network, params = network_of(2, 1, layers=2)
    x = jnp.abs(normal(1, 2, 2, 1))

    def logits(c):
        return network.apply({"params": params}, x, c[None])[0].reshape(-1)

    jacobian = np.asarray(jit(jax.jacrev(logits))(normal(*shape)))
    moved = np.abs(jacobian).max(-1).reshape(4, -1) > 0
    if shape == (3,):
        assert moved.all()
        np.testing.assert_allclose(
            jit(logits)(normal(3)),
            jit(logits)(jnp.tile(normal(3), (2, 2, 1))),
            rtol=1e-5,
            atol=1e-6,
        )
    else:
        np.testing.assert_array_equal(
            moved, [[j // 2 <= i // 2 for j in range(4)] for i in range(4)]
        )


def test_impossible_networks_are_refused():
    x = jnp.zeros((1, 2, 2, 1))
    for wrong in ({"kernel": 4}, {"layers": 0}, {"levels": 1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            PixelCNN(**wrong).init(jax.random.key(0), x)
    with pytest.raises(InputError, match="images"):
        likelihoods.Autoregressive((7,)).init(jax.random.key(0), jnp.zeros((1, 2)))


# The prior of codes


@pytest.mark.parametrize("conditional", [False, True])
def test_the_prior_of_codes(conditional):
    """Uniform at first; afterwards its masses sum to one and draws are integers of its own."""
    prior = PixelCNNCodes((2, 2), 3, features=6, layers=2, embedding=4)
    c = normal(2, 3) if conditional else None
    codes = np.array(list(itertools.product(range(3), repeat=4))).reshape(81, 2, 2)
    codes = codes[:, None] if conditional else codes
    init = jit(prior.init)(jax.random.key(0), c)
    apply = jit(lambda params, c: prior.apply(params, c))
    p = apply(init, c)
    assert (p.batch_shape, p.event_shape) == ((2,) if conditional else (), (2, 2))
    np.testing.assert_allclose(log_prob(p, codes), -4 * np.log(3), rtol=1e-6)
    p = apply(shaken(init), c)
    logs = np.float64(log_prob(p, codes))
    np.testing.assert_allclose(np.exp(logs).sum(0), 1, rtol=1e-5)
    assert np.std(logs, axis=0).min() > 0.2
    draws = sample(p, jax.random.key(0), (5,))
    assert draws.dtype == jnp.int32
    assert draws.shape == (5, *p.batch_shape, 2, 2)
    if conditional:
        assert np.abs(logs[:, 0] - logs[:, 1]).max() > 0.1


def test_the_prior_of_codes_learns_its_parameters():
    prior = PixelCNNCodes((3, 3), 4, features=5, layers=1, embedding=3)
    init = jit(prior.init)(jax.random.key(0), normal(2, 3))
    codes = np.random.default_rng(0).integers(0, 4, (7, 2, 3, 3))
    grads = jit(jax.grad(lambda params: prior.apply(params, normal(2, 3)).log_prob(codes).sum()))
    assert (
        np.abs(grads(init)["params"]["pixelcnn"]["out_0"]["kernel"]).max() > 0
    )  # what starts at zero moves
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads(shaken(init))):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 0, path


# The likelihood


def vae(event, **kwargs):
    head = likelihoods.Autoregressive(event, features=6, **kwargs)
    return VAE(MLP((8,)), MLP((8,)), DiagGaussianHead(2), StandardNormal(2), head)


def test_every_parameter_of_a_model_has_a_gradient():
    event, levels = (3, 3, 2), 4
    model = vae(event, levels=levels, layers=2)
    assert not model.likelihood.binary
    x = np.float32(np.random.default_rng(0).integers(0, levels, (5, *event)) / (levels - 1))
    params = shaken(jit(model.init)(jax.random.key(0), x, jax.random.key(1)))

    def loss(params):
        outputs = model.apply(params, x, jax.random.key(2), num_samples=2)
        return elbo(outputs)[0], outputs.log_px_z

    grads, log_px_z = jit(jax.grad(loss, has_aux=True))(params)
    assert log_px_z.shape == (2, 5)
    for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(leaf).all(), path
        assert np.abs(leaf).max() > 0, path


@pytest.mark.slow
def test_a_vae_learns_a_dependence_between_neighbors():
    """Each row is one coin and its copy: 3 log 2 nats an image, or 6 log 2 if independent."""
    x = np.float32(np.repeat(np.random.default_rng(0).random((64, 3, 1, 1)) < 0.5, 2, axis=2))
    model, tx = vae((3, 2, 1), layers=1), optax.adam(2e-2)
    assert model.likelihood.binary
    state = train.init_state(jax.random.key(0), model, x[:1], tx)
    step = functools.partial(train.train_step, loss_fn=make_loss_fn(model, elbo), tx=tx)
    state, metrics = jit(
        lambda state: jax.lax.scan(lambda state, _: step(state, {"x": x}), state, length=200)
    )(state)
    assert metrics["elbo"][-1] > -1.2 * 3 * np.log(2)
    draw = jit(
        lambda params: model.apply(params, jax.random.key(3), 50, method="generate").sample(
            jax.random.key(4)
        )
    )
    assert np.mean(np.ptp(draw(state.params), axis=2) == 0) > 0.9  # rows that are whole


def test_bfloat16_features_make_float32_masses():
    event, levels = EVENTS["levels"]
    head = likelihoods.Autoregressive(event, levels, features=6, layers=1)
    h = normal(2, 5)
    params = shaken(jit(head.init)(jax.random.key(0), h))
    apply = jit(
        lambda params, h: head.apply(params, h).log_prob(all_images(event, levels)[:, None])
    )
    wide, narrow = apply(params, h), apply(params, h.astype(jnp.bfloat16))
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(np.exp(np.float64(narrow)).sum(0), 1, rtol=1e-5)
    assert 0 < np.abs(narrow - wide).max() < 0.3
