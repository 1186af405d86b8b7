"""The latents: collapse verdict, code usage, and the decomposition of the rate."""

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vae_jax.config import Config
from vae_jax.distributions import DiagGaussian, has_closed_form_kl
from vae_jax.evaluation import BaselineScores
from vae_jax.evaluation.code_use import make_code_gain
from vae_jax.evaluation.codes import code_usage
from vae_jax.evaluation.collapse import (
    COLLAPSED,
    NEGLIGIBLE,
    PARTLY,
    Verdict,
    judge,
    verdict,
)
from vae_jax.evaluation.common import finite_estimate, standard_error
from vae_jax.evaluation.decomposition import decompose
from vae_jax.evaluation.remedies import Setting
from vae_jax.evaluation.terms import ACTIVE, USED, Terms
from vae_jax.experiment.builders.compatibility import WEIGHTED
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.loss import BETAS
from vae_jax.experiment.metrics.context import Context, Numbers, first_example, with_stderr
from vae_jax.models.base import CodeModel, HierarchicalModel, Model
from vae_jax.objectives.loss import given
from vae_jax.types import Array


def verdict_of(
    config: Config,
    terms: Terms,
    baseline: BaselineScores | None,
    event: tuple[int, ...],
    *,
    step: int,
    code_gain: float | None = None,
) -> Verdict:
    """The verdict on a model with this config, from its terms and the baseline on a split.

    `event` is the shape of an example, and `step` that of the parameters.
    """
    setting = dataclasses.replace(setting_of(config, event, step), code_gain=code_gain)
    return verdict(terms, baseline=baseline, setting=setting)


def setting_of(config: Config, event: tuple[int, ...], step: int | None = None) -> Setting:
    """The settings on which a verdict depends, at a step; by default that of the last one.

    `event` is the shape of an example.
    """
    model, objective = config.model, config.objective
    rate = "config.objective.beta", 1.0 if objective.capacity else objective.beta
    weights = {
        "elbo": rate,
        "property": rate,
        "beta_tc": ("config.objective.tc_weight", objective.tc_weight),
        "factor": ("config.objective.tc_weight", 1 + objective.tc_weight),
    }
    name, weight = weights.get(objective.name, ("beta", 1.0))
    current = _weight_at(config, name, weight, config.train.num_steps if step is None else step)
    has_sigma = model.likelihood in ("gaussian", "laplace")
    # A table has one entry for each channel, so a sigma by channel is one for each dimension.
    shared = ("fixed", "scalar", "channel") if len(event) == 3 else ("fixed", "scalar")
    return Setting(
        has_latents=model.kind != "language_model",
        expressive_decoder=model.likelihood in ("autoregressive", "tokens"),
        reads_tokens=model.likelihood == "tokens",
        fixed_sigma=has_sigma and model.sigma == "fixed",
        shared_sigma=model.likelihood == "optimal_gaussian"
        or (has_sigma and model.sigma in shared),
        warm_up=objective.beta_schedule != "constant"
        or bool(objective.free_bits or objective.layer_free_bits),
        beta=weight,
        weight_name=name,
        current_weight=None if math.isclose(current, weight, rel_tol=1e-6) else current,
        importance_samples=objective.num_samples if objective.name in WEIGHTED else 1,
    )


def rate_weight(config: Config, event: tuple[int, ...]) -> float | None:
    """The weight of the rate at the end of training; None for a model without latents.

    It is less than `config.objective.beta` if training ends before the schedule of beta.
    """
    setting = setting_of(config, event)
    if not setting.has_latents:
        return None
    return _weight_at(config, setting.weight_name, setting.beta, config.train.num_steps)


def _weight_at(config: Config, name: str, weight: float, step: int) -> float:
    """The weight of the rate at a step, from its name and its final value."""
    c = config.objective
    if name != "config.objective.beta" or c.capacity:
        return float(weight)
    return float(pick(BETAS, "objective.beta_schedule", c.beta_schedule)(c)(step))


def _code_gain(context: Context, key: Array) -> float | None:
    """The gain of codes for a decoder that can do without; None for any other."""
    batch_size = min(context.config.evaluation.batch_size, len(context.terms.code))
    has_one_layer = context.config.model.kind == "vae"
    has_rate = bool(np.isfinite(context.terms.rate).any())
    is_expressive = setting_of(context.config, context.dataset.shape).expressive_decoder
    if not (is_expressive and has_one_layer and has_rate and batch_size > 1):
        return None
    gains = context.run(_gains(context.model, batch_size, context.mesh), context.dataset.test, key)
    return finite_estimate(gains)[0].value


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _gains(model: Model, batch_size: int, mesh: Mesh | None) -> Any:
    return make_code_gain(model, batch_size=batch_size, mesh=mesh)


def collapse(context: Context, key: Array) -> Numbers:
    """The verdict on the posterior, from the terms of the test set."""
    gain = _code_gain(context, key)
    result = verdict_of(
        context.config,
        context.terms,
        context.baseline,
        context.dataset.shape,
        step=context.step,
        code_gain=gain,
    )
    return {
        "estimator": f"latents over the {len(context.terms.code)} test examples: active if the "
        f"variance of the code is above {ACTIVE}, a categorical variable if its KL is above "
        f"{NEGLIGIBLE} nats, "
        f"used if its KL is at least {USED} nats",
        "verdict": result.name,
        "evidence": result.text,
        "remedy": result.remedy,
    }


def codes(context: Context, key: Array) -> Numbers:
    """Usage of the codebook by the test set."""
    indices = context.codes(context.dataset.test, key)["codes"]
    model: CodeModel = context.model
    num_codes = model.quantizer.num_codes
    numbers = code_usage(indices, num_codes)
    evidence = (
        f"{numbers['codes_in_use']:.0%} of {num_codes} codes are in use, at a perplexity of "
        f"{numbers['perplexity']:.1f}."
    )
    usage = _judge_codes(indices, numbers["codes_in_use"], num_codes, evidence)
    result = judge(
        context.terms,
        lambda terms: usage,
        setting_of(context.config, context.dataset.shape, context.step),
        context.baseline,
    )
    return {
        "estimator": f"frequencies of the {indices.size} codes of {len(indices)} test examples, "
        "without a standard error; the perplexity is biased downwards if there are few codes",
        **numbers,
        "num_codes": num_codes,
        "num_examples": len(indices),
        "verdict": result.name,
        "evidence": result.text,
        "remedy": result.remedy,
    }


def _judge_codes(indices: np.ndarray, share: float, num_codes: int, evidence: str) -> Verdict:
    """The verdict on the codes [N, *grid] of a split, by the share of the codebook in use."""
    if (indices == indices[:1]).all():
        text = f"The encoder gives every example the same codes. {evidence}"
        return Verdict("blind", text, "Check the scale of its inputs.")
    if indices.size < num_codes:
        text = f"{indices.size} codes are too few to judge the use of {num_codes} by."
        return Verdict("unknown", text)
    if share >= PARTLY:
        return Verdict("healthy", evidence)
    name = "partly collapsed" if share >= COLLAPSED else "collapsed"
    remedy = "Use fewer codes, or replace unused codes sooner (codes.revive_below)."
    return Verdict(name, evidence, remedy)


def decomposition(context: Context, key: Array) -> Numbers:
    """Rate, KL of each latent and layer, active units.

    For a Gaussian posterior of one layer, also mutual information, aggregate KL and total
    correlation.
    """
    terms, num_draws = context.finite_terms, context.config.evaluation.decomposition_samples
    numbers: Numbers = {"num_examples": len(terms.rate), **with_stderr("rate", terms.rate)}
    numbers["active_units"] = int(np.sum(np.var(terms.code, axis=0, dtype=np.float64) > ACTIVE))
    numbers["num_units"] = terms.code.shape[1]
    if terms.kl is not None:
        numbers |= _each("kl_per_unit", terms.kl)
        layers = (terms.kl.shape[1],)
        if not context.model.supports("flat_posterior"):
            model: HierarchicalModel = context.model
            layers = model.layers
        parts = np.split(terms.kl, np.cumsum(layers)[:-1], axis=1)
        numbers |= _each("kl_per_layer", np.stack([part.sum(1) for part in parts], axis=1))
    elif terms.layer_rates is not None:
        numbers |= _each("kl_per_layer", terms.layer_rates)
    estimator = (
        f"means over the test set, {_rate_estimator(context)}, standard errors over examples; a "
        f"unit is active if the variance of its posterior mean is above {ACTIVE}"
    )
    aggregate = _aggregate(context, key, num_draws)
    if aggregate:
        numbers |= aggregate
        estimator += (
            f"; mutual_information, aggregate_kl and total_correlation by {num_draws} draws of "
            f"the exact mixture of the {len(terms.rate)} posteriors, standard errors over draws; "
            f"mutual_information is at most log {len(terms.rate)}"
        )
    return {"estimator": estimator, **numbers}


def _rate_estimator(context: Context) -> str:
    num = context.config.evaluation.num_samples
    draws = "1 draw" if num == 1 else f"{num} draws"
    if not context.model.supports("flat_posterior"):
        if context.terms.kl is None:
            return f"each layer by {draws} of z for each example, log q - log p"
        return f"each layer in closed form given the layers above it, by {draws} for each example"
    inferred = _inferred(context)
    if has_closed_form_kl(inferred.posterior, inferred.prior):
        return "in closed form"
    return f"the rate by {draws} of z for each example, log q(z | x) - log p(z)"


def _inferred(context: Context) -> Any:
    """Posterior and prior of the first test example, for a model of one layer."""
    example = first_example(context.dataset)
    options = given(context.model, example)
    return context.model.apply(context.params, example["x"], **options, method="infer")


def _aggregate(context: Context, key: Array, num_draws: int) -> Numbers:
    """Numbers of q(z); none unless it is a mixture of Gaussians over [N, D] with one prior."""
    if not context.model.supports("flat_posterior"):
        return {}  # a hierarchy: lower layers depend on draws of upper layers
    inferred = _inferred(context)
    if not isinstance(inferred.posterior, DiagGaussian) or inferred.prior.batch_shape != ():
        return {}
    key_codes, key_draws = jax.random.split(key)
    codes = context.codes(context.dataset.test, key_codes)
    posterior = DiagGaussian(codes["code"], codes["logvar"])
    parts = decompose(posterior, inferred.prior, key_draws, num_samples=num_draws)
    numbers = parts.summary()
    for suffix in ("", "_stderr"):
        numbers[f"rate_of_draws{suffix}"] = numbers.pop(f"rate{suffix}")
    numbers["num_draws"] = numbers.pop("num_samples")
    if parts.dimension_kl is not None:
        numbers["aggregate_kl_per_unit"] = parts.dimension_kl.tolist()
    return numbers


def _each(name: str, values: np.ndarray) -> Numbers:
    """Means of the columns of [N, D] and their standard errors, as lists."""
    mean = values.mean(0, dtype=np.float64)
    return {name: mean.tolist(), f"{name}_stderr": standard_error(values).tolist()}
