"""Imputation of test entries that are hidden on purpose."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.data.moments import sums_of
from vae_jax.evaluation.common import Estimate, ratio_estimate
from vae_jax.evaluation.imputation import impute
from vae_jax.evaluation.scan import over_batches
from vae_jax.evaluation.terms import MAX_COLUMNS
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    choose_examples,
    name_estimate,
    read_batches,
    subset,
)
from vae_jax.models.base import Model
from vae_jax.types import Array, Batch, Params

ROWS = 1_024  # z decoded at a time, approximately
TRAINING_ROWS = 20_000  # of which trivial imputations are computed


class Imputed(NamedTuple):
    """Entries of a split by row and dimension, [N, D]."""

    x: np.ndarray  # the truth
    values: np.ndarray  # the imputation
    hidden: np.ndarray  # True at entries that were hidden


class Trivial(NamedTuple):
    """Statistics of each dimension over observed training values, [D]."""

    mean: np.ndarray
    stddev: np.ndarray
    mode: np.ndarray


def imputation(context: Context, key: Array) -> Numbers:
    """Errors of imputed entries, by kind of column, and of trivial imputations.

    They are the entries that `data.hide` hid, of test and of training examples. Without them, some
    of the observed entries of test examples are hidden now, completely at random and never all of
    a row.
    """
    c = context.config.evaluation
    trivial = _train_statistics(context, key)
    is_hidden = context.dataset.hidden is not None
    share = context.config.data.hide if is_hidden else c.imputation_rate
    when = "before training" if is_hidden else "after training"
    numbers: Numbers = {
        "estimator": f"{share:.0%} of the observed entries hidden at random {when}, and imputed "
        f"given the remaining ones with {c.imputation_samples} importance samples: numbers by "
        "their conditional mean, codes by the most likely one; of numbers the root of the mean "
        "squared error, in standard deviations of training, of codes the share that is wrong; "
        "mean_rmse and mode_wrong are those of the mean and the mode of each dimension in "
        "training; standard errors over examples",
        "num_samples": c.imputation_samples,
    }
    if not is_hidden:
        return numbers | _measure(context, "test", trivial, key)
    splits = ("test", "train")
    return numbers | {split: _measure(context, split, trivial, key) for split in splits}


def _measure(context: Context, split: str, trivial: Trivial, key: Array) -> Numbers:
    """The errors of one split."""
    c = context.config.evaluation
    whole = getattr(context.dataset, split)
    source = subset(whole, c.imputation_examples)
    size = min(c.batch_size, source.num_examples)
    truth = None if context.dataset.hidden is None else context.dataset.hidden[split]
    rate = c.imputation_rate if truth is None else 0.0
    run = _imputer(context.model, rate, c.imputation_samples, size, context.mesh)
    result = context.run(run, source, key)
    if truth is not None:
        index = choose_examples(whole, c.imputation_examples)
        result |= {"x": truth.x[index], "hidden": truth.mask[index]}
    entries = Imputed(*(_flatten(result[name]) for name in Imputed._fields))
    is_code = ~np.isnan(_flatten(result["probability"])).all(0)
    failed = entries.hidden & np.isnan(entries.values)
    entries = entries._replace(hidden=entries.hidden & ~failed)
    numbers: Numbers = {
        "num_examples": len(entries.x),
        "num_hidden": int(entries.hidden.sum()),
        "ess_median": float(np.median(result["ess"])),
        **_summarize(entries, trivial, is_code),
    }
    if len(context.dataset.shape) == 1 and entries.x.shape[1] <= MAX_COLUMNS:
        numbers["columns"] = {
            _name(context, column): _column(_select(entries, column), trivial, column, code)
            for column, code in enumerate(is_code.tolist())
        }
    return numbers | ({"imputed_not_finite": int(failed.sum())} if failed.any() else {})


def _name(context: Context, column: int) -> str:
    table = context.dataset.table
    return f"column {column}" if table is None else table.names[column]


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _imputer(
    model: Model, rate: float, num_samples: int, batch_size: int, mesh: Mesh | None
) -> Any:
    """(params, source, key) -> the fields of `Imputed`, probability and ess of each example.

    Entries are hidden with the probability `rate`, in addition to the missing ones.
    """
    chunk = max(1, min(num_samples, ROWS // batch_size))

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        key_hide, key_impute = jax.random.split(key)
        x = batch["x"]
        observed = batch.get("observed", jnp.ones(x.shape, bool))
        hidden = choose_hidden(key_hide, observed, rate)
        left = observed & ~hidden
        part = {**batch, "x": jnp.where(left, x, 0), "observed": left}
        result = impute(model, params, part, key_impute, num_samples=num_samples, chunk=chunk)
        return {
            "x": x,
            "values": result.values,
            "hidden": hidden,
            "probability": result.probability,
            "ess": result.ess,
        }

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="imputation")


def choose_hidden(key: Array, observed: Array, rate: float) -> Array:
    """Entries to hide, [B, *E]: as `vae_jax.data.hidden.choose_hidden`, in compiled code."""
    u = jnp.where(observed, jax.random.uniform(key, observed.shape), -1.0)
    largest = u.max(tuple(range(1, u.ndim)), keepdims=True)
    return observed & (u < rate) & (u < largest)


def _flatten(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def _train_statistics(context: Context, key: Array) -> Trivial:
    """Means, deviations and most frequent values of training examples."""
    train = context.dataset.train
    index = choose_examples(train, TRAINING_ROWS)
    size = context.config.evaluation.batch_size
    rows, masks = [], []
    for batch in read_batches(train, index, key, batch_size=size):
        x = _flatten(np.asarray(batch["x"], np.float64))
        rows.append(x)
        observed = batch.get("observed")
        masks.append(np.ones(x.shape, bool) if observed is None else _flatten(np.asarray(observed)))
    x, mask = np.concatenate(rows), np.concatenate(masks)
    sums = sums_of(x, mask)
    mode = [_mode(column[seen]) for column, seen in zip(x.T, mask.T, strict=True)]
    return Trivial(sums.mean, sums.stddev, np.array(mode))


def _mode(values: np.ndarray) -> float:
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()]) if len(distinct) else 0.0


def _summarize(entries: Imputed, trivial: Trivial, is_code: np.ndarray) -> dict[str, Any]:
    """Errors over all numbers, and over all codes."""
    branches: dict[str, Any] = {}
    varies = ~is_code & (trivial.stddev > 0)  # constant columns have no unit
    if varies.any():
        part = _select(entries, varies)
        stddev = trivial.stddev[varies]
        residuals = (part.values - part.x) / stddev, (trivial.mean[varies] - part.x) / stddev
        branches["numbers"] = {
            **_root_mean("rmse_standardized", residuals[0], part.hidden),
            **_root_mean("mean_rmse_standardized", residuals[1], part.hidden),
        }
    if is_code.any():
        part = _select(entries, is_code)
        branches["codes"] = {
            **_share("wrong_codes", part.values != part.x, part.hidden),
            **_share("mode_wrong_codes", trivial.mode[is_code] != part.x, part.hidden),
        }
    return branches


def _column(entries: Imputed, trivial: Trivial, column: int, is_code: bool) -> dict[str, float]:
    """Errors of one column [N, 1], in its unit."""
    if is_code:
        return _share("wrong", entries.values != entries.x, entries.hidden) | _share(
            "mode_wrong", trivial.mode[column] != entries.x, entries.hidden
        )
    return _root_mean("rmse", entries.values - entries.x, entries.hidden) | _root_mean(
        "mean_rmse", trivial.mean[column] - entries.x, entries.hidden
    )


def _select(entries: Imputed, columns: Any) -> Imputed:
    return Imputed(*(_flatten(array[:, columns]) for array in entries))


def _root_mean(name: str, residuals: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The root of the mean square of the masked entries, with its standard error over rows."""
    mean, stderr = _masked_mean(np.square(residuals), mask)
    root = math.sqrt(mean) if mean >= 0 else math.nan
    return name_estimate(name, Estimate(root, stderr / (2 * root) if root else stderr))


def _share(name: str, wrong: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return name_estimate(name, _masked_mean(wrong, mask))


def _masked_mean(values: np.ndarray, mask: np.ndarray) -> Estimate:
    """The mean of the masked entries of values [N, D], with its standard error over rows."""
    return ratio_estimate(np.where(mask, values, 0).sum(1, dtype=np.float64), mask.sum(1))
