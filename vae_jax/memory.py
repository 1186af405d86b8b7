"""How much memory there is, and what to lower when it runs out."""

import contextlib
import os
from collections.abc import Iterator

import jax

from vae_jax.errors import RunStopped, truncate

FIELDS = (
    "train.batch_size, train.log_every, objective.num_samples, evaluation.batch_size, evaluation.num_samples, model.hidden, "
    "model.channels, model.latent_dim, sweep.chunk"
)


def machine_memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def device_memory() -> int:
    """Bytes that one device can hold: its own, or those of the machine."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit") or machine_memory()


def in_gigabytes(num_bytes: float) -> str:
    """The size in words."""
    return f"{num_bytes / 1e9:,.1f} GB"


@contextlib.contextmanager
def explain_memory_errors() -> Iterator[None]:
    """RunStopped with the fields to lower, where memory runs out in the context."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        if (
            isinstance(error, MemoryError)
            or "RESOURCE_EXHAUSTED" in reason
            or "Out of memory" in reason
        ):
            raise RunStopped(
                f"out of memory ({truncate(reason, 300)}); lower some of config.: {FIELDS}"
            ) from error
        raise
