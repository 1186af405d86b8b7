"""A regression from codes z [N, D] to a value of each example: ridge, or a small network."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.errors import check_range
from vae_jax.evaluation.common import Estimate, check_same, matrix, mean_estimate, vector
from vae_jax.nets import Regressor
from vae_jax.types import Array, Params, pytree_dataclass, static

CHECK_EVERY = 50  # steps between two looks at the validation part
PATIENCE = 10  # looks without an improvement, after which training ends


@pytree_dataclass
class Predictor:
    """A fitted regression of values from codes; a pytree.

    With codes u = (z - center) / scale, the prediction is offset + spread f(u).
    """

    params: Params  # of f
    center: Any  # [D]
    scale: Any  # [D]
    offset: Any  # []
    spread: Any  # [], 0 if the training values are constant
    hidden: tuple[int, ...] = static(())  # widths of f; () is a linear map

    def predict(self, z: Array) -> Array:
        """The values [...] at codes z [..., D]."""
        u = (z - self.center) / self.scale
        f = Regressor(self.hidden).apply(self.params, u.reshape(-1, u.shape[-1]))
        return self.offset + self.spread * f.reshape(z.shape[:-1])


class Scores(NamedTuple):
    """Quality of predictions on held-out examples, beside constant predictions."""

    r2: Estimate
    mae: Estimate  # in the unit of the values
    constant_r2: Estimate  # of the mean of the training values
    constant_mae: Estimate  # of their median
    num_examples: int


def fit_predictor(
    key: Array,
    z: Any,
    values: Any,
    *,
    hidden: Sequence[int] = (),
    penalty: float = 1.0,
    num_steps: int = 5_000,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    valid_share: float = 0.1,
) -> Predictor:
    """Fit a regression to codes z [N, D] and values [N], both standardized.

    Without `hidden` it is a ridge regression in closed form,

        W = (U^T U + penalty I)^-1 U^T v    of standardized codes U [N, D] and values v [N].

    With `hidden` it is a network of these widths that minimizes the mean squared error with Adam
    and keeps the parameters that are best on a random part of the examples, which it is not
    trained on. Every 50 steps it looks at that part, and ends 10 looks after the best one.

    Args:
      key: PRNG key of the network: its parameters, its validation part and its batches.
      z: codes, [N, D].
      values: [N].
      hidden: widths of the hidden layers.
      penalty: of the ridge regression.
      num_steps: maximum number of training steps of the network.
      batch_size: examples of a step, drawn with replacement.
      learning_rate: of Adam.
      valid_share: share of the examples in the validation part of the network.

    Raises:
      InputError: codes or values that are not finite or not of one length, or a number out of
        range.
    """
    z = matrix("z", z, min_length=2)
    values = vector("values", values)
    check_same("len(values)", len(values), "z", len(z))
    check_range("penalty", penalty, 0)
    check_range("valid_share", valid_share, 0, 0.9, open_low=True)
    check_range("num_steps", num_steps, 1)
    check_range("batch_size", batch_size, 1)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    hidden = tuple(hidden)
    center, scale = _standard_units(z)
    offset, spread = values.mean(), values.std()
    spread = spread if spread > 1e-12 * abs(offset) else 0.0  # constant up to rounding
    u = (z - center) / scale
    v = (values - offset) / (spread or 1.0)
    if hidden:
        params = _fit_network(
            key,
            jnp.asarray(u, jnp.float32),
            jnp.asarray(v, jnp.float32),
            hidden=hidden,
            num_steps=num_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            num_valid=max(1, round(valid_share * len(u))),
        )
    else:
        weights = _ridge(u, v, penalty)
        params = {"params": {"out": {"kernel": weights[:, None], "bias": np.zeros(1)}}}
    predictor = Predictor(params, center, scale, offset, spread, hidden)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), predictor)


def _standard_units(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each dimension, 1 for a constant one."""
    center, scale = z.mean(axis=0), z.std(axis=0)
    return center, np.where(scale > 1e-12 * np.abs(center), scale, 1.0)


def _ridge(u: np.ndarray, v: np.ndarray, penalty: float) -> np.ndarray:
    """The weights [D] of least norm among those that minimize |v - U w|^2 + penalty |w|^2."""
    gram = u.T @ u + penalty * np.eye(u.shape[1])
    return np.linalg.lstsq(gram, u.T @ v, rcond=None)[0]


class _Training(NamedTuple):
    """The state of the training of a network."""

    step: Array
    params: Params
    optimizer: optax.OptState
    best: Params
    best_loss: Array
    best_step: Array


@functools.partial(
    jax.jit, static_argnames=("hidden", "num_steps", "batch_size", "learning_rate", "num_valid")
)
def _fit_network(
    key: Array,
    u: Array,
    v: Array,
    *,
    hidden: tuple[int, ...],
    num_steps: int,
    batch_size: int,
    learning_rate: float,
    num_valid: int,
) -> Params:
    """The parameters of `Regressor` that are best on `num_valid` of the examples."""
    network, tx = Regressor(hidden), optax.adam(learning_rate)
    key_init, key_split, key_batches = jax.random.split(key, 3)
    order = jax.random.permutation(key_split, len(u))
    valid, rows = order[:num_valid], order[num_valid:]

    def loss(params: Params, index: Array) -> Array:
        return jnp.square(network.apply(params, u[index]) - v[index]).mean()

    def update(state: _Training) -> _Training:
        key_step = jax.random.fold_in(key_batches, state.step)
        index = rows[jax.random.randint(key_step, (batch_size,), 0, len(rows))]
        updates, optimizer = tx.update(
            jax.grad(loss)(state.params, index), state.optimizer, state.params
        )
        params = optax.apply_updates(state.params, updates)
        return state._replace(step=state.step + 1, params=params, optimizer=optimizer)

    def look(state: _Training) -> _Training:
        number = jnp.minimum(CHECK_EVERY, num_steps - state.step)
        state = jax.lax.fori_loop(0, number, lambda _, state: update(state), state)
        valid_loss = loss(state.params, valid)
        is_better = valid_loss < state.best_loss
        best, best_loss, best_step = jax.tree.map(
            lambda new, old: jnp.where(is_better, new, old),
            (state.params, valid_loss, state.step),
            (state.best, state.best_loss, state.best_step),
        )
        return state._replace(best=best, best_loss=best_loss, best_step=best_step)

    def continues(state: _Training) -> Array:
        waited = state.step - state.best_step
        return (state.step < num_steps) & (waited < PATIENCE * CHECK_EVERY)

    params = network.init(key_init, u[:1])
    start = jnp.zeros((), jnp.int32)
    state = _Training(start, params, tx.init(params), params, loss(params, valid), start)
    return jax.lax.while_loop(continues, look, state).best


def score(predicted: Any, values: Any, train_values: Any) -> Scores:
    """R^2 and mean absolute error of predictions [N] of held-out values [N].

        R^2 = 1 - A / B,    A = mean (y - prediction)^2,    B = mean (y - mean of y)^2

    The standard error of R^2 is that of the mean of (a_i - A / B b_i) / B over examples, by the
    delta method, with a_i and b_i the terms of A and B. R^2 is NaN for constant values. Constant
    predictions are the mean of the training values, for R^2, and their median, for the error.

    Args:
      predicted: [N].
      values: [N].
      train_values: values of the examples that the regression was fitted to.
    """
    predicted, values = vector("predicted", predicted), vector("values", values)
    train_values = vector("train_values", train_values)
    check_same("len(predicted)", len(predicted), "values", len(values))
    return Scores(
        r2=_r2(predicted, values),
        mae=mean_estimate(np.abs(values - predicted)),
        constant_r2=_r2(np.full_like(values, train_values.mean()), values),
        constant_mae=mean_estimate(np.abs(values - np.median(train_values))),
        num_examples=len(values),
    )


def _r2(predicted: np.ndarray, values: np.ndarray) -> Estimate:
    squares = np.square(values - predicted)
    spread = np.square(values - values.mean())
    if not spread.any():
        return Estimate(math.nan, math.nan)
    ratio = squares.mean() / spread.mean()
    error = mean_estimate((squares - ratio * spread) / spread.mean()).stderr
    return Estimate(float(1 - ratio), error)
