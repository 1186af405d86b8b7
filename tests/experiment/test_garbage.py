"""Garbage collection is off while modules are imported, and afterwards as it was."""

import contextlib
import gc

import pytest

from vae_jax.experiment.launch import garbage


@pytest.fixture(params=[True, False], ids=["on", "off"])
def was_enabled(request):
    """Collection is on or off before the import."""
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    gc.unfreeze()
    (gc.enable if before else gc.disable)()


def test_collection_pauses_and_later_ones_skip_the_objects(was_enabled):
    gc.unfreeze()
    with garbage.paused():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled() == was_enabled
    assert gc.get_freeze_count() > len(made)


def test_an_import_that_fails_freezes_nothing(was_enabled):
    gc.unfreeze()
    with contextlib.suppress(ImportError), garbage.paused():
        raise ImportError
    assert gc.isenabled() == was_enabled
    assert gc.get_freeze_count() == 0
