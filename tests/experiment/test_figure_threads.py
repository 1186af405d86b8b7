"""Threads compute the arrays of figures, under the settings of the thread that draws them."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import visualize
from vae_jax.experiment import figures, jax_settings


def settings():
    return {
        "thread": threading.current_thread(),
        "bits": jnp.asarray(np.zeros(1)).dtype.itemsize * 8,
        "generator": jax.config.jax_default_prng_impl,
        "precision": jax.config.jax_default_matmul_precision,
        "nans": jax.config.jax_debug_nans,
        "device": jax.config.jax_default_device,
    }


def test_a_thread_has_the_settings_of_runs_and_of_its_caller():
    device = jax.devices()[-1]
    with (
        jax.default_prng_impl("rbg"),
        jax.default_matmul_precision("highest"),
        jax.debug_nans(True),
        jax.default_device(device),
        jax_settings.run_settings(),
        figures._threads() as start,
    ):
        here, there = settings(), start(settings)()
    assert there.pop("thread") is not here.pop("thread")
    assert there == here
    assert (there["bits"], there["generator"]) == (32, "threefry2x32")
    assert (there["precision"], there["nans"], there["device"]) == ("highest", True, device)


def test_results_and_errors_come_when_they_are_asked_for():
    def fail():
        raise MemoryError("too little")

    with figures._threads() as start:
        good, bad = start(lambda: 3), start(fail)
        assert good() == 3
        with pytest.raises(MemoryError, match="too little"):
            bad()


def test_an_error_does_not_wait_for_what_is_still_computed():
    blocked, began = threading.Event(), []

    def wait():
        began.append(0)
        blocked.wait(60)

    started = time.monotonic()
    with pytest.raises(RuntimeError, match="no"), figures._threads() as start:  # noqa: PT012
        for _ in range(5):
            start(wait)
        raise RuntimeError("no")
    assert time.monotonic() - started < 30
    blocked.set()
    time.sleep(0.1)
    assert len(began) <= 2  # the others are cancelled


def test_without_a_pool_nothing_runs_in_threads(monkeypatch):
    monkeypatch.setattr(figures, "make_pool", lambda: None)
    calls = []
    with figures._threads() as start:
        assert start is visualize.when_needed
        result = start(lambda: calls.append(threading.current_thread()) or 7)
        assert not calls
        assert (result(), result()) == (7, 7)
    assert calls == [threading.main_thread()]
