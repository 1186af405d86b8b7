"""Runs whose numbers can be compared, and runs that differ in their seed only."""

import re
from collections.abc import Mapping
from typing import Any

from vae_jax import config as config_lib
from vae_jax.config.model import MASSES
from vae_jax.experiment.report.workdir_files import Contents
from vae_jax.experiment.sweeps.settings import SPLITS, spread

Runs = Mapping[str, Contents]  # keys are unique names on the page

MEASURES = {
    "probability": "log-probabilities of the values",
    "density": "log-densities of the values, which depend on their units",
    "unnormalized": "a Bernoulli likelihood of values between 0 and 1, not normalized",
    "mixed": "columns of mixed kinds",
}
SETTING_PARTS = ("seed", "sweep.", "evaluation.", "data.path", "data.dir", "data.workers")


def comparable(runs: Runs) -> dict[str, dict[str, Contents]]:
    """Groups of runs that measure the same quantity, by a description of it.

    It is the same for equal test examples with equal binarization and units, the same kind of
    measure (probabilities, densities, an unnormalized likelihood) and the same conditioning.
    """
    groups: dict[tuple[str, ...], dict[str, Contents]] = {}
    for name, run in runs.items():
        groups.setdefault(_quantity(run), {})[name] = run
    described: dict[str, dict[str, Contents]] = {}
    for group in groups.values():
        text = _describe(next(iter(group.values())))
        number = 2
        unique = text
        while unique in described:  # data of equal names and other contents
            unique = f"{text} ({number})"
            number += 1
        described[unique] = group
    return described


def _quantity(run: Contents) -> tuple[str, ...]:
    data = run.results_of("data")
    identity = data.get("test_sha256") or data.get("sha256")
    parts = (identity, *(data.get(key) for key in ("name", "binarization", "values", "scale")))
    parts += (data.get("left_out"), data.get("num_test"))
    return (*map(str, parts), _measure(run), _columns(run), _conditioning(run))


def _measure(run: Contents) -> str:
    likelihood = run.results.get("likelihood")
    if likelihood == "bernoulli":
        is_binary = run.results_of("data").get("binary", True)
        return "probability" if is_binary else "unnormalized"
    if likelihood == "mixed":
        return "mixed"
    return "probability" if likelihood in MASSES else "density"


def _columns(run: Contents) -> str:
    is_mixed = run.results.get("likelihood") == "mixed" and run.config is not None
    return ",".join(run.config.model.columns) if is_mixed and run.config else ""


def _conditioning(run: Contents) -> str:
    conditioning = "none" if run.config is None else run.config.model.conditioning
    return "" if conditioning == "none" else f", given a {conditioning}"


def _describe(run: Contents) -> str:
    data = run.results_of("data")
    measure = MEASURES[_measure(run)] + _conditioning(run)
    binarization = f"binarization {data.get('binarization', 'unknown')}"
    shape = f" ({data['shape']})" if "shape" in data else ""
    return f"{data.get('name', 'unknown data')}{shape}, {binarization}: {measure}"


def settings(runs: Runs, failed: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Mean and deviation over runs that differ in their seed only, as in `summarize_settings`."""
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        groups.setdefault(_setting(name, run), []).append(name)
    entries = {}
    for names in groups.values():
        seeds = {str(runs[name].results.get("seed")) for name in names}
        parts = [names] if len(seeds) == len(names) else [[name] for name in names]
        for part in parts:
            finished = [name for name in part if name not in failed]
            title = part[0] if len(part) == 1 else _without_seed(part[0])
            missing = [name for name in failed if _without_seed(name) == title and name not in runs]
            entry: dict[str, Any] = {"num_trials": len(finished), "trials": part}
            num_failed = len(part) - len(finished) + len(missing)
            if num_failed:
                entry["num_failed"] = num_failed
            if finished:
                entry |= {
                    split: spread([runs[name].results_of(split) for name in finished])
                    for split in SPLITS
                }
            entries[title] = entry
    return entries


def _setting(name: str, run: Contents) -> str:
    if run.config is None:
        return name
    fields = config_lib.flatten(run.config)
    return repr([item for item in fields.items() if not item[0].startswith(SETTING_PARTS)])


def _without_seed(name: str) -> str:
    return re.sub(r",?\bseed=\d+", "", name).strip() or "all"
