"""The settings of a sweep: mean and spread over the seeds of each, and the best one."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

SPLITS = ("valid", "test")


def setting_of(trial: str) -> str:
    """The name of a trial without its seed; "all" if only the seed is swept."""
    pairs = [pair for pair in trial.split(",") if not pair.startswith("seed=")]
    return ",".join(pairs) or "all"


def summarize_settings(
    trials: Mapping[str, Mapping[str, Any]], failed: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of every number over the trials of a setting, by split.

    Args:
      trials: results by trial.
      failed: reasons by trial; failed trials are counted and excluded from the means.
    """
    groups: dict[str, list[str]] = {}
    for name in (*trials, *failed):
        members = groups.setdefault(setting_of(name), [])
        if name not in members:
            members.append(name)
    settings = {}
    for setting, names in groups.items():
        finished = [trials[name] for name in names if name in trials and name not in failed]
        entry: dict[str, Any] = {"num_trials": len(finished)}
        if len(finished) < len(names):
            entry["num_failed"] = len(names) - len(finished)
        entry["trials"] = names
        if finished:
            entry |= {split: spread([trial[split] for trial in finished]) for split in SPLITS}
        settings[setting] = entry
    return settings


def spread(splits: list[Mapping[str, Any]]) -> dict[str, float]:
    """The mean of each number over several results, and its deviation under <name>_std.

    The deviation has n - 1 in its denominator, and is NaN for one result. Standard errors over
    examples and numbers of single latents are excluded.
    """
    numbers: dict[str, float] = {}
    for key in splits[0]:
        values = [split.get(key) for split in splits]
        if key.endswith("_stderr") or "/" in key or not all(map(_is_number, values)):
            continue
        numbers[key] = float(np.mean(values))
        with np.errstate(invalid="ignore"):  # no ELBO of deterministic posteriors
            deviation = np.std(values, ddof=1) if len(values) > 1 else math.nan
        numbers[f"{key}_std"] = float(deviation)
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def best_setting(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The setting with the best mean over its seeds on validation, and its numbers on test.

    It goes by ELBO or, without a rate, by distortion. Settings with failed trials compete only if
    all have some. Empty if no setting has numbers.
    """
    measured = {name: entry for name, entry in settings.items() if "valid" in entry}
    complete = {name: entry for name, entry in measured.items() if "num_failed" not in entry}
    candidates = complete or measured
    for key, sign in (("elbo", 1), ("distortion", -1)):
        values = {name: entry["valid"].get(key, math.nan) for name, entry in candidates.items()}
        values = {name: sign * value for name, value in values.items() if math.isfinite(value)}
        if values:
            name = max(values, key=lambda name: values[name])
            entry = candidates[name]
            count = entry["num_trials"]
            over = f", mean over {count} seeds" if count > 1 else ""
            numbers = {
                f"{split}{suffix}": entry[split].get(f"{key}{suffix}", math.nan)
                for split in SPLITS
                for suffix in ("", "_std")
            }
            best = {"setting": name, "by": f"{key} on validation{over}", "num_trials": count}
            return {"best": best | numbers}
    return {}
