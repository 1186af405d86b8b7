"""Streamed training data: the same numbers as data in memory, and what can't be streamed."""

import functools
import os

import chex
import jax
import numpy as np
import pytest

import vae_jax
from vae_jax import parallel
from vae_jax.config import Config
from vae_jax.data import HostSource, load, order, streaming
from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import run
from vae_jax.experiment.training import loop, trainers

READ = {
    "batch_size": 7,
    "seed": 5,
    "rows": slice(0, 7),
    "place": functools.partial(parallel.split_batches, mesh=None),
}


def arrays(dtype=np.uint8, n=50):
    rng = np.random.default_rng(0)
    images = (
        rng.integers(0, 256, (n + 10, 4, 4))
        if np.issubdtype(dtype, np.integer)
        else rng.random((n + 10, 4, 4))
    )
    labels = rng.integers(0, 10, n + 10)
    images = images.astype(dtype)
    return {
        "train_images": images[:n],
        "test_images": images[n:],
        "train_labels": labels[:n],
        "test_labels": labels[n:],
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for key, array in arrays().items():
        np.save(tmp_path / "set" / f"{key}.npy", array)
    return tmp_path / "set"


def small(**data):
    config = Config(name="small", seed=3)
    config.model.hidden, config.model.latent_dim = (16,), 2
    (
        config.train.num_steps,
        config.train.batch_size,
        config.train.log_every,
        config.train.eval_every,
    ) = 40, 64, 10, 20
    config.data.binarization = "dynamic"
    for name, value in data.items():
        setattr(config.data, name, value)
    return config


def train_run(config, directory):
    """The state after the last step, and the metrics of all calls."""
    current = run.make_run(config, directory)
    streamed = trainers.make_trainer([current])
    state, metrics = streamed.initial(), []
    calls = list(loop.plan_calls(0, config))
    with streamed.open_data(calls) as data:
        for start, stop in calls:
            state, some = streamed.epoch(stop - start)(state, data)
            metrics.append(jax.device_get(some))
    return state, metrics


@pytest.mark.slow
def test_calls_in_several_blocks_end_in_the_bits_of_data_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 64 * 64 * 4 * 4)  # 10 steps in 3 blocks
    (state, metrics), (ours, our_metrics) = (
        train_run(small(streaming=streams), tmp_path) for streams in (False, True)
    )
    chex.assert_trees_all_equal(state.params, ours.params)
    chex.assert_trees_all_equal(metrics, our_metrics)


def test_a_streamed_run_resumes_and_is_evaluated_as_one_in_memory(tmp_path, monkeypatch):
    numbers = loop.train_and_evaluate(small(), tmp_path / "memory")
    real, reads = streaming._read, []

    def breaks(*args):
        reads.append(args[-1])
        if len(reads) == 4:
            raise OSError("images.npy: went away")
        return real(*args)

    monkeypatch.setattr(streaming, "_read", breaks)
    with pytest.raises(
        RunStopped, match=r"images\.npy: went away; the last good checkpoint is step 20"
    ):
        loop.train_and_evaluate(small(streaming=True), tmp_path / "streamed")
    again = loop.train_and_evaluate(small(streaming=True), tmp_path / "streamed")
    assert [tuple(span) for span in reads[4:]] == [(20, 30), (30, 40)]
    params = (vae_jax.load(tmp_path / name, step=40).params for name in ("memory", "streamed"))
    chex.assert_trees_all_equal(*params)
    times = {"seconds": None, "training": None}
    assert again | times == numbers | times


@pytest.mark.parametrize(
    ("dtype", "binarization"),
    [
        (np.uint8, "dynamic"),
        (np.uint8, "static"),
        (np.int64, "threshold"),
        (np.float64, "none"),
        (bool, "none"),
    ],
)
def test_what_is_read_from_a_file_is_what_is_in_memory(tmp_path, dtype, binarization):
    given = arrays(np.uint8 if dtype is bool else dtype)
    if dtype is bool:
        given |= {key: given[key] > 127 for key in ("train_images", "test_images")}
    np.savez(tmp_path / "set.npz", **given)
    options = {
        "path": os.fspath(tmp_path / "set.npz"),
        "binarization": binarization,
        "valid_fraction": 0.2,
    }
    memory, streamed = load("npz", **options), load("npz", streaming=True, **options)
    assert isinstance(streamed.train, HostSource)
    assert streamed.preparation == memory.preparation
    assert (streamed.train.num_examples, streamed.shape) == (40, (4, 4, 1))
    chex.assert_trees_all_equal(streamed.valid, memory.valid)
    index, key = np.array([39, 0, 7, 7]), jax.random.key(1)
    chex.assert_trees_all_equal(
        streamed.train.select(index).take(np.arange(4), key)["x"],
        memory.train.take(index, key)["x"],
    )
    np.testing.assert_array_equal(streamed.train.select(index).labels, memory.train.labels[index])
    spans = [(3, 5), (5, 9)]  # 7 examples a step: the first epoch ends in step 5
    batches, steps = [], np.arange(3, 9)
    with streaming.stream(streamed.train, spans, **READ) as blocks:
        for block in blocks:
            batches += [block.take(step, key) for step in range(len(block.index))]
    wanted = order.batch_index(steps, num_examples=40, batch_size=7, seed=5)
    for batch, index in zip(batches, wanted, strict=True):
        chex.assert_trees_all_equal(batch, memory.train.take(index, key))


@pytest.mark.slow
def test_workers_read_the_same_blocks_in_the_same_order(folder):
    source = load("npz", path=os.fspath(folder), streaming=True).train
    spans = [(0, 4), (4, 6), (6, 10), (10, 11)]
    read = []
    for workers in (0, 2):
        with streaming.stream(source, spans, workers=workers, **READ) as blocks:
            read.append(jax.device_get(list(blocks)))
    chex.assert_trees_all_equal(*read)
    assert [len(block.index) for block in read[0]] == [4, 2, 4, 1]


def test_a_process_reads_its_rows_of_each_batch(folder):
    source = load("npz", path=os.fspath(folder), streaming=True).train
    whole = streaming._read(source, 6, 5, slice(0, 6), np.array([2, 4]))
    share = streaming._read(source, 6, 5, slice(2, 4), np.array([2, 4]))
    chex.assert_trees_all_equal(share, jax.tree.map(lambda x: x[:, 2:4], whole))
    assert parallel.local_rows(6, None) == slice(0, 6)


@pytest.mark.parametrize(
    ("span", "most", "lengths"), [((0, 9), 9, [9]), ((5, 15), 4, [3, 3, 4]), ((0, 3), 1, [1, 1, 1])]
)
def test_parts_follow_each_other(span, most, lengths):
    parts = streaming.split_span(span, most)
    assert sorted(stop - start for start, stop in parts) == lengths
    assert [start for start, _ in parts[1:]] == [stop for _, stop in parts[:-1]]
    assert (parts[0][0], parts[-1][1]) == span


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_file_that_goes_while_it_is_read_is_named(folder, harm):
    source = load("npz", path=os.fspath(folder), streaming=True).train
    path = folder / "train_images.npy"
    os.truncate(path, 300) if harm == "cut" else path.unlink()
    with (
        streaming.stream(source, [(0, 4)], **READ) as blocks,
        pytest.raises(OSError, match=r"train_images\.npy"),
    ):
        next(blocks)


def spoil(folder, kind):
    images = arrays()["train_images"]
    path = folder / "train_images.npy"
    if kind == "compressed":
        np.savez_compressed(folder / "set.npz", **arrays())
        return folder / "set.npz"
    if kind == "objects":
        np.save(path, np.array([{}, 1], object), allow_pickle=True)
    elif kind == "short":
        os.truncate(path, path.stat().st_size - 1)
    elif kind == "columns":
        np.save(path, np.asfortranarray(images))
    elif kind == "empty":
        np.save(path, images[:0])
    elif kind == "missing":
        path.unlink()
    elif kind == "large":
        np.save(path, images.astype(np.int32) + 300)
    return folder


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("compressed", "train_images is compressed; write it with numpy.savez"),
        ("objects", "holds objects, not numbers"),
        ("short", "it is truncated"),
        ("columns", "column-major"),
        ("empty", "it is empty"),
        ("missing", "no array 'train_images'"),
        ("large", "must be 0 to 255"),
    ],
)
def test_what_cannot_be_streamed_is_refused(folder, kind, message):
    with pytest.raises(InputError, match=message):
        load("npz", path=os.fspath(spoil(folder, kind)), streaming=True)


def test_configs_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"^streaming = True: sprites are rendered"):
        load("sprites", streaming=True)
    with pytest.raises(
        InputError, match=r"config\.data\.workers = 2: does nothing without data\.streaming"
    ):
        run.make_run(small(workers=2), tmp_path)
    for value in (1, 0, "yes"):
        with pytest.raises(
            InputError, match=r"config\.data\.streaming = .*: must be true or false"
        ):
            run.make_run(small(streaming=value), tmp_path)
    swept = small(streaming=True)
    swept.sweep.seed = (0, 1)
    with pytest.raises(InputError, match="a sweep reads data in memory only"):
        run.make_runs(swept, tmp_path)


def test_optimal_sigma_is_that_of_data_in_memory(tmp_path):
    from vae_jax.evaluation import sigma

    config = small(binarization="none")
    config.model.likelihood = "optimal_gaussian"
    settled = []
    for streams in (False, True):
        config.data.streaming = streams
        current = run.make_run(config, tmp_path)
        params = trainers.make_trainer([current]).initial().params
        settled.append(
            sigma.fit_sigma(current.model, params, current.dataset.train, jax.random.key(0))
        )
    chex.assert_trees_all_equal(*settled)
