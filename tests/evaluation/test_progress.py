"""Progress of long computations, and the parts that they are split into."""

import io
import logging
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import ArraySource
from vae_jax.evaluation import progress
from vae_jax.evaluation.scan import (
    draws_at_once,
    full_float32,
    mean_over_draws,
    over_batches,
)


def test_without_a_terminal_lines_of_the_log_tell(monkeypatch, caplog):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with caplog.at_level(logging.INFO, logger="vae_jax"):
        for _ in progress.track(range(4), "gap", "examples"):
            time.sleep(0.06)
    lines = [record.getMessage() for record in caplog.records]
    assert lines
    assert lines[0].startswith("gap: ")
    assert "of 4 examples after 0 s" in lines[0]


def test_in_a_terminal_a_bar_tells(monkeypatch, caplog):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(sys, "stderr", stream)
    with caplog.at_level(logging.INFO, logger="vae_jax"):
        for _ in progress.track(range(4), "gap", "examples"):
            time.sleep(0.06)
    assert "gap:" in stream.getvalue()
    assert not caplog.records


def test_what_is_quick_shows_nothing(monkeypatch, caplog):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with caplog.at_level(logging.INFO, logger="vae_jax"):
        assert list(progress.track(range(3), "gap")) == [0, 1, 2]
    assert not caplog.records
    assert not stream.getvalue()


@pytest.mark.parametrize("num_steps", [1, 2, 59, 100, 101, 399, 1500, 10_007])
def test_parts_hold_every_step_once(num_steps):
    parts = progress.split_steps(num_steps)
    assert [step for part in parts for step in part] == list(range(num_steps))
    assert len(parts) <= progress.MAX_PARTS
    assert len({len(part) for part in parts[:-1]}) <= 1
    if num_steps in (100, 399, 1500):
        assert len(set(map(len, parts))) == 1


def test_batches_in_several_parts_are_those_of_one(monkeypatch):
    source = ArraySource(jnp.arange(46.0)[:, None])

    def one_batch(params, batch, key):
        return batch["x"][:, 0] + jax.random.uniform(key, batch["x"].shape[:1])

    run = over_batches(one_batch, batch_size=4)
    expected = run({}, source, jax.random.key(0))
    assert expected.shape == (46,)
    np.testing.assert_array_equal(np.floor(expected), np.arange(46))
    monkeypatch.setattr(progress, "MAX_PARTS", 5)  # parts of 3 batches, the last one of fewer
    np.testing.assert_array_equal(run({}, source, jax.random.key(0)), expected)


def test_evaluation_is_in_full_float32_and_nothing_else_is():
    seen = []

    def one_batch(params, batch, key):
        seen.append(jax.config.jax_default_matmul_precision)
        return batch["x"] @ jnp.ones((1, 1))

    over_batches(one_batch, batch_size=4)({}, ArraySource(jnp.ones((8, 1))), jax.random.key(0))
    assert set(seen) == {"highest"}
    assert jax.config.jax_default_matmul_precision is None
    x = jnp.ones((2, 2))
    assert "HIGHEST" in str(jax.make_jaxpr(full_float32(jnp.matmul))(x, x))


def test_a_mean_over_draws_is_that_of_all_of_them():
    def some_draws(key, num):
        return {"mean": jax.random.normal(key, (num, 300)).mean(0), "one": jnp.ones(())}

    key = jax.random.key(0)
    # More than a batch: one by one, each with its own key.
    got = mean_over_draws(some_draws, key, num_samples=6, num_rows=300)
    parts = [jax.random.normal(jax.random.fold_in(key, n), (1, 300)) for n in range(6)]
    np.testing.assert_allclose(got["mean"], jnp.concatenate(parts).mean(0), atol=1e-6)
    assert got["one"] == 1
    whole = mean_over_draws(some_draws, key, num_samples=6, num_rows=40)
    np.testing.assert_array_equal(whole["mean"], some_draws(key, 6)["mean"])
    assert [draws_at_once(*sizes) for sizes in ((1, 256), (100, 256), (12, 50), (7, 50))] == [
        *(1, 1, 4, 1)
    ]


def test_training_tells_a_plain_line_every_few_seconds(monkeypatch, caplog):
    """The clock and the wait are those of the test: a call of 100 steps takes 7 seconds."""
    now, ends = [0.0], []
    told = threading.Semaphore(0)
    go = threading.Semaphore(0)

    def wait(event, seconds):
        told.release()
        go.acquire()
        now[0] += seconds
        return event.is_set()

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    shown = progress.Progress(
        500, "vae", "steps", initial=100, seconds=7.0, clock=lambda: now[0], wait=wait
    )
    with caplog.at_level(logging.INFO, logger="vae_jax"), shown as bar:
        for number in range(3):
            told.acquire()
            if number:
                bar.update(100, f"loss {number}")
            go.release()
        told.acquire()
        ends.append(len(caplog.records))
        bar._stop.set()
        go.release()
    assert ends == [3] == [len(caplog.records)]
    assert [record.getMessage() for record in caplog.records] == [
        "vae: 100 of 500 steps after 7 s",
        "vae: 200 of 500 steps after 14 s, about 42 s left; loss 1",
        "vae: 300 of 500 steps after 21 s, about 21 s left; loss 2",
    ]
    assert not sys.stderr.getvalue()


def test_what_happens_between_steps_is_named(monkeypatch, caplog):
    """A line of the same steps as the one before says why they do not advance."""
    lines = []
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    bar = progress.Progress(60, "vae", "steps", clock=iter([0.0, 5.0, 10.0, 15.0]).__next__)
    with bar:
        bar.update(60, "loss 3")
        lines.append(bar._line())
        with bar.during("validating"):
            lines.append(bar._line())
        lines.append(bar._line())
    assert lines == [
        "vae: 60 of 60 steps after 5 s; loss 3",
        "vae: validating after 60 of 60 steps, 10 s so far",
        "vae: 60 of 60 steps after 15 s; loss 3",
    ]


def test_a_bar_names_what_happens_between_steps(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.Progress(60, "vae", bar_at_once=True) as bar:
        bar.update(20, "loss 3")
        with bar.during("validating"):
            assert stream.getvalue().rstrip().endswith("validating]")
        assert stream.getvalue().rstrip().endswith("loss 3]")
