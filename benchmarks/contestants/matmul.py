"""Square matrix products: the peak speed of the machine with one library. The task is the size."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

CHAIN = 4  # products per call, each of the previous result


class Matmul:
    """``x <- x w``, `CHAIN` times per call; w is orthogonal, so that x keeps its norm."""

    def __init__(
        self, size: int, run: Callable[[Any], Any], x: Any, ready: Callable[[Any], Any], device: str
    ) -> None:
        self._run, self._x, self._ready = run, x, ready
        self.units_per_call = CHAIN * 2 * size**3
        self.info = {"device": device}

    def call(self) -> None:
        """`CHAIN` products."""
        self._x = self._run(self._x)

    def wait(self) -> None:
        """Wait for x."""
        self._ready(self._x)

    def device_peak(self) -> int:
        """Not measured."""
        return 0


def _operands(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Random x, and the orthogonal w of a random reflection, both float32 [size, size]."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=size)
    w = np.eye(size) - 2 * np.outer(v, v) / (v @ v)
    return rng.normal(size=(size, size)).astype(np.float32), w.astype(np.float32)


def _xla(size: int, dtype: str) -> Callable[[], Matmul]:
    import jax

    x, w = (jax.device_put(a).astype(dtype) for a in _operands(size))
    run = jax.jit(lambda x, w: functools.reduce(lambda x, _: x @ w, range(CHAIN), x))
    return lambda: Matmul(
        size, lambda x: run(x, w), x, jax.block_until_ready, jax.devices()[0].device_kind
    )


def _torch(size: int, dtype: str) -> Callable[[], Matmul]:
    import torch

    from benchmarks import torch_train

    where = torch_train.device()
    x, w = (torch.from_numpy(a).to(where, getattr(torch, dtype)) for a in _operands(size))
    run = lambda x: functools.reduce(lambda x, _: x @ w, range(CHAIN), x)  # noqa: E731
    return lambda: Matmul(size, run, x, lambda x: x[0, 0].item(), where.type)


def prepare(size: str, dtype: str, variant: str) -> Callable[[], Matmul]:
    """Products of that size through XLA or PyTorch."""
    return (_xla if variant == "xla" else _torch)(int(size), dtype)
