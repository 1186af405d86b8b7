"""The latents: collapse verdict, code usage, and the decomposition of the rate."""

from typing import Any

import jax
import numpy as np

from vae_jax.config import Config
from vae_jax.distributions import DiagGaussian, has_closed_form_kl
from vae_jax.evaluation.codes import code_usage
from vae_jax.evaluation.collapse import COLLAPSED, NEGLIGIBLE, PARTLY, Verdict, verdict
from vae_jax.evaluation.common import standard_error
from vae_jax.evaluation.decomposition import decompose
from vae_jax.evaluation.terms import ACTIVE, Terms
from vae_jax.experiment.metrics.context import Context, Numbers, first_example, with_stderr
from vae_jax.types import Array


def verdict_of(config: Config, terms: Terms) -> Verdict:
    """The collapse verdict on a model with this config, from its terms on a split."""
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
    result = verdict_of(context.config, context.terms)
    return {
        "estimator": f"latents over the {len(context.terms.code)} test examples: active if the "
        f"variance of the code is above {ACTIVE} and its KL, if known, above {NEGLIGIBLE} nats",
        "verdict": result.name,
        "evidence": result.text,
        "remedy": result.remedy,
    }


def codes(context: Context, key: Array) -> Numbers:
    """Usage of the codebook by the test set."""
    indices = context.codes(context.dataset.test, key)["codes"]
    num_codes = context.model.quantizer.num_codes
    numbers = code_usage(indices, num_codes)
    share = numbers["codes_in_use"]
    remedy = "Use fewer codes, or replace unused ones sooner (codes.revive_below)."
    if share >= PARTLY:
        name, remedy = "healthy", ""
    elif share >= COLLAPSED:
        name = "partly collapsed"
    else:
        name = "collapsed"
    return {
        "estimator": f"frequencies of the {indices.size} codes of {len(indices)} test examples, "
        "without a standard error; the perplexity is biased downwards if there are few codes",
        **numbers,
        "num_codes": num_codes,
        "num_examples": len(indices),
        "verdict": name,
        "evidence": f"{share:.0%} of {num_codes} codes are in use, at a perplexity of "
        f"{numbers['perplexity']:.1f}.",
        "remedy": remedy,
    }


def decomposition(context: Context, key: Array) -> Numbers:
    """Rate, KL of each latent and layer, active units.

    For a Gaussian posterior of one layer, also mutual information, aggregate KL and total
    correlation.
    """
    terms, num_draws = context.terms, context.config.evaluation.decomposition_samples
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
        return f"each layer in closed form given the layers above it, by {draws} for each example"
    inferred = _inferred(context)
    if has_closed_form_kl(inferred.posterior, inferred.prior):
        return "in closed form"
    return f"the rate by {draws} of z for each example, log q(z | x) - log p(z)"


def _inferred(context: Context) -> Any:
    """Posterior and prior of the first test example, for a model of one layer."""
    example = first_example(context.dataset)
    condition = {"y": example["y"]} if context.is_conditional else {}
    return context.model.apply(context.params, example["x"], **condition, method="infer")


def _aggregate(context: Context, key: Array, num_draws: int) -> Numbers:
    """Numbers of q(z); none unless it is a mixture of Gaussians over [N, D] with one prior."""
    if not context.model.supports("flat_posterior"):
        return {}  # a hierarchy: lower layers depend on draws of the upper ones
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
