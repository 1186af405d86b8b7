"""The scores of a baseline, and the examples that it reads."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import ArraySource, HostSource, Reader, Source

MAX_VALUES = 2**28  # training values read: of larger splits, random examples
CHUNK_VALUES = 2**20  # values in memory at once


@dataclasses.dataclass(frozen=True)
class BaselineScores:
    """The baseline on each example of a split."""

    log_px: np.ndarray  # [N] nats, of the observed values
    # [N] MSE of the training mean as the reconstruction, of the observed values; None for sequences
    mse: np.ndarray | None
    name: str
    deviation: np.ndarray  # [D] standard deviation of the training examples; [0] for sequences
    is_constant: bool  # the training examples are all the same
    # [N] nats under simpler baselines, by name
    simpler: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def select(self, rows: np.ndarray) -> "BaselineScores":
        """The scores of some rows, by index [M] or mask [N]."""
        return dataclasses.replace(
            self,
            log_px=self.log_px[rows],
            mse=None if self.mse is None else self.mse[rows],
            simpler={name: log_px[rows] for name, log_px in self.simpler.items()},
        )


def read_rows(source: Source | HostSource, index: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the examples at index [n] as float64 [m, D], a few at a time.

    They have the values that the model sees; of images that are binarized anew at each reading,
    the probabilities. Missing values are NaN.
    """
    size = max(1, CHUNK_VALUES // math.prod(source.shape))
    for start in range(0, len(index), size):
        rows = index[start : start + size]
        if isinstance(source, HostSource):
            part = source.select(rows)
            x, observed = part.images * np.float32(part.scale), part.observed
        elif isinstance(source, ArraySource):
            x = np.asarray(source.images)[rows] * np.float32(source.scale)
            observed = None if source.observed is None else np.asarray(source.observed)[rows]
        else:
            # Padded, so that one program serves all chunks.
            padded = np.minimum(start + np.arange(min(size, len(index))), len(index) - 1)
            x = np.asarray(_take(source.reader, jnp.asarray(index[padded], jnp.int32)))[: len(rows)]
            observed = None  # sprites
        wide = np.asarray(x, np.float64)
        wide = wide if observed is None else np.where(observed, wide, np.nan)
        yield wide.reshape(len(rows), -1)


@jax.jit
def _take(source: Reader, index: jax.Array) -> jax.Array:
    return source.take(index, jax.random.key(0))["x"]
