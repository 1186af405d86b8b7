"""Anomaly scores of rows, compared with those of validation rows."""

import logging
import math
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from vae_jax.evaluation.anomaly import threshold
from vae_jax.evaluation.common import format_nats
from vae_jax.experiment.rows.writing import Field
from vae_jax.models.rows import RowScores

logger = logging.getLogger(__name__)


class Reference(NamedTuple):
    """Scores of validation rows, which say what is usual."""

    kind: str  # the score: "log_px", "elbo" or "distortion"
    threshold: float  # rows with a larger score are flagged
    quantile: float  # of the threshold
    num_rows: int  # validation rows
    medians: np.ndarray | None  # [C] median of -E_q[log p(x_c | z)]; None without columns
    missing: bool = False  # True if some values were missing
    per_token: bool = False  # True if scores of sequences are divided by their numbers of tokens

    def __str__(self) -> str:
        name = {"log_px": "-log p(x)", "elbo": "-ELBO", "distortion": "the distortion"}[self.kind]
        name += ", with the median of validation for each missing value," if self.missing else ""
        name += " per token" if self.per_token else ""
        return (
            f"rows are flagged if {name} is above {format_nats(self.threshold)} nats, the "
            f"{self.quantile:g} quantile of {self.num_rows} validation rows"
        )

    def to_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The entry in `score.json`."""
        entries = self._replace(medians=None)._asdict()
        medians = None
        if self.medians is not None:
            medians = dict(zip(names, self.medians.tolist(), strict=True))
        return entries | {"medians": medians}


def measure_reference(
    parts: Iterable[RowScores], quantile: float, *, per_token: bool = False
) -> Reference:
    """Summarize the scores of validation rows; `per_token` is for sequences of tokens."""
    scores: RowScores = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    kind = score_kind(scores)
    medians = None
    if scores.columns is not None:
        with warnings.catch_warnings():  # NaN for a column without any value
            warnings.simplefilter("ignore", RuntimeWarning)
            medians = np.nanmedian(scores.columns, axis=0)
    values = anomaly_score(scores, kind, medians, per_token=per_token)
    limit = threshold(values, quantile=quantile)
    if quantile < 1 and len(values) * (1 - quantile) < 1 - 1e-9:
        logger.warning(
            "the %g quantile of %d validation rows is their largest score; a threshold needs at "
            "least %d rows, or a lower flag_quantile",
            *(quantile, len(values), math.ceil(1 / (1 - quantile) - 1e-9)),
        )
    missing = scores.columns is not None and bool(np.isnan(scores.columns).any())
    return Reference(kind, limit, quantile, len(values), medians, missing, per_token)


def score_kind(scores: RowScores) -> str:
    """The score that decides: log p(x) if available, else the ELBO, else the distortion."""
    if not np.isfinite(scores.rate).any():  # a deterministic posterior
        return "distortion"
    return "elbo" if scores.log_px is None else "log_px"


def anomaly_score(
    scores: RowScores, kind: str, medians: np.ndarray | None, *, per_token: bool = False
) -> np.ndarray:
    """The score [n], higher for more anomalous rows; +inf if it is not a number.

    A missing value counts as the median [C] of its column on validation. So rows with different
    columns observed have comparable scores, which do not depend on the units of the columns. Scores
    of sequences are compared per token, or the longest ones would be the most anomalous.
    """
    values = np.asarray(getattr(scores, kind))
    values = values if kind == "distortion" else -values
    if scores.columns is not None and medians is not None:
        usual = np.nan_to_num(medians)  # a column may have no value in validation
        values = values + np.where(np.isnan(scores.columns), usual, 0).sum(axis=1)
    if per_token and scores.num_observed is not None:
        values = values / np.maximum(scores.num_observed, 1)
    return np.where(np.isnan(values), np.inf, values)


def score_fields(scores: RowScores, reference: Reference, names: tuple[str, ...]) -> list[Field]:
    """The columns of the output, with the names of the columns of the data."""
    options = {"per_token": reference.per_token}
    score = anomaly_score(scores, reference.kind, reference.medians, **options)
    fields = [Field("flag", score > reference.threshold)]
    if reference.per_token and scores.num_observed is not None:
        fields.append(Field("tokens", np.asarray(scores.num_observed)))
    numbers = {name: getattr(scores, name) for name in ("elbo", "log_px", "ess")}
    numbers |= {"distortion": scores.distortion, "rate": scores.rate}
    if reference.kind == "distortion":  # there is no rate, and so no bound
        numbers = {"distortion": scores.distortion}
    fields += [Field(name, values) for name, values in numbers.items() if values is not None]
    if scores.columns is None or reference.medians is None:
        return fields
    excess = scores.columns - reference.medians.astype(np.float32)
    top = np.where(np.isnan(excess), -np.inf, excess)
    # None stands out if all are missing, or if several are infinite.
    is_unclear = np.isneginf(top).all(1) | (np.isposinf(top).sum(1) > 1)
    top_names = np.array((*names, ""))[np.where(is_unclear, -1, top.argmax(1))]
    return [*fields, Field("top_column", top_names), Field("excess", excess, names)]
