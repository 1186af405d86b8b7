"""Errors that a person can act on: which field, which value, what is allowed, which name is nearest."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something given to the program is wrong; its message is all that the person needs to see."""


class RunStopped(RuntimeError):
    """A run cannot go on; its message says why, and what is left of it."""


def format_value(value: object, most: int = 200) -> str:
    """The value as it is written in Python, its middle left out where that is long."""
    try:
        return truncate(repr(value), most)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return f"<{type(value).__name__} of too many digits to print>"


def truncate(text: str, most: int) -> str:
    """The text, its middle left out where it has more than `most` characters."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


def suggest(name: str, allowed: Iterable[str]) -> str:
    """A hint ``, did you mean 'x'?`` when one of the allowed names is close to `name`, else nothing."""
    close = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def check_choice(field: str, value: str, allowed: Iterable[str]) -> str:
    """Returns `value`, or raises InputError when it is not one of the allowed names."""
    allowed = list(allowed)
    if value not in allowed:
        raise InputError(
            f"{field} = {format_value(value)}: unknown; allowed are {', '.join(allowed)}{suggest(value, allowed)}"
        )
    return value


def check_range(
    field: str, value: float, low: float, high: float = float("inf"), *, open_low: bool = False
) -> None:
    """Raises InputError unless low <= value <= high (low < value when `open_low`); NaN is outside."""
    inside = (value > low if open_low else value >= low) and value <= high
    if not inside:
        bound = f"{'greater than' if open_low else 'at least'} {_plain(low)}"
        bound += f" and at most {_plain(high)}" if high != float("inf") else ""
        raise InputError(f"{field} = {format_value(value)}: must be {bound}")


def _plain(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
