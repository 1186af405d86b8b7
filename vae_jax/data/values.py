"""What the values of a set are, as they are kept: their range, whether they are binary, the grid in [0, 1] that they lie on."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vae_jax.data.rows import HostRows

READ_BYTES = 2**24  # of images that are looked at once, at a time
MOST_LEVELS = 256
SAMPLE = 4096  # values that rule out most grids at once
GRID_TOLERANCE = 2.0**-22  # of x, four roundings of a float32 at 1


@dataclasses.dataclass(frozen=True)
class Values:
    """A survey of values that are uint8 or float32; `|` is that of both together."""

    integer: bool
    low: float
    high: float
    two: bool  # nothing but 0 and 1, or of integers nothing but 0 and 255
    levels: tuple[int, ...] = ()  # of floats, every n <= 256 such that all are k / (n - 1)

    def __or__(self, other: "Values") -> "Values":
        levels = tuple(n for n in self.levels if n in other.levels)
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Values(self.integer and other.integer, low, high, self.two and other.two, levels)

    @property
    def bits(self) -> bool:
        """Whether they are integers that need no scale."""
        return self.integer and self.high <= 1

    @property
    def binary(self) -> bool:
        """Whether only the two ends of [0, 1] remain when they are scaled."""
        return self.bits or self.two

    @property
    def grid(self) -> int:
        """How many equally spaced values in [0, 1] they lie on when they are scaled; 0 where it isn't at most 256."""
        if self.binary:
            return 2
        return MOST_LEVELS if self.integer else min(self.levels, default=0)


def survey(images: np.ndarray | HostRows) -> Values:
    """Looks at all values; at bytes on the host no further than to the first that are neither bits nor black and white.

    Rows on the host are read in their order.
    """
    found = None
    for chunk in _chunks(images):
        levels = range(2, MOST_LEVELS + 1) if found is None else found.levels
        some = _survey(chunk, levels)
        found = some if found is None else found | some
        if (
            isinstance(images, HostRows)
            and images.rows.dtype == np.uint8
            and found.integer
            and not found.binary
        ):
            break
    assert found is not None, "an empty split is refused before"
    return found


def _chunks(images: np.ndarray | HostRows) -> Iterator[np.ndarray]:
    everything = (
        images if isinstance(images, np.ndarray) else dataclasses.replace(images, positions=None)
    )
    step = max(1, READ_BYTES // everything[np.zeros(1, np.int64)].nbytes)
    for start in range(0, len(everything), step):
        stop = min(start + step, len(everything))
        yield (
            everything[start:stop]
            if isinstance(everything, np.ndarray)
            else everything[np.arange(start, stop)]
        )


def _survey(x: np.ndarray, levels: Iterable[int]) -> Values:
    low, high, integer = float(x.min()), float(x.max()), x.dtype == np.uint8
    two = bool(((x == 0) | (x == (255 if integer else 1))).all())
    on_grids = () if integer or low < 0 or high > 1 else _grids(x.reshape(-1), tuple(levels))
    return Values(integer, low, high, two, on_grids)


def _grids(x: np.ndarray, levels: Sequence[int]) -> tuple[int, ...]:
    """Those of the numbers of levels whose grid holds all of x."""
    sample = np.unique(x[:: max(1, len(x) // SAMPLE)])
    levels = [n for n in levels if _on_grid(sample, n)]
    if not levels:
        return ()
    distinct = np.unique(x)
    return tuple(n for n in levels if _on_grid(distinct, n))


def _on_grid(x: np.ndarray, levels: int) -> bool:
    k = x * np.float32(levels - 1)
    return bool((np.abs(k - np.rint(k)) <= (levels - 1) * GRID_TOLERANCE).all())
