"""Run directories in a bucket: a whole run, its resumption, evaluation, report and model.

The bucket is in memory: fsspec's own file system under the name of Google's, with the rule of
buckets that an object is written as a whole.
"""

import importlib.util
import io
import json
import logging
import os

import fsspec
import jax
import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem
from test_loop import small

import vae_jax
from vae_jax import files, visualize
from vae_jax.errors import InputError
from vae_jax.experiment import evaluate, report
from vae_jax.experiment.storage import checkpoint
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.storage.staging import METADATA
from vae_jax.experiment.training import loop


class Bucket(MemoryFileSystem):
    protocol = ("gs", "gcs")
    store: dict = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(os.fspath(path).removeprefix("gs://"))

    def open(self, path, mode="rb", **kwargs):
        assert mode in ("r", "rb", "w", "wb"), "objects are read or written as a whole"
        return super().open(path, mode, **kwargs)


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket, as if gcsfs was installed, and no tensorflow."""
    monkeypatch.setenv("EPATH_USE_TF", "false")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *args: name == "gcsfs" or find(name, *args)
    )
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "pseudo_dirs", [""])
    real = fsspec.filesystem
    monkeypatch.setattr(
        fsspec,
        "filesystem",
        lambda name, **options: Bucket() if name in ("gs", "gcs") else real(name, **options),
    )
    cached = type(epath.backend.fsspec_backend)._get_filesystem
    cached.cache_clear()
    yield Bucket.store
    cached.cache_clear()


def objects(store, folder):
    return {name.removeprefix(f"/{folder}/") for name in store if name.startswith(f"/{folder}/")}


def test_a_whole_run(bucket, tmp_path, monkeypatch, caplog):
    figures = []
    monkeypatch.setattr(
        visualize,
        "plot_all",
        lambda model, data, terms, history, directory, **_: (
            figures.append((os.fspath(directory), len(history))) or []
        ),
    )
    with caplog.at_level(logging.WARNING):
        numbers = loop.train_and_evaluate(small(), "gs://name/run")
    assert (
        "gs://name/run cannot be locked (a bucket): a concurrent run would go undetected"
        in caplog.text
    )
    local = loop.train_and_evaluate(small(), tmp_path / "run")
    assert numbers["test"] == local["test"]
    assert figures == [("gs://name/run/figures", 6), (str(tmp_path / "run" / "figures"), 6)]
    names = {
        os.fspath(path.relative_to(tmp_path / "run"))
        for path in (tmp_path / "run").rglob("*")
        if path.is_file()
    }
    hosts = {name for name in names if name.startswith("tensorboard/")}
    assert {name for name in objects(bucket, "name/run") if "events.out" not in name} >= {
        "config.json",
        "metrics.jsonl",
        "results.json",
    }
    assert len(hosts) == 1
    remote, expected = files.as_path("gs://name/run"), tmp_path / "run"
    assert read_metrics(remote) == read_metrics(expected)
    (events,) = (remote / "tensorboard").iterdir()
    (local_events,) = (expected / "tensorboard").iterdir()
    assert len(events.read_bytes()) == pytest.approx(len(local_events.read_bytes()), abs=20)
    assert sorted(path.name for path in (remote / "checkpoints").iterdir()) == ["20", "40"]

    ours, theirs = vae_jax.load("gs://name/run"), vae_jax.load(expected)
    jax.tree.map(np.testing.assert_array_equal, ours.params, theirs.params)
    again = evaluate.evaluate_workdir("gs://name/run")
    assert again["test"] == numbers["test"]
    path = report.write_report("gs://name/run")
    assert os.fspath(path) == "gs://name/run/report.html"
    assert "small" in path.read_text()
    with pytest.raises(InputError, match="holds a run of another config"):
        loop.train_and_evaluate(small(seed=4), "gs://name/run")


def test_interrupted_during_an_upload_it_ends_in_the_same_bits(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
    real = Bucket.open

    def dies(self, path, mode="rb", **kwargs):
        if "/checkpoints/40/" in path and "w" in mode and METADATA in path:
            raise KeyboardInterrupt
        return real(self, path, mode, **kwargs)

    monkeypatch.setattr(Bucket, "open", dies)
    with pytest.raises(KeyboardInterrupt):
        loop.train_and_evaluate(small(), "gs://name/run")
    monkeypatch.setattr(Bucket, "open", real)
    assert any(name.startswith("checkpoints/40/") for name in objects(bucket, "name/run"))
    with Checkpoints("gs://name/run", for_writing=False) as checkpoints:
        assert checkpoints.steps() == [20]  # the upload of 40 was cut short
    numbers = loop.train_and_evaluate(small(), "gs://name/run")
    local = loop.train_and_evaluate(small(), tmp_path / "run")
    assert numbers["test"] == local["test"]
    assert read_metrics(files.as_path("gs://name/run")) == read_metrics(tmp_path / "run")


def test_checkpoints_that_are_deleted_and_set_aside(bucket, monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
    loop.train_and_evaluate(small(train__keep_checkpoints=1), "gs://name/run")
    folder = files.as_path("gs://name/run") / "checkpoints"
    kept = sorted(path.name for path in folder.iterdir())
    assert "40" in kept
    for name in list(bucket):
        if "/checkpoints/40/" in name and "description" in name:
            bucket[name].seek(0)
            bucket[name].truncate()
    with Checkpoints("gs://name/run") as checkpoints:
        checkpoints.discard_after(20, damaged=[40])
    assert "damaged-40" in {path.name for path in folder.iterdir()}
    assert "40" not in {path.name for path in folder.iterdir()}


def test_several_processes_need_a_shared_directory(bucket, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    directory = epath.Path("s3://name/run/checkpoints")
    with pytest.raises(InputError, match=r"workdir = 's3://name/run': several processes need"):
        checkpoint._open_staging(directory, for_writing=True)
    gs = epath.Path("gs://name/run/checkpoints")
    assert checkpoint._open_staging(gs, for_writing=True) is None


def test_a_bucket_that_cannot_be_used(bucket, monkeypatch):
    def refuses(*_, **__):
        raise ValueError("403: no permission\nfor this bucket")

    monkeypatch.setattr(Bucket, "exists", refuses)
    message = (
        r"workdir = 'gs://name/run': the bucket cannot be used \(ValueError: 403: no permission for"
    )
    with pytest.raises(InputError, match=message):
        loop.train_and_evaluate(small(), "gs://name/run")


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ("foo://bucket/run", ["unknown file system 'foo:'", "begins with gs:// or s3://"]),
        ("gcs://bucket/run", ["unknown file system 'gcs:'", "did you mean 'gs'?"]),
        ("gs:/typo", ["unknown file system 'gs:'", "begins with gs:// or s3://"]),
        ("gs:typo", ["unknown file system 'gs:'"]),
        ("file:///tmp/run", ["unknown file system 'file:'", "use a local path"]),
        ("gs://", ["must name a bucket, such as gs://NAME/run"]),
        ("s3:///run", ["must name a bucket, such as s3://NAME/run"]),
        ("gs://bucket/run", ["needs the package gcsfs", "pip install gcsfs"]),
        ("s3://bucket/run", ["needs the package s3fs", "pip install s3fs"]),
    ],
)
def test_paths_that_are_refused(monkeypatch, where, parts):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(InputError) as error:
        files.as_path(where)
    message = str(error.value)
    assert message.startswith(f"workdir = {where!r}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("where", ["run", "runs/beta=4,seed=1", "run:1", "/tmp/x", "a b/c:d"])
def test_local_paths_are_those_of_pathlib(where):
    path = files.as_path(where)
    assert files.is_local(path)
    assert os.fspath(path) == where
    assert files.as_path(path) == path


def test_a_growing_file_is_uploaded_now_and_then(bucket, monkeypatch):
    now, uploads = [100.0], []
    monkeypatch.setattr(files.time, "monotonic", lambda: now[0])
    path = files.as_path("gs://name/lines")
    path.write_bytes(b"0")
    real = files.write_atomically
    monkeypatch.setattr(
        files, "write_atomically", lambda *args: (uploads.append(args[1]), real(*args))
    )
    file = files.open_appender(path)
    file.write(b"1")
    assert uploads == []
    now[0] += files.UPLOAD_EVERY + 1
    file.write(b"2")
    assert uploads == [b"012"]
    file.write(b"3")
    file.flush()
    file.flush()
    assert uploads == [b"012", b"0123"]
    file.close()
    assert path.read_bytes() == b"0123"


def test_features_and_arrays(bucket):
    content = io.BytesIO()
    np.savez(content, a=np.arange(3))
    path = files.as_path("gs://name/run/scores.npz")
    files.write_atomically(path, content.getvalue())
    files.write_json(path.parent / "results.json", {"name": "x"})
    files.write_json(path.parent / "config.json", {})
    assert report.read_workdir("gs://name/run").arrays("scores.npz")["a"].tolist() == [0, 1, 2]
    assert json.loads((path.parent / "results.json").read_text()) == {"name": "x"}
