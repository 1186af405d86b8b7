"""Diagnosis of posterior collapse: a verdict, its evidence, and the remedy to try first.

Lucas et al., 2019, arXiv:1911.02469 (the role of the decoder variance); Bowman et al., 2016,
arXiv:1511.06349 (warm-up); Kingma et al., 2016, arXiv:1606.04934 (free bits); Chen et al., 2017,
arXiv:1611.02731 (decoders that need no z).
"""

import dataclasses

import numpy as np

from vae_jax.evaluation.terms import ACTIVE, Terms

NEGLIGIBLE = 0.01  # nats: a latent with a smaller mean KL over the data is inactive
COLLAPSED = 0.1  # share of active latents below which a model is collapsed
PARTLY = 0.5  # ... and partly collapsed


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A verdict on the latents."""

    name: str  # healthy, partly collapsed, collapsed, no rate, diverged
    text: str  # one sentence with the evidence
    remedy: str  # what to try first; may be empty

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" + (f" {self.remedy}" if self.remedy else "")


def verdict(
    terms: Terms,
    *,
    expressive_decoder: bool = False,
    fixed_sigma: bool = False,
    warm_up: bool = False,
) -> Verdict:
    """Judge from the terms of a split if the posterior has collapsed onto the prior.

    A latent is active if the variance of its code over the data is above 0.01 (Burda et al., 2016)
    and its KL, if available, is above 0.01 nats. With less than a tenth of the latents active a
    model is collapsed, with less than half partly collapsed. With a rate below 0.01 nats per latent
    it is collapsed in any case.

    Args:
      terms: per-example terms of a split.
      expressive_decoder: the decoder can model x without z, e.g. it is autoregressive.
      fixed_sigma: the likelihood has a variance that is not learned.
      warm_up: training already used a warm-up of beta, or free bits.
    """
    if not np.isfinite(terms.distortion).all():
        return Verdict(
            "diverged", "some terms are not finite.", "Lower the learning rate, or clip gradients."
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
    evidence = (
        f"{active} of {num} latents are active, the rate is {rate:.2f} nats "
        f"({rate / num:.3f} a latent)."
    )
    share = 0.0 if rate < NEGLIGIBLE * num else active / num
    if share >= PARTLY:
        return Verdict("healthy", evidence, "")
    name = "collapsed" if share < COLLAPSED else "partly collapsed"
    if name == "partly collapsed" and not expressive_decoder:
        return Verdict(
            name, evidence, "The data may need no more: compare the ELBO with fewer latents."
        )
    remedy = _remedy(
        expressive_decoder=expressive_decoder, fixed_sigma=fixed_sigma, warm_up=warm_up
    )
    return Verdict(name, evidence, remedy)


def _active(terms: Terms, variances: np.ndarray) -> tuple[int, int]:
    """The number of active latents, or categorical variables, and of all."""
    if terms.kl is None:
        return int(np.sum(variances > ACTIVE)), len(variances)
    kl = terms.kl.mean(0, dtype=np.float64)
    if len(kl) != len(variances):
        return int(np.sum(kl > NEGLIGIBLE)), len(kl)
    return int(np.sum((variances > ACTIVE) & (kl > NEGLIGIBLE))), len(kl)


def _remedy(*, expressive_decoder: bool, fixed_sigma: bool, warm_up: bool) -> str:
    if expressive_decoder:
        return "The decoder models x without z: use a smaller receptive field, or free bits."
    if fixed_sigma:
        return "The fixed sigma of the likelihood may be too large: learn it."
    if not warm_up:
        return "Warm up beta linearly from 0 over the first steps, or use free bits."
    return "Lower beta, or use more free bits."
