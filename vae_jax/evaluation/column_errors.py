"""Errors of the columns of a table, each in its unit."""

import numpy as np

from vae_jax.evaluation.terms import Terms, finite_terms


def column_errors(terms: Terms) -> dict[str, np.ndarray]:
    """Errors [D] of the columns of a table, each in its unit, with standard errors.

    Of the reconstruction from the code, over the n values of a column that are observed, in
    examples with a finite bound, with errors e:

        rmse = sqrt(mean(e^2)),   its standard error s(e^2) / (2 rmse sqrt(n)) to first order,
        mae = mean(|e|),          s(|e|) / sqrt(n),
        wrong = share of |e| >= 1/2, as for codes, sqrt(wrong (1 - wrong) / n),

    under `<name>_stderr`, and n under `num_rows`. Errors are NaN without an observed value, and
    standard errors with fewer than two. Empty for images, for tables of more than 256 columns, and
    if p(x | z) has no mean.
    """
    error = finite_terms(terms)[0].error
    if error is None:
        return {}
    size = np.abs(error.astype(np.float64))
    count = np.sum(~np.isnan(size), axis=0)
    mse, mse_stderr = _observed_mean(np.square(size), count)
    mae, mae_stderr = _observed_mean(size, count)
    wrong, _ = _observed_mean(np.where(np.isnan(size), np.nan, size >= 0.5), count)
    rmse = np.sqrt(mse)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "rmse": rmse,
            "rmse_stderr": np.where(mse_stderr == 0, 0, mse_stderr / (2 * rmse)),
            "mae": mae,
            "mae_stderr": mae_stderr,
            "wrong": wrong,
            "wrong_stderr": np.where(count > 1, np.sqrt(wrong * (1 - wrong) / count), np.nan),
            "num_rows": count,
        }


def _observed_mean(values: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean [D] over the values [N, D] that are not NaN, `count` of them, with s / sqrt(n)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, np.nansum(values, axis=0) / count, np.nan)
        variance = np.nansum(np.square(values - mean), axis=0) / (count - 1)
        return mean, np.where(count > 1, np.sqrt(variance / count), np.nan)
