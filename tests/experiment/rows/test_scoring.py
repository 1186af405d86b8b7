"""Scores of rows with missing values against those of validation."""

import numpy as np
import pytest

from vae_jax.experiment.rows.scoring import measure_reference, score_fields
from vae_jax.models.rows import RowScores


def make_scores(columns):
    columns = np.float32(columns)
    distortion = np.nansum(columns, axis=1)
    return RowScores(distortion, np.zeros_like(distortion), -distortion, None, columns)


@pytest.mark.parametrize("unit", [0.0, 7.0])  # log of a factor of the first column
def test_flags_depend_neither_on_units_nor_on_the_number_of_observed_values(unit):
    """A missing value counts as the median of its column."""
    valid = np.random.default_rng(0).normal([1, 2], 0.1, (200, 2)) + np.array([unit, 0])
    valid[::3, 0] = np.nan
    reference = measure_reference([make_scores(valid)], 0.99)
    usual, wrong, gap = [1.0 + unit, 2.0], [1.0 + unit, 4.0], np.nan
    rows = [usual, wrong, [gap, 2.0], [gap, 4.0], [1.0 + unit, gap], [gap, gap]]
    flag = score_fields(make_scores(rows), reference, ("a", "b"))[0]
    assert flag.values.tolist() == [False, True, False, True, False, False]
    assert "missing value" in str(reference)


@pytest.mark.parametrize(("rows", "quantile"), [(99, 0.99), (100, 0.99), (9, 0.9), (10, 0.9)])
def test_a_quantile_of_too_few_rows_is_named(rows, quantile, caplog):
    measure_reference([make_scores(np.zeros((rows, 2)))], quantile)
    is_enough = rows in (10, 100)
    assert bool(caplog.messages) != is_enough
    assert is_enough or f"needs at least {rows + 1} rows" in caplog.text


def test_a_column_without_a_value_in_validation():
    valid = np.random.default_rng(0).normal(1, 0.1, (50, 2))
    valid[:, 0] = np.nan
    reference = measure_reference([make_scores(valid)], 0.9)
    fields = score_fields(make_scores([[np.nan, 1.0], [0.0, 5.0]]), reference, ("a", "b"))
    assert fields[0].values.tolist() == [False, True]
    assert {field.name: field.values for field in fields}["top_column"].tolist() == ["b", "b"]


def test_no_column_is_named_if_several_are_infinite():
    valid = np.random.default_rng(0).normal(1, 0.1, (50, 2))
    reference = measure_reference([make_scores(valid)], 0.9)
    rows = [[np.inf, np.inf], [np.inf, 1.0], [1.0, 5.0], [np.nan, np.nan]]
    fields = {field.name: field for field in score_fields(make_scores(rows), reference, "ab")}
    assert fields["top_column"].values.tolist() == ["", "a", "b", ""]
    assert fields["flag"].values.tolist() == [True, True, True, False]


def test_flags_of_sequences_go_by_the_score_per_token():
    tokens = np.random.default_rng(0).integers(2, 60, 200)
    distortion = np.float32(1.5 * tokens)
    scores = RowScores(distortion, 0 * distortion, -distortion, num_observed=tokens)
    reference = measure_reference([scores], 0.99, per_token=True)
    assert reference.threshold == pytest.approx(1.5)
    assert "-log p(x) per token is above 1.50 nats" in str(reference)
    assert reference.to_json(())["per_token"] is True
    # A line that is long, one of rare tokens, and one that is both.
    rows = np.float32([150.0, 20.0, 300.0])
    scores = RowScores(rows, 0 * rows, -rows, num_observed=np.array([100, 10, 100]))
    fields = {field.name: field.values for field in score_fields(scores, reference, ())}
    assert fields["flag"].tolist() == [False, True, True]
    assert fields["tokens"].tolist() == [100, 10, 100]
