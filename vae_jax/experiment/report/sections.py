"""The sections of the report of one run; each is a function of what its workdir holds, or None where there is nothing."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from vae_jax import visualize
from vae_jax.experiment.report.formatting import (
    MEANINGS,
    SECTIONS,
    error_of,
    format_value,
    is_number,
    numbers_of,
    with_unit,
    words,
)
from vae_jax.experiment.report.html import (
    Html,
    Section,
    cell,
    chart,
    charts,
    element,
    join,
    note,
    paragraph,
    table,
)
from vae_jax.experiment.report.workdir_files import Contents, mapping

NUMBERS = (
    "elbo",
    "distortion",
    "rate",
    "bits_per_dim",
    "active_units",
    "mse",
    "psnr",
    "denoising_mse",
    "denoising_psnr",
)
VERDICTS = {
    "healthy": "good",
    "partly collapsed": "fair",
    "no rate": "fair",
    "collapsed": "bad",
    "diverged": "bad",
}
TOLD = ("collapse", "codes")  # metrics that the top of the page tells of


def top(run: Contents) -> Html:
    """Title, verdict, and the number."""
    test, data = run.split("test"), mapping(run.results.get("data"))
    parts: list[object] = [element("h1", run.name)]
    about = [f"trained on {data['name']}"] if "name" in data else []
    about += [f"step {format_value(run.results['step'])}"] if "step" in run.results else []
    about += [f"seed {run.results['seed']}"] if "seed" in run.results else []
    parts.append(paragraph(", ".join(about), class_="soft"))
    parts.append(verdict(run))
    if is_number(test.get("elbo")):
        number = element(
            "strong", "Test ELBO ", with_unit("elbo", test["elbo"], test.get("elbo_stderr"))
        )
        many = f" over {format_value(data['num_test'])} examples" if "num_test" in data else ""
        parts.append(paragraph(number, many, class_="headline"))
    elif is_number(test.get("distortion")):
        number = element("strong", "Test distortion ", with_unit("distortion", test["distortion"]))
        parts.append(
            paragraph(
                number, "; no ELBO, since a deterministic posterior has no rate", class_="headline"
            )
        )
    return join(*parts)


def verdict(run: Contents) -> Html:
    """Whether the latents are worth something, in plain words first."""
    found = next(
        (run.metrics[name] for name in TOLD if "verdict" in run.metrics.get(name, {})), None
    )
    failed = next(
        (run.metrics[name]["failed"] for name in TOLD if "failed" in run.metrics.get(name, {})),
        None,
    )
    if found is None and failed is not None:
        return note(f"No verdict on the latents, it could not be made: {failed}")
    if found is None:
        return note("No verdict on the latents yet: evaluate the run again with --mode=eval.")
    name = str(found["verdict"])
    what = {
        "healthy": "Healthy: the latents are used",
        "no rate": "No rate: codes are points, not distributions",
    }
    title = element("strong", what.get(name, name.capitalize()))
    rest = " ".join(str(found[key]) for key in ("evidence", "remedy") if found.get(key))
    rest = rest[:1].upper() + rest[1:]
    return element(
        "div", paragraph(title, rest), class_=f"verdict {VERDICTS.get(name, '')}".strip()
    )


def final_numbers(run: Contents) -> Section | None:
    """Test and validation side by side, with what each number means."""
    test, valid = run.split("test"), run.split("valid")
    names = [name for name in NUMBERS if name in test]
    if not names:
        return None
    rows = []
    for name in names:
        other = cell(
            format_value(valid.get(name), error_of(name, valid)) if name in valid else "",
            class_="number extra",
        )
        value = with_unit(name, test[name], error_of(name, test))
        rows.append((MEANINGS[name].name, value, other, cell(MEANINGS[name].text, class_="text")))
    how = (
        paragraph(f"{run.results['estimator']}.", class_="soft")
        if "estimator" in run.results
        else ""
    )
    body = join(table(("", "Test", "Validation", "Meaning"), rows, class_="meanings"), how)
    return Section("numbers", "Final numbers", body)


def learning(run: Contents) -> Section | None:
    """Bound, distortion and rate against the step."""
    if not run.history:
        return None
    drawn = []
    for name in visualize.CURVES:
        values = [
            line[name]
            for line in run.history
            if line["split"] == "valid" and is_number(line.get(name))
        ]
        if values or any(is_number(line.get(name)) for line in run.history):
            ends = (
                f", from {format_value(values[0])} to {format_value(values[-1])} nats on validation"
                if values
                else ""
            )
            alt = f"Curve of the {words(name)} against the step{ends}."
            drawn.append(chart(visualize.svg(visualize.learning_curve(run.history, name)), alt))
    stopped = [str(line["stopped"]) for line in run.history if "stopped" in line]
    body = join(charts(drawn), *(paragraph(f"Stopped early: {reason}.") for reason in stopped))
    return Section("learning", "Learning curves", body or note("No number was finite."))


def rates(run: Contents) -> Section | None:
    """KL per dimension and per layer."""
    test, found = run.split("test"), run.metrics.get("decomposition", {})
    each = {
        f"z{key.removeprefix('kl/')}": value
        for key, value in test.items()
        if key.startswith("kl/") and is_number(value)
    }
    layers = [value for value in found.get("kl_per_layer") or () if is_number(value)]
    drawn = []
    if each:
        top = max(each, key=lambda name: each[name])
        alt = f"Bars of the KL of {len(each)} latents, the greatest first: {top} with {format_value(each[top])} nats."
        drawn.append(chart(visualize.svg(visualize.bars(each, "KL of each latent")), alt))
    if len(layers) > 1:
        alt = f"Bars of the KL of each layer, from the top down: {format_value(layers)} nats."
        bars = visualize.bars(
            {f"layer {i}": value for i, value in enumerate(layers)},
            "KL of each layer, 0 at the top",
        )
        drawn.append(chart(visualize.svg(bars), alt))
    if not drawn:
        return None
    small = sum(value < 0.01 for value in each.values())
    said = (
        paragraph(
            f"{len(each) - small} of {len(each)} latents say more than 0.01 nats on the mean."
        )
        if each
        else ""
    )
    return Section("kl", "KL of the latents", join(said, charts(drawn)))


def plane(run: Contents) -> Section | None:
    """The rate-distortion point."""
    test = run.split("test")
    if not (is_number(test.get("rate")) and is_number(test.get("distortion"))):
        return None
    alt = f"Rate {format_value(test['rate'])} and distortion {format_value(test['distortion'])} nats, a point on diagonals of equal ELBO."
    drawn = chart(visualize.svg(visualize.rate_distortion([({}, test)])), alt)
    said = "Further to the left, codes say less; further down, reconstructions are better. ELBO = −(rate + distortion)."
    return Section("rate-distortion", "Rate and distortion", join(paragraph(said), charts([drawn])))


def anomalies(run: Contents) -> Section | None:
    """The scores of normal and strange examples."""
    found = run.metrics.get("anomaly")
    if not found:
        return None
    drawn = []
    arrays = run.arrays(str(found["scores_file"])) if "scores_file" in found else {}
    for name, numbers in mapping(found.get("scores")).items():
        groups = {
            kind: arrays[f"{name}/{kind}"]
            for kind in ("normal", "anomalous")
            if f"{name}/{kind}" in arrays
        }
        groups = {
            kind: values[np.isfinite(values)]
            for kind, values in groups.items()
            if values.dtype.kind == "f"
        }
        if len(groups) == 2 and all(map(len, groups.values())):
            auroc = format_value(
                mapping(numbers).get("auroc"), mapping(numbers).get("auroc_stderr")
            )
            threshold = numbers.get("threshold")
            figure = visualize.histogram(
                groups, words(name), threshold if is_number(threshold) else None
            )
            drawn.append(
                chart(
                    visualize.svg(figure),
                    f"Histogram of {words(name)} for normal and strange examples: AUROC {auroc}.",
                )
            )
    return Section("anomaly", SECTIONS["anomaly"], join(charts(drawn), numbers_of(found)))


def others(run: Contents) -> Iterator[tuple[str, str, Callable[[], Section]]]:
    """(id, title, maker) of every further metric, and of every tree of numbers that this page has no section for."""
    known = {
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
    }
    trees = run.metrics | {
        key: value
        for key, value in run.results.items()
        if isinstance(value, Mapping) and key not in known
    }
    for number, (name, values) in enumerate(trees.items()):
        if name not in ("anomaly", "collapse"):
            id, title = f"metric-{number}", SECTIONS.get(name, words(name))
            yield id, title, functools.partial(_generic, id, title, values)


def _generic(id: str, title: str, values: Mapping[str, Any]) -> Section:
    return Section(id, title, numbers_of(values))
