"""The table of published results, docs/results.md, from the runs that are kept in docs/results/.

python -m benchmarks.published_results keep runs/published_iwae runs/published_bb_ans
    Copy what the table needs from the results of finished runs to docs/results/NAME.json, and write
    the table. A run of another config than the committed one is refused.

python -m benchmarks.published_results write
    Write docs/results.md, and the short table of README.md between its two markers, if it has them.

The rows, their published numbers and what ours must reach are in configs/published.
"""

import argparse
import importlib.util
import json
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import blocks, machine
from benchmarks.published_table import full_page, short_table
from vae_jax.config import Config, check_same, from_dict
from vae_jax.config.published import Row, read_number
from vae_jax.config.sweep import sweep_lists
from vae_jax.errors import InputError
from vae_jax.files import write_atomically

ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "published"
RESULTS = ROOT / "docs" / "results"
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
BLOCK = "published results"  # of README.md
PLACES = ("data.dir", "data.path")  # fields of the config that differ from machine to machine


class Entry(NamedTuple):
    """A row of the table with its config."""

    name: str  # of the config, such as "iwae:k5"
    row: Row
    config: Config


def read_entries(folder: pathlib.Path = CONFIGS) -> dict[str, Entry]:
    """All rows of configs/published, by the name of the run."""
    entries = {}
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"published_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for variant, row in module.ROWS.items():
            config = module.get_config(variant) if variant else module.get_config()
            name = f"{path.stem}:{variant}" if variant else path.stem
            entries[config.name] = Entry(name, row, config)
    return entries


def trim(entry: Entry, results: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `results.json` that the table needs, of a run or a sweep over seeds.

    Raises:
      InputError: a number of a bar is missing.
    """
    trials = list(results.get("trials", {"": results}).values())
    first = trials[0]
    environment, training = first["environment"], first["training"]
    paths = {path: None for bar in entry.row.bars for path in bar.paths()}
    numbers = {path: [read_number(trial, path) for trial in trials] for path in paths}
    return {
        "command": anonymous_command(first.get("training_command", "")),
        "seeds": [trial["seed"] for trial in trials],
        "numbers": numbers,
        "step": [trial["step"] for trial in trials],
        "seconds": _seconds(trials, is_sweep="trials" in results),
        "started": training["started"],
        "commit": training.get("git_commit", ""),
        "changed_since_commit": training.get("git_dirty", False),
        "hardware": hardware(environment),
        "versions": environment["versions"],
        "test_sha256": first["data"].get("test_sha256", ""),
    }


def _seconds(trials: Sequence[Mapping[str, Any]], *, is_sweep: bool) -> dict[str, float]:
    """Seconds of training, which the trials of a sweep share, and of all metrics together."""
    training = [trial["training"]["seconds"] for trial in trials]
    metrics = sum(sum(trial.get("seconds", {}).values()) for trial in trials)
    return {"training": max(training) if is_sweep else sum(training), "metrics": metrics}


def anonymous_command(command: str) -> str:
    """The command with DIR and bare file names for the places of data, and without a workdir.

    >>> anonymous_command("python -m x --config.data.dir=/a --config.data.path=/a/c --workdir=r")
    'python -m x --config.data.dir=DIR --config.data.path=c'
    """
    words = shlex.split(re.sub(r"(--[\w.]+) (?!-)", r"\1=", command))
    return shlex.join(_anonymous(word) for word in words if not word.startswith("--workdir="))


def _anonymous(word: str) -> str:
    name, _, value = word.partition("=")
    if name == "--config.data.dir":
        return f"{name}=DIR"
    if name == "--config.data.path":
        return f"{name}={value.rpartition('/')[2]}"
    if name == "--config":
        path, _, variant = value.partition(":")
        path = re.sub(r"^.*configs/|\.py$", "", path)
        return f"{name}={path}:{variant}" if variant else f"{name}={path}"
    return word


def hardware(environment: Mapping[str, Any]) -> str:
    """The machine in a few words.

    >>> hardware({"platform": "cpu", "cores": 2, "processor": "AMD EPYC", "num_devices": 1})
    '2 cores, AMD EPYC'
    """
    if environment["platform"] == "cpu":
        return f"{machine.format_cores(environment['cores'])}, {environment['processor']}"
    return f"{environment['num_devices']} x {environment['device']}"


def keep(
    workdir: pathlib.Path, entries: Mapping[str, Entry], folder: pathlib.Path = RESULTS
) -> pathlib.Path:
    """Copy what the table needs from a finished run to `folder`; return the path of the file.

    Raises:
      InputError: the workdir has no results, or is not of a committed config.
    """
    path = workdir / "results.json"
    if not path.is_file():
        raise InputError(f"workdir = {str(workdir)!r}: has no results.json; finish the run first")
    results = json.loads(path.read_text(encoding="utf-8"))
    entry = entries.get(results.get("name"))
    if entry is None:
        raise InputError(
            f"workdir = {str(workdir)!r}: a run of {results.get('name')!r}, which is not in "
            f"configs/published; its names are {', '.join(entries)}"
        )
    if results.get("failed"):
        raise InputError(f"workdir = {str(workdir)!r}: trials failed, {list(results['failed'])}")
    _check_config(workdir, results, entry)
    target = folder / f"{entry.config.name.removeprefix('published_')}.json"
    content = json.dumps(trim(entry, results), indent=1, sort_keys=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(target, f"{content}\n".encode())
    return target


def _check_config(workdir: pathlib.Path, results: Mapping[str, Any], entry: Entry) -> None:
    """Raises InputError unless the run has the committed config, apart from where its data are."""
    if "trials" in results:
        swept = {name: tuple(values) for name, values in results["swept"].items()}
        if swept != sweep_lists(entry.config):
            raise InputError(f"workdir = {str(workdir)!r}: sweeps {swept}, not as committed")
        folders = [workdir / "trials" / name for name in results["trials"]]
    elif lists := sweep_lists(entry.config):
        raise InputError(
            f"workdir = {str(workdir)!r}: one run; the committed config sweeps {lists}"
        )
    else:
        folders = [workdir]
    for folder in folders:
        saved = from_dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        free = (*PLACES, *(("sweep.seed", "seed") if "trials" in results else ()))
        check_same(entry.config, saved, str(folder), free)


def read_kept(
    entries: Mapping[str, Entry], folder: pathlib.Path = RESULTS
) -> dict[str, dict[str, Any]]:
    """The kept results of each row that has some, by the name of the run.

    Raises:
      InputError: a file belongs to no row.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.json"))}
    unknown = files.keys() - {name.removeprefix("published_") for name in entries}
    if unknown:
        raise InputError(f"docs/results: {sorted(unknown)} belong to no row of configs/published")
    return {
        name: json.loads(files[stem].read_text(encoding="utf-8"))
        for name in entries
        if (stem := name.removeprefix("published_")) in files
    }


def render(folder: pathlib.Path = RESULTS) -> tuple[str, str]:
    """The content of docs/results.md, and the short table."""
    entries = read_entries()
    kept = read_kept(entries, folder)
    return full_page(entries, kept), short_table(entries, kept)


def write() -> None:
    """Write docs/results.md, and the marked block of README.md if there is one."""
    page, table = render()
    write_atomically(PAGE, page.encode())
    text = README.read_text(encoding="utf-8")
    if blocks.markers(BLOCK)[0] in text:
        text = blocks.replace_block(text, BLOCK, table, README.name)
        write_atomically(README, text.encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write")
    commands.add_parser("keep").add_argument("workdirs", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "keep":
            entries = read_entries()
            for workdir in arguments.workdirs:
                print(keep(workdir, entries))
        write()
    except InputError as error:
        parser.exit(2, f"{error}\n")
    print(PAGE)


if __name__ == "__main__":
    main()
