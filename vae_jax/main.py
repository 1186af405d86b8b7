"""Trains, evaluates, draws and reports on a variational autoencoder.

python -m vae_jax.main --config=configs/beta_vae.py
python -m vae_jax.main --config=configs/vae.py:mnist --config.data.dir=DIR --config.seed=1 --workdir=runs/mnist1
python -m vae_jax.main --workdir=runs/mnist1 --mode=eval
python -m vae_jax.main --workdir=runs/mnist1 --mode=report  (of several, --workdir=runs/a,runs/b: one page that compares them)
python -m vae_jax.main --config=... --coordinator=10.0.0.1:1234 --num_processes=2 --process_index=0  (and 1 on the other host)
"""

import itertools
import logging
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax
from absl import app, flags
from ml_collections import config_flags

from vae_jax import config as config_lib
from vae_jax import memory
from vae_jax.config import Config
from vae_jax.errors import InputError, RunStopped, check_choice, suggest, truncate
from vae_jax.experiment import processes

LONGEST_MESSAGE = 4000  # characters; all that is longer repeats a long value

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Path of a config file, such as configs/beta_vae.py or configs/vae.py:mnist.",
    lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where the run is kept; runs/<config name> when it is left out."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Address and port of the first of several processes."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes train together.")
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Ask JAX for the other processes, on a cluster that it knows."
)
_PROCESS_INDEX = flags.DEFINE_integer("process_index", None, "Which of them this is, from 0.")
_MODE = flags.DEFINE_string(
    "mode",
    "train",
    "train (or go on training), then evaluate; only eval what is in the workdir; or write a report of it, one HTML page.",
)


def run(mode: str, config: Config | None, workdir: str | None) -> None:
    """Does what the flags say, and ends with the number and the figures on the screen."""
    check_choice("mode", mode, ("train", "eval", "report"))
    if mode == "report":
        _report(config, workdir)
        return
    if config is None and (mode == "train" or workdir is None):
        raise InputError(f"config: give one with --config=configs/NAME.py; {_configs_at_hand()}")
    if not isinstance(config, Config | None):
        raise InputError(
            f"config: get_config() must return a vae_jax.config.Config, but returns a {type(config).__name__}"
        )
    workdir = os.path.expanduser(workdir or f"runs/{config.name}")
    from vae_jax.experiment import (
        evaluate,  # bring in Orbax and matplotlib, which --help can do without
        results,
    )
    from vae_jax.experiment.training import loop

    _show_own_messages()
    if not flags.FLAGS["verbosity"].present:
        logging.getLogger().setLevel(logging.WARNING)
        logging.getLogger("absl").setLevel(
            logging.CRITICAL
        )  # where Orbax tells every step of a save, and tracebacks
    with memory.explain_memory_errors():
        numbers = (
            loop.train_and_evaluate(config, workdir)
            if mode == "train"
            else evaluate.evaluate_workdir(workdir, config)
        )
    if processes.is_first():
        print(results.describe(numbers))
        print(f"figures: {pathlib.Path(workdir) / 'figures'}")


def _report(config: Config | None, workdir: str | None) -> None:
    """Writes the page of one workdir, or one that compares several, and says where it is."""
    if workdir is None and config is None:
        raise InputError(
            "workdir: give that of a run, or several with commas between them, --workdir=runs/a,runs/b"
        )
    from vae_jax.experiment import report  # brings in matplotlib

    given = workdir or f"runs/{config.name}"
    is_one = os.path.isdir(os.path.expanduser(given))  # with commas in its name, as a trial's
    workdirs = [os.path.expanduser(part) for part in ([given] if is_one else given.split(","))]
    if len(workdirs) == 1:
        path = report.write_report(workdirs[0])
    else:
        path = report.write_comparison(
            workdirs, pathlib.Path(workdirs[0]).parent / "comparison.html"
        )
    print(f"report: {path}")


def _show_own_messages() -> None:
    """The package's messages, plain, on stderr."""
    own, handler = logging.getLogger("vae_jax"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    own.handlers, own.propagate = [handler], False
    own.setLevel(logging.INFO if processes.is_first() else logging.ERROR)


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Absl's parsing, with errors in a flag, a config file or a field path as InputError."""
    for argument, following in itertools.zip_longest(argv[1:], argv[2:], fillvalue=""):
        name, equals, value = argument.lstrip("-").partition("=")
        if name == "config":
            _check_file(value if equals else following)
        elif name.startswith("config."):
            config_lib.check_field(name.removeprefix("config."))
    try:
        return flags.FLAGS(list(argv))
    except flags.Error as error:
        lines = (
            str(error).strip().splitlines()
        )  # with a traceback between first and last, when it comes from a config file
        raise InputError(
            lines[0] if len(lines) == 1 else f"{lines[0].strip()} {lines[-1].strip()}"
        ) from error
    except Exception as error:  # a config file may raise anything
        raise InputError(
            f"config: the file cannot be used, {type(error).__name__}: {error}"
        ) from error


def _check_file(value: str) -> None:
    path = value.partition(":")[0]
    if not pathlib.Path(path).is_file():
        near = suggest(
            pathlib.Path(path).name, [p.name for p in pathlib.Path("configs").glob("*.py")]
        )
        raise InputError(f"config = {value!r}: no such file; {_configs_at_hand()}{near}")


def _configs_at_hand() -> str:
    names = sorted(p.as_posix() for p in pathlib.Path("configs").glob("*.py"))
    return f"there are {', '.join(names)}" if names else "there is no folder 'configs' here"


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return parse_flags(argv)
    except InputError as error:
        sys.exit(f"error: {truncate(str(error), LONGEST_MESSAGE)}")
    except SystemExit as stop:
        if any(argument.lstrip("-").startswith(("help", "?")) for argument in argv[1:]):
            sys.exit(0)  # absl counts it as a failure
        sys.exit(f"error: config: the file cannot be used, it ends the program with {stop.code!r}")


def _unraisable(unraisable: Any) -> None:
    """Python's own hook, without what the threads that wrote a failed checkpoint still say after it was reported."""
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


def _main(argv: Sequence[str]) -> None:
    sys.unraisablehook = _unraisable
    try:
        if len(argv) > 1:
            raise InputError(
                f"unexpected argument {argv[1]!r}; every argument is a flag, as in --config=configs/vae.py"
            )
        joined = (_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_INDEX.value)
        processes.start(*joined, distributed=_DISTRIBUTED.value)
        run(_MODE.value, _CONFIG.value, _WORKDIR.value)
    except (
        InputError,
        RunStopped,
        OSError,
    ) as error:  # OSError: a disk that is full, a folder that can't be written
        processes.leave(error, f"error: {truncate(str(error), LONGEST_MESSAGE)}")
    except jax.errors.JaxRuntimeError as error:
        if not jax.distributed.is_initialized():
            raise
        processes.leave(
            error,
            f"error: another process of this run ended, or can't be reached ({truncate(str(error), 200)})",
        )
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell has it


def main() -> None:
    """The entry point."""
    app.run(_main, flags_parser=_parse)


if __name__ == "__main__":
    main()
