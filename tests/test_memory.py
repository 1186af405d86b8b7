import jax
import jax.numpy as jnp
import pytest

from vae_jax import memory
from vae_jax.errors import RunStopped


def test_memory_of_a_device_that_runs_out_is_explained():
    with (
        pytest.raises(RunStopped, match=r"out of memory \(.*RESOURCE_EXHAUSTED.*\); use less"),
        memory.explain_memory_errors("use less"),
    ):
        jnp.zeros(10**16).block_until_ready()


def test_memory_of_the_host_that_runs_out_is_explained():
    with (
        pytest.raises(RunStopped, match=r"out of memory \(MemoryError\); use less"),
        memory.explain_memory_errors("use less"),
    ):
        raise MemoryError


@pytest.mark.parametrize(
    "error", [jax.errors.JaxRuntimeError("INTERNAL: Out of memory"), ValueError("Out of memory")]
)
def test_other_errors_pass_whatever_their_text(error):
    with pytest.raises(type(error), match="Out of memory"), memory.explain_memory_errors("none"):
        raise error


def test_sizes_are_in_gigabytes():
    assert memory.in_gigabytes(1_234_500_000_000) == "1,234.5 GB"
    assert 0 < memory.device_memory() <= memory.machine_memory() * 100
