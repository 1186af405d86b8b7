"""Compatibility table: combinations of parts that are rejected, and why."""

import functools

from vae_jax.config import Config
from vae_jax.config.rules import Rule, all_but, always, needs
from vae_jax.experiment.builders.parts import LIKELIHOODS, POSTERIORS, PRIORS

SINGLE_LAYER = ("stl", "dreg", "piwae", "beta_tc", "factor", "dip", "info", "wae")
WEIGHTED = ("iwae", "stl", "dreg", "miwae", "piwae", "ciwae", "renyi", "m2")
BOUNDS = (*WEIGHTED, "elbo", "beta_tc", "factor", "dip", "info")
CONTINUOUS = all_but(POSTERIORS, "deterministic", "gumbel_softmax")
CLOSED_FORM = (
    ("diag_gaussian", "standard_normal"),
    ("diag_gaussian", "diag_gaussian"),
    ("gumbel_softmax", "uniform"),
)  # pairs of posterior and prior
OTHER_RATES = ("free_bits", "layer_free_bits", "kl_balancing")

_objective_needs = functools.partial(needs, "objective.name")
_model_needs = functools.partial(needs, "model.kind")


def _prior_ignores_y(config: Config) -> bool:
    if config.model.kind == "vq":
        return config.codes.prior == "uniform"
    return config.model.kind == "vae" and config.model.prior in (
        "standard_normal",
        "vamp",
        "uniform",
    )


def _unconditional_prior(config: Config) -> str:
    group = "codes" if config.model.kind == "vq" else "model"
    name = getattr(config, group).prior
    return (
        f"config.model.condition_prior = True: config.{group}.prior = {name!r} has nothing that y "
        "could change"
    )


def _other_rates(config: Config) -> list[str]:
    """The options that are on and replace the rate."""
    return [name for name in OTHER_RATES if getattr(config.objective, name)]


def _has_kl_per_latent(config: Config) -> bool:
    c = config.model
    return c.kind == "hierarchical" or (c.posterior, c.prior) in CLOSED_FORM


def _no_kl_per_latent(config: Config) -> str:
    name = _other_rates(config)[0]
    return (
        f"config.objective.{name} = {getattr(config.objective, name)!r}: needs the KL of each "
        f"latent, which has no closed form for posterior {config.model.posterior!r} and prior "
        f"{config.model.prior!r}"
    )


RULES = (
    _objective_needs(
        BOUNDS,
        "model.posterior",
        all_but(POSTERIORS, "deterministic"),
        "a deterministic posterior has an infinite rate; use objective 'reconstruction' or 'wae'",
    ),
    _objective_needs(
        SINGLE_LAYER,
        "model.kind",
        ("vae",),
        "it needs one layer of latents whose posterior depends on x alone",
    ),
    _objective_needs(
        ("beta_tc", "dip"),
        "model.posterior",
        ("diag_gaussian",),
        "it needs the mean and variance of each latent",
    ),
    _objective_needs(
        ("stl", "dreg"),
        "model.posterior",
        CONTINUOUS,
        "it needs samples that move with the parameters of q, and one-hot ones don't",
    ),
    _objective_needs(
        ("dreg", "piwae"),
        "model.prior",
        all_but(PRIORS, "vamp"),
        "it gives encoder and prior separate gradients, and that prior is made of the encoder",
    ),
    _objective_needs(
        ("factor",),
        "model.posterior",
        CONTINUOUS,
        "it shuffles each entry of z separately, and one-hot codes would not stay one-hot",
    ),
    _objective_needs(
        WEIGHTED,
        "model.likelihood",
        all_but(LIKELIHOODS, "optimal_gaussian"),
        "it weights samples or classes, and the optimal sigma is that of all of them alike",
    ),
    _objective_needs(
        ("m2",),
        "model.kind",
        ("vae", "hierarchical"),
        "the encoder selects codes, it does not sample them",
    ),
    _objective_needs(("m2",), "model.conditioning", ("label",), "it sums over the classes of y"),
    _objective_needs(("vq",), "model.kind", ("vq",), "it is the loss of a codebook"),
    needs(
        "model.posterior",
        ("gumbel_softmax",),
        "model.prior",
        ("uniform",),
        "one-hot codes have a categorical prior",
    ),
    needs(
        "model.prior",
        ("uniform",),
        "model.posterior",
        ("gumbel_softmax",),
        "a categorical prior is a prior of one-hot codes",
    ),
    needs(
        "model.prior",
        ("vamp",),
        "model.posterior",
        ("diag_gaussian",),
        "the components of a VampPrior are Gaussian posteriors",
    ),
    _model_needs(
        ("vq",), "objective.name", ("vq",), "the encoder selects codes, it does not sample them"
    ),
    _model_needs(
        ("vq", "hierarchical"),
        "model.posterior",
        ("diag_gaussian",),
        "the model has its own posterior",
    ),
    _model_needs(
        ("vq", "hierarchical"), "model.prior", ("standard_normal",), "the model has its own prior"
    ),
    _model_needs(
        ("hierarchical",), "model.condition_prior", (False,), "its prior always depends on y"
    ),
    needs(
        "model.network", ("resnet",), "model.kind", ("vq",), "it is the network of codes on a grid"
    ),
    _model_needs(
        ("vq",),
        "model.network",
        ("mlp", "resnet"),
        "its decoder reads the vectors of codes on a grid",
    ),
    _model_needs(
        ("hierarchical",),
        "model.network",
        ("mlp", "conv"),
        "its networks are ladders of vectors or of maps",
    ),
    Rule(
        lambda config: config.model.condition_prior,
        lambda config: not _prior_ignores_y(config),
        _unconditional_prior,
    ),
    Rule(
        always,
        lambda config: len(_other_rates(config)) <= 1,
        lambda config: (
            f"config.objective.{', '.join(_other_rates(config))}: each replaces the rate by "
            "another; use one of them"
        ),
    ),
    Rule(lambda config: bool(_other_rates(config)), _has_kl_per_latent, _no_kl_per_latent),
)
