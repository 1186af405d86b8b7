"""Memory of the machine and its devices, and what to do when it runs out."""

import contextlib
import os
from collections.abc import Iterator

import jax

from vae_jax.errors import RunStopped, truncate

RESOURCE_EXHAUSTED = 8  # the status code that JAX's errors carry for it


def machine_memory() -> int:
    """Return the bytes of memory in this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def device_memory() -> int:
    """Return the bytes of one device's own memory, or of the machine's if it has none."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit") or machine_memory()


def in_gigabytes(num_bytes: float) -> str:
    """Return the size as a string, such as '1.2 GB'."""
    return f"{num_bytes / 1e9:,.1f} GB"


def is_out_of_memory(error: Exception) -> bool:
    """True if the host or a device ran out of memory."""
    if not isinstance(error, jax.errors.JaxRuntimeError):
        return isinstance(error, MemoryError)
    if hasattr(error, "error_code"):
        return error.error_code == RESOURCE_EXHAUSTED
    # In older versions (0.7 has no code, 0.10 has) the status is only the first word of the text.
    return str(error).startswith("RESOURCE_EXHAUSTED:")


@contextlib.contextmanager
def explain_memory_errors(advice: str) -> Iterator[None]:
    """Raise RunStopped with the advice if memory runs out in the context."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = truncate(str(error) or type(error).__name__, 300)
        raise RunStopped(f"out of memory ({reason}); {advice}") from error
