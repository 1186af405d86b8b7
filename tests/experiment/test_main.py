"""The command line: bad input ends in a one-line message, and nothing is touched."""

import asyncio
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest
from absl import flags

from vae_jax import config as config_lib
from vae_jax import main  # noqa: F401  # defines the flags
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import cli, report
from vae_jax.experiment.builders import choices, loss, parts
from vae_jax.experiment.launch import config_files, exits, listing
from vae_jax.experiment.metrics import METRICS

ROOT = pathlib.Path(__file__).parents[2]
VAE = "--config=configs/vae.py"


def python(*args: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Arguments, in which WORK stands for a folder of the test, and what the message must contain.
COMMANDS = {
    "help": (["--help"], []),
    "nothing": ([], ["config: missing; use --config=", "vae, vamp_prior"]),
    "no share": ([VAE, "--trials=9/8"], ["trials = '9/8'", "K/N with K from 1 to N"]),
    "misspelt field": (
        [VAE, "--config.objective.beat=1"],
        ["config.objective.beat", "did you mean 'objective.beta'?"],
    ),
    "no number": (
        [VAE, "--config.objective.beta=abc"],
        ["--config.objective.beta=abc", "float", "'abc'"],
    ),
    "no tuple": (
        [VAE, "--config.model.hidden=abc"],
        ["config.model.hidden = ('abc',)", "a tuple of integers"],
    ),
    "no flag": ([VAE, "beta=3"], ["unexpected argument 'beta=3'", "--config=configs/vae.py"]),
    "misspelt in the file": (
        ["--config=WORK/typo.py"],
        ["config.model.latnet_dim", "did you mean 'model.latent_dim'?"],
    ),
    "workdir below a file": (
        [VAE, "--workdir=WORK/file/run"],
        ["workdir = 'WORK/file/run'", "cannot be written", "Not a directory"],
    ),
    "field without a config": (
        ["--config.model.latent_dim=3"],
        ["config.model.latent_dim: a field of which config?", "--config=NAME", "--mode=eval"],
    ),
    "eval of no run": (
        [VAE, "--mode=eval", "--workdir=WORK/other"],
        ["workdir = 'WORK/other'", "no run there", "config.json"],
    ),
}
FILES = {
    "file": "something",
    "other/notes.txt": "something else",
    "plain.py": "from vae_jax.config import Config\n\n\ndef get_config():\n    return Config()\n",
    "empty.py": "",
    "broken.py": "def get_config(:\n",
    "raises.py": "def get_config():\n    raise KeyError('depth')\n",
    "refuses.py": "def get_config():\n    raise ValueError('data must be digits')\n",
    "typo.py": "from vae_jax.config import Config\n\n\ndef get_config():\n    config = Config()\n"
    "    config.model.latnet_dim = 3\n    return config\n",
}


def write_files(work: pathlib.Path) -> None:
    for name, text in FILES.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)


def contents(folder: pathlib.Path) -> dict[str, str]:
    """Return the text of all files by path, except those that Python writes."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {
        os.fspath(path.relative_to(folder)): path.read_text() if path.is_file() else ""
        for path in paths
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run every command of the table to its end, two at a time."""

    def run(name: str) -> tuple[subprocess.CompletedProcess, pathlib.Path, dict]:
        work = tmp_path_factory.mktemp("work")
        write_files(work)
        before = contents(work)
        arguments = [argument.replace("WORK", os.fspath(work)) for argument in COMMANDS[name][0]]
        if not any("workdir" in argument for argument in arguments):
            arguments.append(f"--workdir={work}/run")
        return python("-m", "vae_jax.main", *arguments), work, before

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(COMMANDS, pool.map(run, COMMANDS), strict=True))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_one_clear_message_and_nothing_touched(finished, name) -> None:
    process, work, before = finished[name]
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.startswith("error: ")
    assert "Traceback" not in process.stderr
    assert process.stderr.count("\n") == 1
    for part in COMMANDS[name][1]:
        assert part.replace("WORK", os.fspath(work)) in process.stderr
    assert contents(work) == before


def test_help(finished) -> None:
    process, work, before = finished["help"]
    assert process.returncode == 0
    for flag in ("--config", "--workdir", "--mode", "Exit status: 0, done; 1,"):
        assert flag in process.stdout
    assert process.stderr == ""
    assert contents(work) == before


def refusal(call, *args) -> str:
    with pytest.raises(InputError) as error:
        call(*args)
    return str(error.value)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["--config=configs/vea.py"],
            ["config = 'configs/vea.py'", "beta_vae, count_vae", "did you mean 'vae'?"],
        ),
        (
            ["--config", "configs/vea.py"],
            ["config = 'configs/vea.py'", "no such file", "did you mean 'vae'?"],
        ),
        (
            ["--config=configs/vea.py:mnist"],
            ["config = 'configs/vea.py:mnist'", "no such file", "did you mean 'vae'?"],
        ),
        (["--config=beta_vea:mnist"], ["config = 'beta_vea:mnist'", "did you mean 'beta_vae'?"]),
        (["-config=configs"], ["config = 'configs'", "no such file", "vae, vamp_prior"]),
        (["--config="], ["config = ''", "no such file", "vae, vamp_prior"]),
        (["--config"], ["config = ''", "no such file", "vae, vamp_prior"]),
        (
            [VAE, "--config.modle.latent_dim=3"],
            ["config.modle.latent_dim", "did you mean 'model.latent_dim'?"],
        ),
        (
            [VAE, "--config.objective.beat", "1"],
            ["config.objective.beat", "no such field", "did you mean 'objective.beta'?"],
        ),
        (["--config.sed=1", VAE], ["config.sed", "no such field", "did you mean 'seed'?"]),
    ],
)
def test_flags_that_are_refused_before_they_are_read(monkeypatch, arguments, parts) -> None:
    monkeypatch.chdir(ROOT)
    message = refusal(cli.parse_flags, ["main.py", *arguments])
    for part in parts:
        assert part in message


@pytest.fixture
def restored_flags():
    """Restore Absl's global table of flags afterwards."""
    names = set(flags.FLAGS)
    sys.modules.pop("config_config", None)  # the name under which every config file is imported
    yield
    for name in set(flags.FLAGS) - names:  # those of the config fields
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.usefixtures("restored_flags")
@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([VAE, "--config.train.num_steps=1.5"], ["--config.train.num_steps=1.5", "int", "'1.5'"]),
        ([VAE, "--config.train.num_steps="], ["--config.train.num_steps=", "int", "''"]),
        (
            [VAE, "--config.objective.beta", "abc"],
            ["--config.objective.beta=abc", "float", "'abc'"],
        ),
        ([VAE, "--config.model=abc"], ["--config.model=abc", "vae_jax.config.model.Model"]),
        ([VAE, "--config.train.num_steps"], ["Missing value", "--config.train.num_steps"]),
        ([VAE, "--workdri=run"], ["'workdri'", "Did you mean: workdir"]),
        (
            ["--config=WORK/plain.py:mnist"],
            ["WORK/plain.py:mnist", "get_config() takes 0 positional arguments"],
        ),
        (
            ["--config=WORK/empty.py"],
            ["config: the file cannot be used", "no attribute 'get_config'"],
        ),
        (
            ["--config=WORK/broken.py"],
            ["config: the file cannot be used", "SyntaxError", "broken.py, line 1"],
        ),
        (["--config=WORK/raises.py"], ["config: the file cannot be used", "KeyError: 'depth'"]),
        (["--config=WORK/refuses.py"], ["WORK/refuses.py", "data must be digits"]),
    ],
)
def test_flags_that_are_refused_when_they_are_read(monkeypatch, tmp_path, arguments, parts) -> None:
    monkeypatch.chdir(ROOT)
    write_files(tmp_path)
    work = os.fspath(tmp_path)
    argv = ["main.py", *(argument.replace("WORK", work) for argument in arguments)]
    monkeypatch.setattr(sys, "argv", argv)  # where config_flags looks for the fields
    message = refusal(cli.parse_flags, argv)
    assert "\n" not in message
    for part in parts:
        assert part.replace("WORK", work) in message


def test_configs_by_name_from_any_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "available are ae, anomaly" in refusal(cli.parse_flags, ["main.py", "--config=a.py"])
    path = str(ROOT / "configs" / "beta_vae.py")
    for given, expected in [
        ("beta_vae", path),
        ("beta_vae.py", path),
        ("beta_vae:mnist", f"{path}:mnist"),
        ("published/iwae:k5", f"{ROOT / 'configs' / 'published' / 'iwae.py'}:k5"),
        ("published/iwae.py", str(ROOT / "configs" / "published" / "iwae.py")),
        (path, path),
        (f"{path}:mnist", f"{path}:mnist"),
    ]:
        assert config_files.find_config(given) == expected
        for arguments in ([f"--config={given}"], ["-config", given, "--config.seed=1"]):
            replaced = config_files.replace_names(["main.py", *arguments])
            assert expected in "=".join(replaced)
            assert ("--config.seed=1" in replaced) == (len(arguments) > 1)
    message = refusal(config_files.find_config, "published/iwea")
    assert "published/NAME (see --list)" in message
    assert "did you mean 'published/iwae'?" in message
    (tmp_path / "beta_vae").write_text("")  # a file goes before a name
    assert config_files.find_config("beta_vae") == "beta_vae"


@pytest.mark.parametrize(
    ("mode", "flag", "parts"),
    [
        ("eval", None, ["trials = '1/2'", "--mode=eval", "omit it"]),
        ("train", "coordinator", ["trials = '1/2'", "omit --coordinator"]),
    ],
)
def test_flags_that_exclude_trials(mode, flag, parts) -> None:
    holders = [types.SimpleNamespace(name=flag, value="host:1")] if flag else []
    message = refusal(cli.check_trials, "1/2", mode, holders)
    for part in parts:
        assert part in message
    assert cli.check_trials("2/2", "train", []) is None


def test_list_names_everything_with_a_line_each() -> None:
    text = listing.describe_all()
    for name in ("beta_vae", "digits", "sylvester", "pixelcnn", "dreg", "gap", "udr"):
        assert re.search(rf"^  {name} +\S.{{15}}", text, re.MULTILINE), name
    tables = {**METRICS, **loss.OBJECTIVES, **config_files.packaged_configs(), **parts.PRIORS}
    for field in choices.TABLES:
        assert field in text
    for name in tables:
        assert re.search(rf"^  {name} +\S", text, re.MULTILINE), name


BAD_FIELDS = [
    ("model.network", "mpl", ["mlp, conv, broadcast, burgess", "did you mean 'mlp'?"]),
    (
        "model.likelihood",
        "bernouli",
        ["bernoulli, gaussian, optimal_gaussian", "did you mean 'bernoulli'?"],
    ),
    (
        "model.posterior",
        "deterministic",
        ["deterministic posterior", "'reconstruction'", "'diag_gaussian'"],
    ),
    ("objective.name", "elbow", ["elbo, reconstruction", "did you mean 'elbo'?"]),
    ("objective.corruption", "mask", ["none, gaussian, masking", "did you mean 'masking'?"]),
    ("objective.beta_schedule", "cosine", ["constant, linear, sigmoid, cyclical"]),
    ("objective.beta_schedule", "linear", ["config.objective.beta_steps = 0", "at least 1"]),
    ("optimizer.name", "sgd", ["adam, adamw, adamax"]),
    ("optimizer.schedule", "cosin", ["constant, cosine, linear", "did you mean 'cosine'?"]),
    ("optimizer.weight_decay", 0.1, ["'adamw'"]),
    ("optimizer.learning_rate", float("nan"), ["greater than 0"]),
    ("data.name", "digit", ["sprites, digits, npz", "did you mean 'digits'?"]),
    ("data.name", "npz", ["config.data.path = ''", "needs the path"]),
    (
        "data.binarization",
        "dynamics",
        ["none, static, dynamic, threshold", "did you mean 'dynamic'?"],
    ),
    ("data.valid_fraction", 1.0, ["greater than 0 and at most 0.9"]),
    ("train.batch_size", 0, ["at least 1"]),
    ("train.batch_size", -8, ["at least 1"]),
    ("train.batch_size", 1295, ["larger than the data", "1294 training examples"]),
    ("train.num_steps", 0, ["at least 1"]),
    ("train.num_steps", 1e4, ["an integer"]),
    ("train.log_every", 0, ["at least 1"]),
    ("model.latent_dim", 0, ["at least 1"]),
    ("model.latent_dim", -2, ["at least 1"]),
    ("model.hidden", (400, 0), ["config.model.hidden = 0", "at least 1"]),
    ("evaluation.batch_size", 0, ["at least 1"]),
    ("evaluation.num_samples", 0, ["at least 1"]),
    ("seed", -1, ["at least 0"]),
]


@pytest.mark.parametrize(
    ("field", "value", "parts"),
    BAD_FIELDS,
    ids=[f"{field}={value}" for field, value, _ in BAD_FIELDS],
)
def test_bad_config(tmp_path, field, value, parts) -> None:
    config = Config()
    *groups, name = field.split(".")
    setattr(getattr(config, groups[0]) if groups else config, name, value)
    message = refusal(cli.run, "train", config, os.fspath(tmp_path / "run"))
    assert message.startswith("config.")
    assert "\n" not in message
    named = (
        []
        if parts[0].startswith("config.") or value == "deterministic"
        else [f"config.{field} = {value!r}"]
    )
    for part in [*named, *parts]:
        assert part in message
    assert not list(tmp_path.iterdir())


def test_npz_path_that_is_missing(tmp_path) -> None:
    config = Config()
    config.data.name, config.data.path = "npz", os.fspath(tmp_path / "set.npz")
    message = refusal(cli.run, "train", config, os.fspath(tmp_path / "run"))
    assert f"config.data.path = {config.data.path!r}: no such file" in message
    assert not list(tmp_path.iterdir())


def test_data_out_of_range(tmp_path) -> None:
    config = Config()
    config.data.name, config.data.path = "npz", os.fspath(tmp_path / "set.npz")
    config.train.batch_size = 2
    config.model.likelihood = "bernoulli"
    images = np.linspace(0, 255, 240).reshape(20, 12)
    np.savez(config.data.path, train_images=images, test_images=images)
    message = refusal(cli.run, "train", config, os.fspath(tmp_path / "run"))
    for part in ("config.model.likelihood = 'bernoulli'", "from 0 to 1", "0 to 255"):
        assert part in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mode", ["evl", "", "TRAIN"])
def test_unknown_mode(tmp_path, mode) -> None:
    message = refusal(cli.run, mode, Config(), os.fspath(tmp_path / "run"))
    assert message.startswith(f"mode = {mode!r}: unknown; allowed are train, eval")
    assert mode != "evl" or message.endswith("did you mean 'eval'?")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mode", "workdir"), [("train", None), ("train", "run"), ("eval", None)])
def test_no_config(tmp_path, monkeypatch, mode, workdir) -> None:
    monkeypatch.chdir(ROOT)
    message = refusal(cli.run, mode, None, workdir and os.fspath(tmp_path / workdir))
    start = "config: missing; use --config=NAME; available are ae, "
    assert message.startswith(start)
    assert "vae, vamp_prior" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("returned", [{"seed": 1}, 3, "vae"])
def test_get_config_that_returns_something_else(tmp_path, returned) -> None:
    message = refusal(cli.run, "train", returned, os.fspath(tmp_path / "run"))
    assert "must return a vae_jax.config.Config" in message
    assert type(returned).__name__ in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("config", [None, Config()], ids=["saved config", "own config"])
@pytest.mark.parametrize(
    "kind", ["missing", "empty", "other files", "broken config", "foreign config", "a file"]
)
def test_eval_where_there_is_no_run(tmp_path, config, kind) -> None:
    workdir = tmp_path / "run"
    if kind == "a file":
        workdir.write_text("something")
    elif kind != "missing":
        workdir.mkdir()
    written = {
        "other files": ("notes.txt", "x"),
        "broken config": ("config.json", "{"),
        "foreign config": ("config.json", "[1]"),
    }
    if kind in written:
        name, text = written[kind]
        (workdir / name).write_text(text)
    before = contents(tmp_path)
    message = refusal(cli.run, "eval", config, os.fspath(workdir))
    assert message.startswith(f"workdir = {os.fspath(workdir)!r}: no run there")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_workdir_of_another_config(tmp_path, mode) -> None:

    saved = Config()
    saved.model.latent_dim = 3
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(saved)))
    before = contents(tmp_path)
    message = refusal(cli.run, mode, Config(), os.fspath(tmp_path))
    assert f"workdir = {os.fspath(tmp_path)!r}: holds a run of another config" in message
    assert "config.model.latent_dim: 10 here, 3 there" in message
    assert contents(tmp_path) == before


def test_a_trial_is_one_workdir_and_others_are_split_at_commas(tmp_path, monkeypatch) -> None:
    trial, calls = tmp_path / "beta=4,seed=0", []
    monkeypatch.setattr(report, "write_report", lambda workdir: calls.append([workdir]))
    monkeypatch.setattr(
        report, "write_comparison", lambda workdirs, path: calls.append([*workdirs, path])
    )
    trial.mkdir()
    cli.run("report", None, os.fspath(trial))
    cli.run("report", None, f"{tmp_path}/a,{tmp_path}/b")
    assert calls == [
        [os.fspath(trial)],
        [f"{tmp_path}/a", f"{tmp_path}/b", tmp_path / "comparison.html"],
    ]


def test_only_callbacks_to_a_closed_event_loop_are_ignored(monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(sys, "__unraisablehook__", calls.append)
    event_loop = asyncio.new_event_loop()
    event_loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed") as callback:
        event_loop.call_soon_threadsafe(print)
    # A thread in C++ calls it directly, not from a frame of this test.
    traceback = callback.value.__traceback__.tb_next
    exits._report_unraisable(types.SimpleNamespace(exc_traceback=traceback))
    assert calls == []
    for traceback in (callback.value.__traceback__, None):
        unraisable = types.SimpleNamespace(exc_traceback=traceback)
        exits._report_unraisable(unraisable)
        assert calls.pop() is unraisable


# The check fails if a backend was made, since there is none of that name.
IMPORT = """
import sys
import vae_jax
heavy = {"tensorflow", "torch", "tensorflow_datasets", "sklearn", "matplotlib", "array_record"}
heavy |= {"PIL", "pandas", "orbax", "tensorboardX", "vae_jax.config", "vae_jax.experiment"}
heavy &= set(sys.modules)
assert not heavy, heavy
import jax
try:
    jax.devices()
except RuntimeError as error:
    assert "nonexistent" in str(error), error
else:
    raise SystemExit("a backend was already there")
print("done")
"""


def test_import_makes_no_backend_and_loads_nothing_heavy() -> None:
    process = python("-c", IMPORT, JAX_PLATFORMS="nonexistent")
    assert (process.returncode, process.stdout) == (0, "done\n"), process.stderr


def test_every_field_can_be_given_as_a_flag() -> None:
    """Give all in one command; the invalid one comes last, after all the others were accepted."""
    values = {"data.name": "digits", "model.hidden": "3,4", "model.channels": "5,6"}
    fields = [
        f"--config.{field}={values.get(field, value)}"
        for field, value in config_lib.flatten(Config()).items()
    ]
    process = python("-m", "vae_jax.main", VAE, *fields, "--config.train.batch_size=-7")
    assert process.stderr == "error: config.train.batch_size = -7: must be at least 1\n"
    assert process.returncode == 2
