"""From a model and an objective to the function that a train step differentiates."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from vae_jax.corruptions import Corruption
from vae_jax.types import Array, Batch, LossFn, Metrics, Outputs, Params, Scalar, Schedule

Objective = Callable[
    ..., tuple[Array, Metrics]
]  # (Outputs, **hyper-parameters) -> (loss [], metrics)


def make_loss_fn(
    model: nn.Module,
    objective: Objective,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    needs_key: bool = False,
    **hyper_parameters: Scalar | Schedule,
) -> LossFn:
    """(params, batch, key, step) -> (loss, metrics) for `model` under `objective`.

    Args:
      model: yields `Outputs` from (x, key).
      objective: `elbo` or another function of `Outputs`.
      num_samples: K, draws of z per example.
      corruption: what is done to the encoder's input in a denoising model.
      needs_key: whether the objective draws something too, and is given a `key` of its own.
      **hyper_parameters: of the objective; a number, a traced scalar, or a schedule called with the step.
    """

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        outputs = one_pass(
            model, params, batch, key, num_samples=num_samples, corruption=corruption
        )
        own = {"key": objective_key(key)} if needs_key else {}
        return objective(outputs, **own, **at_step(hyper_parameters, step))

    return loss_fn


def one_pass(
    model: nn.Module,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
) -> Outputs:
    """The model's terms for a batch: one key for the draws of z, one for what the encoder's input is corrupted with."""
    key_z, key_corruption = jax.random.split(key)
    x = batch["x"]
    inputs = None if corruption is None else corruption(key_corruption, x)
    return model.apply(
        params, x, key_z, num_samples=num_samples, inputs=inputs, **given_y(model, batch)
    )


def objective_key(key: Array) -> Array:
    """A third key beside the two of `one_pass`, for what an objective draws."""
    return jax.random.split(key, 3)[2]


def given_y(model: nn.Module, batch: Batch) -> dict[str, Array]:
    """What the model conditions on, as an argument; nothing for one that doesn't condition."""
    return {} if getattr(model, "conditioning", None) is None else {"y": batch["y"]}


def at_step(hyper_parameters: Mapping[str, Any], step: Array) -> dict[str, Any]:
    """The values of hyper-parameters, schedules among them, at a step."""
    return {
        name: value(step) if callable(value) else value for name, value in hyper_parameters.items()
    }
