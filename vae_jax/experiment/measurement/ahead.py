"""Programs that compile in other threads while the main thread continues.

XLA works without Python's global lock. A program is the same, bit for bit, whichever thread
compiles it: `jax.jit` finds it when the function is called.
"""

import concurrent.futures
from typing import Any, Protocol

import jax

from vae_jax.experiment.jax_settings import carry_settings


class Lowerable(Protocol):
    """A function compiled by `jax.jit`, or a function with the same interface."""

    def __call__(self, *args: Any) -> Any:
        """Call the function; compiles it at the first call for each signature."""

    def lower(self, *args: Any) -> Any:
        """Lower the function for arguments, or for their shapes."""


class AheadOfTime:
    """A compiled function whose first calls may wait for a compilation that has begun earlier.

    Attributes:
      function: the compiled function.
    """

    def __init__(self, function: Lowerable) -> None:
        self.function = function
        self._pending: dict[Any, concurrent.futures.Future[Any]] = {}

    def lower(self, *args: Any) -> Any:
        """Lower the function for arguments, or for their shapes."""
        return self.function.lower(*args)

    def compile_in(self, pool: concurrent.futures.Executor, *args: Any) -> None:
        """Begin to compile the function for arguments of these shapes, in a thread of the pool."""
        signature = self._signature(args)
        if signature not in self._pending:
            compile_it = carry_settings(lambda: self.function.lower(*args).compile())
            self._pending[signature] = pool.submit(compile_it)

    def _signature(self, args: tuple[Any, ...]) -> Any:
        """The same for all arguments of which one program serves."""
        compiled_arguments = getattr(self.function, "compiled_arguments", lambda *args: args)
        leaves, structure = jax.tree.flatten(compiled_arguments(*args))
        return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)

    def __call__(self, *args: Any) -> Any:
        if self._pending:
            future = self._pending.pop(self._signature(args), None)
            if future is not None and not future.cancel():
                # The call below raises its error again, such as too little memory.
                concurrent.futures.wait([future])
        return self.function(*args)


def make_pool() -> concurrent.futures.ThreadPoolExecutor | None:
    """Return a pool of two threads; None if programs should compile in the main thread alone.

    On a GPU, XLA chooses kernels by timing them, which other work on the device would disturb.
    Several processes compile in the same order.
    """
    if jax.process_count() > 1 or jax.default_backend() == "gpu":
        return None
    return concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="compile")


def describe_shapes(tree: Any, sharding: jax.sharding.Sharding | None = None) -> Any:
    """The shapes and types of a tree of arrays, on devices as in `sharding`."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)
