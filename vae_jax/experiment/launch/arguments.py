"""The command line before its flags are parsed: names of configs, saved configs, lists of names."""

import os
import pathlib
from collections.abc import Callable, Sequence

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.config.metadata import leaf_fields
from vae_jax.errors import InputError
from vae_jax.experiment.launch import config_files
from vae_jax.experiment.rows import options as row_options
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import as_path

SAVED = pathlib.Path(__file__).with_name("saved_config.py")  # a config file that reads a workdir
_PREFIX = "config."
_LISTS = {path for path, entry in leaf_fields(Config) if entry.type == tuple[str, ...]}


def prepare(argv: Sequence[str]) -> list[str]:
    """Return the command line as `config_flags` understands it.

    Names of configs become paths. `--config.model.columns=gaussian*3,bernoulli`, and other lists of
    names, become tuples. Fields without `--config` come from the saved config of the workdir
    that `--mode=eval` evaluates, or whose rows are answered.

    Raises:
      InputError: a config or a field does not exist, fields are given without a config, or the
        workdir has no saved one.
    """
    argv = config_files.replace_names(argv)
    fields = [name.removeprefix(_PREFIX) for name in _names(argv) if name.startswith(_PREFIX)]
    for field in fields:
        config_lib.check_field(field)
    argv = _replace_values(argv, lambda name: name.removeprefix(_PREFIX) in _LISTS, _as_tuple)
    if not fields or "config" in _names(argv):
        return argv
    workdir = flag_value(argv, "workdir")
    if flag_value(argv, "mode") not in ("eval", *row_options.MODES) or not workdir:
        raise InputError(
            f"config.{fields[0]}: a field of which config? Give --config=NAME or, to evaluate a "
            "run with its saved config, --mode=eval --workdir=DIR"
        )
    workdir = os.path.expanduser(workdir)
    read_config(as_path(workdir))
    return [argv[0], f"--config={SAVED}:{workdir}", *argv[1:]]


def flag_value(argv: Sequence[str], name: str) -> str | None:
    """Return the last value of a flag, None if it is not given."""
    values: list[str] = []

    def note(value: str) -> str:
        values.append(value)
        return value

    _replace_values(argv, lambda flag: flag == name, note)
    return values[-1] if values else None


def _names(argv: Sequence[str]) -> list[str]:
    """Names of the flags, without their dashes."""
    return [
        argument.lstrip("-").partition("=")[0] for argument in argv[1:] if argument.startswith("-")
    ]


def _replace_values(
    argv: Sequence[str], is_meant: Callable[[str], bool], change: Callable[[str], str]
) -> list[str]:
    """Return the command line with the values of some flags changed: --flag=value, --flag value."""
    result = list(argv)
    for index, argument in enumerate(argv[1:], start=1):
        flag, equals, value = argument.partition("=")
        if argument == "--":
            break
        if not flag.startswith("-") or not is_meant(flag.lstrip("-")):
            continue
        if equals:
            result[index] = f"{flag}={change(value)}"
        elif index + 1 < len(argv):
            result[index + 1] = change(argv[index + 1])
    return result


def _as_tuple(value: str) -> str:
    """The text of a tuple, from names separated by commas; a Python literal stays as it is."""
    if value.lstrip()[:1] in tuple("([\"'"):
        return value
    return repr(tuple(name.strip() for name in value.split(",") if name.strip()))
