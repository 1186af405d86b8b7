"""Writing files atomically."""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """The whole content under `path`, or what was there before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Strict JSON, indented; numbers that are not finite become null."""
    write_atomically(
        path, (json.dumps(finite_or_none(values), indent=2, allow_nan=False) + "\n").encode()
    )


def finite_or_none(value: Any) -> Any:
    """The same tree with None for numbers that are not finite, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: finite_or_none(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
