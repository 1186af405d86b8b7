"""A file that overrides the kinds of columns.

>>> parse_overrides({"columns": {"grade": {"kind": "ordinal", "categories": ["low", "high"]},
...                              "age": "student_t"}}, ["age", "grade"])["grade"]
Override(kind='ordinal', categories=('low', 'high'))
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vae_jax.data.tables.cells import text_of
from vae_jax.data.tables.schema import CODED, KINDS, ROLES
from vae_jax.errors import Argument, InputError, check_choice, format_value, suggest

SYNTAX = (
    '{"columns": {"age": "student_t", "id": "identifier", "grade": {"kind": "ordinal", '
    '"categories": ["low", "high"]}}}'
)


class Override(NamedTuple):
    """The kind or role of a column, and perhaps its categories."""

    kind: str
    categories: tuple[str, ...] = ()


def read_overrides(path: str, names: Iterable[str]) -> dict[str, Override]:
    """The overrides of a JSON file for a table with columns of these names; none without a path.

    Raises:
      InputError: the file cannot be read, or names an unknown column or kind.
    """
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except OSError as error:
        raise InputError.of("schema", path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise InputError.of("schema", path, f"not JSON ({error}); such as {SYNTAX}") from error
    return parse_overrides(content, names, path)


def parse_overrides(
    content: Any, names: Iterable[str], path: str = "schema"
) -> dict[str, Override]:
    """The overrides of the JSON of a file; see `read_overrides`.

    Raises:
      InputError: another form, an unknown column or kind, or two columns with a role for one.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("columns"), Mapping):
        raise InputError.of("schema", path, f"must be such as {SYNTAX}")
    if other := [key for key in content if key != "columns"]:
        raise InputError.of("schema", path, f"unknown entry {other[0]!r}; must be such as {SYNTAX}")
    names = list(names)
    overrides = {}
    for name, entry in content["columns"].items():
        if name not in names:
            raise InputError.of(
                "schema",
                path,
                f"the table has no column {name!r}; it has {', '.join(names)}"
                f"{suggest(name, names)}",
            )
        overrides[name] = _parse(name, entry, path)
    for role in ("identifier", "split", "label"):
        columns = [name for name, override in overrides.items() if override.kind == role]
        if len(columns) > 1:
            raise InputError.of(
                "schema", path, f"{' and '.join(map(repr, columns))} are each the {role}; only one"
            )
    return overrides


def _parse(name: str, entry: Any, path: str) -> Override:
    values = {"kind": entry} if isinstance(entry, str) else entry
    is_valid = isinstance(values, Mapping) and isinstance(values.get("kind"), str)
    if not is_valid or set(values) - {"kind", "categories"}:
        raise InputError.of(
            "schema",
            path,
            f"column {name!r} has {format_value(entry)}; must be a kind, or "
            '{"kind": "ordinal", "categories": ["low", "high"]}',
        )
    field = Argument(f"schema: the kind of column {name!r}")
    kind = check_choice(field, values["kind"], (*KINDS, *ROLES))
    categories = values.get("categories", ())
    if isinstance(categories, str | Mapping) or not isinstance(categories, list | tuple):
        raise InputError.of(
            "schema", path, f"the categories of column {name!r} must be a list of texts"
        )
    texts = tuple(text_of(text).strip() for text in categories)
    if texts and kind not in CODED:
        raise InputError.of(
            "schema",
            path,
            f"column {name!r} is {kind}, which has no categories; {', '.join(CODED)} have",
        )
    if texts and (len(set(texts)) < max(2, len(texts)) or (kind == "bernoulli" and len(texts) > 2)):
        number = "two" if kind == "bernoulli" else "two or more"
        raise InputError.of(
            "schema", path, f"column {name!r} needs {number} different categories, not {texts}"
        )
    return Override(kind, texts)
