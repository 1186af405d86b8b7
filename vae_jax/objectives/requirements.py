"""Input validation for objectives."""

from vae_jax.distributions import Deterministic, DiagGaussian, OneHotCategorical, Quantized
from vae_jax.types import Outputs


def check_density(objective: str, outputs: Outputs) -> None:
    """Raises ValueError if the posterior is a point, such as a deterministic or quantized one."""
    if isinstance(outputs.posterior, Deterministic):
        raise ValueError(
            f"{objective} needs log q(z | x), and a deterministic posterior has no density; use "
            "`reconstruction`"
        )
    if isinstance(outputs.posterior, Quantized):
        raise ValueError(
            f"{objective} needs samples of q(z | x), and quantized codes aren't random; use `vq`"
        )


def check_flat(objective: str, outputs: Outputs) -> None:
    """Raises ValueError unless the posterior is over [B, D], as it is not in a hierarchy."""
    batch_shape = outputs.posterior.batch_shape
    if len(outputs.layers) > 1 or len(batch_shape) != 1:
        raise ValueError(
            f"{objective} needs a posterior over [B, D] that doesn't depend on the draws; this one "
            f"is over {[*batch_shape, 'D']} in {max(len(outputs.layers), 1)} layer(s), as in a "
            "hierarchical model"
        )


def check_path(objective: str, outputs: Outputs) -> None:
    """Raises ValueError unless z is a smooth function of noise and the posterior's parameters."""
    check_density(objective, outputs)
    if isinstance(outputs.posterior, OneHotCategorical):
        raise ValueError(
            f"{objective} differentiates along z, and samples of a categorical posterior are not "
            "smooth; use `iwae`"
        )
    check_flat(objective, outputs)


def diag_gaussian(objective: str, outputs: Outputs) -> DiagGaussian:
    """Return the posterior; raises ValueError unless it is a diagonal Gaussian over [B, D]."""
    if not isinstance(outputs.posterior, DiagGaussian):
        raise ValueError(
            f"{objective} needs a diagonal Gaussian posterior, not a "
            f"{type(outputs.posterior).__name__}"
        )
    check_flat(objective, outputs)
    return outputs.posterior
