"""Work of figures that can be done elsewhere while other figures are drawn."""

import functools
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Start(Protocol):
    """Begins to call a function."""

    def __call__(self, function: Callable[[], T], /) -> Callable[[], T]:
        """Begin, perhaps in another thread; returns what waits for the result, or raises."""


def when_needed(function: Callable[[], T], /) -> Callable[[], T]:
    """Call the function when its result is asked for, once."""
    return functools.cache(function)
