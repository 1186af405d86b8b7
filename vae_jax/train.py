"""The train step: one pure function, and the ways to compile it.

`train_step` is pure and not compiled. `make_train_step` jits it. `train_epoch` scans it over data
on the device, and `make_train_epoch` jits that. `make_pmap_train_step` runs it under `pmap`. All of
them derive the noise of step t from ``fold_in(key, t)``.

>>> import jax, jax.numpy as jnp, optax
>>> from vae_jax import VAE, elbo, likelihoods, make_loss_fn, nets, posteriors, priors, train
>>> model = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
...             priors.StandardNormal(2), likelihoods.Gaussian((3,)))
>>> x, tx = jnp.zeros((4, 3)), optax.adam(1e-3)
>>> state = train.init_state(jax.random.key(0), model, x, tx)
>>> step = train.make_train_step(make_loss_fn(model, elbo), tx)
>>> for _ in range(3):
...     state, metrics = step(state, {"x": x})
>>> int(state.step), bool(jnp.isfinite(metrics["loss"]))
(3, True)
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vae_jax.types import Array, Batch, LossFn, Metrics, Params, PostUpdate, Scalar

TrainStep = Callable[["TrainState", Batch], tuple["TrainState", Metrics]]


@struct.dataclass
class TrainState:
    """The state of a run, without its data and config."""

    step: Array  # [] int32, steps taken, including skipped steps
    params: Params
    opt_state: Any
    ema_params: Params | None  # exponential moving average of params, None if it is off
    key: Array  # [] base key, never advanced
    skipped: Array  # [] int32, steps skipped because loss or gradient was not finite
    skipped_in_a_row: Array  # [] int32, skipped steps since the last finite one

    @property
    def eval_params(self) -> Params:
        """The parameters for evaluation: the moving average if available."""
        return self.params if self.ema_params is None else self.ema_params


def init_state(
    key: Array, model: Any, x: Array, tx: optax.GradientTransformation, *, ema: bool = False
) -> TrainState:
    """The state at step 0 for inputs like x [B, *E]; calls ``model.init(key, x, key)``.

    Args:
      key: split into those of the parameters, of the draws of z and of all later steps.
      model: a Flax module that returns `Outputs`.
      x: examples of which only shape and dtype matter.
      tx: the optimizer.
      ema: True to keep a moving average of the parameters, from their initial values.
    """
    key_params, key_z, key_base = jax.random.split(key, 3)
    params = jax.jit(model.init)(key_params, x, key_z)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=tx.init(params),
        ema_params=jax.tree.map(jnp.copy, params) if ema else None,
        key=key_base,
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_a_row=jnp.zeros((), jnp.int32),
    )


def step_keys(state: TrainState) -> tuple[Array, Array]:
    """The keys of this step, each []: one for the data (binarization), one for the loss."""
    key_data, key_loss = jax.random.split(jax.random.fold_in(state.key, state.step))
    return key_data, key_loss


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    ema_decay: Scalar | None = None,
    post_update: PostUpdate | None = None,
    axis_name: str | None = None,
) -> tuple[TrainState, Metrics]:
    """One step of gradient descent, pure.

    A step with a non-finite loss or gradient changes neither parameters, optimizer nor average. It
    is counted.

    Args:
      state: before the step; its `key` and `step` determine the noise.
      batch: "x" [B, *E] and anything else the loss reads.
      loss_fn: (params, batch, key, step) -> (loss, metrics).
      tx: the optimizer.
      ema_decay: d in ema <- d ema + (1 - d) params; needs a state created with `ema=True`.
      post_update: changes the parameters after the optimizer, given ``metrics["statistics"]`` of
        the loss.
      axis_name: under `pmap`, the mapped axis to average over; each device has separate noise in
        the loss, and all have the same in the post-update.

    Returns:
      The state after the step and the metrics of the loss, with `grad_norm` and the counts of
      skipped steps.

    Raises:
      ValueError: `ema_decay` for a state without a moving average, or none for one with it.
    """
    if (ema_decay is None) != (state.ema_params is None):
        raise ValueError(
            f"ema_decay = {ema_decay}: needed if the state was created with ema=True, and only then"
        )
    _, key = step_keys(state)
    # Before the devices part: a post-update changes the same parameters on all of them.
    key, key_post = jax.random.split(key) if post_update is not None else (key, None)
    if axis_name is not None:
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
    (loss, metrics), grads = jax.value_and_grad(loss_fn, has_aux=True)(
        state.params, batch, key, state.step
    )
    if axis_name is not None:
        loss, metrics, grads = jax.lax.pmean((loss, metrics, grads), axis_name)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)

    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = dict(metrics)
    statistics = metrics.pop("statistics", None)
    if post_update is not None:
        assert key_post is not None
        params = post_update(params, state.params, statistics, key_post, state.step)
    ema_params = state.ema_params
    if ema_decay is not None:
        # The same precision for a number and a tracer.
        step_size = 1 - jnp.asarray(ema_decay, jnp.float32)
        ema_params = optax.incremental_update(params, ema_params, step_size)

    new, old = (params, opt_state, ema_params), (state.params, state.opt_state, state.ema_params)
    params, opt_state, ema_params = jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)
    state = state.replace(  # type: ignore[attr-defined]
        step=state.step + 1,
        params=params,
        opt_state=opt_state,
        ema_params=ema_params,
        skipped=state.skipped + ~finite,
        skipped_in_a_row=jnp.where(finite, 0, state.skipped_in_a_row + 1),
    )
    counts = {"skipped": state.skipped, "skipped_in_a_row": state.skipped_in_a_row}
    # The differentiated loss, even if a caller added terms to it and not to the metrics.
    return state, metrics | {"loss": loss, "grad_norm": grad_norm} | counts


def make_train_step(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    ema_decay: float | None = None,
    post_update: PostUpdate | None = None,
    mesh: Mesh | None = None,
) -> TrainStep:
    """Return the jitted step (state, batch) -> (state, metrics). It donates the state.

    With a mesh the batch is split over its "data" axis and everything else is replicated. The
    results equal those on one device. B must be a multiple of the number of devices.
    """
    step = functools.partial(
        train_step, loss_fn=loss_fn, tx=tx, ema_decay=ema_decay, post_update=post_update
    )
    if mesh is None:
        return jax.jit(step, donate_argnums=0)
    replicated = NamedSharding(mesh, P())
    in_shardings = (replicated, NamedSharding(mesh, P("data")))
    return jax.jit(step, donate_argnums=0, in_shardings=in_shardings, out_shardings=replicated)


def train_epoch(
    state: TrainState,
    data: Any,
    *,
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    order: Callable[[Array], Array],
    num_steps: int,
    ema_decay: Scalar | None = None,
    post_update: PostUpdate | None = None,
    sharding: NamedSharding | None = None,
) -> tuple[TrainState, Metrics]:
    """Scan S = `num_steps` steps, including gather and binarization. Pure.

    Args:
      state, loss_fn, tx, ema_decay, post_update: as for `train_step`.
      data: a pytree with ``take(index [B], key) -> Batch``, such as
        ``vae_jax.data.ArraySource(images)``.
      order: steps [S] -> indices [S, B] of the examples of each step, such as
        ``partial(vae_jax.data.order.batch_index, num_examples=N, batch_size=B, seed=0)``.
      num_steps: S, static.
      sharding: places the indices [S, B], if the batch is split over a mesh.

    Returns:
      The state and the metrics, each [S].
    """
    # All indices at once: inside the scan their small operations would cost as much as a network.
    index = order(state.step + jnp.arange(num_steps))
    if sharding is not None:
        index = jax.lax.with_sharding_constraint(index, sharding)

    def body(state: TrainState, index: Array) -> tuple[TrainState, Metrics]:
        key_data, _ = step_keys(state)
        batch = data.take(index, key_data)
        return train_step(
            state, batch, loss_fn=loss_fn, tx=tx, ema_decay=ema_decay, post_update=post_update
        )

    return jax.lax.scan(body, state, index)


def make_train_epoch(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    order: Callable[[Array], Array],
    num_steps: int,
    ema_decay: float | None = None,
    post_update: PostUpdate | None = None,
    mesh: Mesh | None = None,
    batched: bool = False,
) -> Callable[[TrainState, Any], tuple[TrainState, Metrics]]:
    """Return the jitted `train_epoch`, (state, data) -> (state, metrics [S]). It donates the state.

    Arguments as in `train_epoch` and `make_train_step`. With a mesh the batch is split over its
    "data" axis. `batched` data, arrays [S, B, ...] from which `take` makes the batch of a step, are
    already split. Other data are replicated.
    """
    split = None if mesh is None else NamedSharding(mesh, P(None, "data"))
    sharding = None if batched else split
    epoch = functools.partial(
        train_epoch,
        loss_fn=loss_fn,
        tx=tx,
        order=order,
        num_steps=num_steps,
        ema_decay=ema_decay,
        post_update=post_update,
        sharding=sharding,
    )
    if mesh is None:
        return jax.jit(epoch, donate_argnums=0)
    replicated = NamedSharding(mesh, P())
    in_shardings = (replicated, split if batched else replicated)
    return jax.jit(epoch, donate_argnums=0, in_shardings=in_shardings, out_shardings=replicated)


def make_pmap_train_step(
    loss_fn: LossFn,
    tx: optax.GradientTransformation,
    *,
    ema_decay: float | None = None,
    post_update: PostUpdate | None = None,
    axis_name: str = "batch",
) -> TrainStep:
    """Return the step under `pmap`: the state is replicated, the batch is [devices, B', *E].

    Gradients and metrics are averaged over devices. So batch statistics of an objective (free bits,
    optimal sigma) are over a device's B' = B / devices examples. The noise differs from
    `make_train_step`, which does not depend on the number of devices. Prefer it in new code.
    """
    step = functools.partial(
        train_step,
        loss_fn=loss_fn,
        tx=tx,
        ema_decay=ema_decay,
        post_update=post_update,
        axis_name=axis_name,
    )
    return jax.pmap(step, axis_name=axis_name, donate_argnums=0)
