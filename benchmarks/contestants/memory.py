"""Peaks of device memory."""

import jax


def jax_peak() -> int:
    """Most bytes that JAX held on its first device, 0 where the device does not say (the CPU)."""
    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))
