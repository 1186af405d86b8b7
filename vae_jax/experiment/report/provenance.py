"""The sections on how a run came about: data, config, command, versions, hardware, times."""

import datetime
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.experiment.report.formatting import format_value, is_number, words
from vae_jax.experiment.report.html import Section, element, join, note, paragraph, table
from vae_jax.experiment.report.workdir_files import Contents, mapping
from vae_jax.experiment.storage.environment import versions


def data(run: Contents) -> Section | None:
    """Which examples, and how they were prepared."""
    found = mapping(run.results.get("data"))
    rows = [
        (words(key), element("code", value) if key.endswith("sha256") else format_value(value))
        for key, value in found.items()
    ]
    return Section("data", "Data", table((), rows)) if rows else None


def config(run: Contents) -> Section:
    """What differs from the defaults, and, to be unfolded, every field."""
    if run.config is None:
        return Section("config", "Config", note("config.json is missing or damaged."))
    fields, defaults = config_lib.flatten(run.config), config_lib.flatten(Config())
    changed = {field: value for field, value in fields.items() if value != defaults[field]}
    changes = table(
        ("Field", "Value", "Default"),
        [
            (element("code", field), element("code", repr(value)), repr(defaults[field]))
            for field, value in changed.items()
        ],
    )
    every = table(
        ("Field", "Value"),
        [(element("code", field), element("code", repr(value))) for field, value in fields.items()],
    )
    folded = element("details", element("summary", f"All {len(fields)} fields"), every)
    said = "What differs from the defaults:" if changed else "Nothing differs from the defaults."
    return Section("config", "Config", join(paragraph(said), changes if changed else "", folded))


def origin(run: Contents) -> Section:
    """The command, versions, hardware and times."""
    found = mapping(run.results.get("environment"))
    rows: list[tuple[object, object]] = []
    known = mapping(found.get("versions"))
    listed = ", ".join(f"{name} {version}" for name, version in (known or versions()).items())
    rows.append(
        ("Versions", listed if known else f"{listed} (of this report; the run kept no record)")
    )
    rows += [
        (words(key), format_value(value))
        for key, value in found.items()
        if key not in ("versions", "command")
    ]
    rows += _times(run)
    command = (
        run.results.get("training_command") or run.results.get("command") or found.get("command")
    )
    shell = (
        str(command)
        if command
        else f"python -m vae_jax.main --workdir={shlex.quote(str(run.workdir))} --mode=eval"
    )
    said = (
        "These numbers were made with:"
        if command
        else "The run kept no record of its command. To evaluate it again:"
    )
    return Section(
        "origin",
        "How it was made",
        join(paragraph(said), element("pre", element("code", shell)), table((), rows)),
    )


def _times(run: Contents) -> list[tuple[object, object]]:
    """What took how long, as recorded; else how long training took by the dates of its files."""
    recorded: Any = run.results.get("seconds")
    if isinstance(recorded, Mapping) and recorded:
        rows: list[tuple[object, object]] = [
            (f"Time, {words(key).lower()}", duration(value)) for key, value in recorded.items()
        ]
    else:
        rows = []
    span = None if isinstance(recorded, Mapping) and "training" in recorded else _span(run.workdir)
    if span is not None:
        begun, ended = (datetime.datetime.fromtimestamp(time, datetime.UTC) for time in span)
        took = duration((ended - begun).total_seconds())
        rows.append(
            (
                "Training",
                f"{took} from {begun:%Y-%m-%d %H:%M} UTC, by the dates of its files, pauses included",
            )
        )
    return rows


def _span(workdir: pathlib.Path) -> tuple[float, float] | None:
    """When the first events were begun, which is in their name, and when the last metrics were written."""
    parts = [
        path.name.split(".") for path in (workdir / "tensorboard").glob("events.out.tfevents.*")
    ]
    begun = [float(part[3]) for part in parts if len(part) > 3 and part[3].isdigit()]
    try:
        ended = (workdir / "metrics.jsonl").stat().st_mtime
    except OSError:
        return None
    return (min(begun), ended) if begun and min(begun) <= ended else None


def duration(seconds: Any) -> str:
    """A time for readers."""
    if not is_number(seconds):
        return format_value(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
