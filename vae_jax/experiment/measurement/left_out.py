"""Exclusions from the numbers of a run: skipped steps, and examples without a finite bound."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.evaluation import Terms
from vae_jax.evaluation.terms import describe_rows
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.files import Path

logger = logging.getLogger(__name__)

MAX_LISTED = 100  # rows named in the results


def find_left_out(workdir: Path, terms: Mapping[str, Terms]) -> dict[str, Any]:
    """Skipped steps and, by split, examples without a finite bound, for the results; warns.

    Args:
      workdir: directory of a run; its `metrics.jsonl` counts the steps.
      terms: terms of every example of each split.
    """
    entries: dict[str, Any] = {}
    lines = [line for line in read_metrics(workdir) if line["split"] == "train"]
    if lines:
        entries["skipped_steps"] = skipped = int(lines[-1].get("skipped") or 0)
        entries["num_steps"] = lines[-1]["step"]
        if skipped:
            logger.warning("%s: %s", workdir, describe_skipped(entries))
    for split, values in terms.items():
        finite = values.is_finite
        if not finite.all():
            text = f"{describe_rows(finite)} of {split}"
            logger.warning("%s: %s", workdir, text)
            rows = np.flatnonzero(~finite)[:MAX_LISTED].tolist()
            entries.setdefault("not_finite", {})[split] = {
                "count": int(np.sum(~finite)),
                "rows": rows,
                "text": text,
            }
    return entries


def describe_skipped(numbers: Mapping[str, Any]) -> str:
    """The skipped steps of a run, if any: '76 of 400 steps were skipped: ...'."""
    return (
        f"{numbers['skipped_steps']} of {numbers['num_steps']} steps were skipped: the loss or "
        "gradient was not finite"
    )
