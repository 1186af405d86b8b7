import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax import VAE, data, elbo, likelihoods, make_loss_fn, nets, posteriors, priors, train


def tiny(latent_dim=3, dims=12):
    return VAE(
        encoder=nets.MLP((16,)),
        decoder=nets.MLP((16,)),
        posterior=posteriors.DiagGaussianHead(latent_dim),
        prior=priors.StandardNormal(latent_dim),
        likelihood=likelihoods.Bernoulli((dims,)),
    )


@pytest.fixture
def x():
    return jax.random.bernoulli(jax.random.key(3), 0.3, (40, 12)).astype(jnp.float32)


@pytest.fixture
def setting(x):
    model, tx = tiny(), optax.adam(1e-2)
    return (
        make_loss_fn(model, elbo),
        tx,
        lambda **kwargs: train.init_state(jax.random.key(0), model, x[:1], tx, **kwargs),
    )


def test_one_step_is_what_optax_would_do_by_hand(setting, x):
    loss_fn, tx, init = setting
    state = init()
    _, key = jax.random.split(jax.random.fold_in(state.key, 0))
    grads, metrics = jax.grad(loss_fn, has_aux=True)(state.params, {"x": x}, key, 0)
    updates, _ = tx.update(grads, tx.init(state.params), state.params)
    expected = optax.apply_updates(state.params, updates)
    after, got = train.train_step(state, {"x": x}, loss_fn=loss_fn, tx=tx)
    chex.assert_trees_all_close(after.params, expected, rtol=1e-6)
    assert after.step == 1
    np.testing.assert_allclose(got["loss"], metrics["loss"], rtol=1e-6)
    squares = sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(grads))
    np.testing.assert_allclose(got["grad_norm"], np.sqrt(squares), rtol=1e-5)
    assert {"loss", "elbo", "distortion", "rate"} <= got.keys()


def test_compiled_step_equals_the_bare_one_and_compiles_once(setting, x):
    loss_fn, tx, init = setting
    chex.clear_trace_counter()
    step = train.make_train_step(chex.assert_max_traces(loss_fn, n=1), tx)
    compiled, bare = init(), init()
    for _ in range(3):
        compiled, _ = step(compiled, {"x": x})
        bare, _ = train.train_step(bare, {"x": x}, loss_fn=loss_fn, tx=tx)
    chex.assert_trees_all_close(compiled.params, bare.params, rtol=1e-4, atol=1e-6)


def test_the_state_is_donated(setting, x):
    loss_fn, tx, init = setting
    state = init()
    train.make_train_step(loss_fn, tx)(state, {"x": x})
    assert jax.tree.leaves(state.params)[0].is_deleted()


def test_an_epoch_equals_its_steps_one_by_one(setting, x):
    loss_fn, tx, init = setting
    source = data.ArraySource(x * 0.7, None, dynamic=True)
    order = functools.partial(data.order.batch_index, num_examples=len(x), batch_size=16, seed=5)
    together, metrics = train.make_train_epoch(loss_fn, tx, order=order, num_steps=7)(
        init(), source
    )
    state, losses = init(), []
    step = train.make_train_step(loss_fn, tx)
    for t in range(7):
        key_data, _ = train.step_keys(state)
        state, numbers = step(state, source.take(order(jnp.asarray(t)), key_data))
        losses.append(numbers["loss"])
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-4)
    chex.assert_trees_all_close(together.params, state.params, rtol=1e-3, atol=1e-5)
    assert metrics["loss"].shape == (7,)


def test_noise_and_order_depend_on_the_step_and_not_on_the_way_there(setting, x):
    loss_fn, tx, init = setting
    source = data.ArraySource(x, None)
    order = functools.partial(data.order.batch_index, num_examples=len(x), batch_size=16, seed=5)
    epoch = functools.partial(train.make_train_epoch, loss_fn, tx, order=order)
    four, _ = epoch(num_steps=4)(init(), source)
    two_and_two = init()
    for _ in range(2):
        two_and_two, _ = epoch(num_steps=2)(two_and_two, source)
    chex.assert_trees_all_close(four.params, two_and_two.params, rtol=1e-5)


@jax.custom_vjp
def finite_with_bad_gradient(leaf, bad):
    return 0.0 * leaf.sum()


finite_with_bad_gradient.defvjp(
    lambda leaf, bad: (0.0 * leaf.sum(), (leaf, bad)),
    lambda residual, g: (jnp.where(residual[1], jnp.nan, 0.0) * residual[0], None),
)


def poisoned(loss_fn, bad_steps, where):
    """The loss with a NaN in its value, or only in its gradient, at the given steps."""

    def loss(params, batch, key, step):
        value, metrics = loss_fn(params, batch, key, step)
        bad = jnp.isin(step, jnp.asarray(bad_steps))
        if where == "value":
            return jnp.where(bad, jnp.nan, value), metrics
        return value + finite_with_bad_gradient(jax.tree.leaves(params)[0], bad), metrics

    return loss


@pytest.mark.parametrize("where", ["value", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_but_the_counts(setting, x, where):
    loss_fn, tx, init = setting
    step = train.make_train_step(poisoned(loss_fn, [1, 2, 5], where), tx, ema_decay=0.9)
    state, history = init(ema=True), []
    for _ in range(8):
        state, metrics = step(state, {"x": x})
        history.append(
            (jax.device_get(state), int(metrics["skipped"]), int(metrics["skipped_in_a_row"]))
        )
    for t in (1, 2, 5):
        before, after = history[t - 1][0], history[t][0]
        for name in ("params", "opt_state", "ema_params"):
            chex.assert_trees_all_equal(getattr(before, name), getattr(after, name))
    assert [skipped for _, skipped, _ in history] == [0, 1, 2, 2, 2, 3, 3, 3]
    assert [streak for _, _, streak in history] == [0, 1, 2, 0, 0, 1, 0, 0]
    assert int(state.step) == 8
    moved = jax.tree.map(lambda a, b: np.any(a != b), history[5][0].params, history[7][0].params)
    assert all(jax.tree.leaves(moved))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(history[-1][0].params))


def test_the_average_is_the_sum_it_should_be(setting, x):
    loss_fn, tx, init = setting
    step = train.make_train_step(loss_fn, tx, ema_decay=0.8)
    state = init(ema=True)
    expected = jax.device_get(state.params)
    for _ in range(5):
        state, _ = step(state, {"x": x})
        expected = jax.tree.map(lambda e, p: 0.8 * e + 0.2 * np.asarray(p), expected, state.params)
    chex.assert_trees_all_close(state.eval_params, expected, rtol=1e-5, atol=1e-7)


def test_training_lowers_the_loss(setting, x):
    loss_fn, tx, init = setting
    source = data.ArraySource(x, None)
    order = functools.partial(data.order.batch_index, num_examples=len(x), batch_size=20, seed=0)
    _, metrics = train.make_train_epoch(loss_fn, tx, order=order, num_steps=300)(init(), source)
    assert metrics["loss"][-20:].mean() < metrics["loss"][:5].mean() - 1.0


@pytest.mark.slow
def test_several_learning_rates_and_betas_under_one_vmap(x):
    # Hyper-parameters are plain arguments: a loss made of traced scalars is the same code.
    model = tiny()

    def run(beta, learning_rate):
        tx = optax.adam(learning_rate)
        state = train.init_state(jax.random.key(0), model, x[:1], tx)
        loss_fn = make_loss_fn(model, elbo, beta=beta)
        for _ in range(2):
            state, metrics = train.train_step(state, {"x": x}, loss_fn=loss_fn, tx=tx)
        return metrics["loss"]

    betas, rates = jnp.array([0.5, 4.0]), jnp.array([1e-3, 1e-2])
    together = jax.vmap(run)(betas, rates)
    alone = [run(beta, rate) for beta, rate in zip(betas, rates, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
