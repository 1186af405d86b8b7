"""`results.json` of a run or a sweep."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.config import Config
from vae_jax.experiment import builders, metrics, processes
from vae_jax.experiment.storage.environment import command
from vae_jax.experiment.storage.session import summarize_training
from vae_jax.files import Path, write_json


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
        line = line or (command() if is_training else None)
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
    """How a run was trained, and the learning rate of the update that led to `step`."""
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


def best_trial(trials: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The trial that is best on validation, by its ELBO, and its numbers on test; {} without any.

    Without a rate it is the one of the lowest distortion.
    """
    for key, sign in (("elbo", 1), ("distortion", -1)):
        values = {name: sign * trial["valid"][key] for name, trial in trials.items()}
        values = {name: value for name, value in values.items() if np.isfinite(value)}
        if values:
            name = max(values, key=lambda name: values[name])
            entries = {"valid": trials[name]["valid"][key], "test": trials[name]["test"][key]}
            return {"best": {"trial": name, "by": f"{key} on validation", **entries}}
    return {}


def describe(numbers: Mapping[str, Any]) -> str:
    """Describe the content of `results.json`: the test bound and each metric; of each trial."""
    if "trials" in numbers:
        lines = [f"{name}: {describe(trial)}" for name, trial in numbers["trials"].items()]
        if "best" in numbers:
            best = numbers["best"]
            values = f"{best['valid']:.2f}, on test {best['test']:.2f}"
            lines.append(f"best trial by {best['by']}: {best['trial']}, {values}")
        return "\n".join([*lines, *_describe_metrics(numbers)])
    return "\n  ".join([_describe_test(numbers), *_describe_metrics(numbers)])


def _describe_metrics(numbers: Mapping[str, Any]) -> list[str]:
    return [metrics.describe(name, values) for name, values in numbers.get("metrics", {}).items()]


def _describe_test(numbers: Mapping[str, Any]) -> str:
    test, data = numbers["test"], numbers["data"]
    parts = []
    if test["rate"] < np.inf:
        bound = f"test ELBO {test['elbo']:.2f} +- {test['elbo_stderr']:.2f} nats"
        parts += [f"distortion {test['distortion']:.2f}", f"rate {test['rate']:.2f}"]
        parts += [f"{test['bits_per_dim']:.4f} bits/dim"]
    else:
        bound = f"test distortion {test['distortion']:.2f} nats"
        bound += " (no ELBO: a deterministic posterior has no rate)"
    if "mse" in test:
        parts += [f"MSE {test['mse']:.5f}", f"PSNR {test['psnr']:.2f} dB"]
    parts += [f"{test['active_units']} active units"]
    step = numbers.get("selection", {}).get("text") or f"step {numbers['step']}"
    source = (
        f"{data['name']}, {data['num_test']} images, {numbers['likelihood']} likelihood, "
        f"binarization {data['binarization']}; {step}"
    )
    return f"{bound} ({source})\n  {', '.join(parts)}"
