"""The tables of speed in the documents, from the records in docs/reference/benchmarks.

python -m benchmarks.speed_pages
    Write the tables of docs/reference/benchmarks.md, docs/reference/gpu.md and README.md, each
    between its two markers. No number in them is typed.

A record is the JSON file that a measurement writes: `benchmarks.main`, `benchmarks.startup`,
`benchmarks.streaming` and `benchmarks.likelihood` with
``--out=docs/reference/benchmarks/NAME.json``. A newer measurement of the same task on the same
hardware replaces it: delete the older file first.
"""

import argparse
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import blocks, machine, speed_tables
from benchmarks.contestants import CONTESTANTS
from benchmarks.tasks import TASKS
from vae_jax.errors import InputError, check_choice
from vae_jax.files import write_atomically

ROOT = pathlib.Path(__file__).parents[1]
RECORDS = ROOT / "docs" / "reference" / "benchmarks"
# A record has at least one of these parts; all but the last have several subjects.
PARTS = ("train", "process", "startup", "streaming", "likelihood")
FIELDS = ("command", "started", "commit", "changed_since_commit", "machine")

Records = Mapping[str, Mapping[str, Any]]

BLOCKS = {  # document -> name of a block -> its content
    "docs/reference/benchmarks.md": {
        "training": speed_tables.training,
        "processes": speed_tables.processes,
        "start-up": speed_tables.startup,
        "streaming": speed_tables.streaming,
        "likelihood": speed_tables.likelihood,
    },
    "docs/reference/gpu.md": {"training on a GPU": speed_tables.gpu_training},
    "README.md": {"speed": speed_tables.short_table},
}


def read_records(folder: pathlib.Path = RECORDS) -> dict[str, dict[str, Any]]:
    """The records by the name of their file.

    Raises:
      InputError: a file is not a record, or two have the same task, hardware and dtype.
    """
    records = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }
    seen: dict[tuple[str, ...], str] = {}
    for name, record in records.items():
        _check(name, record)
        for key in _subjects(record):
            if key in seen:
                raise InputError(
                    f"{name}.json: has {', '.join(key)}, as {seen[key]}.json; keep one of them"
                )
            seen[key] = name
    return records


def _check(name: str, record: Mapping[str, Any]) -> None:
    missing = [field for field in FIELDS if field not in record]
    if missing or not any(part in record for part in PARTS):
        raise InputError(
            f"{name}.json: must have {', '.join(FIELDS)} and one of {', '.join(PARTS)}; "
            "use a file that a benchmark wrote with --out"
        )
    for task, contestants in record.get("train", {}).items():
        check_choice(f"{name}.json: task", task, TASKS)
        for contestant in contestants:
            check_choice(f"{name}.json: contestant", contestant, CONTESTANTS)


def _subjects(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The names of what was measured, with the hardware and the dtype."""
    where = (machine.hardware(record["machine"]), record.get("dtype", "float32"))
    names = [(part, name) for part in PARTS[:-1] for name in record.get(part, ())]
    names += [("likelihood",)] if "likelihood" in record else []
    return [(*name, *where) for name in names]


def render(records: Records, root: pathlib.Path = ROOT) -> dict[pathlib.Path, str]:
    """The documents with their blocks made of the records."""
    documents = {}
    for name, contents in BLOCKS.items():
        text = (root / name).read_text(encoding="utf-8")
        for block, make in contents.items():
            text = blocks.replace_block(text, block, make(records), name)
        documents[root / name] = text
    return documents


def main(argv: Sequence[str] | None = None) -> None:
    """Write the documents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    try:
        documents = render(read_records())
    except InputError as error:
        parser.exit(2, f"{error}\n")
    for path, text in documents.items():
        write_atomically(path, text.encode())
        print(path)


if __name__ == "__main__":
    main()
