"""The section of the columns of a table: errors by column, and associations of columns."""

from collections.abc import Mapping
from typing import Any

from vae_jax.experiment.report import page
from vae_jax.experiment.report.formatting import format_entry, format_value, is_number
from vae_jax.experiment.report.meanings import MEANINGS, label
from vae_jax.experiment.report.page import Block, heading, paragraph
from vae_jax.experiment.report.workdir_files import Contents, as_mapping

TITLES = {"numbers": "Numbers", "ordinals": "Ordinals", "categories": "Categories"}
SHARES = ("wrong", "majority_share")
UNKNOWN = "no observed value"


def column_blocks(run: Contents) -> list[Block]:
    """A table of errors for numbers, ordinals and categories, and the associations."""
    numbers = run.results_of("columns")
    blocks: list[Block] = []
    if isinstance(numbers.get("estimator"), str):
        blocks.append(paragraph(_sentence(numbers["estimator"]), "soft"))
    for branch, title in TITLES.items():
        columns = as_mapping(numbers.get(branch))
        if columns:
            blocks += [heading(title, 3), *_errors(columns)]
    return blocks + _associations(as_mapping(numbers.get("association")))


def _errors(columns: Mapping[str, Any]) -> list[Block]:
    """A row for each column, under its name in the data."""
    entries = {name: as_mapping(entry) for name, entry in columns.items()}
    keys = list(dict.fromkeys(key for entry in entries.values() for key in entry))
    keys = [key for key in keys if not key.endswith("_stderr")]
    rows = [(name, *(_format(key, entry) for key in keys)) for name, entry in entries.items()]
    meanings = " ".join(
        f"{MEANINGS[key].name}: {MEANINGS[key].text}" for key in keys if key in MEANINGS
    )
    return [page.table(("", *map(label, keys)), rows), paragraph(meanings, "soft")]


def _format(key: str, entry: Mapping[str, Any]) -> str:
    if key in SHARES and is_number(entry.get(key)):
        stderr = entry.get(f"{key}_stderr")
        percent = 100 * stderr if is_number(stderr) else None
        return f"{format_value(100.0 * entry[key], percent)}%"
    return UNKNOWN if key in entry and entry[key] is None else format_entry(key, entry)


def _associations(numbers: Mapping[str, Any]) -> list[Block]:
    """The mean difference of associations, and the same of other data."""
    if not is_number(numbers.get("difference")):
        return []
    keys = ("difference", "training_rows", "independent_columns")
    names = ("Samples of the model", "Training rows", "Independent columns")
    rows = [
        (name, format_value(numbers[key]))
        for name, key in zip(names, keys, strict=True)
        if is_number(numbers.get(key))
    ]
    blocks = [heading("Associations of columns", 3)]
    if isinstance(numbers.get("estimator"), str):
        counts = ", ".join(
            f"{format_value(numbers[key])} {noun}"
            for key, noun in (("num_pairs", "pairs"), ("num_rows", "test rows"))
            if is_number(numbers.get(key))
        )
        blocks.append(paragraph(_sentence(f"{numbers['estimator']}; {counts}"), "soft"))
    return [*blocks, page.table(("", "Mean absolute difference"), rows)]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.; ')}."
