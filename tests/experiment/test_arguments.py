"""The command line before it is parsed: lists of names, and evaluations with the saved config."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from absl import flags

from vae_jax import main, visualize
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import cli
from vae_jax.experiment.launch import arguments
from vae_jax.experiment.training import loop

ROOT = pathlib.Path(__file__).parents[2]
VAE = f"--config={ROOT / 'configs' / 'vae.py'}"


@pytest.fixture
def parse(monkeypatch):
    """Parse a command line as a new process would; returns the config."""
    names = set(flags.FLAGS)

    def parsed(*given):
        forget()
        sys.modules.pop("config_config", None)  # the name under which every file is imported
        argv = ["main.py", *map(str, given)]
        monkeypatch.setattr(sys, "argv", argv)  # where config_flags looks for the fields
        cli.parse_flags(argv)
        return main._CONFIG.value

    def forget():
        for name in set(flags.FLAGS) - names:  # those of the config fields
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
        for name in names:
            flags.FLAGS[name].unparse()

    yield parsed
    forget()


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("model.columns", ["gaussian*3,bernoulli"], ("gaussian*3", "bernoulli")),
        ("model.columns", ["categorical:5, counts"], ("categorical:5", "counts")),
        ("model.columns", ["gaussian"], ("gaussian",)),
        ("model.columns", ["('gaussian*2', 'counts')"], ("gaussian*2", "counts")),
        ("evaluation.metrics", ["likelihood,gap"], ("likelihood", "gap")),
        ("evaluation.metrics", ["likelihood", "gap"], ("likelihood", "gap")),
        ("evaluation.metrics", [""], ()),
    ],
)
@pytest.mark.parametrize("form", ["=", " "])
def test_lists_of_names_in_the_plain_form(parse, field, given, expected, form):
    words = [[f"--config.{field}={v}"] if form == "=" else [f"--config.{field}", v] for v in given]
    config = parse(VAE, *(word for pair in words for word in pair))
    group, name = field.split(".")
    assert getattr(getattr(config, group), name) == expected


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_a_field_can_be_given_twice_in_a_process(monkeypatch, parse):
    for seed in (3, 4):  # as by `%run -m vae_jax.main` in a notebook
        words = ["main.py", VAE, f"--config.seed={seed}"]
        monkeypatch.setattr(sys, "argv", words)
        flags.FLAGS.unparse_flags()
        cli.parse_flags(words)
        assert main._CONFIG.value.seed == seed


RUNS_IN_A_NOTEBOOK = """
import runpy, sys
for words in (["--mode=score", "--workdir=nowhere", "--data=a.csv"], ["--mode=report"]):
    sys.argv = ["main.py", *words]
    try:
        runpy.run_module("vae_jax.main", run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        print(stop.code)
"""


def test_a_second_run_in_a_process_has_no_flags_of_the_first():
    command = [sys.executable, "-c", RUNS_IN_A_NOTEBOOK]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.split() == ["2", "2"]
    first, second = ended.stderr.strip().splitlines()
    assert "nowhere" in first
    assert "nowhere" not in second
    assert "workdir" in second


def test_lists_of_numbers_are_left_to_config_flags():
    words = ["main.py", VAE, "--config.model.hidden=3,4"]
    assert arguments.prepare(words) == words


@pytest.mark.parametrize("words", [[], ["--mode=eval"], ["--mode=train", "--workdir=runs/a"]])
def test_fields_of_no_config(words):
    with pytest.raises(InputError, match=r"config\.seed: .*--config=NAME.*--mode=eval --workdir"):
        arguments.prepare(["main.py", "--config.seed=1", *words])


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The workdir of a sweep, "sweep", on a table that has moved since."""
    folder = tmp_path_factory.mktemp("tables")
    rows = np.random.default_rng(0).normal(size=(80, 3))
    np.savez(folder / "table.npz", train_images=rows[:60], test_images=rows[60:])
    config = Config()
    config.data.name, config.data.path = "npz", str(folder / "table.npz")
    config.model.likelihood, config.model.columns = "mixed", ("gaussian*3",)
    config.model.hidden, config.model.latent_dim = (4,), 2
    config.train.num_steps, config.train.batch_size = 2, 16
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
        config.sweep.seed = (0, 1)
        loop.train_and_evaluate(config, folder / "sweep")
    (folder / "moved").mkdir()
    shutil.move(folder / "table.npz", folder / "moved")
    return folder


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sweep/trials/seed=1", "sweep"])
def test_an_evaluation_needs_the_workdir_alone(tables, tmp_path, monkeypatch, parse, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
    words = ["--mode=eval", f"--workdir={tables / kind}"]
    metrics = ["--config.evaluation.metrics=likelihood", "--config.evaluation.likelihood_samples=3"]
    with pytest.raises(InputError, match=r"no such file.*give --config\.data\.path=PATH"):
        cli.run("eval", parse(*words, *metrics), str(tables / kind))
    moved = f"--config.data.path={tables / 'moved' / 'table.npz'}"
    cli.run("eval", parse(*words, *metrics, moved), str(tables / kind))
    results = json.loads((tables / kind / "results.json").read_text())
    for numbers in results.get("trials", {"run": results}).values():
        assert numbers["metrics"]["likelihood"]["num_samples"] == 3
    saved = json.loads((tables / kind / "config.json").read_text())
    assert saved["evaluation"]["metrics"] == []


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
def test_an_evaluation_changes_no_training(tables, parse):
    words = ["--mode=eval", f"--workdir={tables / 'sweep'}", "--config.train.num_steps=3"]
    words += ["--config.model.latent_dim=2", "--config.objective.beta=4"]
    with pytest.raises(InputError, match="holds a run of another config") as error:
        cli.run("eval", parse(*words), str(tables / "sweep"))
    _, *fields = str(error.value).splitlines()
    assert fields == [
        "  config.objective.beta: 4.0 here, 1.0 there",
        "  config.train.num_steps: 3 here, 2 there",
    ]
