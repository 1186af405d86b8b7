"""The numbers of the columns of a table: errors in their units, and associations of columns."""

from typing import Any

import numpy as np

from vae_jax.evaluation.column_errors import column_errors
from vae_jax.evaluation.table_columns import (
    BOOLEAN,
    CATEGORY,
    ORDINAL,
    NamedColumn,
    read_table,
)
from vae_jax.evaluation.terms import MAX_COLUMNS, has_diverged
from vae_jax.experiment.measurement.evaluator import baseline_of
from vae_jax.experiment.metrics import Context
from vae_jax.experiment.run import Run
from vae_jax.visualize.tables.comparison import (
    NUM_ROWS,
    compare_associations,
    sample_rows,
    table_columns,
)

MAX_TRAIN = 10_000  # training rows that say which category is the most common
BRANCHES = {BOOLEAN: "categories", CATEGORY: "categories", ORDINAL: "ordinals"}
NUMBERS = "numbers"  # of all other forms
ERRORS = {
    NUMBERS: ("rmse", "mae"),
    "categories": ("wrong",),
    "ordinals": ("wrong", "mae"),
}
ESTIMATOR = (
    "test rows against the mean of p(x | z), or its most likely category, at the center of "
    "q(z | x), in the units of each column, with standard errors over rows; missing values have no "
    "error; train_std is the standard deviation of the column in training, about the rmse "
    "without a model; of categories, the share that is wrong, and majority_share is the share of "
    "the most common one in training; of ordinals, the mae is in steps"
)


def summarize_columns(run: Run, context: Context) -> dict[str, Any]:
    """Errors and associations of the columns of a table under "columns"; empty for other data."""
    if len(run.dataset.shape) != 1 or run.dataset.text is not None:
        return {}
    columns = table_columns(context.trained_model, run.dataset)
    numbers = _summarize_errors(run, context, columns)
    has_samples = np.isfinite(context.finite_terms.rate).all()
    if len(columns) > 1 and has_samples and not has_diverged(context.terms.is_finite):
        numbers |= _summarize_associations(context, columns)
    return {"columns": numbers} if numbers else {}


def _summarize_errors(
    run: Run, context: Context, columns: tuple[NamedColumn, ...]
) -> dict[str, Any]:
    if len(columns) > MAX_COLUMNS:
        return {"estimator": f"excluded: {len(columns)} columns are more than {MAX_COLUMNS}"}
    errors = column_errors(context.terms)
    if not errors:
        return {}
    deviation = baseline_of(run, "test").deviation
    train = read_table(run.dataset.train, MAX_TRAIN).values
    is_missing = bool((errors["num_rows"] < np.max(errors["num_rows"])).any())
    branches: dict[str, dict[str, Any]] = {name: {} for name in ERRORS}
    for number, column in enumerate(columns):
        branch = BRANCHES.get(column.form, NUMBERS)
        names = [key for name in ERRORS[branch] for key in (name, f"{name}_stderr")]
        entry = {name: float(errors[name][number]) for name in names}
        if branch == NUMBERS:
            entry["train_std"] = float(deviation[number])
        else:
            entry["majority_share"] = majority_share(train[:, number], len(column.categories))
        if is_missing:
            entry["num_observed"] = int(errors["num_rows"][number])
        branches[branch][column.name] = entry
    return {"estimator": ESTIMATOR, **{name: part for name, part in branches.items() if part}}


def majority_share(codes: np.ndarray, num_categories: int) -> float:
    """The share of the most common of the codes [N], NaN for missing ones; NaN if there are none.

    >>> majority_share(np.array([0, 2, 2, np.nan]), 3)
    0.6666666666666666
    """
    codes = np.rint(codes[np.isfinite(codes)]).astype(int)
    if not len(codes):
        return float("nan")
    return float(np.bincount(codes, minlength=num_categories).max() / len(codes))


def _summarize_associations(context: Context, columns: tuple[NamedColumn, ...]) -> dict[str, Any]:
    """The mean absolute difference of associations, and references; empty if none is defined."""
    model = context.trained_model
    test = read_table(context.dataset.test, NUM_ROWS)
    comparison = compare_associations(
        context.dataset, columns, test, sample_rows(model, test)["draw"]
    )
    maps = comparison.maps
    if not maps.num_pairs:
        return {}
    text = (
        "mean absolute difference between the associations of pairs of columns in test rows and in "
        "as many samples: rank correlation, Cramer's V of two categories, correlation ratio of the "
        "ranks for a category and a number; training_rows has training rows in place of samples, "
        "and independent_columns has columns without association"
    )
    if len(comparison.columns) < len(columns):
        text += f"; over {len(comparison.columns)} random ones of {len(columns)} columns"
    numbers = {
        "estimator": text,
        "difference": maps.difference,
        "training_rows": comparison.train_difference,
        "independent_columns": maps.strength,
        "num_pairs": maps.num_pairs,
        "num_rows": comparison.num_rows,
    }
    return {"association": numbers}
