"""Association of columns: against scipy and by hand, with missing values and odd columns."""

import math

import numpy as np
import pytest
from scipy import stats

from vae_jax.evaluation import association as measures
from vae_jax.evaluation.association import Associations, association

RNG = np.random.default_rng(0)
N = 200
Z = RNG.normal(size=N)
NUMBERS = np.stack([Z, Z + RNG.normal(size=N), np.round(2 * Z)], axis=1)  # the last has ties
CODES = np.stack(
    [np.digitize(Z + RNG.normal(size=N), [-0.7, 0.7]), RNG.integers(0, 4, N), Z > 0], axis=1
)


def test_numbers_have_the_rank_correlation_of_scipy():
    x = np.column_stack([NUMBERS, -np.exp(NUMBERS[:, 1])])
    expected = stats.spearmanr(x).statistic
    np.testing.assert_allclose(association(x, [True] * 4), expected, atol=1e-12)
    assert measures.spearman(x[:, 0], x[:, 2]) == pytest.approx(expected[0, 2])


def test_categories_have_cramers_v_of_scipy():
    found = association(CODES, [False] * 3)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        table = stats.contingency.crosstab(CODES[:, i], CODES[:, j]).count
        expected = stats.contingency.association(table, method="cramer")
        assert found[i, j] == found[j, i] == pytest.approx(expected)
        assert measures.cramers_v(CODES[:, i], CODES[:, j]) == pytest.approx(expected)


def test_a_category_and_a_number_have_the_statistic_of_kruskal_and_wallis():
    x = np.column_stack([CODES[:, 0], NUMBERS[:, 2]])
    groups = [x[x[:, 0] == code, 1] for code in np.unique(x[:, 0])]
    expected = math.sqrt(stats.kruskal(*groups).statistic / (N - 1))
    found = association(x, [False, True])
    assert found[0, 1] == found[1, 0] == pytest.approx(expected)
    assert association(x[:, ::-1], [True, False])[0, 1] == pytest.approx(expected)


def test_the_correlation_ratio_is_the_root_of_the_explained_variance():
    groups, values = np.repeat([0, 1, 5], [2, 3, 1]), np.array([1.0, 3, 4, 4, 7, 2])
    means = np.array([2.0, 2, 5, 5, 5, 2])
    expected = math.sqrt(np.square(means - 3.5).sum() / np.square(values - 3.5).sum())
    assert measures.correlation_ratio(groups, values) == pytest.approx(expected)


def test_a_boolean_has_one_association_under_all_measures():
    x = np.column_stack([Z > 0.3, NUMBERS[:, 1], CODES[:, 0], NUMBERS[:, 0] < 0])
    ordered = np.abs(association(x, [True, True, False, True]))
    category = np.abs(association(x, [False, True, False, False]))
    np.testing.assert_allclose(ordered, category, atol=1e-12)


def test_units_and_tails_do_not_matter():
    x = np.column_stack([NUMBERS[:, :2], CODES[:, 0]])
    other = np.column_stack([1e12 + 1e9 * x[:, 0], 1e-9 * np.exp(9 * x[:, 1]), x[:, 2]])
    ordered = [True, True, False]
    np.testing.assert_allclose(association(x, ordered), association(other, ordered), atol=1e-12)


def test_pairs_use_the_rows_that_both_columns_have():
    x = np.column_stack([NUMBERS, CODES[:, 0]])
    observed = RNG.random(x.shape) < 0.7
    observed[:, 0] = True
    garbage = np.where(observed, x, 1e30)
    ordered = [True, True, True, False]
    found = association(garbage, ordered, observed)
    for i in range(4):
        for j in range(i):
            rows = observed[:, i] & observed[:, j]
            pair = association(x[rows][:, [i, j]], [ordered[i], ordered[j]])
            assert found[i, j] == pytest.approx(pair[0, 1])
    nan = np.where(observed, x, np.nan)
    np.testing.assert_array_equal(association(nan, ordered), found)


def test_a_mask_of_ones_changes_nothing():
    x = np.column_stack([NUMBERS, CODES[:, 0]])
    ordered = [True, True, True, False]
    np.testing.assert_array_equal(
        association(x, ordered, np.ones(x.shape, bool)), association(x, ordered)
    )


def test_what_is_undefined_is_nan():
    constant, missing = np.full(N, 1e12), np.full(N, np.nan)
    x = np.column_stack([Z, constant, missing, np.zeros(N), CODES[:, 0]])
    found = association(x, [True, True, True, False, False])
    is_defined = np.zeros((5, 5), bool)
    is_defined[np.ix_([0, 4], [0, 4])] = True
    np.testing.assert_array_equal(np.isfinite(found), is_defined)
    for rows in (0, 1, 2, 9):  # two rows would have the correlation 1 or -1
        assert np.isnan(association(x[:rows], [True] * 5)).all()
    assert association(x[:10, :1], [True]) == 1


def test_the_difference_is_over_pairs_of_the_data():
    nan = math.nan
    data = np.array([[1, 0.5, -0.2], [0.5, 1, nan], [-0.2, nan, 1]])
    samples = np.array([[1, 0.1, nan], [0.1, 1, 0.9], [nan, 0.9, 1]])
    maps = Associations(data, samples)
    assert maps.num_pairs == 2
    assert maps.difference == pytest.approx((0.4 + 0.2) / 2)  # an undefined one counts as 0
    assert maps.strength == pytest.approx((0.5 + 0.2) / 2)
    empty = Associations(np.full((2, 2), nan), np.full((2, 2), nan))
    assert math.isnan(empty.difference)
    assert math.isnan(empty.strength)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="is_ordered: its length = 3: must match"):
        association(np.zeros((20, 2)), [True] * 3)
    with pytest.raises(ValueError, match=r"observed.shape"):
        association(np.zeros((20, 2)), [True] * 2, np.ones((20, 3), bool))
    with pytest.raises(ValueError, match=r"must be \[N, D\]"):
        association(np.zeros(20), [True])
