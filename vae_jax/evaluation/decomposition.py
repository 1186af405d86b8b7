"""The rate taken apart: what the codes tell about the data, and how far their aggregate is from the prior.

With q(z) = 1/N sum_n q(z | x_n) over the N examples of a split,

    1/N sum_n KL(q(z | x_n) || p(z)) = I(x; z) + KL(q(z) || p(z))            (Hoffman and Johnson, 2016)
    KL(q(z) || p(z)) = TC(z) + sum_d KL(q(z_d) || p(z_d))                    (Chen et al., 2018, arXiv:1802.04942)

where the sum of the second line needs a prior that factorizes, and the total correlation TC(z) needs none. log q(z) is that
of the exact mixture over all N examples, at S draws z ~ q(z): the estimates have a standard error over the draws, and no bias
beyond that N is finite (I(x; z) <= log N).
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import DiagGaussian
from vae_jax.types import Array

CHUNK = 64  # draws at a time: memory is CHUNK N D numbers


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, its standard error over the draws that it is a mean of, in nats."""

    value: float
    stderr: float


@dataclasses.dataclass(frozen=True)
class Decomposition:
    """The parts of the rate; `dimension_kl` is None where the prior doesn't factorize."""

    rate: Estimate
    mutual_information: Estimate  # between x and z, at most log N
    aggregate_kl: Estimate  # KL(q(z) || p(z))
    total_correlation: Estimate  # of q(z), whatever the prior
    dimension_kl: np.ndarray | None  # [D] KL(q(z_d) || p(z_d))
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
    posterior: DiagGaussian, prior: object, key: Array, *, num_samples: int = 2_000
) -> Decomposition:
    """Takes the rate of a Gaussian posterior over [N, D] apart, with S = `num_samples` draws of q(z).

    Args:
      posterior: q(z | x_n) of all N examples of a split.
      prior: p(z), a distribution over [D].
      key: of the draws; those of the mixture are stratified, each example drawn as often as any other, but for one.
      num_samples: S.
    """
    n, _ = posterior.mean.shape
    key_order, key_z = jax.random.split(key)
    chosen = jnp.resize(jax.random.permutation(key_order, n), (num_samples,))
    logvar = jnp.broadcast_to(posterior.logvar, posterior.mean.shape)
    own = DiagGaussian(posterior.mean[chosen], logvar[chosen])
    z = own.sample(key_z)
    log_qz, log_qzd = _aggregate(z, posterior.mean, logvar)
    log_qz_x, log_pz = own.log_prob(z), prior.log_prob(z)
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
    """Log q(z) [S] and log q(z_d) [S, D] of the mixture with those components, at z [S, D]."""
    log_n = math.log(len(mean))

    def at(z: Array) -> tuple[Array, Array]:
        terms = DiagGaussian(mean, logvar).log_prob_terms(z)  # [N, D]
        return jax.nn.logsumexp(terms.sum(-1)) - log_n, jax.nn.logsumexp(terms, axis=0) - log_n

    return jax.lax.map(at, z, batch_size=min(CHUNK, max(1, 2**22 // mean.size)))


def _estimate(values: Array) -> Estimate:
    values = np.asarray(values, np.float64)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))
