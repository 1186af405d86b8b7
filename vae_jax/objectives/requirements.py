"""What an objective asks of the outputs it is given, said before a wrong number comes out."""

from vae_jax.distributions import Deterministic, DiagGaussian, OneHotCategorical, Quantized
from vae_jax.types import Outputs


def check_density(objective: str, outputs: Outputs) -> None:
    """Raises ValueError for a posterior that is a point, of x or of its codes."""
    if isinstance(outputs.posterior, Deterministic):
        raise ValueError(
            f"{objective} needs log q(z | x), and a deterministic posterior has no density; take `reconstruction`"
        )
    if isinstance(outputs.posterior, Quantized):
        raise ValueError(
            f"{objective} needs draws of q(z | x), and quantized codes aren't drawn; take `vq`"
        )


def check_flat(objective: str, outputs: Outputs) -> None:
    """Raises ValueError unless the posterior is over [B, D], the same for every draw: not that of a hierarchy."""
    batch_shape = outputs.posterior.batch_shape
    if len(outputs.layers) > 1 or len(batch_shape) != 1:
        raise ValueError(
            f"{objective} needs a posterior over [B, D] that doesn't depend on the draws; this one is over "
            f"{[*batch_shape, 'D']} in {max(len(outputs.layers), 1)} layer(s), as in a hierarchical model"
        )


def check_path(objective: str, outputs: Outputs) -> None:
    """Raises ValueError unless z is a smooth function of noise and the posterior's parameters, which may be held constant."""
    check_density(objective, outputs)
    if isinstance(outputs.posterior, OneHotCategorical):
        raise ValueError(
            f"{objective} differentiates along z, and draws of a categorical posterior are not smooth; take `iwae`"
        )
    check_flat(objective, outputs)


def diag_gaussian(objective: str, outputs: Outputs) -> DiagGaussian:
    """The posterior, a diagonal Gaussian over [B, D]; ValueError where it is anything else."""
    if not isinstance(outputs.posterior, DiagGaussian):
        raise ValueError(
            f"{objective} needs a diagonal Gaussian posterior, not a {type(outputs.posterior).__name__}"
        )
    check_flat(objective, outputs)
    return outputs.posterior
