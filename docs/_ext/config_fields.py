"""The table of all fields of the config, from their metadata."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

MARK = "<!-- config fields -->"


def tables() -> Iterator[str]:
    """A heading and a table for each group of fields, in Markdown."""
    from vae_jax.config import Config, describe_fields
    from vae_jax.config.metadata import leaf_fields
    from vae_jax.experiment.builders.choices import TABLES

    fields = describe_fields(TABLES)
    metadata = {path: field.metadata for path, field in leaf_fields(Config)}
    for group, entries in itertools.groupby(fields, lambda entry: entry.path.rpartition(".")[0]):
        yield f"## {'.'.join(filter(None, ('config', group)))}\n"
        yield "| field | type | default | allowed | meaning |\n| --- | --- | --- | --- | --- |"
        for entry in entries:
            cells = [f"`config.{entry.path}`", entry.type, f"`{entry.default!r}`"]
            meaning = "; ".join([entry.doc, *_notes(metadata[entry.path])])
            yield "| " + " | ".join([*cells, _text(entry.allowed), _text(meaning)]) + " |"
        yield ""


def _notes(metadata: Mapping[str, Any]) -> Iterator[str]:
    """The fields that it needs, and whether a sweep may vary it."""
    if metadata["used_by"] is not None:
        yield f"only with {metadata['used_by'].text}"
    if metadata["sweep"]:
        yield "sweep"


def _text(cell: str) -> str:
    """Text that has no meaning in Markdown."""
    for mark in "\\`*_|<>$[]":
        cell = cell.replace(mark, "\\" + mark)
    return cell


def insert(app: Any, page: str, source: list[str]) -> None:
    """Put the tables in place of the mark."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, "\n".join(tables()))


def setup(app: Any) -> dict[str, Any]:
    """Read the fields at each build."""
    app.connect("source-read", insert)
    return {"parallel_read_safe": True}
