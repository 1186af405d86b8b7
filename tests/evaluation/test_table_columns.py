"""Columns of tables: names, forms, rows with a mask, errors in their units."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import likelihoods
from vae_jax.data import ArraySource
from vae_jax.evaluation import Terms
from vae_jax.evaluation.column_errors import column_errors
from vae_jax.evaluation.table_columns import (
    BOOLEAN,
    CATEGORY,
    COUNT,
    REAL,
    NamedColumn,
    Rows,
    name_columns,
    read_table,
)
from vae_jax.types import pytree_dataclass


def terms(error, distortion=None):
    num = len(error)
    zeros = np.zeros(num)
    distortion = zeros if distortion is None else distortion
    return Terms(distortion, zeros, zeros[:, None], None, None, None, None, error)


def test_columns_are_named_by_their_schema():
    head = likelihoods.Mixed((4,), columns="gaussian, counts, bernoulli, categorical:3")
    plain = name_columns(head, 4)
    assert [column.name for column in plain] == [f"column {i}" for i in range(4)]
    assert [column.form for column in plain] == [REAL, COUNT, BOOLEAN, CATEGORY]
    assert [column.categories for column in plain] == [(), (), ("0", "1"), ("0", "1", "2")]
    assert [column.is_discrete for column in plain] == [False, False, True, True]
    assert [column.is_ordered for column in plain] == [True, True, True, False]

    def entry(name, *categories):
        return types.SimpleNamespace(name=name, categories=categories)

    schema = [entry("age"), entry("visits"), entry("smoker", "no", "yes"), entry("city", *"abc")]
    named = name_columns(head, 4, types.SimpleNamespace(columns=schema))
    assert [column.name for column in named] == ["age", "visits", "smoker", "city"]
    assert named[2].categories == ("no", "yes")
    assert named[3].categories == ("a", "b", "c")
    other = types.SimpleNamespace(columns=schema[:3])  # of another table
    assert name_columns(head, 4, other) == plain


def test_columns_of_other_likelihoods_have_one_form():
    assert name_columns(likelihoods.Bernoulli((2,)), 2)[1] == NamedColumn(
        "column 1", BOOLEAN, ("0", "1")
    )
    assert name_columns(likelihoods.NegativeBinomial((2,)), 2)[0].form == COUNT
    assert name_columns(likelihoods.Gaussian((2,)), 2)[0].form == REAL
    assert name_columns(None, 1) == (NamedColumn("column 0"),)


@pytree_dataclass
class Masked:
    """A source with missing values."""

    images: jax.Array
    observed: jax.Array

    @property
    def num_examples(self):
        return len(self.images)

    def take(self, index, key):
        del key
        return {"x": self.images[index], "observed": self.observed[index]}


def test_rows_have_their_masks_and_are_a_random_choice():
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    observed = np.arange(40).reshape(20, 2) % 3 > 0
    whole = read_table(ArraySource(jnp.asarray(x), jnp.arange(20)), 99)
    np.testing.assert_array_equal(whole.values, x)
    np.testing.assert_array_equal(whole.y, np.arange(20))
    part = read_table(Masked(jnp.asarray(x), jnp.asarray(observed)), 8)
    assert len(part.x) == 8
    rows = (part.x[:, 0] / 2).astype(int)
    assert (np.diff(rows) > 0).all()
    assert rows[-1] >= 8  # not the first ones
    np.testing.assert_array_equal(part.values, np.where(observed[rows], x[rows], np.nan))
    first = part.first(3)
    np.testing.assert_array_equal(first.values, part.values[:3])
    assert Rows(x).first(2).observed is None


def test_errors_of_columns_have_their_own_units():
    error = np.array([[3.0, 0.1, 1], [-4.0, 0.0, 0], [np.inf, 1.0, 0]])
    found = column_errors(terms(error, np.array([0, 0, np.inf])))  # the last has no bound
    np.testing.assert_allclose(found["rmse"], [12.5**0.5, 0.005**0.5, 0.5**0.5])
    np.testing.assert_allclose(found["mae"], [3.5, 0.05, 0.5])
    np.testing.assert_allclose(found["wrong"], [1, 0, 0.5])  # 0.1 rounds to the right code
    np.testing.assert_allclose(found["wrong_stderr"], [0, 0, 0.125**0.5])
    np.testing.assert_allclose(found["mae_stderr"], [0.5, 0.05, 0.5])
    np.testing.assert_array_equal(found["num_rows"], [2, 2, 2])
    none = Terms(*(np.zeros(3),) * 2, np.zeros((3, 1)), None, None, None, None)
    assert column_errors(none) == {}


def test_the_standard_error_of_the_rmse_is_that_of_gaussian_errors():
    error = 7 * np.random.default_rng(0).normal(size=(4_000, 1))
    found = column_errors(terms(error))
    assert found["rmse"][0] == pytest.approx(7, rel=0.03)
    assert found["rmse_stderr"][0] == pytest.approx(7 / np.sqrt(2 * 4_000), rel=0.1)


def test_missing_values_have_no_error():
    nan = np.nan
    error = np.array([[1.0, nan, nan], [nan, nan, 2.0], [3.0, nan, nan]])
    found = column_errors(terms(error))
    np.testing.assert_allclose(found["rmse"], [5**0.5, nan, 2])
    np.testing.assert_allclose(found["mae"], [2, nan, 2])
    np.testing.assert_allclose(found["wrong"], [1, nan, 1])
    np.testing.assert_allclose(found["mae_stderr"], [1, nan, nan])  # none of one value
    np.testing.assert_allclose(found["wrong_stderr"], [0, nan, nan])
    np.testing.assert_array_equal(found["num_rows"], [2, 0, 1])
    exact = column_errors(terms(np.zeros((5, 1))))
    assert (exact["rmse"][0], exact["rmse_stderr"][0]) == (0, 0)
