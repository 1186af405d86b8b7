"""Every command in the configs, README, docs and the command line is accepted and trains.

The default suite parses each and makes its run: data, model, loss, optimizer. The slow tests take
two steps of each, and lower each variant of a config for all platforms.
"""

import dataclasses
import json
import pathlib
import re
import shlex

import numpy as np
import pytest
from absl import flags
from ml_collections import config_flags
from platforms import export_run

from vae_jax.config import Config
from vae_jax.data import EMBEDDED
from vae_jax.experiment import run
from vae_jax.experiment.launch import arguments, row_flags
from vae_jax.experiment.training import trainers

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = "python -m vae_jax.main "
GENERATED = {"results.md"}  # its configs are built by test_published_table.py
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in GENERATED]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *PAGES, ROOT / "vae_jax" / "main.py"]
TABLE = ROOT / "vae_jax" / "data" / "tables" / "penguins.csv"
LINES = ROOT / "vae_jax" / "data" / "text" / "molecules.smi"
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def commands_in(text):
    """The arguments of each command; lines of flags that are indented continue one."""
    found = re.findall(rf"{re.escape(PROGRAM)}([^`\n]*(?:\n    --.*)*)", text)
    return [shlex.split(command, comments=True) for command in found]


def flags_in_prose(path):
    """The commands that a docstring describes by one flag of its config."""
    docstring = path.read_text().split('"""')[1]
    prose = re.sub(rf"{re.escape(PROGRAM)}.*(\n    --.*)*", "", docstring)
    changes = re.findall(r"--config\.[\w.]+=[\w,]+(?:\.\d+)?", prose)
    return [[f"--config=configs/{path.name}", change] for change in changes]


def collect():
    """The commands by their place; one that stands in several places is in the first alone."""
    places = {}
    for path in (*CONFIGS, *DOCUMENTS):
        commands = commands_in(path.read_text()) + (flags_in_prose(path) if path in CONFIGS else [])
        for number, command in enumerate(commands):
            places.setdefault(tuple(command), f"{path.name}-{number}")
    return {name: list(command) for command, name in places.items()}


COMMANDS = collect()
COMPLETE = {
    name: command
    for name, command in COMMANDS.items()
    if any(re.match(r"--config=\w", flag) for flag in command)
}

VARIANTS = {  # variant of a config -> the first of its commands
    flag.removeprefix("--config="): name
    for name, command in reversed(COMPLETE.items())
    for flag in command
    if re.match(r"--config=\S+:", flag)
}


def parse(command):
    """Parse the flags as vae_jax/main.py does, but apart from those of this process."""
    values = flags.FlagValues()
    argv = arguments.prepare(["main.py", *command])
    config = config_flags.DEFINE_config_file(
        "config", flag_values=values, lock_config=True, sys_argv=argv
    )
    for name in ("workdir", "mode", "coordinator", "trials"):
        flags.DEFINE_string(name, None, "", flag_values=values)
    for name in ("num_processes", "process_index"):
        flags.DEFINE_integer(name, None, "", flag_values=values)
    for name in ("list", "compilation_cache"):
        flags.DEFINE_bool(name, False, "", flag_values=values)
    row_flags.define(values)
    assert values(argv) == ["main.py"]
    return config.value, values


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A file in place of data sets that are not here."""
    path = tmp_path_factory.mktemp("data") / "mine.npz"
    rng = np.random.default_rng(0)
    arrays = {}
    for split, size in (("train", 600), ("test", 40)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(size) % 10
    np.savez(path, **arrays)
    return path


def make_runs(command, images, workdir, monkeypatch):
    monkeypatch.chdir(ROOT)
    config, _ = parse(command)
    config.train.tracker = Config().train.tracker  # an extra that may not be here
    if config.data.name == "table":
        config.data.path, config.data.schema = str(TABLE), ""
    elif config.data.name == "text":
        config.data.path, config.data.split_path = str(LINES), ""
    elif config.data.name not in EMBEDDED:
        config.data.name, config.data.path = "npz", str(images)
        config.data.dir = ""
        if config.evaluation.anomaly:  # another data set that is not here
            config.evaluation.anomaly, config.data.leave_out = "", 3
    return config, run.make_runs(config, workdir)


def test_commands_are_found():
    assert len(COMMANDS) > 45
    assert len(COMPLETE) > len(CONFIGS) + 10
    for path in CONFIGS:
        assert f"{path.name}-0" in COMPLETE


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - COMPLETE.keys()))
def test_a_command_without_a_config_is_parsed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workdir = arguments.flag_value(["main.py", *COMMANDS[name]], "workdir")
    if "--mode=eval" in COMMANDS[name]:  # of a run that is there
        (tmp_path / workdir).mkdir(parents=True)
        saved = json.dumps(dataclasses.asdict(Config()))
        (tmp_path / workdir / "config.json").write_text(saved)
    command = [flag.replace("--config=...", "--config=vae") for flag in COMMANDS[name]]
    _, values = parse(command)
    assert values.workdir or values.coordinator or values.list or values.trials


@pytest.mark.parametrize("name", COMPLETE)
def test_a_command_makes_its_run(name, images, tmp_path, monkeypatch):
    _, runs = make_runs(COMPLETE[name], images, tmp_path, monkeypatch)
    assert runs


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPLETE)
def test_a_command_trains(name, images, tmp_path, monkeypatch):
    config, runs = make_runs(COMPLETE[name], images, tmp_path, monkeypatch)
    trainer = trainers.make_trainer(runs, chunk=config.sweep.chunk)
    with trainer.open_data([(0, 2)]) as data:
        _, metrics = trainer.epoch(2)(trainer.initial(), data)
    assert np.isfinite(metrics["loss"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS.values(), ids=VARIANTS)
def test_a_variant_is_lowered_for_every_platform(name, images, tmp_path, monkeypatch):
    _, runs = make_runs(COMPLETE[name], images, tmp_path, monkeypatch)
    export_run(runs[0])
