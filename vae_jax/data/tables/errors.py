"""Messages that name a cell of a table."""

import dataclasses
from collections.abc import Callable
from typing import NoReturn

from vae_jax.errors import InputError, format_value


def _number_row(row: int) -> str:
    return f"row {row}"


@dataclasses.dataclass(frozen=True)
class Place:
    """The name of a table in messages, and how its rows are named."""

    name: str = "the table"
    describe_row: Callable[[int], str] = _number_row  # such as 'line 17'

    def error(self, column: str, *problem: str, row: int | None = None) -> InputError:
        """The error of a column, or of its cell in a row."""
        where = f"column {column!r}" if row is None else f"column {column!r}, "
        where += "" if row is None else self.describe_row(row)
        return InputError(f"{self.name}: {where}: ", *problem)

    def fail(self, column: str, text: str, *problem: str, row: int) -> NoReturn:
        """Raise the error of the cell with a text."""
        raise self.error(column, format_value(text, 60), " ", *problem, row=row)
