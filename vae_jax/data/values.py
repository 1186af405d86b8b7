"""Survey of stored values: their range, whether they are binary, and their grid in [0, 1]."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vae_jax.data.rows import HostRows

READ_BYTES = 2**24  # size of the chunks in which images are read
MAX_LEVELS = 256
SAMPLE = 4096  # number of values checked first, to rule out most grids
GRID_TOLERANCE = 2.0**-22  # tolerance of x, four roundings of a float32 at 1


@dataclasses.dataclass(frozen=True)
class Values:
    """A survey of uint8 or float32 values; `|` combines two surveys."""

    integer: bool
    low: float
    high: float
    two: bool  # only 0 and 1, or only 0 and 255 if `integer`
    levels: tuple[int, ...] = ()  # floats only: every n <= 256 such that all are k / (n - 1)
    whole: bool = False  # floats only: whole numbers from 0

    def __or__(self, other: "Values") -> "Values":
        levels = tuple(n for n in self.levels if n in other.levels)
        low, high = min(self.low, other.low), max(self.high, other.high)
        integer, two = self.integer and other.integer, self.two and other.two
        return Values(integer, low, high, two, levels, self.whole and other.whole)

    @property
    def bits(self) -> bool:
        """True if they are integers that need no scale."""
        return self.integer and self.high <= 1

    @property
    def binary(self) -> bool:
        """True if the scaled values are all 0 or 1."""
        return self.bits or self.two

    @property
    def grid(self) -> int:
        """Number of levels of the equally spaced grid of the scaled values; 0 if above 256."""
        if self.binary:
            return 2
        return MAX_LEVELS if self.integer else min(self.levels, default=0)


def survey(images: np.ndarray | HostRows, observed: np.ndarray | HostRows | None = None) -> Values:
    """Survey all values of images [N, *E], or the `observed` ones, of which there must be some.

    Rows on the host are read in their order; bytes only up to the first chunk that is not binary.
    """
    stops_early = isinstance(images, HostRows) and images.rows.dtype == np.uint8
    result = None
    for chunk in _chunks(images, observed):
        levels = range(2, MAX_LEVELS + 1) if result is None else result.levels
        values = _survey(chunk, levels)
        result = values if result is None else result | values
        if stops_early and result.integer and not result.binary:
            break
    assert result is not None, "empty splits are rejected earlier"
    return result


def _chunks(
    images: np.ndarray | HostRows, observed: np.ndarray | HostRows | None
) -> Iterator[np.ndarray]:
    if isinstance(images, HostRows):
        images = dataclasses.replace(images, positions=None)
    step = max(1, READ_BYTES // images[np.zeros(1, np.int64)].nbytes)
    for start in range(0, len(images), step):
        stop = min(start + step, len(images))
        if isinstance(images, HostRows):
            chunk, mask = images.read(np.arange(start, stop))
        else:
            chunk = images[start:stop]
            mask = None if observed is None else observed[np.arange(start, stop)]
        chunk = chunk if mask is None else chunk[mask]
        if chunk.size:
            yield chunk


def _survey(x: np.ndarray, levels: Iterable[int]) -> Values:
    low, high = float(x.min()), float(x.max())
    integer = x.dtype == np.uint8
    two = bool(((x == 0) | (x == (255 if integer else 1))).all())
    grids = () if integer or low < 0 or high > 1 else _grids(x.reshape(-1), tuple(levels))
    whole = not integer and low >= 0 and bool((x == np.rint(x)).all())
    return Values(integer, low, high, two, grids, whole)


def _grids(x: np.ndarray, levels: Sequence[int]) -> tuple[int, ...]:
    """The numbers of levels whose grid contains all of x."""
    sample = np.unique(x[:: max(1, len(x) // SAMPLE)])
    levels = [n for n in levels if _on_grid(sample, n)]
    if not levels:
        return ()
    distinct = np.unique(x)
    return tuple(n for n in levels if _on_grid(distinct, n))


def _on_grid(x: np.ndarray, levels: int) -> bool:
    k = x * np.float32(levels - 1)
    return bool((np.abs(k - np.rint(k)) <= (levels - 1) * GRID_TOLERANCE).all())
