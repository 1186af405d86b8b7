"""Diagnosis of the latents: a verdict, its evidence, and the remedy to try first.

The papers are in `vae_jax.evaluation.remedies`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from vae_jax.evaluation.baseline_scores import BaselineScores
from vae_jax.evaluation.common import format_nats
from vae_jax.evaluation.remedies import (
    Setting,
    describe_weight,
    find_remedy,
    remedy_of_bound,
    remedy_of_silence,
    train_longer,
)
from vae_jax.evaluation.terms import ACTIVE, USED, Terms, describe_rows, find_extreme, has_diverged

NEGLIGIBLE = 0.01  # nats: a latent with a smaller mean KL over the data is inactive
COLLAPSED = 0.1  # share of used latents below which a model is collapsed
PARTLY = 0.5  # ... and partly collapsed
MIN_EXAMPLES = 10  # fewer give no usable variance of a code
SILENT = 0.1  # least share of the rate that a code saves if the decoder uses it
CLEARLY = 0.2  # relative difference from the reconstructions of the baseline
SAME = 1e-10  # largest variance of a code that is the same for all examples, up to rounding


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A verdict on the latents.

    The names are healthy, partly collapsed, collapsed; worse than the baseline, unused rate (its
    reconstructions are no better); no rate; no latents, of a model that has none; and if they
    cannot be judged: unknown, constant data, blind (the encoder does not see the data), not finite,
    extreme row (one example alone decides the mean bound), diverged.
    """

    name: str
    text: str  # one or two sentences with the evidence
    remedy: str = ""  # what to try first; may be empty

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" + (f" {self.remedy}" if self.remedy else "")


def verdict(
    terms: Terms, *, baseline: BaselineScores | None = None, setting: Setting | None = None
) -> Verdict:
    """Judge from the terms of a split if the posterior has collapsed onto the prior.

    A latent is active if the variance of its code over the data is above 0.01 (Burda et al., 2016),
    a categorical variable if its KL is above 0.01 nats; it is used if its KL is at least 0.1 nats.
    With less than a tenth of the latents used a model is collapsed, with less than half partly
    collapsed. Without a KL of each latent, no more are counted as used than the rate allows.

    No model is healthy with an ELBO below the log-likelihood of the baseline. If its
    reconstructions are no better either, neither by log p(x | z) nor by MSE, the rate is unused.
    It is unused too if the code of another example does as well, up to a tenth of the rate.

    Args:
      terms: per-example terms of a split.
      baseline: the trivial baseline on the same examples.
      setting: settings on which the remedies depend; by default the plain ELBO with beta = 1.
    """
    setting = setting or Setting()
    return judge(terms, lambda terms: _judge_latents(terms, setting), setting, baseline)


def judge(
    terms: Terms,
    judge_latents: Callable[[Terms], Verdict],
    setting: Setting,
    baseline: BaselineScores | None,
) -> Verdict:
    """Judge the examples with a finite bound by their latents, and by the baseline."""
    finite = terms.is_finite
    if has_diverged(finite):
        text = f"{int(np.sum(~finite))} of {len(finite)} examples have no finite bound."
        return Verdict("diverged", text, "Lower the learning rate, or clip gradients.")
    bound = terms.elbo if np.isfinite(terms.rate).any() else -terms.distortion
    extreme = find_extreme(bound, finite)
    if finite.all() and not len(extreme):
        return _judge_all(terms, judge_latents, setting, baseline)
    others = finite.copy()
    others[extreme] = False
    rest = _judge_all(
        terms.select(others),
        judge_latents,
        setting,
        None if baseline is None else baseline.select(others),
    )
    notes = [] if finite.all() else [f"{describe_rows(finite)}."]
    if len(extreme):
        rows = ", ".join(f"row {row} ({format_nats(bound[row])} nats)" for row in extreme)
        notes.append(f"The mean bound of all {len(finite)} examples is that of {rows}.")
    text = f"{' '.join(notes)} On the other examples: {rest}"
    name = "extreme row" if finite.all() else "not finite"
    return Verdict(name, text, "Look at these rows of the data.")


def _judge_all(
    terms: Terms,
    judge_latents: Callable[[Terms], Verdict],
    setting: Setting,
    baseline: BaselineScores | None,
) -> Verdict:
    """Judge examples that all have a finite bound."""
    if baseline is not None and baseline.is_constant:
        text = "All training examples are the same, so there is nothing to encode."
        return Verdict("constant data", text, "Check how the data were prepared.")
    if len(terms.code) < MIN_EXAMPLES:
        count = f"{len(terms.code)} example" + ("s are" if len(terms.code) > 1 else " is")
        text = f"{count} too few to judge the latents by, {MIN_EXAMPLES} are needed."
        return Verdict("unknown", " ".join([text, *_compare(terms, baseline)]))
    result = judge_latents(terms)
    if not setting.has_latents:
        return _judge_control(result, terms, setting, baseline)
    if baseline is None or result.name in ("blind", "unused rate"):
        return _with_comparison(result, terms, baseline)
    if result.name == "collapsed":
        if _is_untrained(terms, baseline):
            # A decoder without codes reaches the baseline once it is trained.
            remedy = train_longer(setting)
            if setting.beta > 1:
                remedy += f" Lower {setting.weight_name}, which is {setting.beta:g}."
            result = Verdict("worse than the baseline", result.text, remedy)
        return _with_comparison(result, terms, baseline)
    return _with_comparison(_judge_bound(result, terms, setting, baseline), terms, baseline)


def _judge_control(
    result: Verdict, terms: Terms, setting: Setting, baseline: BaselineScores | None
) -> Verdict:
    """The verdict on a model without latents: log p(x) alone is compared with the baseline."""
    if baseline is not None and terms.elbo.mean(dtype=np.float64) <= baseline.log_px.mean():
        result = Verdict("worse than the baseline", result.text, train_longer(setting))
    return _with_comparison(result, terms, baseline)


def _judge_latents(terms: Terms, setting: Setting) -> Verdict:
    if not setting.has_latents:
        text = "The model has no latents by construction: its rate is 0, and its ELBO is log p(x)."
        return Verdict("no latents", text)
    variances = np.var(terms.code, axis=0, dtype=np.float64)
    if variances.max() <= SAME and setting.beta <= 1:
        return Verdict(
            "blind",
            "The encoder gives every example the same code, the largest variance of a latent is "
            f"{variances.max():.1g}.",
            "The network cannot see the data: check the scale of its inputs.",
        )
    if not np.isfinite(terms.rate).all():
        dead = int(np.sum(variances <= ACTIVE * variances.max()))
        text = f"codes are points; {dead} of {len(variances)} hardly vary over the data."
        return Verdict("no rate", text)
    active, used, num = _count(terms, variances)
    rate = float(terms.rate.mean(dtype=np.float64))
    strong = "" if terms.kl is None else f", {used} of them with at least {USED:g} nats"
    evidence = (
        f"{active} of {num} latents are active{strong}, the rate is {format_nats(rate)} nats "
        f"({rate / num:.3f} a latent){describe_weight(setting)}."
    )
    share = used / num
    if share >= COLLAPSED and setting.code_gain is not None and setting.code_gain < SILENT * rate:
        text = (
            f"{evidence} It buys nothing: with the code of another example, log p(x | z) is lower "
            f"by {setting.code_gain:.2f} nats."
        )
        return Verdict("unused rate", text, remedy_of_silence(setting))
    if share >= PARTLY:
        return Verdict("healthy", evidence)
    name = "collapsed" if share < COLLAPSED else "partly collapsed"
    if name == "partly collapsed" and not setting.expressive_decoder:
        remedy = "The data may need no more: compare the ELBO with fewer latents."
        return Verdict(name, evidence, remedy)
    return Verdict(name, evidence, find_remedy(setting))


def _count(terms: Terms, variances: np.ndarray) -> tuple[int, int, int]:
    """The numbers of active, used and all latents, or categorical variables."""
    if terms.kl is None:
        active = int(np.sum(variances > ACTIVE))
        return active, min(active, int(terms.rate.mean(dtype=np.float64) / USED)), len(variances)
    kl = terms.kl.mean(0, dtype=np.float64)
    is_active = variances > ACTIVE if len(kl) == len(variances) else kl > NEGLIGIBLE
    return int(np.sum(is_active)), int(np.sum(is_active & (kl >= USED))), len(kl)


def _judge_bound(
    result: Verdict, terms: Terms, setting: Setting, baseline: BaselineScores
) -> Verdict:
    """The verdict on the latents, or on a model that is worse than the baseline."""
    likelihood = float(baseline.log_px.mean())
    log_px_z = -float(terms.distortion.mean(dtype=np.float64))
    is_likelier = log_px_z > likelihood
    error = _error_of_baseline(terms, baseline)
    is_closer = error is not None and error[0] < error[1]
    if not np.isfinite(terms.rate).all():
        if is_likelier or is_closer:
            return result
        text = f"{result.text} Reconstructions are no better than without a code."
        return Verdict("worse than the baseline", text, "Train longer, or check the data's scale.")
    rate = float(terms.rate.mean(dtype=np.float64))
    if log_px_z - rate > likelihood:
        return result
    if setting.importance_samples > 1:
        text = (
            f"{result.text} Training maximized a bound of {setting.importance_samples} draws, "
            "which can be far above the ELBO."
        )
        return Verdict("unknown", text, "Compare log p(x) with the baseline instead.")
    if not is_likelier and not is_closer:
        text = (
            f"{result.text} The rate of {format_nats(rate)} nats buys nothing: with it, "
            f"log p(x | z) is {format_nats(log_px_z)} nats."
        )
        return Verdict("unused rate", text, remedy_of_bound(setting))
    if is_likelier:
        text = f"{result.text} The rate costs more than it buys."
        return Verdict("worse than the baseline", text, remedy_of_bound(setting, is_costly=True))
    remedy = remedy_of_bound(setting)
    if setting.fixed_sigma:
        remedy = "Reconstructions are better by MSE: learn the sigma of the likelihood."
    elif setting.shared_sigma:
        remedy = "Reconstructions are better by MSE: learn a sigma for each dimension."
    return Verdict("worse than the baseline", result.text, remedy)


def _is_untrained(terms: Terms, baseline: BaselineScores) -> bool:
    """True if reconstructions are clearly worse than reconstructions without a code."""
    error = _error_of_baseline(terms, baseline)
    if error is not None:
        return error[0] > (1 + CLEARLY) * error[1]
    likelihood = baseline.log_px.mean()
    return bool(-terms.distortion.mean() < likelihood - CLEARLY * abs(likelihood))


def _error_of_baseline(terms: Terms, baseline: BaselineScores) -> tuple[float, float] | None:
    """The MSE of the model and of the baseline, if both have one."""
    if terms.mse is None or baseline.mse is None:
        return None
    return float(terms.mse.mean(dtype=np.float64)), float(baseline.mse.mean())


def _with_comparison(result: Verdict, terms: Terms, baseline: BaselineScores | None) -> Verdict:
    return dataclasses.replace(result, text=" ".join([result.text, *_compare(terms, baseline)]))


def _compare(terms: Terms, baseline: BaselineScores | None) -> list[str]:
    """A sentence on the bound and the baseline, if there are both."""
    if baseline is None or not np.isfinite(terms.rate).all():
        return []
    elbo, likelihood = float(terms.elbo.mean(dtype=np.float64)), float(baseline.log_px.mean())
    side = "above" if elbo > likelihood else "not above"
    bounds = f"The ELBO of {format_nats(elbo)} nats is {side} the {format_nats(likelihood)} nats"
    return [f"{bounds} of {baseline.name}."]
