"""From a model and an objective to the function that a train step differentiates."""

from collections.abc import Callable

import jax
from flax import linen as nn

from vae_jax.corruptions import Corruption
from vae_jax.types import Array, Batch, LossFn, Metrics, Outputs, Params, Scalar, Schedule

Objective = Callable[..., tuple[Array, Metrics]]  # (Outputs, **hyper-parameters) -> (loss [], metrics)


def make_loss_fn(
    model: nn.Module,
    objective: Objective,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    **hyper_parameters: Scalar | Schedule,
) -> LossFn:
    """(params, batch, key, step) -> (loss, metrics) for `model` under `objective`.

    Args:
      model: yields `Outputs` from (x, key).
      objective: `elbo` or another function of `Outputs`.
      num_samples: K, draws of z per example.
      corruption: what is done to the encoder's input in a denoising model.
      **hyper_parameters: of the objective; a number, a traced scalar, or a schedule called with the step.
    """

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        key_z, key_corruption = jax.random.split(key)
        x = batch["x"]
        inputs = None if corruption is None else corruption(key_corruption, x)
        outputs: Outputs = model.apply(params, x, key_z, num_samples=num_samples, inputs=inputs)
        values = {name: value(step) if callable(value) else value for name, value in hyper_parameters.items()}
        return objective(outputs, **values)

    return loss_fn
