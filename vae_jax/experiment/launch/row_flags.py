"""Flags of the modes that answer for every row."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from absl import flags

from vae_jax.errors import InputError
from vae_jax.experiment.rows.options import (
    DRAWS,
    FLAG_QUANTILE,
    MODES,
    NUM_SAMPLES,
    TEXT_DRAWS,
    USED_BY,
    RowOptions,
)

_HELP = {
    "data": "File with the rows, in the form of the training data: .npz, .npy, CSV or "
    "Parquet; lines of text in .txt or .smi. By default the test split of the run.",
    "output": "File to write: .csv, .parquet or .npz, or texts alone in .txt or .smi; by "
    "default MODE.npz in the workdir, MODE.csv for tables and text, and sample.txt or sample.smi.",
    "overwrite": "Replace the output if it exists.",
    "draws": f"K, draws of z for each row; {DRAWS['score']} by default, {TEXT_DRAWS} for "
    f"text, {DRAWS['impute']} for impute. A score with 1 has no log p(x).",
    "flag_quantile": "Quantile of the scores of validation rows above which a row is flagged; "
    f"{FLAG_QUANTILE} by default.",
    "imputations": "Number of imputations of each row by draws; by default one, by means.",
    "num_samples": f"New rows or images; {NUM_SAMPLES} by default.",
    "means": "Write the means of p(x | z) instead of draws.",
    "temperature": "Below 1, narrow the prior.",
    "label": "Class, by number or name, or comma-separated numbers to condition on.",
}
_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}


@functools.cache  # a notebook runs the command line several times in one process
def define(values: flags.FlagValues = flags.FLAGS) -> dict[str, Any]:
    """Define the flags; returns their holders by name."""
    holders = {}
    for field in dataclasses.fields(RowOptions):
        kind = next((kind for kind in _DEFINE if kind in _types(field.type)), str)
        default = False if kind is bool else None
        modes = ", ".join(USED_BY.get(field.name, MODES))
        text = f"({modes}) {_HELP[field.name]}"
        function = _DEFINE.get(kind, flags.DEFINE_string)
        holders[field.name] = function(field.name, default, text, flag_values=values)
    return holders


def _types(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", (annotation,))


def read(holders: Mapping[str, Any], mode: str) -> RowOptions | None:
    """The options of a mode for rows, None for any other mode.

    Raises:
      InputError: a flag that the mode does not use, or an invalid value.
    """
    options = RowOptions(**{name: holder.value for name, holder in holders.items()})
    if mode in MODES:
        options.check(mode)
        return options
    for name, value in options.given().items():
        modes = ", ".join(USED_BY.get(name, MODES))
        raise InputError(
            f"{name} = {value!r}: does nothing with --mode={mode}, only with {modes}; omit it"
        )
    return None
