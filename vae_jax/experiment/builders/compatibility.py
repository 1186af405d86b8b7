"""What fits what: one table of the combinations that make no sense, each refused with a sentence before compiling."""

from collections.abc import Collection
from typing import NamedTuple

from vae_jax.config import Config, value_of
from vae_jax.errors import InputError
from vae_jax.experiment.builders import parts


class Fit(NamedTuple):
    """Where `field` has one of the `values`, `other` must have one of the `allowed`, because of `why`."""

    field: str
    values: Collection[object]
    other: str
    allowed: Collection[object]
    why: str


def _all_but(names: Collection[str], *left_out: str) -> tuple[str, ...]:
    return tuple(name for name in names if name not in left_out)


BOUNDS = (
    "elbo",
    "iwae",
    "stl",
    "dreg",
    "miwae",
    "piwae",
    "ciwae",
    "renyi",
    "beta_tc",
    "factor",
    "dip",
    "info",
    "m2",
)
OF_ONE_LAYER = ("stl", "dreg", "piwae", "beta_tc", "factor", "dip", "info", "wae")
WEIGHTED = ("iwae", "stl", "dreg", "miwae", "piwae", "ciwae", "renyi", "m2")

FITS = (
    Fit(
        *("objective.name", BOUNDS, "model.posterior", _all_but(parts.POSTERIORS, "deterministic")),
        "a deterministic posterior has an infinite rate; take objective 'reconstruction' or 'wae'",
    ),
    Fit(
        *("objective.name", OF_ONE_LAYER, "model.kind", ("vae",)),
        "it needs one layer of latents whose posterior depends on x alone",
    ),
    Fit(
        *("objective.name", ("beta_tc", "dip"), "model.posterior", ("diag_gaussian",)),
        "it needs the mean and variance of each latent",
    ),
    Fit(
        *(
            "objective.name",
            ("stl", "dreg"),
            "model.posterior",
            _all_but(parts.POSTERIORS, "deterministic", "gumbel_softmax"),
        ),
        "it needs draws that move with the parameters of q, and one-hot ones don't",
    ),
    Fit(
        *("objective.name", ("dreg", "piwae"), "model.prior", _all_but(parts.PRIORS, "vamp")),
        "it gives encoder and prior separate gradients, and that prior is made of the encoder",
    ),
    Fit(
        *(
            "objective.name",
            ("factor",),
            "model.posterior",
            _all_but(parts.POSTERIORS, "deterministic", "gumbel_softmax"),
        ),
        "it shuffles each entry of z on its own, and one-hot codes would not stay one-hot",
    ),
    Fit(
        *(
            "objective.name",
            WEIGHTED,
            "model.likelihood",
            _all_but(parts.LIKELIHOODS, "optimal_gaussian"),
        ),
        "it weighs draws or classes, and the optimal sigma is that of all of them alike",
    ),
    Fit(
        "objective.name",
        ("m2",),
        "model.kind",
        ("vae", "hierarchical"),
        "codes are chosen by the encoder, not drawn",
    ),
    Fit(
        "objective.name", ("m2",), "model.conditioning", ("label",), "it sums over the classes of y"
    ),
    Fit("objective.name", ("vq",), "model.kind", ("vq",), "it is the loss of a codebook"),
    Fit(
        *("model.posterior", ("gumbel_softmax",), "model.prior", ("uniform",)),
        "one-hot codes have a categorical prior",
    ),
    Fit(
        *("model.prior", ("uniform",), "model.posterior", ("gumbel_softmax",)),
        "a categorical prior is one of one-hot codes",
    ),
    Fit(
        *("model.prior", ("vamp",), "model.posterior", ("diag_gaussian",)),
        "the components of a VampPrior are Gaussian posteriors",
    ),
    Fit(
        *("model.kind", ("vq",), "objective.name", ("vq",)),
        "codes are chosen by the encoder, not drawn",
    ),
    Fit(
        "model.kind",
        ("vq", "hierarchical"),
        "model.posterior",
        ("diag_gaussian",),
        "the model has a posterior of its own",
    ),
    Fit(
        "model.kind",
        ("vq", "hierarchical"),
        "model.prior",
        ("standard_normal",),
        "the model has a prior of its own",
    ),
    Fit(
        "model.kind",
        ("hierarchical",),
        "model.condition_prior",
        (False,),
        "its prior is always given y",
    ),
    Fit(
        "model.network", ("resnet",), "model.kind", ("vq",), "it is the network of codes on a grid"
    ),
    Fit(
        "model.kind",
        ("vq",),
        "model.network",
        ("mlp", "resnet"),
        "its decoder is given the vectors of codes on a grid",
    ),
    Fit(
        "model.kind",
        ("hierarchical",),
        "model.network",
        ("mlp", "conv"),
        "its networks are ladders of vectors or of maps",
    ),
)


def check_fits(config: Config) -> None:
    """Raises InputError for the first combination of parts that makes no sense."""
    for fit in FITS:
        value, other = value_of(config, fit.field), value_of(config, fit.other)
        if value in fit.values and other not in fit.allowed:
            raise InputError(
                f"config.{fit.field} = {value!r}: doesn't fit config.{fit.other} = {other!r}, which must be "
                f"{' or '.join(map(repr, fit.allowed))}; {fit.why}"
            )
    _check_condition_prior(config)
    _check_free_bits(config)


def _check_condition_prior(config: Config) -> None:
    c = config.model
    unconditional = c.kind == "vae" and c.prior in ("standard_normal", "vamp", "uniform")
    unconditional |= c.kind == "vq" and config.codes.prior == "uniform"
    if c.condition_prior and unconditional:
        name = (
            f"config.codes.prior = {config.codes.prior!r}"
            if c.kind == "vq"
            else f"config.model.prior = {c.prior!r}"
        )
        raise InputError(
            f"config.model.condition_prior = True: {name} has nothing that y could change"
        )


def _check_free_bits(config: Config) -> None:
    c = config.model
    has_terms = c.kind == "hierarchical" or (c.posterior, c.prior) in (
        ("diag_gaussian", "standard_normal"),
        ("diag_gaussian", "diag_gaussian"),
        ("gumbel_softmax", "uniform"),
    )
    given = [
        name
        for name in ("free_bits", "layer_free_bits", "kl_balancing")
        if getattr(config.objective, name)
    ]
    if len(given) > 1:
        raise InputError(
            f"config.objective.{given[0]}, {given[1]}: each replaces the rate by another; give one of them"
        )
    for field in given:
        value = getattr(config.objective, field)
        if not has_terms:
            raise InputError(
                f"config.objective.{field} = {value!r}: needs the KL of each latent, which has no closed form for posterior "
                f"{c.posterior!r} and prior {c.prior!r}"
            )
