"""A VAE trained along with a regression of a property from its codes."""

import jax.numpy as jnp

from vae_jax.models.base import PropertyModel
from vae_jax.objectives.elbo import elbo
from vae_jax.objectives.loss import Arguments, Run
from vae_jax.types import Array, Batch, Metrics, Outputs, Params, Scalar


def property_elbo(
    outputs: Outputs,
    *,
    predicted: Array,
    y: Array,
    property_weight: Scalar = 1.0,
    beta: Scalar = 1.0,
    free_bits: Scalar | None = None,
    capacity: Scalar | None = None,
) -> tuple[Array, Metrics]:
    """The loss of `elbo` and the squared error of a property predicted from z.

        loss = elbo loss + property_weight E_q[(y - f(z))^2 / 2]

    At weight 1 it is, up to a constant, the negative ELBO of x and y together with p(y | z) =
    N(f(z), 1), so y should be standardized. The regression f shapes the codes: examples of similar
    y come close. Gómez-Bombarelli et al., 2018, doi:10.1021/acscentsci.7b00572.

    Args:
      outputs: the terms of one pass, [K, B].
      predicted: f(z) at the draws of the pass, [K, B].
      y: property of each example, [B].
      property_weight: weight of the regression; 0 is `elbo`, and f learns nothing.
      beta: as of `elbo`, like `free_bits` and `capacity`.

    Returns:
      loss [] and the metrics of `elbo` and `property_error`, the mean of (y - f(z))^2.

    Raises:
      ValueError: as of `elbo`; predictions or properties of another shape.
    """
    if predicted.shape != outputs.log_px_z.shape or y.shape != predicted.shape[1:]:
        raise ValueError(
            f"predictions of shape {predicted.shape} and y of shape {y.shape}: must be "
            f"{outputs.log_px_z.shape} and {outputs.log_px_z.shape[1:]}, a number for each example"
        )
    loss, metrics = elbo(outputs, beta=beta, free_bits=free_bits, capacity=capacity)
    error = jnp.square(y - predicted).mean()
    loss = loss + property_weight * error / 2
    return loss, metrics | {"loss": loss, "property_error": error}


def property_pass(model: PropertyModel, run: Run) -> Arguments:
    """One pass of the model, and the predictions of its `regressor` at the draws of z.

    Batches have "y" [B].

    Raises:
      ValueError: a model without a regressor.
    """
    if model.regressor is None:
        raise ValueError("property_elbo needs a model with a regressor, z [N, D] -> [N]")

    def arguments(params: Params, batch: Batch, key: Array) -> tuple[tuple[Outputs, ...], dict]:
        outputs = run(params, batch, key)
        z = outputs.z.reshape(-1, outputs.z.shape[-1])
        predicted = model.apply(params, z, method="predict_property")
        return (outputs,), {"predicted": predicted.reshape(outputs.log_px_z.shape), "y": batch["y"]}

    return arguments
