"""Stream training data larger than device or host memory, in the order of `data.order`.

The pipeline is Grain's. Its elements are blocks, the batches of consecutive steps, instead of
examples. That avoids Python's per-example overhead. A block is a pure function of its steps, so
there is no state to save.
"""

import contextlib
import dataclasses
import functools
import gc
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from vae_jax.data import order
from vae_jax.data.binarization import binarize
from vae_jax.data.rows import HostRows
from vae_jax.data.sources import ArraySource, convert_rows, make_batch
from vae_jax.errors import truncate
from vae_jax.types import Array, Batch, pytree_dataclass, static

# Maximum size of the images of a block with several batches. Blocks wait in /dev/shm, often 64 MiB.
BLOCK_BYTES = 2**24
Span = tuple[int, int]  # first, one past last


@dataclasses.dataclass(frozen=True)
class HostSource:
    """Examples that stay on the host: `select` reads some, `stream` all batches of a run."""

    images: HostRows  # [N, *E]
    labels: HostRows | np.ndarray | None = None  # [N] or [N, C]
    scale: float = 1.0  # x = scale * images
    binarization: str = "none"
    value_range: tuple[float, float] = (0.0, 1.0)

    @property
    def num_examples(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    @property
    def observed(self) -> HostRows | None:
        """The observed entries of the images; None if no value is missing."""
        return self.images.observed

    def select(self, index: np.ndarray) -> ArraySource:
        """The examples at index [n], in memory."""
        images, observed = self.images.read(index)
        scale = self.scale
        if self.binarization in ("static", "threshold"):
            images, scale = binarize(images, scale, self.binarization, 0, index), 1.0
        labels = None if self.labels is None else self.labels[index]
        dynamic = self.binarization == "dynamic"
        return ArraySource(images, labels, scale, dynamic, self.value_range, observed)

    def all_labels(self) -> np.ndarray | None:
        """The labels [N] or [N, C] of all examples; None if there are none."""
        return None if self.labels is None else self.labels[np.arange(self.num_examples)]

    def steps_in_a_block(self, batch_size: int) -> int:
        """The number of batches within BLOCK_BYTES, at least 1."""
        value_bytes = self.images.dtype.itemsize + (self.observed is not None)
        batch_bytes = batch_size * value_bytes * int(np.prod(self.shape))
        return max(1, BLOCK_BYTES // batch_bytes)


@pytree_dataclass
class Block:
    """The batches of S consecutive steps, indexed by their position in the block."""

    images: Array  # [S, B, *E]
    index: Array  # [S, B] indices of the examples
    labels: Array | None  # [S, B] or [S, B, C]
    observed: Array | None  # [S, B, *E]
    scale: float = static(default=1.0)
    dynamic: bool = static(default=False)

    def take(self, step: Array, key: Array) -> Batch:
        """The batch of the step [], equal to `ArraySource.take` of its examples."""
        images = self.images[step]
        x = convert_rows(images.reshape(len(images), -1), self.scale, key if self.dynamic else None)
        labels, observed = (
            None if rows is None else rows[step] for rows in (self.labels, self.observed)
        )
        return make_batch(x.reshape(images.shape), self.index[step], labels, observed)


def split_span(span: Span, most: int) -> list[Span]:
    """Split a span into the fewest parts of at most `most` steps, of equal length up to one."""
    start, stop = span
    count = -(-(stop - start) // most)
    edges = [start + (stop - start) * i // count for i in range(count + 1)]
    return list(itertools.pairwise(edges))


@contextlib.contextmanager
def stream(
    source: HostSource,
    spans: Sequence[Span],
    *,
    batch_size: int,
    seed: int,
    rows: slice,
    place: Callable[[Block], Block],
    workers: int = 0,
) -> Iterator[Iterator[Block]]:
    """Iterate over the blocks of `spans`, reading and placing each while the previous is in use.

    Args:
      source: stored examples.
      spans: first and one past last step of each block.
      batch_size, seed: as for `order.batch_index`.
      rows: the rows of each batch that this process needs.
      place: moves a block from host memory to the devices.
      workers: number of reading processes; with 0, a thread of this process reads.

    Raises:
      OSError: the data become unreadable; raised by the iterator.
    """
    import grain  # slow to import

    if not flags.FLAGS.is_parsed():  # Grain reads its flags even without a command line
        flags.FLAGS.mark_as_parsed()
    read = functools.partial(_read, source, batch_size, seed, rows)
    dataset = grain.MapDataset.source(np.asarray(spans)).map(read)
    dataset = dataset.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    dataset = dataset.mp_prefetch(
        grain.MultiprocessingOptions(num_workers=workers), worker_init_fn=_init_worker
    )
    dynamic = source.binarization == "dynamic"
    scale = 1.0 if source.binarization in ("static", "threshold") else source.scale

    def to_devices(arrays: dict[str, np.ndarray | None]) -> Block:
        # Copied, so that the memory shared with a worker is released at once.
        copies = jax.tree.map(np.array, arrays)
        return place(Block(**copies, scale=scale, dynamic=dynamic))

    placed = iter(dataset.map(to_devices))
    blocks = grain.experimental.ThreadPrefetchDatasetIterator(placed, 1)
    if workers:
        placed.start_prefetch()  # start all workers now, not when their first block is needed
    plain_blocks = _with_plain_errors(blocks)
    try:
        yield plain_blocks
    finally:
        plain_blocks.close()
        blocks.close()
        del placed, blocks
        # Grain's last exceptions and blocks keep each other, and shared memory, alive.
        gc.collect()


def _with_plain_errors(blocks: Iterator[Block]) -> Generator[Block, None, None]:
    """The same blocks, with errors that don't reference the pipeline and its shared memory."""
    try:
        yield from blocks
        return
    except OSError as error:
        reason = str(error)
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # raised by XLA
            raise
        status = truncate(str(error), 300)
        reason = f"a data worker failed (-9: out of memory, -7: /dev/shm is full): {status}"
    raise OSError(reason)


def _read(
    source: HostSource, batch_size: int, seed: int, rows: slice, span: np.ndarray
) -> dict[str, np.ndarray | None]:
    """Read the arrays of one block."""
    start, stop = (int(step) for step in span)
    with jax.default_device(_cpu()):
        index = _batch_index(
            np.int32(start),
            np.uint32(seed),
            num_steps=stop - start,
            num_examples=source.num_examples,
            batch_size=batch_size,
        )
        index = np.ascontiguousarray(np.asarray(index)[:, rows])
        examples = source.select(index.reshape(-1))

    def by_step(x: np.ndarray | None) -> np.ndarray | None:
        return None if x is None else x.reshape(*index.shape, *x.shape[1:])

    return {
        "images": by_step(examples.images),
        "index": index,
        "labels": by_step(examples.labels),
        "observed": by_step(examples.observed),
    }


@functools.partial(jax.jit, static_argnames=("num_steps", "num_examples", "batch_size"))
def _batch_index(
    start: Array, seed: Array, *, num_steps: int, num_examples: int, batch_size: int
) -> Array:
    steps = start + jnp.arange(num_steps)
    return order.batch_index(steps, num_examples=num_examples, batch_size=batch_size, seed=seed)


@functools.cache
def _cpu() -> jax.Device | None:
    """The CPU device, which avoids interrupting an accelerator; None if JAX may not use it."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


def _init_worker(number: int, count: int) -> None:
    """Make a worker ignore signals, stay off accelerators and exit with its parent process."""
    del number, count
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    jax.config.update("jax_platforms", "cpu")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
