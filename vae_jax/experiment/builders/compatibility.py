"""Compatibility table: combinations of parts that are rejected, and why."""

import functools

from vae_jax.config import Config
from vae_jax.config.model import COUNT_LIKELIHOODS, LADDER, SEQUENCE_NETWORKS, STACKED
from vae_jax.config.rules import Rule, all_but, needs, objective, one_of
from vae_jax.errors import InputError
from vae_jax.experiment.builders.lookup import value_or_none
from vae_jax.experiment.builders.parts import LIKELIHOODS, POSTERIORS, PRIORS, likelihood_names
from vae_jax.likelihoods import parse_columns
from vae_jax.objectives.elbo import OTHER_RATES

SINGLE_LAYER = ("stl", "dreg", "piwae", "beta_tc", "factor", "dip", "info", "wae")
WEIGHTED = ("iwae", "stl", "dreg", "miwae", "piwae", "ciwae", "renyi", "m2")
BOUNDS = (*WEIGHTED, "elbo", "property", "beta_tc", "factor", "dip", "info")
OWN_LATENTS = ("vq", "hierarchical", "language_model")
RANDOM = all_but(POSTERIORS, "deterministic")
CONTINUOUS = all_but(RANDOM, "gumbel_softmax")
CLOSED_FORM = (
    ("diag_gaussian", "standard_normal"),
    ("diag_gaussian", "diag_gaussian"),
    ("gumbel_softmax", "uniform"),
)  # pairs of posterior and prior

_kind = functools.partial(one_of, "model.kind")
_network = functools.partial(one_of, "model.network")
_posterior = functools.partial(one_of, "model.posterior")
_prior = functools.partial(one_of, "model.prior")


def _prior_ignores_y(config: Config) -> str | None:
    c = config.model
    if LADDER.holds(config):
        return None
    group, priors = {
        "vq": ("codes", ("uniform",)),
        "vae": ("model", ("standard_normal", "vamp", "uniform")),
        "language_model": ("model", ("standard_normal",)),
    }["vae" if STACKED.holds(config) else c.kind]
    name = getattr(config, group).prior
    if not c.condition_prior or name not in priors:
        return None
    return (
        f"config.model.condition_prior = True: config.{group}.prior = {name!r} has nothing that y "
        "could change"
    )


def _no_dependent_entries(config: Config) -> str | None:
    """Hidden entries are integrated out."""
    name = config.model.likelihood
    if not config.data.hide or name not in likelihood_names(lambda p: bool(p.autoregressive)):
        return None
    return (
        f"config.data.hide = {config.data.hide}: doesn't fit config.model.likelihood = {name!r}; "
        "given z, its entries depend on each other, so that hidden ones can't be left out"
    )


def _other_rates(config: Config) -> str | None:
    """Only one option replaces the rate, and the KL of each latent is known."""
    c = config.model
    options = {name: value_or_none(config.objective, name) for name in OTHER_RATES}
    options = {name: value for name, value in options.items() if value is not None}
    if len(options) > 1:
        return (
            f"config.objective.{', '.join(options)}: each replaces the rate by another; use one of "
            "them"
        )
    if LADDER.holds(config) or (c.posterior, c.prior) in CLOSED_FORM:
        return None
    if STACKED.holds(config):  # the rate of a layer is known by draws
        options = {name: value for name, value in options.items() if name == "free_bits"}
    return next(
        (
            f"config.objective.{name} = {value!r}: needs the KL of each latent, which has no "
            f"closed form for posterior {c.posterior!r} and prior {c.prior!r}"
            for name, value in options.items()
        ),
        None,
    )


def _types_of_columns(config: Config) -> str | None:
    if config.model.likelihood != "mixed" or not config.model.columns:
        return None
    try:
        parse_columns(config.model.columns)
    except InputError as error:
        return str(error.under("config.model"))
    return None


RULES: tuple[Rule, ...] = (
    needs(
        objective(*BOUNDS),
        _posterior(*RANDOM),
        "a deterministic posterior has an infinite rate; use objective 'reconstruction' or 'wae'",
    ),
    needs(
        objective(*SINGLE_LAYER),
        _kind("vae"),
        "it needs one layer of latents whose posterior depends on x alone",
    ),
    needs(
        objective("beta_tc", "dip"),
        _posterior("diag_gaussian"),
        "it needs the mean and variance of each latent",
    ),
    needs(
        objective("stl", "dreg"),
        _posterior(*CONTINUOUS),
        "it needs samples that move with the parameters of q, and one-hot samples don't",
    ),
    needs(
        objective("dreg", "piwae"),
        _prior(*all_but(PRIORS, "vamp")),
        "it gives encoder and prior separate gradients, and that prior is made of the encoder",
    ),
    needs(
        objective("factor"),
        _posterior(*CONTINUOUS),
        "it shuffles each entry of z separately, and one-hot codes would not stay one-hot",
    ),
    needs(
        objective(*WEIGHTED),
        one_of("model.likelihood", *all_but(LIKELIHOODS, "optimal_gaussian")),
        "it weights samples or classes, and the optimal sigma weights all of them equally",
    ),
    _no_dependent_entries,
    needs(
        one_of("train.order", "by_length"),
        one_of("data.streaming", False),
        "lengths of streamed examples are unknown before they are read",
    ),
    needs(
        one_of("data.missing", True),
        one_of("model.likelihood", *likelihood_names(lambda p: not p.autoregressive)),
        "given z, its entries depend on each other, so that missing ones can't be left out",
    ),
    needs(
        objective("m2"),
        _kind("vae", "hierarchical"),
        "the encoder selects codes, it does not sample them",
    ),
    needs(objective("m2"), one_of("model.conditioning", "label"), "it sums over the classes of y"),
    needs(objective("property"), _kind("vae"), "it predicts from one layer of latents"),
    needs(
        objective("property"),
        one_of("model.conditioning", "none"),
        "the labels are what it predicts",
    ),
    needs(objective("vq"), _kind("vq"), "it is the loss of a codebook"),
    needs(
        _posterior("gumbel_softmax"), _prior("uniform"), "one-hot codes have a categorical prior"
    ),
    needs(
        _prior("uniform"),
        _posterior("gumbel_softmax"),
        "a categorical prior is a prior of one-hot codes",
    ),
    needs(
        _prior("vamp"),
        _posterior("diag_gaussian"),
        "the components of a VampPrior are Gaussian posteriors",
    ),
    needs(_kind("vq"), objective("vq"), "the encoder selects codes, it does not sample them"),
    needs(_kind(*OWN_LATENTS), _posterior("diag_gaussian"), "the model has its own posterior"),
    needs(_kind("vq", "language_model"), _prior("standard_normal"), "the model has its own prior"),
    needs(
        LADDER,
        _prior("standard_normal"),
        "a ladder has its own prior; hierarchy.networks 'separate' has one for the top layer",
    ),
    needs(
        one_of("model.likelihood", "tokens"),
        _network(*SEQUENCE_NETWORKS),
        "sequences of tokens need a network that knows their order",
    ),
    needs(
        _network(*SEQUENCE_NETWORKS),
        one_of("model.likelihood", "tokens"),
        "the network reads tokens",
    ),
    needs(
        one_of("model.likelihood", "tokens"),
        _kind("vae", "language_model"),
        "the decoder of other kinds has no vector as its context",
    ),
    needs(
        _kind("language_model"),
        one_of("model.likelihood", "tokens"),
        "it is the decoder of tokens alone",
    ),
    needs(
        _kind("language_model"),
        objective("elbo"),
        "without latents, all bounds are log p(x)",
    ),
    *(
        needs(_kind("language_model"), one_of(f"objective.{name}", neutral), "its rate is 0")
        for name, neutral in (("beta", 1.0), ("free_bits", 0.0), ("capacity", 0.0))
    ),
    needs(
        LADDER,
        one_of("model.condition_prior", False),
        "the prior of a ladder always depends on y",
    ),
    needs(_network("resnet"), _kind("vq"), "it is the network of codes on a grid"),
    needs(
        _kind("vq"), _network("mlp", "resnet"), "its decoder reads the vectors of codes on a grid"
    ),
    needs(
        _kind("hierarchical"),
        _network("mlp", "conv"),
        "its networks are ladders of vectors or of maps",
    ),
    needs(
        one_of("hierarchy.networks", "separate"),
        _network("mlp"),
        "each of its networks has dense layers",
    ),
    needs(
        one_of("model.conditioning", "size"),
        one_of("model.likelihood", "mixed", *COUNT_LIKELIHOODS),
        "only means of counts have a size",
    ),
    _prior_ignores_y,
    _other_rates,
    _types_of_columns,
)
