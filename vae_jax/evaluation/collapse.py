"""Posterior collapse in plain words: a verdict, its evidence, and the remedy to try first.

Lucas et al., 2019, arXiv:1911.02469, on what the variance of the decoder has to do with it; Bowman et al., 2016,
arXiv:1511.06349 (warm-up); Kingma et al., 2016, arXiv:1606.04934 (free bits); Chen et al., 2017, arXiv:1611.02731 (decoders
that need no z).
"""

import dataclasses

import numpy as np

from vae_jax.evaluation.terms import ACTIVE, Terms

NEGLIGIBLE = (
    0.01  # nats: the KL of a latent, on the mean over the data, below which it says nothing
)
COLLAPSED, PARTLY = 0.1, 0.5  # share of active latents below which a model is called so


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the latents are worth."""

    name: str  # healthy, partly collapsed, collapsed, no rate, diverged
    text: str  # one sentence with the evidence
    remedy: str  # what to try, or nothing

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" + (f" {self.remedy}" if self.remedy else "")


def verdict(
    terms: Terms,
    *,
    expressive_decoder: bool = False,
    fixed_sigma: bool = False,
    warm_up: bool = False,
) -> Verdict:
    """Whether the posterior of a model has collapsed onto its prior, from the terms of a split.

    A latent is active when its code varies by more than 0.01 over the data (Burda et al., 2016) and, where the KL of each is
    known, when that KL is above 0.01 nats. Below a tenth of them the model is called collapsed, below half partly collapsed; a
    rate below 0.01 nats a latent is collapse whatever the codes do.

    Args:
      terms: per-example terms of a split.
      expressive_decoder: whether x can be modelled without z, as by an autoregressive decoder.
      fixed_sigma: whether the likelihood has a variance that is not learned.
      warm_up: whether the weight of the rate was already raised from a lower one, or bits were free.
    """
    if not np.isfinite(terms.distortion).all():
        return Verdict(
            "diverged",
            "some terms are not finite.",
            "Lower the learning rate, or clip the gradient.",
        )
    variances = np.var(terms.code, axis=0, dtype=np.float64)
    if not np.isfinite(terms.rate).all():
        dead = int(np.sum(variances <= ACTIVE * variances.max()))
        return Verdict(
            "no rate",
            f"codes are points; {dead} of {len(variances)} hardly vary over the data.",
            "",
        )
    active, num = _active(terms, variances)
    rate = float(terms.rate.mean(dtype=np.float64))
    evidence = f"{active} of {num} latents are active, the rate is {rate:.2f} nats ({rate / num:.3f} a latent)."
    share = 0.0 if rate < NEGLIGIBLE * num else active / num
    if share >= PARTLY:
        return Verdict("healthy", evidence, "")
    name = "collapsed" if share < COLLAPSED else "partly collapsed"
    if name == "partly collapsed" and not expressive_decoder:
        return Verdict(
            name,
            evidence,
            "That may be all that the data need: compare the ELBO with fewer latents.",
        )
    return Verdict(
        name,
        evidence,
        _remedy(expressive_decoder=expressive_decoder, fixed_sigma=fixed_sigma, warm_up=warm_up),
    )


def _active(terms: Terms, variances: np.ndarray) -> tuple[int, int]:
    """How many latents, or categorical variables, are active, and how many there are."""
    if terms.kl is None:
        return int(np.sum(variances > ACTIVE)), len(variances)
    kl = terms.kl.mean(0, dtype=np.float64)
    if len(kl) != len(variances):
        return int(np.sum(kl > NEGLIGIBLE)), len(kl)
    return int(np.sum((variances > ACTIVE) & (kl > NEGLIGIBLE))), len(kl)


def _remedy(*, expressive_decoder: bool, fixed_sigma: bool, warm_up: bool) -> str:
    if expressive_decoder:
        return (
            "The decoder models x without z: give it a smaller receptive field, or grant free bits."
        )
    if fixed_sigma:
        return (
            "The fixed sigma of the likelihood may be too large: learn it (model.sigma = 'scalar')."
        )
    if not warm_up:
        return "Raise beta from 0 over the first steps (objective.beta_schedule = 'linear'), or grant free bits."
    return "Lower beta, or grant more free bits."
