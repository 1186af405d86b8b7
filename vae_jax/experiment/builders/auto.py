"""Fields of a config that are 'auto': chosen from the data, by one rule for all configs."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vae_jax.config import AUTO, Codes, Config, is_auto, value_of
from vae_jax.config.fields import TEXT_SETS
from vae_jax.config.model import DISCRETE_LIKELIHOODS, LADDER, SIGMA_LIKELIHOODS
from vae_jax.data.images import describe_shape
from vae_jax.data.kinds import Kind, kind_of
from vae_jax.data.tables.schema import TableSchema
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.errors import InputError

BINARIZED = (
    "digits",
    "mnist",
    "binarized_mnist",
    "omniglot",
)  # the literature binarizes them dynamically
LIKELIHOODS: dict[Kind, tuple[str, str]] = {  # likelihoods, and the reason
    "counts": ("negative_binomial", "values are counts"),
    "tokens": ("tokens", "text is a sequence of tokens"),
    "binary": ("bernoulli", "all values are 0 or 1"),
    "levels": ("discretized_logistic", "values have {levels} levels"),
    "real": ("gaussian", "values are real numbers"),
}
FOLLOWING = ("codes.grid", "model.columns")  # chosen with another field, although not 'auto'
NETWORKS = {"vae": ("conv", "mlp"), "vq": ("resnet", "mlp"), "hierarchical": ("mlp", "mlp")}
"""Likelihoods of images, and of tables."""


class Choice(NamedTuple):
    """A value for a field that is 'auto', and the reason; empty if the value is the usual one."""

    path: str
    value: Any
    reason: str = ""


def resolve_binarization(config: Config) -> Config:
    """The config with `data.binarization` chosen, which needs no data."""
    return _replace(config, _choose_binarization(config))


def resolve(config: Config, shape: tuple[int, ...], preparation: Mapping[str, Any]) -> Config:
    """The config with a choice for each 'auto', for `Dataset.shape` and `Dataset.preparation`.

    Values that are given stay as they are.
    """
    return _replace(config, _choices(config, shape, preparation))


def resolve_by_name(config: Config, shape: tuple[int, ...]) -> Config:
    """The same without data, as far as `config.data` determines their kind.

    Raises:
      InputError: the likelihood depends on the data.
    """
    c = config.data
    preparation = {"values": c.values, "binary": c.name == "sprites", "levels": 0}
    config = resolve_binarization(config)
    if c.name in TEXT_SETS:
        if is_auto("model.num_tokens", config.model.num_tokens):
            raise InputError(
                "config.model.num_tokens = 0: depends on the data; give the number of ids, or "
                "build the model of a run"
            )
        preparation |= {"values": "tokens"}
    elif config.data.binarization != "none" or c.name == "sprites":
        preparation |= {"binary": True, "levels": 2}
    elif config.model.likelihood == AUTO and not config.model.columns and c.values == "scaled":
        raise InputError(
            f"config.model.likelihood = {AUTO!r}: depends on the data; name one, or build the "
            "model of a run"
        )
    return resolve(config, shape, preparation)


def describe_choices(config: Config, shape: tuple[int, ...], preparation: Mapping[str, Any]) -> str:
    """The choices for a config that is not resolved, each with its reason; '' without any."""
    parts = [
        f"{path} {value!r} ({reason})"
        for path, value, reason in _choices(config, shape, preparation)
        if reason
    ]
    return ", ".join(parts)


def _choices(
    config: Config, shape: tuple[int, ...], preparation: Mapping[str, Any]
) -> list[Choice]:
    choices = _choose_binarization(config)
    config = _replace(config, choices)
    for choose in (_choose_likelihood, _choose_network):
        choices += choose(config, shape, preparation)
    return choices


def _choose_binarization(config: Config) -> list[Choice]:
    if config.data.binarization != AUTO:
        return []
    c = config.model
    takes_bits = (
        c.likelihood in (AUTO, "bernoulli")
        or c.levels == 2
        or (c.likelihood == "autoregressive" and is_auto("model.levels", c.levels))
    )
    if _source_name(config) in BINARIZED and config.data.values == "scaled" and takes_bits:
        reason = f"the literature binarizes {config.data.name}"
        return [Choice("data.binarization", "dynamic", reason)]
    return [Choice("data.binarization", "none")]


def _choose_likelihood(
    config: Config, shape: tuple[int, ...], preparation: Mapping[str, Any]
) -> list[Choice]:
    """Likelihood, sigma and levels."""
    c = config.model
    name, sigma, choices = c.likelihood, "fixed", []
    table = preparation.get("table")
    if table and name in (AUTO, "mixed") and not c.columns:
        kinds = TableSchema.from_json(table).kinds
        if name == AUTO:
            name = "mixed"
            choices.append(Choice("model.likelihood", name, "a table has columns of many kinds"))
        choices.append(Choice("model.columns", kinds))
    elif name == AUTO and c.columns and len(shape) == 1:
        name = "mixed"
        choices.append(Choice("model.likelihood", name, "columns are given"))
    elif name == AUTO and len(shape) == 1 and preparation.get("binary_columns"):
        name, bits = "mixed", preparation["binary_columns"]
        choices.append(Choice("model.likelihood", name, "some columns are 0 or 1"))
        choices.append(Choice("model.columns", _columns(shape[0], bits), "0 or 1: bernoulli"))
    elif name == AUTO:
        name, reason = LIKELIHOODS[kind_of(shape, preparation)]
        choices.append(Choice("model.likelihood", name, reason.format(**preparation)))
        sigma = "channel"
    if name == "tokens" and is_auto("model.num_tokens", c.num_tokens):
        choices.append(Choice("model.num_tokens", _num_tokens(preparation)))
    if name in SIGMA_LIKELIHOODS and c.sigma == AUTO:
        learned = f"learned by {'channel' if len(shape) == 3 else 'column'}"
        choices.append(Choice("model.sigma", sigma, learned if sigma == "channel" else ""))
    if name in DISCRETE_LIKELIHOODS and is_auto("model.levels", c.levels):
        choices.append(Choice("model.levels", preparation["levels"] or 256))
    return choices


def _num_tokens(preparation: Mapping[str, Any]) -> int:
    """The number of ids of the alphabet of a text, 0 for other data, which are refused later."""
    text = preparation.get("text")
    return Alphabet.from_json(text).size if text else 0


def _columns(size: int, bits: Sequence[int]) -> tuple[str, ...]:
    """The columns of a table for the likelihood 'mixed': bernoulli if in `bits`, else gaussian.

    >>> _columns(5, [2])
    ('gaussian*2', 'bernoulli', 'gaussian*2')
    """
    kinds = ["bernoulli" if column in bits else "gaussian" for column in range(size)]
    runs = [(kind, len(list(group))) for kind, group in itertools.groupby(kinds)]
    return tuple(kind if count == 1 else f"{kind}*{count}" for kind, count in runs)


def _choose_network(
    config: Config, shape: tuple[int, ...], preparation: Mapping[str, Any]
) -> list[Choice]:
    """Network, and the grid of codes of a table."""
    c, codes = config.model, config.codes
    if c.network != AUTO:
        return []
    if kind_of(shape, preparation) == "tokens":
        return [Choice("model.network", "gru", "text")]
    if c.kind not in NETWORKS:
        return []
    image, table = NETWORKS[c.kind]
    is_image = len(shape) == 3
    network, reason = (image if is_image else table), describe_shape(shape)
    if c.kind == "vae" and is_image and _source_name(config) in BINARIZED:
        network, reason = "mlp", f"the literature's network for {config.data.name}"
    if c.kind == "vq" and is_image and tuple(codes.grid) != Codes().grid:
        network, reason = "mlp", "codes.grid is given"
    if c.kind == "hierarchical":
        reason = "a ladder of vectors" if LADDER.holds(config) else "separate dense networks"
        if config.hierarchy.stack:
            network, reason = "conv", "a ladder of maps"
    choices = [Choice("model.network", network, reason)]
    if network == "mlp" and c.kind == "vq" and codes.prior == "pixelcnn" and len(codes.grid) == 1:
        choices.append(Choice("codes.grid", _square(codes.grid[0]), "pixelcnn needs two axes"))
    return choices


def _source_name(config: Config) -> str:
    """The name of the data set, without version or variant."""
    return re.split("[:/]", config.data.name)[0]


def _square(size: int) -> tuple[int, int]:
    """Two factors of a size, as close as they can be."""
    height = next(n for n in range(int(size**0.5), 0, -1) if size % n == 0)
    return height, size // height


def _replace(config: Config, choices: list[Choice]) -> Config:
    """A copy with these values; the config itself is not changed."""
    for path, value, _ in choices:
        group, leaf = path.split(".")
        assert is_auto(path, value_of(config, path)) or path in FOLLOWING
        changed = dataclasses.replace(getattr(config, group), **{leaf: value})
        config = dataclasses.replace(config, **{group: changed})
    return config
