"""Peaks of device memory."""

import jax


def jax_peak() -> int:
    """Peak bytes of JAX on its first device, 0 if the device does not report it (the CPU)."""
    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))
