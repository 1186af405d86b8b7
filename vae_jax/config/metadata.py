"""The declaration of a hyper-parameter: default, bounds, what uses it, documentation."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from vae_jax.config.rules import Condition
from vae_jax.errors import check_range

AUTO = "auto"  # chosen from the data
AUTO_NUMBERS = {"model.levels": 0, "model.num_tokens": 0}  # the same, for fields that are numbers
MAX_INT = 2**31 - 1  # steps, sizes and seeds are int32 on the device
MAX_FLOAT = 1e30  # all other numbers are float32


def field(
    default: Any,
    doc: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    used_by: Condition | None = None,
    off: float | None = None,
    ends_schedule: bool = False,
    former: Any = None,
    sweep: bool = False,
) -> Any:
    """A dataclass field that carries all there is to know about a hyper-parameter.

    Args:
      default: the default, immutable.
      doc: one line.
      at_least: the lower bound of the number, or of each entry of a tuple; inclusive.
      above: the same, exclusive.
      at_most: the upper bound, inclusive; the largest int32 or `MAX_FLOAT` by default.
      used_by: without it, a value other than the default is an error.
      off: the value that turns it off: the parts are given None instead.
      ends_schedule: True for the length of a schedule of the objective, in steps.
      former: default of earlier versions, which their saved configs have.
      sweep: adds a list of values to `Sweep`.
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most}
    metadata = {"used_by": used_by, "off": off, "ends_schedule": ends_schedule}
    metadata |= {"former": former, "sweep": sweep}
    metadata["doc"] = doc if off is None else f"{doc}; {off:g}: off"
    metadata |= {name: bound for name, bound in bounds.items() if bound is not None}
    return dataclasses.field(default=default, metadata=metadata)


def is_auto(path: str, value: Any) -> bool:
    """True if the value of a field is to be chosen from the data."""
    return value == AUTO or (path in AUTO_NUMBERS and value == AUTO_NUMBERS[path])


def leaf_fields(group: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field]]:
    """Dotted path and dataclass field of each hyper-parameter of a group and its subgroups."""
    for entry in dataclasses.fields(group):
        path = prefix + entry.name
        if dataclasses.is_dataclass(entry.type):
            yield from leaf_fields(entry.type, f"{path}.")
        else:
            yield path, entry


def check_bounds(path: str, value: Any, bounds: dataclasses.Field) -> None:
    """Raises InputError if the value, or an entry of the tuple, is out of the field's bounds."""
    if not describe_bounds(bounds):
        return
    is_float = isinstance(bounds.default, float)
    limit = MAX_FLOAT if is_float else MAX_INT
    above = bounds.metadata.get("above")
    low = bounds.metadata.get("at_least", -limit) if above is None else above
    for entry in value if isinstance(value, tuple | list) else (value,):
        high = limit if is_float or entry > limit else float("inf")
        high = bounds.metadata.get("at_most", high)
        check_range(f"config.{path}", entry, low, high, open_low=above is not None)


def describe_bounds(bounds: dataclasses.Field) -> str:
    """The bounds as text, such as "at least 0, at most 1", or "" if there are none."""
    names = {"at_least": "at least", "above": "above", "at_most": "at most"}
    values = bounds.metadata
    return ", ".join(f"{text} {values[name]:g}" for name, text in names.items() if name in values)
