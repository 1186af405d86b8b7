"""Loss functions: a model and an objective become the function that a train step differentiates."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax

from vae_jax.corruptions import Corruption
from vae_jax.models.base import Model
from vae_jax.types import Array, Batch, LossFn, Metrics, Outputs, Params, Scalar, Schedule

Objective: TypeAlias = Callable[..., tuple[Array, Metrics]]
"""(*outputs, **hyper-parameters) -> (loss [], metrics)."""

Run: TypeAlias = Callable[[Params, Batch, Array], Outputs]
"""(params, batch, key) -> the model's terms."""

Arguments: TypeAlias = Callable[
    [Params, Batch, Array], tuple[tuple[Outputs, ...], Mapping[str, Any]]
]
"""(params, batch, key) -> positional and keyword arguments of an objective."""

Forward: TypeAlias = Callable[[Any, Run], Arguments]
"""(model, run) -> the passes of an objective.

Raises ValueError if the model lacks a part that they need.
"""


def single_pass(model: Model, run: Run) -> Arguments:
    """One pass of the model, as most objectives need it: (outputs, **hyper-parameters)."""
    return lambda params, batch, key: ((run(params, batch, key),), {})


def make_loss_fn(
    model: Model,
    objective: Objective,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    history_corruption: Corruption | None = None,
    forward: Forward = single_pass,
    needs_key: bool = False,
    **hyper_parameters: Scalar | Schedule,
) -> LossFn:
    """Return (params, batch, key, step) -> (loss [], metrics) of `model` under `objective`.

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import VAE, elbo, likelihoods, make_loss_fn, nets, posteriors, priors
    >>> from vae_jax.schedules import linear
    >>> model = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
    ...             priors.StandardNormal(2), likelihoods.Gaussian((3,)))
    >>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
    >>> loss_fn = make_loss_fn(model, elbo, beta=linear(0.0, 1.0, 100))
    >>> loss, metrics = loss_fn(model.init(key, x, key), {"x": x}, key, 50)
    >>> loss.shape, float(metrics["beta"])
    ((), 0.5)

    Args:
      model: returns `Outputs` for (x, key).
      objective: `elbo` or another function of `Outputs`.
      num_samples: K, draws of z per example.
      corruption: corrupts the encoder's input in a denoising model.
      history_corruption: corrupts the past that an autoregressive likelihood sees, as
        `corruptions.token_dropout`.
      forward: the passes that the objective needs: `two_player_pass` for `dreg` and `piwae`,
        `critic_pass` for `factor`, `all_classes_pass` for `semi_supervised`, `property_pass` for
        `property_elbo`, `prior_pass` for `fit_prior_loss`.
      needs_key: True if the objective takes a `key`, as `factor`, `info`, `wae` and `vq` do.
      **hyper_parameters: of the objective; a number, a traced scalar, or a schedule called with
        the step.

    Raises:
      ValueError: the model lacks a part that `forward` needs.
    """
    run = functools.partial(
        one_pass,
        model,
        num_samples=num_samples,
        corruption=corruption,
        history_corruption=history_corruption,
    )
    arguments = forward(model, run)

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        outputs, options = arguments(params, batch, key)
        keys = {"key": objective_key(key)} if needs_key else {}
        return objective(*outputs, **options, **keys, **at_step(hyper_parameters, step))

    return loss_fn


def switch_losses(first: LossFn, second: LossFn, at: Scalar) -> LossFn:
    """Return the loss [] that is `first` before step `at` and `second` from then on.

    Both must return the same metrics. Only one of them is computed, except under `vmap`.
    """

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        return jax.lax.cond(step < at, first, second, params, batch, key, step)

    return loss_fn


def one_pass(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    history_corruption: Corruption | None = None,
) -> Outputs:
    """The model's terms [K, B] for a batch, with separate keys for z and for the corruptions."""
    key_z, key_corruption = jax.random.split(key)
    x = batch["x"]
    options: dict[str, Any] = {"num_samples": num_samples, **given(model, batch)}
    options["inputs"] = None if corruption is None else corruption(key_corruption, x)
    if history_corruption is not None:
        options["history"] = history_corruption(jax.random.split(key, 4)[3], x)
    return model.apply(params, x, key_z, **options)


def objective_key(key: Array) -> Array:
    """A third key [], for objectives that sample; `one_pass` uses the first two, and a fourth."""
    return jax.random.split(key, 3)[2]


def given(model: Model, batch: Batch) -> dict[str, Any]:
    """The keyword arguments of methods that read x: y of a conditional model, and `observed`."""
    observed = batch.get("observed")
    return given_y(model, batch) | ({} if observed is None else {"observed": observed})


def given_y(model: Model, batch: Batch) -> dict[str, Any]:
    """The keyword argument y of a conditional model; empty for an unconditional one."""
    return {} if model.conditioning is None else {"y": batch["y"]}


def at_step(hyper_parameters: Mapping[str, Any], step: Array) -> dict[str, Any]:
    """The values of hyper-parameters at a step []; schedules are called with it."""
    return {
        name: value(step) if callable(value) else value for name, value in hyper_parameters.items()
    }
