"""The report of several runs side by side."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from vae_jax import config as config_lib
from vae_jax import visualize
from vae_jax.experiment.report import page
from vae_jax.experiment.report.figures import ImageBudget, images, samples_figure
from vae_jax.experiment.report.formatting import (
    format_entry,
    format_value,
    headlines,
    is_number,
    number_blocks,
)
from vae_jax.experiment.report.groups import Runs, comparable, settings
from vae_jax.experiment.report.meanings import label, title, unit
from vae_jax.experiment.report.page import Block, charts, note, paragraph, table
from vae_jax.experiment.report.sections import NOT_OF_TABLES, NUMBERS, select_verdict
from vae_jax.experiment.report.workdir_files import Contents, as_mapping
from vae_jax.experiment.sweeps.settings import best_setting

MAX_CURVES = 20  # runs in one chart


def comparison_page(
    name: str,
    runs: Runs,
    *,
    swept: Mapping[str, Any] | None = None,
    failed: Mapping[str, Any] | None = None,
    sweeps: Runs | None = None,
) -> str:
    """The page of several runs.

    Args:
      name: title of the page.
      runs: runs by name; at least one.
      swept: the values of each swept field, for a sweep.
      failed: trials without results, and why.
      sweeps: the sweeps of the runs by name, for the metrics of a whole sweep.
    """
    budget = ImageBudget()
    partial = functools.partial
    makers = [
        ("numbers", "Final numbers", partial(_numbers, runs, failed or {})),
        ("metrics", "Metrics", partial(_metrics, runs, sweeps or {})),
        ("curves", "Learning curves", partial(_in_groups, runs, _curves)),
        (
            "rate-distortion",
            "Rate and distortion",
            partial(_in_groups, runs, partial(_rate_distortion, swept=swept or {})),
        ),
        ("samples", "Samples", partial(_samples, runs, budget)),
        ("differences", "Differences", partial(_differences, runs)),
    ]
    header = partial(_header, name, runs, swept or {}, failed or {})
    return page.render_page(f"{name}: comparison", header, budget.render(makers))


def _header(
    name: str, runs: Runs, swept: Mapping[str, Any], failed: Mapping[str, Any]
) -> list[Block]:
    about = f"{len(runs)} runs" + (f", swept over {', '.join(swept)}" if swept else "")
    blocks = [page.heading(name, 1), paragraph(about, "soft")]
    best = _best(runs, failed)
    if best:
        blocks.append(page.headline("Test ELBO of the best on validation: ", best))
    return blocks + [note(f"{run} has no results: {reason}") for run, reason in failed.items()]


def _best(runs: Runs, failed: Mapping[str, Any]) -> str:
    """The setting of the best mean bound on validation and its test bound, if all are comparable.

    A setting is all runs that differ in their seed only.
    """
    if len(comparable(runs)) > 1:
        return ""
    entries = settings(runs, failed)
    best = best_setting(entries).get("best", {})
    has_bound = [entry for entry in entries.values() if "elbo" in entry.get("valid", {})]
    if len(has_bound) < 2 or not best.get("by", "").startswith("elbo"):
        return ""
    names = entries[best["setting"]]["trials"]
    if len(names) == 1:
        number = format_entry("elbo", runs[names[0]].results_of("test"), has_unit=True)
        return f"{names[0]}, {number}"
    number = format_value(best["test"], best["test_std"])
    return f"{best['setting']}, {number} nats, mean and deviation of {best['num_trials']} seeds"


def _in_groups(runs: Runs, make: Callable[[Runs], list[Block]]) -> list[Block]:
    """The blocks of each group of comparable runs, under its description if there are several."""
    groups = comparable(runs)
    if len(groups) == 1:
        return make(runs)
    blocks = []
    for text, group in groups.items():
        part = make(group)
        blocks += [page.heading(text, 3), *part] if part else []
    return blocks


def _numbers(runs: Runs, failed: Mapping[str, Any]) -> list[Block]:
    text = "On the test set, ± the standard error over examples."
    estimators = {
        str(run.results["estimator"]) for run in runs.values() if "estimator" in run.results
    }
    if len(estimators) == 1:
        text += f" {estimators.pop()}."
    if len(comparable(runs)) > 1:
        text += (
            " Numbers of other data, or of probabilities and densities, cannot be compared: each "
            "kind has its own table."
        )
    tables = functools.partial(_number_tables, failed=failed)
    return [paragraph(text, "soft"), *_in_groups(runs, tables)]


def _number_tables(runs: Runs, failed: Mapping[str, Any]) -> list[Block]:
    """The numbers of comparable runs, and their means over seeds."""
    tests = {name: run.results_of("test") for name, run in runs.items()}
    keys = [key for key in NUMBERS if any(key in test for test in tests.values())]
    if all("columns" in run.results for run in runs.values()):
        keys = [key for key in keys if key not in NOT_OF_TABLES]
    rows = []
    for name, run in runs.items():
        numbers = [format_entry(key, tests[name]) for key in keys]
        verdict = str(select_verdict(run).get("verdict", ""))
        rows.append((name, verdict, *numbers, _steps(run)))
    blocks = [table(("Run", "Latents", *map(_column, keys), "Step"), rows)]
    return blocks + _setting_table(runs, failed, keys)


def _setting_table(runs: Runs, failed: Mapping[str, Any], keys: list[str]) -> list[Block]:
    """Mean and standard deviation over the seeds of each setting, if any has several."""
    entries = settings(runs, failed)
    if not any(entry["num_trials"] > 1 for entry in entries.values()):
        return []
    tests = {name: entry.get("test", {}) for name, entry in entries.items()}
    rows = []
    for name, entry in entries.items():
        count = format_value(entry["num_trials"])
        if "num_failed" in entry:
            count += f" of {entry['num_trials'] + entry['num_failed']}"
        test = tests[name]
        cells = [format_value(test[key], test[f"{key}_std"]) if key in test else "" for key in keys]
        rows.append((name, count, *cells))
    text = "Mean over the seeds of each setting, ± the standard deviation over seeds."
    return [paragraph(text, "soft"), table(("Setting", "Seeds", *map(_column, keys)), rows)]


def _steps(run: Contents) -> str:
    """The measured step, and the last step if it is another."""
    step, last = run.results.get("step", ""), run.results_of("selection").get("last_step")
    return format_value(step) + (f" of {format_value(last)}" if last not in (None, step) else "")


def _column(key: str) -> str:
    has_unit = unit(key) and not key.startswith("bits_per")
    return f"{label(key)} ({unit(key)})" if has_unit else label(key)


def _metrics(runs: Runs, sweeps: Runs) -> list[Block]:
    """The headline numbers of all runs, and all metrics of whole sweeps."""
    cells = {}
    notes = []
    for name, run in runs.items():
        cells[name] = _udr(run, sweeps)
        for metric, numbers in run.metrics.items():
            if "failed" in numbers:
                reason = f"could not be measured: {numbers['failed']}"
                notes.append(note(f"{name}: {title(metric)} {reason}"))
            elif metric != "collapse":  # its verdict is next to the final numbers
                cells[name] |= headlines(metric, numbers)
    blocks = _in_groups(runs, functools.partial(_metric_table, cells))
    for name, sweep in sweeps.items():
        for metric, numbers in sweep.metrics.items():
            blocks += [
                page.heading(f"{name}: {title(metric)}", 3),
                *number_blocks(numbers, level=4),
            ]
    return blocks + notes


def _metric_table(cells: Mapping[str, Mapping[str, str]], runs: Runs) -> list[Block]:
    columns = list(dict.fromkeys(column for name in runs for column in cells[name]))
    if not columns:
        return []
    rows = [(name, *(cells[name].get(column, "") for column in columns)) for name in runs]
    return [
        paragraph("± the standard error, if available.", "soft"),
        table(("Run", *columns), rows),
    ]


def _udr(run: Contents, sweeps: Runs) -> dict[str, str]:
    """The mean UDR over the seeds of a trial's setting."""
    pairs = [pair for pair in run.workdir.name.split(",") if not pair.startswith("seed=")]
    for sweep in sweeps.values():
        numbers = as_mapping(sweep.metrics.get("udr", {}).get(",".join(pairs) or "all"))
        if run.workdir.parent.parent == sweep.workdir and is_number(numbers.get("mean")):
            return {"UDR of the setting, mean over its seeds": format_value(numbers["mean"])}
    return {}


def _curves(runs: Runs) -> list[Block]:
    histories = {name: runs[name].history for name in list(runs)[:MAX_CURVES] if runs[name].history}
    figures = []
    for key in visualize.CURVES:
        lines = [line for history in histories.values() for line in history]
        if any(line["split"] == "valid" and is_number(line.get(key)) for line in lines):
            names = ", ".join(histories)
            alt = f"Curves of the {label(key)} on validation against the step, of {names}."
            figures.append((visualize.overlaid_curves(histories, key), alt))
    blocks = charts(figures)
    if len(runs) > MAX_CURVES:
        blocks.append(note(f"Only the first {MAX_CURVES} of {len(runs)} runs are plotted."))
    return blocks


def _rate_distortion(runs: Runs, swept: Mapping[str, Any]) -> list[Block]:
    points = []
    texts = []
    for name, run in runs.items():
        test = run.results_of("test")
        if is_number(test.get("rate")) and is_number(test.get("distortion")):
            points.append((_swept_values(run) if swept else {"run": name}, test))
            texts.append(
                f"{name}: {format_value(test['rate'])}, {format_value(test['distortion'])}"
            )
    if not points:
        return []
    about = "Rate against distortion in nats, a point for each run, with diagonals of equal ELBO."
    return charts([(visualize.rate_distortion(points), f"{about} {'; '.join(texts)}.")])


def _swept_values(trial: Contents) -> dict[str, float]:
    """The values of the swept fields, read from the name of the trial."""
    pairs = [pair.partition("=") for pair in trial.workdir.name.split(",")]
    return {name: float(value) for name, _, value in pairs}


def _samples(runs: Runs, budget: ImageBudget) -> list[Block]:
    alt = "samples from the prior"
    return images([budget.embed(run, samples_figure(run), alt, name) for name, run in runs.items()])


def _differences(runs: Runs) -> list[Block]:
    """The config fields that differ between runs."""
    configs = {
        name: config_lib.flatten(run.config) for name, run in runs.items() if run.config is not None
    }
    if not configs:
        return [note("No config.json can be read.")]
    fields = [
        field
        for field in next(iter(configs.values()))
        if len({repr(config[field]) for config in configs.values()}) > 1
        and not field.startswith("sweep.")
    ]
    if not fields:
        return [paragraph("All configs are the same.")]
    rows = [
        (name, *(page.code(repr(config[field])) for field in fields))
        for name, config in configs.items()
    ]
    return [table(("Run", *fields), rows)]
