"""The report of several runs side by side: numbers, curves, the plane of rate and distortion, and samples of each."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from vae_jax import config as config_lib
from vae_jax import visualize
from vae_jax.experiment.report.formatting import (
    MEANINGS,
    SECTIONS,
    error_of,
    format_value,
    headlines,
    is_number,
    numbers_of,
    with_unit,
    words,
)
from vae_jax.experiment.report.html import (
    Html,
    Section,
    chart,
    charts,
    element,
    join,
    note,
    page,
    paragraph,
    table,
)
from vae_jax.experiment.report.pictures import Pictures
from vae_jax.experiment.report.sections import NUMBERS, TOLD
from vae_jax.experiment.report.single_run import guarded
from vae_jax.experiment.report.workdir_files import Contents, mapping

MOST_CURVES = 20  # runs in one chart; more can't be told apart

Runs = Mapping[str, Contents]  # by the name that they have on the page


def comparison_page(
    title: str,
    runs: Runs,
    *,
    swept: Mapping[str, Any] | None = None,
    failed: Mapping[str, Any] | None = None,
    sweeps: Runs | None = None,
) -> str:
    """The page of several runs.

    Args:
      title: of the page.
      runs: by name; at least one.
      swept: of a sweep, the values that it goes over, by name.
      failed: trials that have no results, and why.
      sweeps: that runs are trials of, by name, for the metrics that no trial has alone.
    """
    about = f"{len(runs)} runs" + (f", swept over {', '.join(swept)}" if swept else "")
    best = _best(runs)
    headline = (
        paragraph("Best test ELBO: ", element("strong", best), class_="headline") if best else ""
    )
    notes = [note(f"{name} has no results: {reason}") for name, reason in (failed or {}).items()]
    makers = {
        "numbers": ("Final numbers", functools.partial(_numbers, runs)),
        "metrics": ("Metrics", functools.partial(_metrics, runs, sweeps or {})),
        "curves": ("Learning curves", functools.partial(_curves, runs)),
        "rate-distortion": ("Rate and distortion", functools.partial(_plane, runs, swept or {})),
        "samples": ("Samples", lambda: Html("")),  # its place; they have what room the others leave
        "differences": ("What differs", functools.partial(_differences, runs)),
    }
    made = {
        id: guarded(id, name, functools.partial(_section, id, name, make))
        for id, (name, make) in makers.items()
    }
    samples = functools.partial(_samples, runs, Pictures(made.values()))
    made["samples"] = guarded(
        "samples", "Samples", functools.partial(_section, "samples", "Samples", samples)
    )
    top = join(element("h1", title), paragraph(about, class_="soft"), headline, *notes)
    return page(
        f"{title}: comparison", top, [section for section in made.values() if section is not None]
    )


def _section(id: str, title: str, make: Any) -> Section | None:
    body = make()
    return Section(id, title, body) if body else None


def _best(runs: Runs) -> str:
    """The greatest bound, where all are of the same quantity."""
    bounds = {
        name: run.split("test")
        for name, run in runs.items()
        if is_number(run.split("test").get("elbo"))
    }
    if len(bounds) < 2 or len({_quantity(run) for run in runs.values()}) > 1:
        return ""
    name = max(bounds, key=lambda name: bounds[name]["elbo"])
    return f"{name}, {with_unit('elbo', bounds[name]['elbo'], error_of('elbo', bounds[name]))}"


def _quantity(run: Contents) -> tuple[str, ...]:
    """What bounds must have in common to be compared: the examples, the density, what is given, how they were estimated."""
    data, given = (
        mapping(run.results.get("data")),
        "" if run.config is None else run.config.model.conditioning,
    )
    found = (
        data.get("test_sha256"),
        data.get("name"),
        run.results.get("likelihood"),
        given,
        run.results.get("estimator"),
    )
    return tuple(map(str, found))


def _numbers(runs: Runs) -> Html:
    names = [name for name in NUMBERS if any(name in run.split("test") for run in runs.values())]
    rows = []
    for label, run in runs.items():
        test = run.split("test")
        verdicts = [
            str(run.metrics[name]["verdict"])
            for name in TOLD
            if "verdict" in run.metrics.get(name, {})
        ]
        numbers = (
            format_value(test[name], error_of(name, test)) if name in test else "" for name in names
        )
        rows.append(
            (
                label,
                verdicts[0] if verdicts else "",
                *numbers,
                format_value(run.results.get("step", "")),
            )
        )
    head = ("Run", "Latents", *map(_head, names), "Step")
    how = {str(run.results["estimator"]) for run in runs.values() if "estimator" in run.results}
    said = "On the test set, ± the standard error over examples. " + (
        f"{how.pop()}." if len(how) == 1 else ""
    )
    return join(paragraph(said, class_="soft"), table(head, rows))


def _head(name: str) -> str:
    unit = MEANINGS[name].unit
    return (
        f"{MEANINGS[name].name} ({unit})"
        if unit and name != "bits_per_dim"
        else MEANINGS[name].name
    )


def _metrics(runs: Runs, sweeps: Runs) -> Html:
    """The chief numbers of the metrics that any run has, and all of those that a sweep has beside its trials."""
    cells, notes = {label: _agreement(run, sweeps) for label, run in runs.items()}, []
    for label, run in runs.items():
        for name, values in run.metrics.items():
            if "failed" in values:
                notes.append(
                    note(
                        f"{label}: {SECTIONS.get(name, words(name))} could not be measured: {values['failed']}"
                    )
                )
            elif name != "collapse":  # its verdict is beside the final numbers
                cells[label] |= headlines(name, values)
    columns = list(dict.fromkeys(itertools.chain.from_iterable(cells.values())))
    parts: list[object] = []
    if columns:
        parts.append(paragraph("± the standard error, where there is one.", class_="soft"))
        rows = [
            (label, *(own.get(column, "") for column in columns)) for label, own in cells.items()
        ]
        parts.append(table(("Run", *columns), rows))
    for label, sweep in sweeps.items():
        for name, values in sweep.metrics.items():
            parts += [
                element("h3", f"{label}: {SECTIONS.get(name, words(name))}"),
                numbers_of(values, level=4),
            ]
    return join(*parts, *notes)


def _agreement(run: Contents, sweeps: Runs) -> dict[str, str]:
    """The mean UDR of the setting of a trial, over its seeds."""
    setting = (
        ",".join(pair for pair in run.workdir.name.split(",") if not pair.startswith("seed="))
        or "all"
    )
    for sweep in sweeps.values():
        found = mapping(sweep.metrics.get("udr", {}).get(setting))
        if run.workdir.parent.parent == sweep.workdir and is_number(found.get("mean")):
            return {"UDR of the setting, mean over its seeds": format_value(found["mean"])}
    return {}


def _curves(runs: Runs) -> Html:
    histories = {
        label: run.history for label, run in list(runs.items())[:MOST_CURVES] if run.history
    }
    drawn = []
    for name in visualize.CURVES:
        if any(
            line["split"] == "valid" and is_number(line.get(name))
            for lines in histories.values()
            for line in lines
        ):
            alt = f"Curves of the {words(name)} on validation against the step, of {', '.join(histories)}."
            drawn.append(chart(visualize.svg(visualize.overlaid_curves(histories, name)), alt))
    more = (
        note(f"The first {MOST_CURVES} of {len(runs)} runs are drawn.")
        if len(runs) > MOST_CURVES
        else ""
    )
    return join(charts(drawn), more)


def _plane(runs: Runs, swept: Mapping[str, Any]) -> Html:
    points = []
    for label, run in runs.items():
        test = run.split("test")
        if is_number(test.get("rate")) and is_number(test.get("distortion")):
            points.append((_values(run, swept) or {"run": label}, test))
    if not points:
        return Html("")
    named = "; ".join(
        f"{label}: {format_value(test['rate'])}, {format_value(test['distortion'])}"
        for (_, test), label in zip(points, runs, strict=False)
    )
    alt = f"Rate against distortion in nats, a point for each run, with diagonals of equal ELBO. {named}."
    return charts([chart(visualize.svg(visualize.rate_distortion(points)), alt)])


def _values(run: Contents, swept: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial in what its sweep goes over: its name says them."""
    pairs = (pair.partition("=") for pair in run.workdir.name.split(",")) if swept else ()
    return {name: float(value) for name, _, value in pairs}


def _samples(runs: Runs, pictures: Pictures) -> Html:
    drawn = [
        pictures.figure(run, "samples", "samples from the prior", caption=name)
        for name, run in runs.items()
    ]
    return element("div", *drawn, class_="pair")


def _differences(runs: Runs) -> Html:
    """The fields of the configs that aren't the same in all runs."""
    fields = {
        name: config_lib.flatten(run.config) for name, run in runs.items() if run.config is not None
    }
    if not fields:
        return note("No config.json can be read.")
    differing: Sequence[str] = [
        field
        for field in next(iter(fields.values()))
        if len({repr(own[field]) for own in fields.values()}) > 1 and not field.startswith("sweep.")
    ]
    rows = [
        (name, *(element("code", repr(own[field])) for field in differing))
        for name, own in fields.items()
    ]
    return table(("Run", *differing), rows) if differing else paragraph("All configs are the same.")
