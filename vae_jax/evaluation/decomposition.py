"""The decomposition of the rate into mutual information and divergences of the aggregate posterior.

With q(z) = 1/N sum_n q(z | x_n) over the N examples of a split,

    1/N sum_n KL(q(z | x_n) || p(z)) = I(x; z) + KL(q(z) || p(z))     (Hoffman and Johnson, 2016)
    KL(q(z) || p(z)) = TC(z) + sum_d KL(q(z_d) || p(z_d))             (Chen et al., 2018)

where the sum of the second line needs a prior that factorizes; the total correlation TC(z) does
not. log q(z) is the density of the exact mixture over all N examples, at S draws z ~ q(z). The
estimates have a standard error over the draws, and no bias except that N is finite (I(x; z) <= log
N). Chen et al., 2018: arXiv:1802.04942.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import DiagGaussian, Distribution
from vae_jax.evaluation.common import Estimate, mean_estimate
from vae_jax.types import Array

CHUNK = 64  # draws at a time; memory is CHUNK N D numbers


@dataclasses.dataclass(frozen=True)
class Decomposition:
    """The parts of the rate, in nats, with standard errors over the draws."""

    rate: Estimate
    mutual_information: Estimate  # I(x; z), at most log N
    aggregate_kl: Estimate  # KL(q(z) || p(z))
    total_correlation: Estimate  # depends on q(z) alone
    dimension_kl: np.ndarray | None  # [D] KL(q(z_d) || p(z_d)); None unless the prior factorizes
    num_examples: int
    num_samples: int

    def summary(self) -> dict[str, float]:
        """The numbers with their standard errors, flat."""
        numbers: dict[str, float] = {
            "num_examples": self.num_examples,
            "num_samples": self.num_samples,
        }
        for name in ("rate", "mutual_information", "aggregate_kl", "total_correlation"):
            estimate = getattr(self, name)
            numbers |= {name: estimate.value, f"{name}_stderr": estimate.stderr}
        return numbers


def decompose(
    posterior: DiagGaussian, prior: Distribution, key: Array, *, num_samples: int = 2_000
) -> Decomposition:
    """Decompose the rate of a Gaussian posterior over [N, D], with S = `num_samples` draws of q(z).

    Args:
      posterior: q(z | x_n) of all N examples of a split.
      prior: p(z), a distribution over [D].
      key: PRNG key of the draws. They are stratified: the counts of two examples differ by at most
        one.
      num_samples: S.
    """
    n, _ = posterior.mean.shape
    key_order, key_z = jax.random.split(key)
    index = jnp.resize(jax.random.permutation(key_order, n), (num_samples,))
    logvar = jnp.broadcast_to(posterior.logvar, posterior.mean.shape)
    component = DiagGaussian(posterior.mean[index], logvar[index])
    z = component.sample(key_z)
    log_qz, log_qzd = _aggregate(z, posterior.mean, logvar)
    log_qz_x, log_pz = component.log_prob(z), prior.log_prob(z)
    factorizes = isinstance(prior, DiagGaussian)
    terms = prior.log_prob_terms(z) if factorizes else None
    return Decomposition(
        rate=_estimate(log_qz_x - log_pz),
        mutual_information=_estimate(log_qz_x - log_qz),
        aggregate_kl=_estimate(log_qz - log_pz),
        total_correlation=_estimate(log_qz - log_qzd.sum(-1)),
        dimension_kl=np.asarray((log_qzd - terms).mean(0)) if factorizes else None,
        num_examples=n,
        num_samples=num_samples,
    )


@jax.jit
def _aggregate(z: Array, mean: Array, logvar: Array) -> tuple[Array, Array]:
    """Log q(z) [S] and log q(z_d) [S, D] of the mixture, at z [S, D]."""
    log_n = math.log(len(mean))

    def at(z: Array) -> tuple[Array, Array]:
        terms = DiagGaussian(mean, logvar).log_prob_terms(z)  # [N, D]
        return jax.nn.logsumexp(terms.sum(-1)) - log_n, jax.nn.logsumexp(terms, axis=0) - log_n

    return jax.lax.map(at, z, batch_size=min(CHUNK, max(1, 2**22 // mean.size)))


def _estimate(values: Array) -> Estimate:
    return mean_estimate(np.asarray(values, np.float64))
