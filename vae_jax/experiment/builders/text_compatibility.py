"""Compatibility of lines of text with the parts of a model that need numbers, images or labels."""

import functools

from vae_jax.config import Config
from vae_jax.config.fields import TEXT_SETS
from vae_jax.config.model import SEQUENCE_NETWORKS, ModelConfig
from vae_jax.config.rules import METRICS, Rule, all_but, needs, one_of
from vae_jax.config.tree import as_tuple
from vae_jax.experiment.builders.loss import CORRUPTIONS
from vae_jax.experiment.builders.parts import PRIORS

TEXT = one_of("data.name", *TEXT_SETS)
TOKENS = one_of("model.likelihood", "tokens")
NUMBERS_ONLY = ("gaussian", "salt_and_pepper")  # corruptions whose result is no sequence

_text_needs = functools.partial(needs, TEXT)

LABELED = "lines have no labels"
METRICS_OF_OTHERS = {  # metrics that text does not have, and why
    "quality": "its features are of images; use 'sequences', or 'molecules' for SMILES",
    "reconstruction": "tokens are right or wrong, which 'sequences' counts",
    "compression": "the tokens of a line depend on each other given z",
    "imputation": "lines have no missing values",
    "disentanglement": LABELED,
    "representation": LABELED,
    "augmentation": LABELED,
    "accuracy": LABELED,
}


def _metrics_of_text(config: Config) -> str | None:
    """Metrics of images, of numbers or of labels."""
    if not TEXT.holds(config):
        return None
    for name in config.evaluation.metric_names:
        if name in METRICS_OF_OTHERS:
            return (
                f"config.{METRICS} = {name!r}: doesn't fit config.data.name = "
                f"{config.data.name!r}; {METRICS_OF_OTHERS[name]}"
            )
    return None


def _width_of_heads(config: Config) -> str | None:
    """A head of attention has an even number of features, for pairs that are rotated."""
    c = config.model
    if c.network != "transformer":
        return None
    names = ("decoder_width",) if c.kind == "language_model" else ("encoder_width", "decoder_width")
    for name in names:
        width = getattr(c, name)
        if width % (2 * c.heads):
            return (
                f"config.model.{name} = {width}: must be a multiple of 2 * config.model.heads, of "
                f"{2 * c.heads}"
            )
    return None


def find_unused_widths(config: Config) -> list[str]:
    """A line for each width of the model that is not the default, and that no network reads.

    They are of networks of sequences, in a config without 'auto'.
    """
    c = config.model
    if c.network not in SEQUENCE_NETWORKS:
        return []
    has_encoder = c.kind != "language_model"
    widths = "widths are encoder_width and" if has_encoder else "width is"
    network = f"config.model.network = {c.network!r}, whose {widths} decoder_width"
    reasons = {"hidden": network, "channels": network}
    if not has_encoder:
        reasons["encoder_width"] = f"config.model.kind = {c.kind!r}, which has no encoder"
    values = {name: as_tuple(getattr(c, name)) for name in reasons}
    return [
        f"config.model.{name} = {values[name]!r}: does nothing with {reason}"
        for name, reason in reasons.items()
        if values[name] != getattr(ModelConfig, name)
    ]


RULES: tuple[Rule, ...] = (
    _text_needs(TOKENS, "lines are sequences of tokens"),
    needs(TOKENS, TEXT, "only lines of text are sequences of tokens"),
    _text_needs(
        one_of("model.kind", "vae", "language_model"),
        "the decoder of tokens needs a vector as its context",
    ),
    _text_needs(one_of("model.columns", ()), "lines have no columns"),
    _text_needs(one_of("model.conditioning", "none"), LABELED),
    _text_needs(one_of("data.leave_out", -1), "lines have no classes"),
    _text_needs(
        one_of("model.prior", *all_but(PRIORS, "vamp")),
        "its pseudo-inputs are learned by gradients, which tokens don't have",
    ),
    _text_needs(
        one_of("objective.corruption", *all_but(CORRUPTIONS, *NUMBERS_ONLY)),
        "it changes tokens into what is no token, or into ends; masking drops tokens",
    ),
    _metrics_of_text,
    _width_of_heads,
)
