"""Computations of figures that other threads can do while figures are drawn."""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from vae_jax.types import T

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Functions that draw a figure, or return None if there is nothing to show.
Figures: TypeAlias = dict[str, Callable[[], "Figure | None"]]
Files: TypeAlias = dict[str, Callable[[], Mapping[str, Any]]]  # functions return arrays by name


class Start(Protocol):
    """Begins to call a function, perhaps in another thread."""

    def __call__(self, function: Callable[[], T], /) -> Callable[[], T]:
        """Return a function that waits for the result and returns it, or raises its error."""


def when_needed(function: Callable[[], T], /) -> Callable[[], T]:
    """Call the function when its result is asked for, once."""
    return functools.cache(function)
