"""The record of a training: sessions, commit, speed; and the learning rate at its end."""

import json
import pathlib
import subprocess

import pytest

from vae_jax.config import Config
from vae_jax.experiment.builders import final_learning_rate
from vae_jax.experiment.report import provenance
from vae_jax.experiment.report.workdir_files import Contents
from vae_jax.experiment.storage import environment, session


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_sessions_add_up_and_compilation_and_checkpoints_are_not_timed(tmp_path, clock):
    assert session.summarize_training(tmp_path) == {}
    first = session.Session(tmp_path, 0, batch_size=8)
    clock(5)  # the first call waits for the compiler
    for _ in range(3):
        first.count(10)
        clock(2)
    first.write(30, num_parameters=7)
    clock(3)  # validations and checkpoints of other trials
    first.resume()
    for _ in range(2):
        clock(1)
        first.count(10)
    first.write(50, num_parameters=7)
    summary = session.summarize_training(tmp_path)
    assert summary["seconds"] == 5 + 3 * 2 + 3 + 2 * 1
    assert summary["images_per_second"] == 8 * 20 / 2
    second = session.Session(tmp_path, 50, batch_size=8)
    clock(4)
    for _ in range(4):
        second.count(10)
        clock(1)
    second.write(90, num_parameters=7)
    summary = session.summarize_training(tmp_path)
    assert summary["seconds"] == 16 + 4 + 4 * 1
    assert summary["images_per_second"] == 8 * (20 + 20) / (2 + 3)  # of four, the last two
    assert (summary["num_parameters"], summary["num_sessions"]) == (7, 2)
    records = json.loads((tmp_path / session.FILE).read_text())
    assert [(r["first_step"], r["last_step"]) for r in records] == [(0, 50), (50, 90)]


def test_a_single_call_has_no_speed(tmp_path, clock):
    record = session.Session(tmp_path, 0, batch_size=8)
    for step in (10, 20):  # the second call may be complete when the metrics of the first arrive
        clock(1)
        record.count(10)
        record.write(step, num_parameters=7)
    assert "images_per_second" not in session.summarize_training(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '[{"seconds": 1}]', "null"])
def test_a_damaged_record_is_none(tmp_path, text):
    (tmp_path / session.FILE).write_text(text)
    assert session.summarize_training(tmp_path) == {}
    session.Session(tmp_path, 0, batch_size=1).write(1, num_parameters=1)
    assert session.summarize_training(tmp_path)["num_sessions"] == 1


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_of_a_repository(tmp_path):
    state_of = environment.git_state.__wrapped__
    assert state_of(str(tmp_path)) == {}
    git(tmp_path, "init")
    assert state_of(str(tmp_path)) == {}  # no commit yet
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "one")
    git(tmp_path, "tag", "v1")
    (tmp_path / "untracked").write_text("2")
    (tmp_path / "below").mkdir()
    clean = state_of(str(tmp_path / "below"))
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True
    )
    assert clean == {"git_commit": head.stdout.strip(), "git_dirty": False}
    (tmp_path / "file").write_text("3")
    assert state_of(str(tmp_path)) == clean | {"git_dirty": True}


def test_no_git_or_a_slow_one_is_no_error(tmp_path, monkeypatch):
    state_of = environment.git_state.__wrapped__
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 20\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setattr(environment, "GIT_SECONDS", 0.1)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert state_of(str(pathlib.Path(__file__).parent)) == {}
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert state_of(str(pathlib.Path(__file__).parent)) == {}


def test_the_report_names_them(tmp_path):
    training = {"num_parameters": 1624, "seconds": 75.2, "images_per_second": 5e4}
    git = {"git_commit": "0123abc", "git_dirty": True}
    results = {"training": training | git, "environment": git}
    (*_, table) = provenance.origin(Contents(tmp_path, results, None, []))
    rows = dict(table["rows"])
    assert rows["Training, number of parameters"] == "1,624"
    assert rows["Training, seconds"] == "1 min 15 s"
    assert rows["Training, images per second"] == "50,000"
    assert rows["Git commit"] == rows["Training, git commit"] == "0123abc"
    assert rows["Git dirty"] == "yes"


def test_the_learning_rate_at_the_end():
    config = Config()
    config.optimizer.learning_rate, config.train.num_steps = 0.01, 100
    assert final_learning_rate(config, 100) == pytest.approx(0.01, rel=1e-5)
    config.optimizer.warmup_steps = 20
    assert final_learning_rate(config, 11) == pytest.approx(0.01 * 10 / 20, rel=1e-5)
    config.optimizer.schedule = "linear"
    assert final_learning_rate(config, 100) == pytest.approx(0.01 * (1 - 79 / 80), rel=1e-5)
    config.optimizer.warmup_steps, config.codes.prior_steps = 0, 40
    assert final_learning_rate(config, 60) == pytest.approx(0.01 * (1 - 59 / 60), rel=1e-5)
    assert final_learning_rate(config, 61) == pytest.approx(0.01, rel=1e-5)  # the prior begins anew
    assert final_learning_rate(config, 100) == pytest.approx(0.01 * (1 - 39 / 40), rel=1e-5)
