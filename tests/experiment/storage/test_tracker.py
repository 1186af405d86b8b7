"""Trackers with the interface of wandb get the scalars; their errors do not end the training."""

import sys
import types

import pytest

from vae_jax.config import Config, Sweep, flatten
from vae_jax.errors import InputError
from vae_jax.experiment.storage.metric_writer import MetricsWriter, read_metrics
from vae_jax.experiment.storage.tracker import Tracker
from vae_jax.experiment.validation import validate, validate_sweep


@pytest.fixture
def calls(monkeypatch):
    """The calls of a fake package trackio."""
    calls = []
    module = types.ModuleType("trackio")
    module.init = lambda **options: calls.append(("init", options))
    module.log = lambda scalars, *, step: calls.append(("log", step, scalars))
    module.finish = lambda: calls.append(("finish",))
    monkeypatch.setitem(sys.modules, "trackio", module)
    return calls


def config_of(tracker="trackio"):
    config = Config(name="mine", seed=7)
    config.train.tracker = tracker
    return config


def test_the_writer_sends_what_it_writes(calls, tmp_path):
    writer = MetricsWriter(tmp_path, tracker=Tracker(config_of()))
    writer.write(10, "train", {"loss": 2.5, "kl": float("nan")})
    writer.write(10, "valid", {"elbo": -3.0}, binarization="none")
    writer.close()
    fields = flatten(config_of())
    assert fields["seed"] == 7
    assert calls == [
        ("init", {"project": "vae_jax", "name": "mine", "config": fields}),
        ("log", 10, {"train/loss": 2.5}),
        ("log", 10, {"valid/elbo": -3.0}),
        ("finish",),
    ]


def test_without_a_tracker_nothing_is_sent(calls, tmp_path):
    writer = MetricsWriter(tmp_path, tracker=Tracker(config_of("none")))
    writer.write(10, "train", {"loss": 2.5})
    writer.close()
    assert calls == []


@pytest.mark.parametrize("name", ["init", "log"])
def test_an_error_of_the_tracker_ends_only_the_sending(calls, name, tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(sys.modules["trackio"], name, fail)
    writer = MetricsWriter(tmp_path, tracker=Tracker(config_of()))
    for step in (1, 2):
        writer.write(step, "train", {"loss": 2.5})
    writer.close()
    (message,) = caplog.messages
    assert message == (
        f"trackio.{name} failed (ConnectionError: no network); the training continues without this "
        "tracker"
    )
    assert len(read_metrics(tmp_path)) == 2
    assert "finish" not in [call[0] for call in calls]


def test_what_is_refused_before_the_training(calls, monkeypatch):
    validate(config_of())
    config = config_of()
    config.sweep = Sweep(seed=(0, 1))
    with pytest.raises(InputError, match="a process has one run of the tracker"):
        validate_sweep(config)
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(InputError, match=r"trackio is not installed, .*vae_jax\[trackio\]"):
        validate(config_of())
    with pytest.raises(InputError, match=r"config\.train\.tracker = 'wand': .*'wandb'"):
        validate(config_of("wand"))
