"""The sections of the report of a single run, each a list of blocks."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vae_jax import visualize
from vae_jax.evaluation.terms import USED
from vae_jax.experiment import builders
from vae_jax.experiment.measurement.left_out import describe_skipped
from vae_jax.experiment.report import page
from vae_jax.experiment.report.formatting import (
    format_entry,
    format_value,
    is_number,
    number_blocks,
)
from vae_jax.experiment.report.meanings import MEANINGS, label, title
from vae_jax.experiment.report.page import Block, Maker, charts, note, paragraph
from vae_jax.experiment.report.workdir_files import Contents, as_mapping

NUMBERS = (
    "elbo",
    "baseline",
    "distortion",
    "rate",
    "bits_per_dim",
    "observed_values",
    "bits_per_token",
    "tokens",
    "baseline_bits_per_token",
    "unigram_baseline",
    "unigram_baseline_bits_per_token",
    "active_units",
    "used_units",
    "mse",
    "psnr",
    "denoising_mse",
    "denoising_psnr",
)
NOT_OF_TABLES = ("bits_per_dim", "mse", "denoising_mse")  # they mix the units of columns
VERDICTS = {
    "healthy": ("good", "Healthy: the latents are used"),
    "partly collapsed": ("fair", "Partly collapsed"),
    "no latents": ("fair", "No latents: a control"),
    "no rate": ("fair", "No rate: codes are points, not distributions"),
    "collapsed": ("bad", "Collapsed"),
    "worse than the baseline": ("bad", "Worse than the trivial baseline"),
    "unused rate": ("bad", "The rate buys nothing"),
    "blind": ("bad", "The encoder does not see the data"),
    "constant data": ("bad", "The data are constant"),
    "not finite": ("bad", "Some examples have no finite bound"),
    "extreme row": ("bad", "One example decides the mean bound"),
    "unknown": ("fair", "No verdict: too few examples"),
    "diverged": ("bad", "Diverged"),
}
VERDICT_METRICS = ("collapse", "codes")
KNOWN_RESULTS = (
    "columns",
    "data",
    "test",
    "valid",
    "metrics",
    "seconds",
    "environment",
    "trials",
    "swept",
    "failed",
    "evaluation",
    "evaluation_of",
    "selection",
    "best",
    "settings",
    "not_finite",
)


def render_summary(run: Contents) -> list[Block]:
    """Name, verdict and bound."""
    test = run.results_of("test")
    data = run.results_of("data")
    about = [f"trained on {data['name']}"] if "name" in data else []
    about += [f"step {format_value(run.results['step'])}"] if "step" in run.results else []
    about += [f"seed {run.results['seed']}"] if "seed" in run.results else []
    blocks = [page.heading(run.name, 1), paragraph(", ".join(about), "soft"), verdict(run)]
    if is_number(test.get("elbo")):
        count = f" over {format_value(data['num_test'])} examples" if "num_test" in data else ""
        if is_number(test.get("baseline")):
            baseline = format_entry("baseline", test, has_unit=True)
            count += f"; baseline {baseline}, {run.results.get('baseline')}"
        number = format_entry("elbo", test, has_unit=True)
        blocks.append(page.headline("", f"Test ELBO {number}", count))
    elif is_number(test.get("distortion")):
        number = format_entry("distortion", test, has_unit=True)
        reason = "; no ELBO, since a deterministic posterior has no rate"
        blocks.append(page.headline("", f"Test distortion {number}", reason))
    return blocks + selection(run) + left_out(run)


def left_out(run: Contents) -> list[Block]:
    """Notes on skipped steps and on examples without a finite bound."""
    notes = [as_mapping(entry).get("text") for entry in run.results_of("not_finite").values()]
    blocks = [note(f"{text}; the means are over the other examples.") for text in notes if text]
    if run.results.get("skipped_steps"):
        blocks.append(note(f"{describe_skipped(run.results)}."))
    return blocks


def selection(run: Contents) -> list[Block]:
    """The checkpoint that is measured, and the score that selected it."""
    numbers = run.results_of("selection")
    if not {"step", "last_step", "reason"} <= numbers.keys():
        return []
    step, last = format_value(numbers["step"]), format_value(numbers["last_step"])
    text = f"Measured at step {step} of {last}, {numbers['reason']}."
    if is_number(numbers.get("score")):
        score = format_value(numbers["score"])
        text += f" Score on validation: {numbers.get('score_name')}, {score} nats."
    return [paragraph(text, "soft")]


def select_verdict(run: Contents, key: str = "verdict") -> Mapping[str, Any]:
    """The numbers of the first verdict on the latents that has this key, empty if there is none."""
    metrics = [run.metrics.get(name, {}) for name in VERDICT_METRICS]
    return next((numbers for numbers in metrics if key in numbers), {})


def verdict(run: Contents) -> Block:
    """The verdict on the latents with its evidence, or why there is none."""
    numbers = select_verdict(run)
    if not numbers:
        failure = select_verdict(run, "failed")
        if failure:
            return note(f"No verdict on the latents, it could not be made: {failure['failed']}")
        return note("No verdict on the latents yet: evaluate the run again with --mode=eval.")
    name = str(numbers["verdict"])
    style, text = VERDICTS.get(name, ("", name.capitalize()))
    rest = " ".join(str(numbers[key]) for key in ("evidence", "remedy") if numbers.get(key))
    rest = rest[:1].upper() + rest[1:]
    return {"kind": "verdict", "style": style, "title": text, "text": rest}


def final_numbers(run: Contents) -> list[Block]:
    """Test and validation side by side, with the meaning of each number."""
    test = run.results_of("test")
    valid = run.results_of("valid")
    rows = [
        (
            MEANINGS[name].name,
            format_entry(name, test, has_unit=True),
            format_entry(name, valid),
            MEANINGS[name].text,
        )
        for name in NUMBERS
        if name in test and not ("columns" in run.results and name in NOT_OF_TABLES)
    ]
    if not rows:
        return []
    blocks = [page.table(("", "Test", "Validation", "Meaning"), rows, "meanings splits")]
    if "estimator" in run.results:
        blocks.append(paragraph(f"{run.results['estimator']}.", "soft"))
    return blocks


def learning_curves(run: Contents) -> list[Block]:
    """Bound, distortion and rate against the step."""
    if not run.history:
        return []
    figures = []
    curves = {} if run.config is None else builders.describe_curves(run.config)
    for name in visualize.CURVES:
        lines = [line for line in run.history if is_number(line.get(name))]
        values = [line[name] for line in lines if line["split"] == "valid"]
        if lines:
            alt = f"Curve of the {label(name)} against the step"
            if values:
                first, last = format_value(values[0]), format_value(values[-1])
                alt += f", from {first} to {last} nats on validation"
            figures.append((visualize.learning_curve(run.history, name, **curves), f"{alt}."))
    stopped = [
        paragraph(f"Stopped early: {line['stopped']}.") for line in run.history if "stopped" in line
    ]
    return charts(figures) + stopped or [note("No number was finite.")]


def latent_rates(run: Contents) -> list[Block]:
    """KL of each latent and of each layer."""
    latents = {
        f"z{key.removeprefix('kl/')}": value
        for key, value in run.results_of("test").items()
        if key.startswith("kl/") and is_number(value)
    }
    layers = run.metrics.get("decomposition", {}).get("kl_per_layer") or ()
    layers = [value for value in layers if is_number(value)]
    blocks = []
    figures = []
    if latents:
        num_used = sum(value >= USED for value in latents.values())
        text = f"{num_used} of {len(latents)} latents have a mean KL of at least {USED} nats."
        blocks.append(paragraph(text))
        name = max(latents, key=lambda name: latents[name])
        largest = f"{name} with {format_value(latents[name])} nats"
        alt = f"Bars of the KL of {len(latents)} latents, the largest first: {largest}."
        figures.append((visualize.bars(latents, "KL of each latent"), alt))
    if len(layers) > 1:
        values = {f"layer {i}": value for i, value in enumerate(layers)}
        alt = f"Bars of the KL of each layer, from the top down: {format_value(layers)} nats."
        figures.append((visualize.bars(values, "KL of each layer, 0 at the top"), alt))
    return blocks + charts(figures)


def rate_distortion(run: Contents) -> list[Block]:
    """The rate-distortion point."""
    test = run.results_of("test")
    if not (is_number(test.get("rate")) and is_number(test.get("distortion"))):
        return []
    text = (
        "Further to the left, the codes carry less information; further down, reconstructions are "
        "better. ELBO = −(rate + distortion)."
    )
    rate, distortion = format_value(test["rate"]), format_value(test["distortion"])
    alt = f"Rate {rate} and distortion {distortion} nats, a point on diagonals of equal ELBO."
    return [paragraph(text), *charts([(visualize.rate_distortion([({}, test)]), alt)])]


def anomalies(run: Contents) -> list[Block]:
    """Anomaly scores of normal and anomalous examples."""
    metric = run.metrics.get("anomaly")
    if not metric:
        return []
    arrays = run.arrays(str(metric["scores_file"])) if "scores_file" in metric else {}
    figures = []
    for name, numbers in as_mapping(metric.get("scores")).items():
        figures += _score_histogram(name, as_mapping(numbers), arrays)
    return charts(figures) + number_blocks(metric)


def _score_histogram(
    name: str, numbers: Mapping[str, float], arrays: Mapping[str, np.ndarray]
) -> list[tuple[Figure, str]]:
    groups = {}
    for kind in ("normal", "anomalous"):
        values = arrays.get(f"{name}/{kind}")
        if values is None or values.dtype.kind != "f" or not np.isfinite(values).any():
            return []
        finite = np.isfinite(values)
        left_out = "" if finite.all() else f" ({int(np.sum(~finite))} not finite, not plotted)"
        groups[f"{kind}{left_out}"] = values[finite]
    threshold = numbers.get("threshold")
    threshold = threshold if is_number(threshold) else None
    auroc = format_value(numbers.get("auroc"), numbers.get("auroc_stderr"))
    alt = f"Histogram of {label(name)} for normal and anomalous examples: AUROC {auroc}."
    return [(visualize.histogram(groups, label(name), threshold), alt)]


def remaining_metrics(run: Contents) -> Iterator[tuple[str, str, Maker]]:
    """(id, title, maker) of each tree of numbers without its own section."""
    trees = run.metrics | {
        key: value
        for key, value in run.results.items()
        if isinstance(value, Mapping) and key not in KNOWN_RESULTS
    }
    for index, (name, numbers) in enumerate(trees.items()):
        if name not in ("anomaly", "collapse"):
            yield f"metric-{index}", title(name), functools.partial(number_blocks, numbers)
