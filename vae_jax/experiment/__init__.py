"""Everything that needs a config or a run directory: the command line as three functions."""

import importlib
from typing import Any

_EXPORTS = {  # imported on first use: they need Orbax and matplotlib
    "train_and_evaluate": "training.loop",
    "evaluate_workdir": "evaluate",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
