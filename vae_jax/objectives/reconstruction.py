"""The loss of an autoencoder."""

from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Metrics, Outputs


def reconstruction(outputs: Outputs) -> tuple[Array, Metrics]:
    """Loss = D = -E_q[log p(x | z)], nats per example: minus the log-likelihood of the data under their own codes.

    With a deterministic posterior this is the autoencoder, whose rate is infinite, and its ELBO minus infinity.
    """
    distortion, _ = per_example_terms(outputs)
    loss = distortion.mean()
    return loss, bound_metrics(loss, outputs)
