"""What the latents are worth: the collapse verdict, the use of codes, and the rate taken apart."""

from typing import Any

import numpy as np

from vae_jax.config import Config
from vae_jax.distributions import DiagGaussian, has_closed_form_kl
from vae_jax.evaluation.codes import code_usage
from vae_jax.evaluation.collapse import COLLAPSED, NEGLIGIBLE, PARTLY, Verdict, verdict
from vae_jax.evaluation.decomposition import decompose
from vae_jax.evaluation.terms import ACTIVE, Terms
from vae_jax.experiment.metrics.context import Context, Numbers, example_of, with_stderr
from vae_jax.types import Array


def verdict_of(config: Config, terms: Terms) -> Verdict:
    """What the latents of such a model are worth, from the terms of a split."""
    model, objective = config.model, config.objective
    return verdict(
        terms,
        expressive_decoder=model.likelihood == "autoregressive",
        fixed_sigma=model.likelihood in ("gaussian", "laplace") and model.sigma == "fixed",
        warm_up=objective.beta_schedule != "constant"
        or bool(objective.free_bits or objective.layer_free_bits),
    )


def collapse(context: Context, key: Array) -> Numbers:
    """The verdict on the posterior, from the terms of the test set."""
    del key
    found = verdict_of(context.config, context.terms)
    return {
        "estimator": f"latents over the {len(context.terms.code)} test examples: active where the code varies by more than "
        f"{ACTIVE} and its KL, where known, is above {NEGLIGIBLE} nats",
        "verdict": found.name,
        "evidence": found.text,
        "remedy": found.remedy,
    }


def codes(context: Context, key: Array) -> Numbers:
    """How much of a codebook the test set uses."""
    found = context.codes(context.dataset.test, key)["codes"]
    num_codes = context.model.quantizer.num_codes
    numbers = code_usage(found, num_codes)
    share = numbers["codes_in_use"]
    name = (
        "healthy" if share >= PARTLY else "partly collapsed" if share >= COLLAPSED else "collapsed"
    )
    remedy = (
        ""
        if name == "healthy"
        else "Take fewer codes, or replace unused ones sooner (codes.revive_below)."
    )
    return {
        "estimator": f"frequencies of the {found.size} codes of {len(found)} test examples, without a standard error; the "
        "perplexity of few codes is too low",
        **numbers,
        "num_codes": num_codes,
        "num_examples": len(found),
        "verdict": name,
        "evidence": f"{share:.0%} of {num_codes} codes are in use, at a perplexity of {numbers['perplexity']:.1f}.",
        "remedy": remedy,
    }


def decomposition(context: Context, key: Array) -> Numbers:
    """KL of each latent and layer, active units; for a Gaussian posterior of one layer, mutual information and its kin."""
    terms, draws = context.terms, context.config.evaluation.decomposition_samples
    numbers: Numbers = {"num_examples": len(terms.rate), **with_stderr("rate", terms.rate)}
    numbers["active_units"] = int(np.sum(np.var(terms.code, axis=0, dtype=np.float64) > ACTIVE))
    numbers["num_units"] = terms.code.shape[1]
    if terms.kl is not None:
        numbers |= _each("kl_per_unit", terms.kl)
        is_flat = context.model.supports("flat_posterior")
        layers = (terms.kl.shape[1],) if is_flat else context.model.layers
        parts = np.split(terms.kl, np.cumsum(layers)[:-1], axis=1)
        numbers |= _each("kl_per_layer", np.stack([part.sum(1) for part in parts], axis=1))
    estimator = (
        f"means over the test set, {_how(context)}, standard errors over examples; a unit is active where the variance of its "
        f"posterior mean is above {ACTIVE}"
    )
    found = _aggregate(context, key, draws)
    if found:
        numbers |= found
        estimator += (
            f"; mutual_information, aggregate_kl and total_correlation by {draws} draws of the exact mixture of the "
            f"{len(terms.rate)} posteriors, standard errors over draws; mutual_information is at most log {len(terms.rate)}"
        )
    return {"estimator": estimator, **numbers}


def _how(context: Context) -> str:
    """How the rate was made."""
    num = context.config.evaluation.num_samples
    draws = "1 draw" if num == 1 else f"{num} draws"
    if not context.model.supports("flat_posterior"):
        return f"each layer in closed form given the draws above it, of which there are {num} for each example"
    inferred = _inferred(context)
    if has_closed_form_kl(inferred.posterior, inferred.prior):
        return "in closed form"
    return f"the rate by {draws} of z for each example, log q(z | x) - log p(z)"


def _inferred(context: Context) -> Any:
    """Posterior and prior of the first test example, of a model of one layer."""
    example = example_of(context.dataset)
    condition = {"y": example["y"]} if context.is_conditional else {}
    return context.model.apply(context.params, example["x"], **condition, method="infer")


def _aggregate(context: Context, key: Array, draws: int) -> Numbers:
    """Nothing where q(z) is no mixture of Gaussians over [N, D] beside one prior."""
    if not context.model.supports("flat_posterior"):
        return {}  # a hierarchy: lower layers depend on the draws above
    inferred = _inferred(context)
    if not isinstance(inferred.posterior, DiagGaussian) or inferred.prior.batch_shape != ():
        return {}
    found = context.codes(context.dataset.test, key)
    taken = decompose(
        DiagGaussian(found["code"], found["logvar"]), inferred.prior, key, num_samples=draws
    )
    numbers = taken.summary()
    for suffix in ("", "_stderr"):
        numbers[f"rate_of_draws{suffix}"] = numbers.pop(f"rate{suffix}")
    numbers["num_draws"] = numbers.pop("num_samples")
    if taken.dimension_kl is not None:
        numbers["aggregate_kl_per_unit"] = taken.dimension_kl.tolist()
    return numbers


def _each(name: str, values: np.ndarray) -> Numbers:
    """Means of columns [N, D] and their standard errors, as lists."""
    values = values.astype(np.float64)
    stderr = (
        values.std(0, ddof=1) / np.sqrt(len(values))
        if len(values) > 1
        else np.full(values.shape[1], np.nan)
    )
    return {name: values.mean(0).tolist(), f"{name}_stderr": stderr.tolist()}
