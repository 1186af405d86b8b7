"""The command line: flags and modes.

JAX is imported late: `--help`, bad flags and the first line of a run do not wait for it.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from vae_jax.config import Config, sweep, validation
from vae_jax.config.sweep import parse_share
from vae_jax.errors import InputError, check_choice
from vae_jax.experiment.launch import arguments, config_files, exits, garbage, row_flags
from vae_jax.experiment.rows import options as row_options
from vae_jax.experiment.storage.workdir import check_usable
from vae_jax.files import as_path, is_local

MODES = ("train", "eval", "report", *row_options.MODES)
MEMORY_ADVICE = (
    "lower some of these fields of the config: train.batch_size, train.log_every, "
    "objective.num_samples, evaluation.batch_size, model.hidden, "
    "model.channels, model.latent_dim, sweep.chunk"
)


def run(
    mode: str,
    config: Config | None,
    workdir: str | None,
    trials: str | None = None,
    rows: row_options.RowOptions | None = None,
) -> None:
    """Train, evaluate, report or answer for rows, and print results and where the files are."""
    check_choice("mode", mode, MODES)
    if mode == "report":
        _report(config, workdir)
        return
    if mode in row_options.MODES:
        _answer_rows(mode, config, workdir, rows or row_options.RowOptions())
        return
    if config is None and (mode == "train" or workdir is None):
        raise InputError(f"config: missing; use --config=NAME; {config_files.list_configs()}")
    if not isinstance(config, Config | None):
        raise InputError(
            "config: get_config() must return a vae_jax.config.Config, "
            f"but returns a {type(config).__name__}"
        )
    share = None if trials is None else parse_share(trials)
    workdir = _default_workdir(workdir, config)
    figures = as_path(workdir) / "figures"
    with garbage.paused():
        from vae_jax import memory
        from vae_jax.experiment import evaluate, processes
        from vae_jax.experiment.launch import devices
        from vae_jax.experiment.training import loop

    _set_up_logging(is_first=processes.is_first())
    devices.check_devices()
    with memory.explain_memory_errors(MEMORY_ADVICE):
        if mode == "train":
            loop.train_and_evaluate(config, workdir, share=share, announce=_print_results)
        else:
            evaluate.evaluate_workdir(workdir, config, _print_results)
    if processes.is_first():
        print(f"figures: {figures}")


def _answer_rows(
    mode: str, config: Config | None, workdir: str | None, options: row_options.RowOptions
) -> None:
    """Write the answers of a mode, and print the path of their file."""
    if workdir is None:
        raise InputError(f"workdir: missing; --mode={mode} needs the workdir of a finished run")
    import jax

    from vae_jax import memory
    from vae_jax.experiment import processes
    from vae_jax.experiment.launch import devices
    from vae_jax.experiment.rows.run import answer_rows

    _set_up_logging(is_first=processes.is_first())
    devices.check_devices()
    if jax.process_count() > 1:
        raise InputError(f"mode = {mode!r}: runs in a single process; use --nodistributed")
    with memory.explain_memory_errors(MEMORY_ADVICE):
        path = answer_rows(mode, os.path.expanduser(workdir), options, config)
    print(f"{mode}: {path}")


def _print_results(numbers: Mapping[str, Any]) -> None:
    from vae_jax.experiment import processes, results

    if processes.is_first():
        print(results.describe(numbers), flush=True)


def announce(mode: str, config: Config | None, workdir: str | None) -> None:
    """Print the first line of a run, if nothing is wrong that can be seen without JAX.

    Raises:
      InputError: a field of the config is invalid, or the workdir cannot hold the run.
    """
    check_choice("mode", mode, MODES)
    if mode != "train" or not isinstance(config, Config):
        return
    if not sweep.sweep_lists(config):  # a trial may replace an invalid value
        validation.check_values(config)
    folder = as_path(_default_workdir(workdir, config))
    if is_local(folder):  # a bucket answers slowly, and only once its libraries are loaded
        with contextlib.suppress(OSError):  # the run logs it, with the workdir
            check_usable(folder, config)
    print(f"{config.name}: loading JAX and the data for {folder}", file=sys.stderr, flush=True)


def _default_workdir(workdir: str | None, config: Config) -> str:
    return os.path.expanduser(workdir or f"runs/{config.name}")


def _report(config: Config | None, workdir: str | None) -> None:
    """Write the page of one workdir, or of a comparison of several, and print its path."""
    if workdir is None and config is None:
        raise InputError(
            "workdir: missing; use the workdir of a run, or several separated by commas, "
            "--workdir=runs/a,runs/b"
        )
    from vae_jax.experiment import report  # loads matplotlib

    workdir = _default_workdir(workdir, config)
    # The workdir of a trial has commas in its name.
    workdirs = [workdir] if as_path(workdir).is_dir() else workdir.split(",")
    if len(workdirs) == 1:
        path = report.write_report(workdirs[0])
    else:
        workdirs = [os.path.expanduser(part) for part in workdirs]
        target = as_path(workdirs[0]).parent / "comparison.html"
        path = report.write_comparison(workdirs, target)
    print(f"report: {path}")


def _set_up_logging(*, is_first: bool) -> None:
    """Show the package's messages, plain, on stderr, and only warnings of other packages."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger("vae_jax")
    package.handlers = [handler]
    package.propagate = False
    package.setLevel(logging.INFO if is_first else logging.ERROR)
    if not flags.FLAGS["verbosity"].present:
        logging.getLogger().setLevel(logging.WARNING)
        # Orbax logs every step of a save here, and tracebacks.
        logging.getLogger("absl").setLevel(logging.CRITICAL)


def parse_flags(argv: Sequence[str]) -> list[str]:
    """Parse the flags; raises InputError for a bad flag, config file or field."""
    argv = arguments.prepare(argv)
    for name in [name for name in flags.FLAGS if name.startswith("config.")]:
        delattr(flags.FLAGS, name)  # flags of an earlier run in this process, as in a notebook
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        # An error from a config file has a traceback between its first and last line.
        lines = str(error).strip().splitlines()
        message = lines[0] if len(lines) == 1 else f"{lines[0].strip()} {lines[-1].strip()}"
        raise InputError(message) from error
    except Exception as error:  # a config file may raise anything
        raise InputError(
            f"config: the file cannot be used, {type(error).__name__}: {error}"
        ) from error


def parse_flags_or_exit(argv: Sequence[str]) -> list[str]:
    """Parse the flags; exits with a one-line message if they are invalid."""
    try:
        return parse_flags(argv)
    except InputError as error:
        exits.leave_with(error)
    except SystemExit as stop:
        if any(argument.lstrip("-").startswith(("help", "?")) for argument in argv[1:]):
            sys.exit(0)  # absl exits with 1
        problem = f"config: the file cannot be used, it ends the program with {stop.code!r}"
        exits.leave_with(InputError(problem))


def print_list() -> None:
    """Print configs, data sets, parts, objectives and metrics, a line each."""
    from vae_jax.experiment.launch import listing  # loads all parts

    print(listing.describe_all())


def read_row_flags(
    holders: Mapping[str, flags.FlagHolder], mode: str
) -> row_options.RowOptions | None:
    """The options of a mode that answers for rows, None for any other mode.

    Raises:
      InputError: an unknown mode, a flag that the mode does not use, or an invalid value.
    """
    check_choice("mode", mode, MODES)
    return row_flags.read(holders, mode)


def check_trials(trials: str | None, mode: str, others: Sequence[flags.FlagHolder]) -> None:
    """Raises InputError if --trials is invalid, or given with flags that exclude it."""
    if trials is None:
        return
    parse_share(trials)
    if mode != "train":
        raise InputError(
            f"trials = {trials!r}: does nothing with --mode={mode}, which reads all trials; omit it"
        )
    for flag in others:
        if flag.value:
            raise InputError(
                f"trials = {trials!r}: each process trains its own trials; omit --{flag.name}"
            )


def check_no_arguments(argv: Sequence[str]) -> None:
    """Raises InputError for an argument that is not a flag."""
    if len(argv) > 1:
        raise InputError(
            f"unexpected argument {argv[1]!r}; every argument is a flag, "
            "such as --config=configs/vae.py"
        )
