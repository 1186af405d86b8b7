"""Actionable error messages: the field, its value, what is allowed, the nearest name."""

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator

# The messages of the contexts of `explain_interrupt`, innermost last. A program that ends in the
# handler of a signal prints the last one.
INTERRUPT_ADVICE: list[Callable[[], str]] = []


class Argument(str):
    """The name of an argument in the message of an `InputError`."""

    __slots__ = ()


class InputError(ValueError):
    """Invalid input; the message is all that the user needs to see.

    The message is in parts, so that a caller can put its own names in place of the arguments'.

    >>> error = InputError.of("path", "x.npz", "no such file; see also ", Argument("dir"))
    >>> str(error)
    "path = 'x.npz': no such file; see also dir"
    >>> str(error.under("config.data"))
    "config.data.path = 'x.npz': no such file; see also config.data.dir"
    """

    def __init__(self, *parts: str) -> None:
        super().__init__("".join(parts))
        self.parts = parts

    @classmethod
    def of(cls, argument: str, value: object, *problem: str) -> "InputError":
        """The error of an argument with an invalid value."""
        return cls(Argument(argument), f" = {value!r}: ", *problem)

    def under(self, prefix: str, **names: str) -> "InputError":
        """The same error with the prefix, such as "config.data", before each argument.

        `names` replaces arguments by other names.
        """
        return InputError(
            *(
                names.get(part, f"{prefix}.{part}") if isinstance(part, Argument) else part
                for part in self.parts
            )
        )


class UnsupportedError(InputError):
    """A model, or a part of one, was asked for something that it does not support."""


class RunStopped(RuntimeError):
    """A run cannot start or continue; the message says why, and what remains of it."""


class RunDiverged(RunStopped):
    """The loss, the gradient or the evaluation of a run, or of trials of a sweep, is not finite."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; the message says what is saved, and how to continue.

    Attributes:
      status: the exit status by the convention of shells, 128 and the number of the signal.
    """

    def __init__(self, message: str, status: int = 130) -> None:
        super().__init__(message)
        self.status = status


@contextlib.contextmanager
def explain_interrupt(message: Callable[[], str]) -> Iterator[None]:
    """Raise Interrupted with the message if Ctrl-C ends the context without an explanation."""
    INTERRUPT_ADVICE.append(message)
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(message()) from error
    finally:
        INTERRUPT_ADVICE.pop()


@contextlib.contextmanager
def prefix_arguments(prefix: str, **names: str) -> Iterator[None]:
    """Raise an `InputError` of the context as its `under(prefix, **names)`."""
    try:
        yield
    except InputError as error:
        if not any(isinstance(part, Argument) for part in error.parts):
            raise
        raise error.under(prefix, **names) from error


def format_value(value: object, max_length: int = 200) -> str:
    """Return the `repr` of a value, without its middle if it is long."""
    try:
        return truncate(repr(value), max_length)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return f"<{type(value).__name__} with too many digits to print>"


def truncate(text: str, max_length: int) -> str:
    """Return the text, without its middle if it has more than `max_length` characters."""
    half = max_length // 2
    return (
        text if len(text) <= max_length else f"{text[:half].rstrip()} ... {text[-half:].lstrip()}"
    )


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Return a hint ``; did you mean 'x'?`` if an allowed name is close to `name`, else ''."""
    close = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def check_choice(field: str, value: str, allowed: Iterable[str]) -> str:
    """Return `value`; raises InputError if it is not one of the allowed names."""
    allowed = list(allowed)
    if value not in allowed:
        raise InputError(
            field,
            f" = {format_value(value)}: unknown; allowed are {', '.join(allowed)}"
            f"{suggest(value, allowed)}",
        )
    return value


def check_range(
    field: str, value: float, low: float, high: float = float("inf"), *, open_low: bool = False
) -> None:
    """Raises InputError unless low <= value <= high (low < value if `open_low`, never NaN)."""
    in_range = (value > low if open_low else value >= low) and value <= high
    if not in_range:
        bound = f"{'greater than' if open_low else 'at least'} {_format_bound(low)}"
        bound += f" and at most {_format_bound(high)}" if high != float("inf") else ""
        raise InputError(field, f" = {format_value(value)}: must be {bound}")


def _format_bound(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
