"""`results.json` of a run or a sweep."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.config import Config
from vae_jax.config.model import MASSES
from vae_jax.evaluation.common import format_nats
from vae_jax.evaluation.terms import USED
from vae_jax.experiment import builders, metrics, processes
from vae_jax.experiment.measurement.left_out import describe_skipped
from vae_jax.experiment.storage.environment import command_line
from vae_jax.experiment.storage.session import summarize_training
from vae_jax.files import Path, write_json

MAX_COLUMNS = 6  # columns of a table in the log


class Results:
    """The numbers of a run or a sweep, and how they were made.

    Attributes:
      earlier: the content of the file when it was opened; empty if it was missing or damaged.
      numbers: the content of the file as `write` leaves it.
    """

    def __init__(self, workdir: Path) -> None:
        self._path = workdir / "results.json"
        self.earlier = _read(self._path)
        self.numbers: dict[str, Any] = {}

    def training_command(self, step: int, *, is_training: bool) -> dict[str, str]:
        """The command that trained to this step, if known: an earlier one or the current one."""
        is_current = self.earlier.get("step") == step
        line = self.earlier.get("training_command") if is_current or not is_training else None
        line = line or (command_line() if is_training else None)
        return {"training_command": line} if line else {}

    def metrics_of(self, step: int) -> dict[str, dict[str, Any]]:
        """Earlier metrics of this step, their times, and the evaluation config of each."""
        parts: dict[str, dict[str, Any]] = {"metrics": {}, "seconds": {}, "evaluation_of": {}}
        if self.earlier.get("step") == step:
            for name in parts:
                earlier = self.earlier.get(name)
                parts[name] = dict(earlier) if isinstance(earlier, dict) else {}
        for name in parts["metrics"]:
            parts["evaluation_of"].setdefault(name, self.earlier.get("evaluation"))
        return parts

    def has_steps(self, trials: Mapping[str, Any]) -> bool:
        """True if the earlier trials of the sweep are these, each at the same step."""
        return _steps(self.earlier.get("trials") or {}) == _steps(trials)

    def put(self, numbers: Mapping[str, Any]) -> None:
        """Add numbers and write the file."""
        self.numbers |= numbers
        self.write()

    def put_metric(self, name: str, numbers: metrics.Numbers, seconds: float) -> None:
        """Add a metric of the current evaluation and write the file."""
        self.numbers["metrics"][name] = numbers
        self.numbers["seconds"][name] = seconds
        self.numbers["evaluation_of"].pop(name, None)
        self.write()

    def write(self) -> None:
        """Write the file atomically, on the first process."""
        if processes.is_first():
            write_json(self._path, self.numbers)


def describe_training(config: Config, workdir: Path, step: int) -> dict[str, Any]:
    """The training of a run, and the learning rate of the update that led to `step`."""
    rate = builders.final_learning_rate(config, step)
    return summarize_training(workdir) | {"learning_rate": rate}


def _read(path: Path) -> dict[str, Any]:
    """The content of the file, or {} if it is missing or damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _steps(trials: Mapping[str, Any]) -> dict[str, Any]:
    return {name: trial.get("step") for name, trial in trials.items()}


def describe(numbers: Mapping[str, Any]) -> str:
    """Describe the content of `results.json`: the test bound and each metric; of each trial."""
    if "trials" in numbers:
        lines = [f"{name}: {describe(trial)}" for name, trial in numbers["trials"].items()]
        lines += _describe_settings(numbers)
        return "\n".join([*lines, *_describe_metrics(numbers)])
    return "\n  ".join([_describe_test(numbers), *_describe_metrics(numbers)])


def _describe_metrics(numbers: Mapping[str, Any]) -> list[str]:
    return [metrics.describe(name, values) for name, values in numbers.get("metrics", {}).items()]


def _describe_test(numbers: Mapping[str, Any]) -> str:
    test, data = numbers["test"], numbers["data"]
    parts = []
    if test["rate"] < np.inf:
        bound = f"test ELBO {format_nats(test['elbo'])}"
        if np.isfinite(test["elbo_stderr"]):  # there is none of one example
            bound += f" +- {format_nats(test['elbo_stderr'])}"
        bound += " nats"
        if "baseline" in test:
            bound += f", baseline {format_nats(test['baseline'])} nats of {numbers['baseline']}"
        parts += [f"{key} {format_nats(test[key])}" for key in ("distortion", "rate")]
        if "bits_per_token" in test:
            parts += [_describe_bits(test)]
        elif "columns" not in numbers:  # a table would mix units
            is_mass = numbers["likelihood"] in ("bernoulli", *MASSES)
            kind = "" if is_mass else " (of a density, which depends on the scale of the data)"
            parts += [f"{test['bits_per_dim']:.4f} bits/dim{kind}"]
    else:
        bound = f"test distortion {format_nats(test['distortion'])} nats"
        bound += " (no ELBO: a deterministic posterior has no rate)"
    if "observed_values" in test:
        parts += [f"of {test['observed_values']:.1f} observed values"]
    if "columns" not in numbers and "mse" in test:
        parts += [f"MSE {test['mse']:.5f}"]
    if "psnr" in test:
        parts += [f"PSNR {test['psnr']:.2f} dB"]
    units = f"{test['active_units']} active units"
    if "used_units" in test:
        units += f", {test['used_units']} with at least {USED:g} nats"
    parts += [units]
    left_out = [entry["text"] for entry in numbers.get("not_finite", {}).values()]
    if numbers.get("skipped_steps"):
        left_out.append(describe_skipped(numbers))
    step = numbers.get("selection", {}).get("text") or f"step {numbers['step']}"
    source = (
        f"{data['name']}, {data['num_test']} {examples_noun(data)}, {numbers['likelihood']} "
        f"likelihood, binarization {data['binarization']}; {step}"
    )
    lines = [f"{bound} ({source})", ", ".join(parts)]
    return "\n  ".join([*lines, *_describe_columns(numbers.get("columns", {})), *left_out])


def _describe_bits(test: Mapping[str, Any]) -> str:
    """Bits per token of the bound and, if known, of the baseline."""
    bits = f"{test['bits_per_token']:.4f}"
    if _is_finite(test.get("bits_per_token_stderr")):
        bits += f" +- {test['bits_per_token_stderr']:.4f}"
    text = f"{bits} bits/token of {test['tokens']:.1f} tokens"
    if "baseline_bits_per_token" in test:
        text += f" (baseline {test['baseline_bits_per_token']:.4f})"
    return text


def examples_noun(data: Mapping[str, Any]) -> str:
    """The word for the examples of a data set, from its entry in the results."""
    shape, nouns = str(data.get("shape", "")), ("images", "rows", "lines")
    return next((noun for noun in nouns if shape.startswith(noun)), "examples")


def _describe_columns(numbers: Mapping[str, Any]) -> list[str]:
    """Lines on the errors of the first columns of a table, and on their associations."""
    lines = []
    for branch, key, title in (
        ("numbers", "rmse", "RMSE by column"),
        ("ordinals", "wrong", "wrong by column"),
        ("categories", "wrong", "wrong by column"),
    ):
        columns = list(numbers.get(branch, {}).items())
        texts = [_describe_column(name, entry, key) for name, entry in columns[:MAX_COLUMNS]]
        texts += ["..."] if len(columns) > MAX_COLUMNS else []
        lines += [f"{title}: {', '.join(texts)}"] if texts else []
    association = numbers.get("association", {})
    if _is_finite(association.get("difference")):
        others = [
            f"{association[key]:.3f} of {key.replace('_', ' ')}"
            for key in ("training_rows", "independent_columns")
            if _is_finite(association.get(key))
        ]
        text = f"associations of columns differ by {association['difference']:.3f} on average"
        lines.append(f"{text} ({', '.join(others)})" if others else text)
    return lines


def _describe_column(name: str, entry: Mapping[str, Any], key: str) -> str:
    """An error with its standard error; of categories, that of the most common one, too."""
    value, stderr = entry[key], entry.get(f"{key}_stderr")
    if not _is_finite(value):
        return f"{name} unknown"
    is_share = key == "wrong"
    text = f"{name} {value:.1%}" if is_share else f"{name} {value:.3g}"
    if _is_finite(stderr):
        text += f" +- {stderr:.1%}" if is_share else f" +- {stderr:.2g}"
    share = entry.get("majority_share")
    return f"{text} (majority guess {1 - share:.1%})" if is_share and _is_finite(share) else text


def _is_finite(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _describe_settings(numbers: Mapping[str, Any]) -> list[str]:
    """Mean and deviation of settings with several seeds, and the best setting."""
    lines = []
    for name, entry in numbers.get("settings", {}).items():
        test = entry.get("test", {})
        key = "elbo" if np.isfinite(test.get("elbo", np.nan)) else "distortion"
        if entry["num_trials"] > 1 and key in test:
            number = f"{test[key]:.2f}, standard deviation {test[f'{key}_std']:.2f}"
            lines.append(f"{name}: mean {key} of {entry['num_trials']} seeds on test {number}")
    if "best" in numbers:
        best = numbers["best"]
        values = f"{best['valid']:.2f}, on test {best['test']:.2f}"
        lines.append(f"best setting by {best['by']}: {best['setting']}, {values}")
    return lines
