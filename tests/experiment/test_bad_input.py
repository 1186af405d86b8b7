"""Bad input of every kind at the entry point ends in a clear message or in a run.

Nothing in it is executed. `python -m pytest -m slow tests/experiment/test_bad_input.py -s` tries
many more inputs and prints how many there were and how they ended.
"""

import collections
import contextlib
import dataclasses
import functools
import gc
import io
import json
import os
import pathlib
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import typing
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vae_jax import config, main, memory, visualize
from vae_jax.config import Config
from vae_jax.experiment import builders, cli, results
from vae_jax.experiment.builders.choices import TABLES
from vae_jax.experiment.launch import exits
from vae_jax.experiment.training import loop, trainers

ROOT = pathlib.Path(__file__).parents[2]
KEY = jax.random.key(0)
SECONDS = 120  # after which an input counts as a hang
CLEARED = 20  # inputs after which programs are dropped: a process can't hold those of thousands
ENDS: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)


def throw(kind: str, strategy: st.SearchStrategy, num_inputs: int, end_of) -> None:
    """Pass `num_inputs` reproducible inputs to `end_of`, which returns how each ended."""

    def one(given_input) -> None:
        ENDS[kind][end_of(given_input)] += 1
        if ENDS[kind].total() % CLEARED == 0:
            jax.clear_caches()
            gc.collect()  # of the programs in cycles of references, which are few objects to Python

    options = settings(
        max_examples=num_inputs,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    options(given(strategy)(one))()


@pytest.fixture(scope="module", autouse=True)
def figures():
    yield
    for kind, ends in ENDS.items():
        counts = ", ".join(f"{count} {end}" for end, count in ends.most_common())
        print(f"\n{kind}: {sum(ends.values())} inputs, {counts}", end="")


def numbers_of_inputs(default: int, slow: int):
    return pytest.mark.parametrize(
        "num_inputs", [default, pytest.param(slow, marks=pytest.mark.slow)]
    )


# -------------------- the entry point


def enter(*arguments: str) -> str:
    """Run the command line; returns "message" or "ran". Any other exception is a defect."""
    return enter_and_read(*arguments)[0]


def enter_and_read(*arguments: str) -> tuple[str, str]:
    argv = ["main.py", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        fresh_flags(argv),
        time_limit(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            with exits.exit_with_message():
                main._main(cli.parse_flags_or_exit(argv))
            return "ran", out.getvalue()
        except SystemExit as stop:
            status = stop.code
    assert status in (1, 2, 3), status
    message = f"\n{err.getvalue()}".partition("\nerror: ")
    message = "".join(message[1:]).strip()
    assert_clear(message)
    return "message", message


def assert_clear(message: str) -> None:
    assert message.startswith("error: "), message
    assert len(message) > len("error: ") + 10, message
    assert len(message) < 4100, f"{len(message)} characters: {message[:300]}"
    assert "Traceback" not in message, message
    assert " object at 0x" not in message, message


@contextlib.contextmanager
def fresh_flags(argv: list[str]):
    """Absl's one table of flags, as it is in a new process."""
    names, argv_before = set(flags.FLAGS), sys.argv
    sys.argv = argv  # where config_flags looks for the fields
    sys.modules.pop("config_config", None)  # the name under which every config file is imported
    try:
        yield
    finally:
        sys.argv = argv_before
        for name in set(flags.FLAGS) - names:  # those of the config fields
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
        for name in names:
            flags.FLAGS[name].unparse()


@contextlib.contextmanager
def time_limit():
    def over(*_) -> None:
        raise TimeoutError(f"no end after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def trace(runs, trained_by: trainers.Trainer) -> None:
    """Trace instead of training: finds shapes and types that don't fit, without compiling."""
    c, dataset = runs[0].config, runs[0].dataset
    if c.data.streaming:
        return  # its blocks come from the host
    state = jax.eval_shape(trained_by.initial)
    num_steps = next(stop - start for start, stop in loop.plan_calls(0, c))
    jax.eval_shape(trained_by.epoch(num_steps), state, dataset.train)
    x = jax.ShapeDtypeStruct((1, *dataset.shape), np.float32)
    jax.eval_shape(
        functools.partial(runs[0].model.init_with_output, num_samples=c.evaluation.num_samples),
        KEY,
        x,
        KEY,
    )


load = builders.data.data_lib.load
load_once = functools.cache(load)


@pytest.fixture
def cheap():
    """Runs that stop before the compiler; embedded data that are read once; no network."""
    numbers = {"test": {}}

    def no_network(*_, **__):
        raise OSError("no network")

    def load_embedded_once(name: str, **options):
        return (load_once if name in builders.data.data_lib.EMBEDDED else load)(name, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(
            memory, "device_memory", lambda: 16 * 10**9
        )  # the same sizes are too large on every machine
        patch.setattr(builders.data.data_lib, "load", load_embedded_once)
        patch.setattr(loop, "train_to_end", trace)
        patch.setattr(loop, "evaluate_runs", lambda *_, **__: numbers)
        patch.setattr(trainers, "_run_once", lambda: None)  # only the compiler reads its options
        patch.setattr(results, "describe", str)
        patch.setattr(socket, "getaddrinfo", no_network)
        yield


# -------------------- configs

FIELDS = list(config.flatten(Config()))
KINDS = {
    f"{prefix}{field.name}": kind
    for prefix, group in [
        ("", Config),
        *[(f"{g.name}.", g.default_factory) for g in dataclasses.fields(Config)[2:]],
    ]
    for field, kind in zip(
        dataclasses.fields(group), typing.get_type_hints(group).values(), strict=True
    )
    if not dataclasses.is_dataclass(kind)
}
NAMES = {
    "data.name": [
        "digits",
        "molecules",
        "text",
        "npz",
        "mnist",
        "smallnorb/x",
        "huggingface:mnist",
        "mlds:x",
        "../digits",
        "a b",
        "digits:1.*.*",
        ".",
    ],
    **{field: list(names) for field, names in TABLES.items()},
}
INTEGERS = [
    "0",
    "-1",
    "1",
    "2",
    "-0",
    "7",
    "100",
    "1.5",
    "1e3",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
]
INTEGERS += [
    "9223372036854775808",
    "-9223372036854775809",
    "1" + 30 * "0",
    5000 * "9",
    "1000000000",
    "100000",
    "nan",
    "inf",
]
INTEGERS += ["", " ", "abc", "２", "1_000", " 3 ", "0x10", "True", "None", "1,2", "[1]", "٣"]
NUMBERS = [
    "0",
    "-0.0",
    "0.5",
    "1",
    "3",
    "-1",
    "1e-320",
    "1e-45",
    "1e30",
    "1.1e30",
    "1e308",
    "1e309",
    "-1e309",
    "nan",
    "-nan",
]
NUMBERS += [
    "inf",
    "-inf",
    "infinity",
    "",
    "abc",
    "1_0",
    "1" + 400 * "0",
    5000 * "9",
    "0.9999999999",
    "None",
    "１.５",
    "1,2",
]
STRINGS = [
    "",
    " ",
    "none",
    "None",
    "ü",
    "名",
    "\n",
    "'",
    '"',
    "%s%n",
    "{0}",
    "../..",
    "/",
    "~",
    "~root/x",
    "a" * 300,
    "a" * 100_000,
]
STRINGS += [
    "\udc80\udcff",
    "-",
    "--",
    "a=b",
    "\x1b[2J",
    "nan",
    "0",
    "mlp",
    "\\",
    "$(touch x)",
    "*",
    "con",
    ".",
    "..",
]
TUPLES = [
    "",
    "()",
    "(1,)",
    "[1]",
    "1",
    "3,5",
    "(3,5)",
    "0",
    "-1",
    "4,0",
    "1,,2",
    ",",
    "1.5",
    "1.0",
    "abc",
    "1000000000",
    "nan",
]
TUPLES += [
    "10" + 30 * "0",
    "((1,),)",
    "((1,2),3)",
    "1e400",
    "{1:2}",
    "None",
    "True",
    "(True,)",
    "'a'",
    "(1",
    "((((((((1",
    99 * "(",
]
TUPLES += [
    ",".join(30 * "1"),
    ",".join(map(str, range(40))),
    "0.1,0.2",
    "1,1",
    "1,1.0",
    "1e-9,2e-9",
    "__import__('os')",
    "1+1",
]
TUPLES += [
    "4",
    "8,4",
    "2147483648",
    5000 * "9",
    "(" + 5000 * "9" + ",)",
    "1" + 400 * "0",
    "1,1.0000000000000002",
    "b'1'",
    "...",
]


def values_of(field: str) -> st.SearchStrategy[str]:
    """Values for a field as they stand on a command line, good and bad."""
    kind = KINDS[field]
    own = {str: STRINGS + 3 * NAMES.get(field, []), int: INTEGERS, float: NUMBERS}.get(kind, TUPLES)
    ways = [st.sampled_from(own)] * 4 + [st.text(max_size=8)]
    if kind is int:
        ways += [st.integers(-3, 300).map(str), st.integers().map(str)]
    elif kind is float:
        ways += [st.floats(0, 10).map(repr), st.floats().map(repr)]
    elif kind is not str:
        ways += [
            st.lists(st.integers(1, 50), min_size=1, max_size=3).map(
                lambda row: ",".join(map(str, row))
            )
        ]
    return st.one_of(ways).filter(lambda text: "\0" not in text)  # which no command line holds


def misspelt(field: str) -> st.SearchStrategy[str]:
    drop = st.integers(0, len(field) - 1).map(lambda i: field[:i] + field[i + 1 :])
    return st.one_of(
        drop,
        st.sampled_from(
            [field + ".x", "x." + field, field + "[0]", field.upper(), field + "s", f".{field}"]
        ),
    )


def assignments() -> st.SearchStrategy[str]:
    known = st.sampled_from(FIELDS).flatmap(lambda f: st.tuples(st.just(f), values_of(f)))
    wrong = st.sampled_from(FIELDS).flatmap(lambda f: st.tuples(misspelt(f), values_of(f)))
    groups = st.tuples(
        st.sampled_from(["", "data", "model", "sweep"]), st.sampled_from(["", "None", "{}", "x"])
    )
    return st.one_of(*[known] * 12, wrong, groups).map(lambda pair: f"--config.{pair[0]}={pair[1]}")


FEW = [
    f"--config.{field}={name}"
    for field, names in NAMES.items()
    if field != "data.name"
    for name in names
]


def command_lines() -> st.SearchStrategy[list[str]]:
    """A config file, some choices that are good, and one to three fields of anything."""
    files = st.sampled_from(
        [
            *(
                f"--config=configs/{p.name}"
                for p in (ROOT / "configs").glob("*.py")
                if "beta" not in p.name
            )
        ]
    )
    good = st.lists(st.sampled_from(FEW), max_size=2)
    return st.tuples(files, good, st.lists(assignments(), min_size=1, max_size=3)).map(
        lambda parts: [parts[0], *parts[1], *parts[2]]
    )


@pytest.mark.usefixtures("cheap")
@pytest.mark.filterwarnings("ignore")
@numbers_of_inputs(80, 3000)
def test_configs(num_inputs, tmp_path) -> None:
    count = iter(range(10**9))

    def end_of(arguments: list[str]) -> str:
        workdir = tmp_path / str(next(count))
        end = enter(*arguments, f"--workdir={workdir}")
        assert end == "ran" or not workdir.exists()
        return end

    throw("configs", command_lines(), num_inputs, end_of)


CONFIG_FILES = {
    "returns nothing": "def get_config():\n    pass\n",
    "returns a dict": "def get_config():\n    return {'seed': 1}\n",
    "returns the class": "import vae_jax.config\n\n"
    "def get_config():\n    return vae_jax.config.Config\n",
    "exits": "import sys\n\ndef get_config():\n    sys.exit(3)\n",
    "exits with a text": "def get_config():\n    raise SystemExit('no')\n",
    "recurses": "def get_config():\n    return get_config()\n",
    "is no text": "\udc80\udcff",
    "cannot be imported": "import no_such_module\n",
    "runs out of memory": "def get_config():\n    raise MemoryError\n",
    "is not callable": "get_config = 3\n",
}
GROUPS = {  # in which a config file may write what no flag can
    "a group of another type": "config.model = config.data",
    "a group that is missing": "config.model = None",
    "a huge integer": "config.seed = 10**5000",
    "a huge negative integer": "config.model.hidden = (-(10**5000),)",
    "a huge integer for a number": "config.objective.beta = 10**400",
    "a swept huge integer": "config.sweep.beta = (10**400, 1)",
    "an array": "import numpy; config.model.hidden = numpy.arange(3)",
    "numbers of numpy": "import numpy; config.seed = numpy.int64(3)",
    "a function": "config.name = len",
    "a zero byte": "config.data.name, config.data.path = 'npz', 'a\\0b'",
    "a zero byte in a folder": "config.data.name, config.data.dir = 'mnist', 'a\\0b'",
    "a deep tuple": "config.model.hidden = ((((1,),),),)",
    "a list of itself": "config.model.hidden = []; config.model.hidden.append(config.model.hidden)",
    "a million trials": "config.sweep.seed = tuple(range(10**6))",
    "a billion trials": "s = config.sweep; s.seed = s.beta = s.free_bits = tuple(range(1000))",
    "trials that are not told apart": "config.sweep.beta = (1.0, 1.0000000000000002)",
    "trials of text": "config.sweep.seed = '12'",
    "trials that are no numbers": "config.sweep.beta = (float('nan'), 1.0)",
    "a text that shows badly": "config.name = chr(0xDC80)",
    "a long text": "config.model.network = 'x' * 10**6",
    "a new field": "config.model.depth = 3",
    "a large layer": "config.model.hidden = (10**9,)",
    "larger than a machine": "config.model.hidden = (2**31 - 1,) * 4",
    "large codes": "config.model.latent_dim = 10**9",
    "a large batch": "config.train.batch_size = 10**9",
    "many draws": "config.objective.num_samples = 10**9",
    "a large batch of the evaluation": "config.evaluation.batch_size = 10**9",
    "all steps in one call": "c = config.train; c.num_steps = c.log_every = c.eval_every = 10**9",
}
IMPORT = "from vae_jax.config import Config\n\n\n"
FILE = IMPORT + "def get_config():\n    config = Config()\n    {}\n    return config\n"
CONFIG_FILES |= {name: FILE.format(line) for name, line in GROUPS.items()}


@pytest.mark.usefixtures("cheap")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONFIG_FILES)
def test_config_files(tmp_path, name) -> None:
    (tmp_path / "file.py").write_text(CONFIG_FILES[name], errors="surrogateescape")
    end, message = enter_and_read(
        f"--config={tmp_path / 'file.py'}", f"--workdir={tmp_path / 'run'}"
    )
    ENDS["config files"][end] += 1
    assert end == "message", message
    assert "config" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "use_memory",
    [
        lambda *_: bytes(2**62),
        lambda *_: jnp.zeros(10**16).block_until_ready(),
        lambda *_: jax.jit(lambda x: x + jnp.zeros(10**16))(1.0).block_until_ready(),
    ],
    ids=["host", "device", "program"],
)
def test_memory_that_runs_out(tmp_path, monkeypatch, use_memory) -> None:
    monkeypatch.setattr(loop, "train_to_end", use_memory)
    end, message = enter_and_read("--config=configs/vae.py", f"--workdir={tmp_path / 'run'}")
    assert end == "message"
    for part in ("out of memory", "train.batch_size", "model.hidden"):
        assert part in message


@pytest.mark.usefixtures("cheap")
def test_memory_that_a_device_does_not_have(tmp_path) -> None:
    arguments = ("--config=configs/vae.py", f"--workdir={tmp_path / 'run'}")
    end, message = enter_and_read(*arguments, "--config.model.hidden=400,1000000000")
    assert end == "message"
    for part in (
        "config.model.hidden = (400, 1000000000), config.model.channels",
        "too large",
        "the parameters",
        "GB",
    ):
        assert part in message


@pytest.mark.usefixtures("cheap")
def test_a_sweep_of_one_trial_is_a_run(tmp_path) -> None:
    assert (
        enter("--config=configs/vae.py", "--config.sweep.beta=2", f"--workdir={tmp_path / 'run'}")
        == "ran"
    )
    assert (tmp_path / "run" / "trials" / "beta=2" / "config.json").exists()


@pytest.mark.usefixtures("cheap")
def test_sets_that_bring_code_are_refused(tmp_path) -> None:
    for name in ("mlds:x", "huggingface:mnist", "kaggle:x"):
        end, message = enter_and_read(
            "--config=configs/vae.py", f"--config.data.name={name}", f"--workdir={tmp_path / 'run'}"
        )
        assert end == "message"
        assert f"config.data.name = {name!r}" in message


COMMANDS = [
    ["--config=configs/vae.py", "--config.model.latent_dim=1000000000"],
    ["--config=configs/vae.py:npz", "--config.data.path=\udcff\udc80.npz"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=["memory", "bytes"])
def test_processes(tmp_path, arguments) -> None:
    command = [sys.executable, "-m", "vae_jax.main", *arguments, f"--workdir={tmp_path / 'run'}"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=SECONDS, check=False)
    assert process.returncode == 2
    first, error = process.stderr.splitlines()
    assert b"loading JAX and the data" in first
    assert error.startswith(b"error: config.")
    assert process.stdout == b""
    assert not (tmp_path / "run").exists()


# -------------------- data

NPZ = [
    "--config=configs/vae.py:npz",
    "--config.model.hidden=4",
    "--config.model.latent_dim=2",
    "--config.train.batch_size=2",
]
NPZ += ["--config.train.num_steps=1", "--config.data.valid_fraction=0.2"]
DTYPES = [
    "u1",
    "i1",
    ">i2",
    "<i8",
    ">u8",
    "<f2",
    ">f4",
    "<f8",
    "<f16",
    "?",
    "<c8",
    ">c16",
    "S3",
    "<U2",
    "O",
    "<M8[s]",
    "<m8[D]",
]
DTYPES += ["V4", "<f4, <i2", "(2,)<f4", "<f4, O"]
SHAPES = [
    (20, 8, 8),
    (20, 8, 8, 1),
    (20, 12),
    (20, 3, 2, 2),
    (),
    (20,),
    (0, 8, 8),
    (20, 0),
    (1, 12),
    (2, 12),
    (20, 2, 2, 2, 2),
]
SHAPES += [(20, 1), (20, 8, 8, 4)]
VALUES = [0, 1, 255, 256, -1, 0.5, float("nan"), float("inf"), -float("inf"), 1e30, 2**40, 1e-40]


class Marker:
    """Makes a folder when unpickled, as a harmful pickle would."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (os.fspath(self.path),)


def array_of(
    dtype: str, shape: tuple[int, ...], value: float, fortran: bool, seed: int
) -> np.ndarray:
    """Zeros and ones of that type, with the value in one place."""
    numbers = np.random.default_rng(seed).integers(0, 2, shape)
    try:
        with np.errstate(all="ignore"):
            array = numbers.astype(dtype)
            if array.size:
                array.reshape(-1)[0] = value
    except (ValueError, TypeError, OverflowError):  # as of a NaN among integers
        array = np.zeros(shape, dtype)
    return np.asfortranarray(array) if fortran else array


def arrays_in_files() -> st.SearchStrategy[dict[str, np.ndarray]]:
    """Arrays under the names that are read: mostly good ones, with one or two of them bad."""
    wild = st.builds(
        array_of,
        st.sampled_from(DTYPES),
        st.sampled_from(SHAPES),
        st.sampled_from(VALUES),
        st.booleans(),
        st.integers(0, 9),
    )
    tame = st.builds(
        array_of,
        st.sampled_from(["u1", "<f4"]),
        st.just((20, 12)),
        st.sampled_from([0, 1]),
        st.just(False),
        st.just(0),
    )
    images = st.one_of(tame, tame, wild)
    labels = st.one_of(st.builds(np.arange, st.sampled_from([20, 20, 0, 19])), wild)
    same = st.one_of(wild, tame).map(lambda array: {"train_images": array, "test_images": array})
    mixed = st.fixed_dictionaries(
        {},
        optional={
            "train_images": images,
            "test_images": images,
            "valid_images": images,
            "train_labels": labels,
            "test_labels": labels,
            "other": wild,
            "../../x": tame,
            "train_images/..": tame,
        },
    )
    one_bad = st.tuples(tame, mixed).map(
        lambda pair: {"train_images": pair[0], "test_images": pair[0]} | pair[1]
    )
    return st.one_of(same, mixed, one_bad)


def npy(array: np.ndarray, **header: object) -> bytes:
    """The bytes of a .npy file, whose header may lie."""
    if array.dtype.hasobject or not header:
        content = io.BytesIO()
        np.lib.format.write_array(content, array, allow_pickle=True)
        return content.getvalue()
    content = io.BytesIO()
    told = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    } | header
    text = (repr(told).encode("latin1", "replace") + b"\n").ljust(118)
    content.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + array.tobytes())
    return content.getvalue()


LIES = [
    {"shape": (10**12,)},
    {"shape": (10**12, 12)},
    {"shape": (2**63, 12)},
    {"shape": (2**62, 16)},
    {"shape": (-1, 12)},
    {"shape": (-20, -12)},
    {"shape": (21, 12)},
    {"shape": (True, 12)},
    {"shape": (1.5, 12)},
    {"shape": [20, 12]},
    {"shape": "20"},
    {"shape": None},
    {"shape": (10**30, 1)},
    {"shape": (20,) + 30 * (1,)},
    {"shape": 100 * (1,)},
    {"descr": "<f99"},
    {"descr": "O"},
    {"descr": "|O8"},
    {"descr": "<U1000000000"},
    {"descr": "V0"},
    {"descr": "S0"},
    {"descr": ""},
    {"descr": 3},
    {"descr": None},
    {"descr": [("a", "<f4"), ("a", "<f4")]},
    {"descr": [("a", "O")]},
    {"descr": ("<f4", (10**9, 10**9))},
    {"descr": ("<f4", (2, 2))},
    {"descr": {"a": 1}},
    {"descr": "u1", "extra": 1},
    {"fortran_order": 3},
    {"fortran_order": "x"},
    {"descr": "__import__('os').mkdir('x')"},
]
GOOD = np.tile(np.arange(2, dtype=np.float32), (20, 6))


def zip_of(members: list[tuple[str, bytes]], compression: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


def damaged(content: bytes, cut: float, flips: list[tuple[float, int]], lead: bytes) -> bytes:
    """A file with its end cut off, some of its bytes changed and some before it."""
    changed = bytearray(content[: max(1, round(cut * len(content)))])
    for where, value in flips:
        changed[int(where * (len(changed) - 1))] = value
    return lead + bytes(changed)


def npz_files() -> st.SearchStrategy[bytes]:
    """The bytes of .npz files, good and bad."""
    compressions = st.sampled_from(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    good = [("train_images.npy", npy(GOOD)), ("test_images.npy", npy(GOOD))]
    lying = st.sampled_from(LIES).map(
        lambda lie: [("train_images.npy", npy(GOOD, **lie)), ("test_images.npy", npy(GOOD, **lie))]
    )
    twice = st.permutations(
        [
            *good,
            ("train_images.npy", npy(GOOD[:5])),
            ("train_images", npy(GOOD)),
            ("test_images.npy", b"x"),
        ]
    )
    written = arrays_in_files().map(
        lambda arrays: [(f"{name}.npy", npy(array)) for name, array in arrays.items()]
    )
    whole = st.builds(
        zip_of, st.one_of(written, written, written, lying, lying, twice), compressions
    )
    flips = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)
    cuts = st.one_of(st.just(1.0), st.just(1.0), st.floats(0, 1))
    broken = st.builds(
        damaged,
        st.builds(zip_of, st.just(good), compressions),
        cuts,
        flips,
        st.sampled_from([*5 * [b""], b"#!"]),
    )
    return st.one_of(*4 * [whole], *2 * [broken], st.binary(max_size=200))


OPTIONS = st.sampled_from(
    [
        [],
        [],
        ["--config.data.binarization=none"],
        ["--config.data.binarization=none", "--config.model.likelihood=gaussian"],
        ["--config.model.network=conv", "--config.model.channels=2"],
        ["--config.data.streaming=True"],
    ]
)


@pytest.mark.usefixtures("cheap")
@pytest.mark.filterwarnings("ignore")
@numbers_of_inputs(80, 3000)
def test_npz(num_inputs, tmp_path) -> None:
    path, workdir, marker = tmp_path / "set.npz", tmp_path / "run", tmp_path / "marker"

    def end_of(content_and_options: tuple[bytes, list[str]]) -> str:
        shutil.rmtree(workdir, ignore_errors=True)
        path.write_bytes(content_and_options[0])
        end = enter(
            *NPZ, *content_and_options[1], f"--config.data.path={path}", f"--workdir={workdir}"
        )
        assert not marker.exists()
        assert end == "ran" or not workdir.exists()
        return end

    throw("npz files", st.tuples(npz_files(), OPTIONS), num_inputs, end_of)


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize(
    "kind", ["folder", "pipe", "nothing", "picture", "empty", "device", "folder of pipes", "npy"]
)
def test_what_is_no_npz_file(tmp_path, kind) -> None:
    path = tmp_path / "set.npz"
    if "folder" in kind:
        path.mkdir()
        os.mkfifo(path / "train_images.npy")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = pathlib.Path("/dev/zero")
    elif kind != "nothing":
        path.write_bytes({"picture": b"\x89PNG\r\n\x1a\n", "empty": b"", "npy": npy(GOOD)}[kind])
    end, message = enter_and_read(
        *NPZ, f"--config.data.path={path}", f"--workdir={tmp_path / 'run'}"
    )
    assert end == "message"
    assert os.fspath(path) in message
    assert not (tmp_path / "run").exists()


def harmful(marker: pathlib.Path, protocol: int = 2) -> bytes:
    return pickle.dumps(Marker(marker), protocol)


def test_a_harmful_pickle_would_do_harm(tmp_path) -> None:
    pickle.loads(harmful(tmp_path / "marker"))
    assert (tmp_path / "marker").is_dir()


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        "object array",
        "label",
        "pickle as member",
        "pickle as file",
        "pickle as npy",
        "field",
    ],
)
def test_a_harmful_npz_is_refused(tmp_path, kind, streaming) -> None:
    path, marker = tmp_path / "set.npz", tmp_path / "marker"
    good = {"train_images": GOOD, "test_images": GOOD}
    bad = np.array([Marker(marker)] * 20, dtype=object)
    if kind == "object array":
        np.savez(path, **good | {"train_images": bad}, allow_pickle=True)
    elif kind == "label":
        np.savez(path, **good, train_labels=bad, allow_pickle=True)
    elif kind == "field":
        rows = np.zeros(20, [("a", "f4"), ("b", "O")])
        rows["b"] = bad
        np.savez(path, **good | {"train_images": rows}, allow_pickle=True)
    elif kind == "pickle as member":
        members = [("train_images.npy", harmful(marker)), ("test_images.npy", npy(GOOD))]
        path.write_bytes(zip_of(members, zipfile.ZIP_STORED))
    elif kind == "pickle as file":
        path.write_bytes(
            harmful(marker) + zip_of([("train_images.npy", harmful(marker))], zipfile.ZIP_STORED)
        )
    else:
        path.mkdir()
        (path / "train_images.npy").write_bytes(harmful(marker))
        (path / "test_images.npy").write_bytes(npy(bad))
    options = [f"--config.data.streaming={streaming}", "--config.data.binarization=none"]
    end, message = enter_and_read(
        *NPZ, *options, f"--config.data.path={path}", f"--workdir={tmp_path / 'run'}"
    )
    assert end == "message"
    assert os.fspath(path) in message
    assert not marker.exists()
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("streaming", [False, True])
def test_a_harmful_array_that_is_not_needed_is_not_read(tmp_path, streaming) -> None:
    path, marker = tmp_path / "set.npz", tmp_path / "marker"
    bad = np.array([Marker(marker)] * 20, dtype=object)
    np.savez(path, train_images=GOOD, test_images=GOOD, other=bad, allow_pickle=True)
    options = [f"--config.data.streaming={streaming}", "--config.data.binarization=none"]
    end, _ = enter_and_read(
        *NPZ, *options, f"--config.data.path={path}", f"--workdir={tmp_path / 'run'}"
    )
    assert end == "ran"
    assert not marker.exists()


def test_an_npz_that_unpacks_to_more_than_there_is(tmp_path, cheap, monkeypatch) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, train_images=np.zeros((1000, 64), np.uint8), test_images=GOOD)
    monkeypatch.setattr(sys.modules["vae_jax.data.array_files"], "machine_memory", lambda: 50_000)
    end, message = enter_and_read(
        *NPZ, f"--config.data.path={path}", f"--workdir={tmp_path / 'run'}"
    )
    assert end == "message"
    assert "unpacked, its arrays would take more than the 0.0 GB of this machine" in message


# -------------------- checkpoints

TINY = [
    "--config=configs/vae.py",
    "--config.model.hidden=4",
    "--config.model.latent_dim=2",
    "--config.train.num_steps=2",
]
TINY += ["--config.train.batch_size=4", "--config.data.binarization=threshold"]
DEEP = functools.reduce(lambda inner, _: [inner], range(500), 1)
HOSTILE = [
    None,
    True,
    False,
    -1,
    0,
    1,
    10**9,
    10**30,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    "",
    "x",
    "..",
    "../../x",
    "/etc/passwd",
]
HOSTILE += [
    "\0",
    "ü" * 300,
    [],
    {},
    [1],
    [10**12],
    [0],
    [-1],
    ["a"],
    [[1]],
    [True],
    {"a": 1},
    {"__class__": "x"},
    DEEP,
    "a" * 10_000,
]
STRUCTURES = [
    "",
    "null",
    "[]",
    "3",
    "{",
    "\ufeff{}",
    '{"a": NaN}',
    "[" * 100_000,
    '{"model":' * 2000,
    "1" * 5000,
    '{"": {"": 1}}',
]
STRUCTURES += [
    '{"__class__": {"__init__": 1}}',
    '{"model": {"hidden": {"x": 1}}}',
    '{"model": 3}',
    '{"seed": {}}',
    "\udc80",
]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A workdir with one checkpoint; from then on, no figures."""
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(visualize, "plot_all", lambda *_, **__: [])
        assert enter(*TINY, f"--workdir={work / 'run'}") == "ran"
        yield work / "run"


def changed_json(text: str, where: float, value: object, how: str) -> str:
    """JSON with another value somewhere, with a key more or less, or another key."""
    tree = json.loads(text)
    places = list(places_in(tree))
    holder, key = places[int(where * (len(places) - 1))]
    if how == "value":
        holder[key] = value
    elif how == "drop":
        del holder[key]
    elif how == "rename" and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif isinstance(holder, dict):
        holder["../x"] = value
    else:
        holder.append(value)
    return json.dumps(tree)


def places_in(tree):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places_in(value)


PLACE = st.floats(0, 1)
JSON_CHANGES = st.one_of(
    *3 * [st.tuples(PLACE, st.sampled_from(HOSTILE), st.just("value"))],
    st.tuples(PLACE, st.sampled_from(HOSTILE), st.sampled_from(["drop", "rename", "more"])),
    st.sampled_from(STRUCTURES),
)
FILE_CHANGES = st.one_of(
    st.tuples(st.floats(0, 1), st.lists(st.tuples(PLACE, st.integers(0, 255)), max_size=3)),
    st.sampled_from(["gone", "a folder", "a pickle", "empty", "many zeros"]),
)
CHANGES = st.one_of(
    st.tuples(st.just("config.json"), JSON_CHANGES),
    st.tuples(st.just("description"), JSON_CHANGES),
    st.tuples(PLACE, FILE_CHANGES),
    st.tuples(
        st.just("more"),
        st.sampled_from(
            ["checkpoints/9", "checkpoints/2/x.pkl", "checkpoints/2/state/x", "checkpoints/x"]
        ),
    ),
)


def apply(run: pathlib.Path, where: str | float, change: object, marker: pathlib.Path) -> None:
    """Changes one file of a run."""
    if where == "more":
        path = run / str(change)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(harmful(marker))
        return
    files = sorted(path for path in (run / "checkpoints").rglob("*") if path.is_file())
    if isinstance(where, float):
        path = files[int(where * (len(files) - 1))]
    else:
        path = (
            run / "config.json"
            if where == "config.json"
            else run / "checkpoints" / "2" / "description" / "metadata"
        )
    if isinstance(change, tuple) and isinstance(where, str):
        path.write_text(changed_json(path.read_text(), *change))
    elif isinstance(change, tuple):
        path.write_bytes(damaged(path.read_bytes(), *change, b""))
    elif isinstance(where, str):
        path.write_text(str(change), errors="surrogateescape")
    else:
        path.unlink()
        if change == "a folder":
            path.mkdir()
        elif change != "gone":
            path.write_bytes(
                {"a pickle": harmful(marker), "empty": b"", "many zeros": bytes(100_000)}[
                    str(change)
                ]
            )


@pytest.mark.filterwarnings("ignore")
@numbers_of_inputs(16, 1000)
def test_checkpoints(num_inputs, finished_run, tmp_path) -> None:
    run, marker = tmp_path / "run", tmp_path / "marker"

    def end_of(change_and_mode: tuple[tuple[str | float, object], bool]) -> str:
        change, go_on = change_and_mode
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(finished_run, run)
        apply(run, *change, marker)
        end = enter(*(TINY if go_on else ["--mode=eval"]), f"--workdir={run}")
        assert not marker.exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
        return end

    throw(
        "checkpoints",
        st.tuples(CHANGES, st.sampled_from([False, False, False, True])),
        num_inputs,
        end_of,
    )
