"""Config files by path, or by name for those that come with the package."""

import ast
import inspect
import pathlib
import runpy
from collections.abc import Sequence

from vae_jax.config import Config
from vae_jax.errors import InputError, suggest

PACKAGE = pathlib.Path(__file__).parents[2]
# In an installed wheel; in a checkout, an sdist or an editable install.
FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")


def packaged_configs() -> dict[str, pathlib.Path]:
    """Return the config files of the package by name, "beta_vae" or "published/iwae"."""
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    if folder is None:
        return {}
    files = [path for path in folder.rglob("*.py") if not path.stem.startswith("_")]
    names = {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    return dict(sorted(names.items(), key=lambda entry: ("/" in entry[0], entry[0])))


def find_config(value: str) -> str:
    """Return the path of a config file with its argument, for a path or a name.

    Args:
      value: "beta_vae", "beta_vae:mnist", "published/iwae:k5", "configs/beta_vae.py" or
        "mine.py:mnist".

    Raises:
      InputError: there is no such file.
    """
    name, colon, argument = value.partition(":")
    if pathlib.Path(name).is_file():
        return value
    configs = packaged_configs()
    path = configs.get(name.removesuffix(".py"))
    if path is None:
        hint = suggest(name, configs) or suggest(pathlib.Path(name).stem, configs)
        raise InputError(f"config = {value!r}: no such file or name; {list_configs()}{hint}")
    return f"{path}{colon}{argument}"


def read_config(value: str, argument: str) -> Config:
    """Return the config of a file by path or name, as `--config` reads it.

    Args:
      value: as for `find_config`.
      argument: for a name without an argument, if its `get_config` takes one.

    Raises:
      InputError: no such file, or it cannot be used.
    """
    path, _, given = find_config(value).partition(":")
    is_name = not pathlib.Path(value.partition(":")[0]).is_file()
    try:
        get_config = runpy.run_path(path)["get_config"]
        takes_one = bool(inspect.signature(get_config).parameters)
        given = given or (argument if is_name and takes_one else "")
        config = get_config(given) if given else get_config()
    except InputError:
        raise
    except Exception as error:  # a config file may raise anything
        raise InputError(
            f"config = {value!r}: the file cannot be used, {type(error).__name__}: {error}"
        ) from error
    if not isinstance(config, Config):
        raise InputError(
            f"config = {value!r}: get_config() must return a vae_jax.config.Config, but returns a "
            f"{type(config).__name__}"
        )
    return config


def list_configs() -> str:
    """Return the names as the part of a message; those of a folder are in --list."""
    configs = packaged_configs()
    names = [name for name in configs if "/" not in name]
    folders = sorted({name.partition("/")[0] for name in configs if "/" in name})
    names += [f"{folder}/NAME (see --list)" for folder in folders]
    return f"available are {', '.join(names)}, or the path of a file"


def replace_names(argv: Sequence[str]) -> list[str]:
    """Return the command line with paths for the names of configs; raises as `find_config`."""
    result = list(argv)
    for index, argument in enumerate(argv[1:], start=1):
        flag, equals, value = argument.partition("=")
        if argument == "--":
            break
        if not flag.startswith("-") or flag.lstrip("-") != "config":
            continue
        if equals:
            result[index] = f"{flag}={find_config(value)}"
        elif index + 1 < len(argv):
            result[index + 1] = find_config(argv[index + 1])
        else:
            find_config("")
    return result


def first_line(path: pathlib.Path) -> str:
    """Return the first line of the docstring of a Python file, without running it."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
