"""The sections on the origin of a run: data, config, command, versions, hardware, times."""

import datetime
import shlex
from collections.abc import Mapping
from typing import Any

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.experiment.report.formatting import format_value, is_number
from vae_jax.experiment.report.meanings import label
from vae_jax.experiment.report.page import Block, code, note, paragraph, table
from vae_jax.experiment.report.workdir_files import Contents
from vae_jax.experiment.storage.environment import versions
from vae_jax.files import Path, modification_time


def data(run: Contents) -> list[Block]:
    """The examples and their preparation."""
    rows = [
        (label(key), code(value) if key.endswith("sha256") else format_value(value))
        for key, value in run.results_of("data").items()
    ]
    return [table((), rows)] if rows else []


def config(run: Contents) -> list[Block]:
    """The fields that differ from the defaults, and all fields, collapsed."""
    if run.config is None:
        return [note("config.json is missing or damaged.")]
    fields = config_lib.flatten(run.config)
    defaults = config_lib.flatten(Config())
    changes = [
        (code(field), code(repr(value)), repr(defaults[field]))
        for field, value in fields.items()
        if value != defaults[field]
    ]
    every = table(
        ("Field", "Value"), [(code(field), code(repr(value))) for field, value in fields.items()]
    )
    details = {"kind": "details", "summary": f"All {len(fields)} fields", "table": every}
    if not changes:
        return [paragraph("All fields have their defaults."), details]
    changed = table(("Field", "Value", "Default"), changes)
    return [paragraph("Fields that differ from the defaults:"), changed, details]


def origin(run: Contents) -> list[Block]:
    """The command, versions, hardware and times."""
    environment = run.results_of("environment")
    recorded = environment.get("versions")
    is_recorded = isinstance(recorded, Mapping) and bool(recorded)
    packages = recorded if is_recorded else versions()
    text = ", ".join(f"{name} {version}" for name, version in packages.items())
    if not is_recorded:
        text += " (of this report; the run did not record its own)"
    rows = [("Versions", text)]
    rows += [
        (label(key), format_value(value))
        for key, value in environment.items()
        if key not in ("versions", "command")
    ]
    rows += [
        (
            f"Training, {label(key).lower()}",
            duration(value) if key == "seconds" else format_value(value),
        )
        for key, value in run.results_of("training").items()
    ]
    keys = ("training_command", "command")
    commands = [*(run.results.get(key) for key in keys), environment.get("command")]
    command = next(filter(None, commands), None)
    about = "These numbers were produced with:"
    if not command:
        about = "The run did not record its command. To evaluate it again:"
        workdir = shlex.quote(str(run.workdir))
        command = f"python -m vae_jax.main --workdir={workdir} --mode=eval"
    shell = {"kind": "command", "text": str(command)}
    return [paragraph(about), shell, table((), rows + _times(run))]


def _times(run: Contents) -> list[tuple[str, str]]:
    """Durations; a training that was not recorded is estimated from its files."""
    recorded = run.results_of("seconds")
    rows = [(f"Time, {label(key).lower()}", duration(value)) for key, value in recorded.items()]
    is_recorded = "training" in recorded or "seconds" in run.results_of("training")
    span = None if is_recorded else _file_span(run.workdir)
    if span is not None:
        start = datetime.datetime.fromtimestamp(span[0], datetime.UTC)
        text = f"{duration(span[1] - span[0])} from {start:%Y-%m-%d %H:%M} UTC"
        rows.append(("Training", f"{text}, by the dates of its files, pauses included"))
    return rows


def _file_span(workdir: Path) -> tuple[float, float] | None:
    """Times of the first event file, read from its name, and of the last metrics."""
    names = [path.name for path in (workdir / "tensorboard").glob("events.out.tfevents.*")]
    parts = [name.split(".") for name in names]
    starts = [float(part[3]) for part in parts if len(part) > 3 and part[3].isdigit()]
    try:
        end = modification_time(workdir / "metrics.jsonl")
    except OSError:
        return None
    return (min(starts), end) if starts and min(starts) <= end else None


def duration(seconds: Any) -> str:
    """A time for readers."""
    if not is_number(seconds):
        return format_value(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
