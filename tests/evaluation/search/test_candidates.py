import dataclasses

import numpy as np
import pytest

from vae_jax.errors import InputError
from vae_jax.evaluation.search import (
    Decoded,
    Reference,
    concatenate,
    nearest_distances,
    read_candidates,
    summarize,
    typical_distance,
    write_candidates,
)
from vae_jax.evaluation.search.candidates import COLUMNS

pytestmark = pytest.mark.filterwarnings("error")
TRAIN = np.array([[0.0, 0.0], [3.0, 4.0]])


def reference(**fields):
    defaults = {
        "z": TRAIN,
        "values": np.array([1.0, 2.0]),
        "examples": ["C", "CC"],
        "known": {"C", "CC", "CCC"},
        "unit": 0.5,
        "log_prior": lambda z: -np.square(z).sum(-1) / 2,
    }
    return Reference(**{**defaults, **fields})


@pytest.fixture
def table():
    z = np.array([[0.0, 1.0], [3.0, 3.0], [9.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    decoded = Decoded(["O", "N", None, "CCC", "O"], np.array([5.0, 3.0, np.nan, 4.0, 5.0]))
    predicted = np.array([6.0, 3.5, 50.0, 4.5, 7.0])
    return reference().tabulate("ascent", z, decoded, predicted, start=np.array([0, 1, 1, -1, 0]))


def test_the_columns(table):
    assert table.distance.tolist() == [2, 2, 12, 0, 2]
    assert table.log_prior.tolist() == [-0.5, -9, -48.5, 0, -0.5]
    assert table.start_decoded.tolist() == ["C", "CC", "CC", None, "C"]
    np.testing.assert_array_equal(table.start_value, [1, 2, 2, np.nan, 1])
    assert table.in_training.tolist() == [False, False, False, True, False]
    assert table.is_duplicate.tolist() == [False, False, False, False, True]
    assert table.is_valid.tolist() == [True, True, False, True, True]
    assert np.isnan(table.predicted_stddev).all()
    assert set(table.method) == {"ascent"}


def test_the_summary_by_hand(table):
    summary = summarize(table, 2.0)
    gaps = np.array([1.0, 0.5, 0.5, 2.0])
    assert summary.pop("prediction_gap_stderr") == pytest.approx(gaps.std(ddof=1) / 2)
    assert summary.pop("validity_stderr") == pytest.approx((0.8 * 0.2 / 5) ** 0.5)
    assert summary == {
        "num_candidates": 5,
        "best_recomputed": 5.0,
        "best_new": 5.0,
        "best_training": 2.0,
        "best_predicted": 50.0,
        "training_distance": 2.0,
        "prediction_gap": 1.0,
        "validity": 0.8,
        "duplicates": 0.25,
        "duplicates_stderr": pytest.approx((0.25 * 0.75 / 4) ** 0.5),
        "in_training": 0.25,
        "in_training_stderr": pytest.approx((0.25 * 0.75 / 4) ** 0.5),
    }
    lowest = summarize(table, 1.0, goal="minimize")
    assert (lowest["best_recomputed"], lowest["best_new"], lowest["best_predicted"]) == (
        3.0,
        3.0,
        3.5,
    )


def test_a_best_value_that_is_known_is_not_new(table):
    known = dataclasses.replace(table, in_training=np.array([True, False, False, True, True]))
    assert summarize(known, 2.0)["best_new"] == 3.0


def test_a_search_without_a_valid_candidate(table):
    summary = summarize(table.select([2]), 2.0)
    assert summary["validity"] == 0.0
    for name in ("best_recomputed", "best_new", "prediction_gap", "duplicates", "in_training"):
        assert np.isnan(summary[name]), name


def test_the_best_are_distinct_and_in_order(table):
    assert table.best(2).decoded.tolist() == ["O", "CCC"]
    assert table.best(9).decoded.tolist() == ["O", "CCC", "N"]
    assert table.best(1, "minimize").decoded.tolist() == ["N"]
    assert table.best(1).z.tolist() == [[0.0, 1.0]]
    with pytest.raises(InputError, match="goal = 'max': unknown; allowed are maximize, minimize"):
        table.best(1, "max")


def test_a_file_has_all_but_the_codes(table, tmp_path):
    both = concatenate([table, table.select([2, 1])])
    assert both.z.shape == (7, 2)
    write_candidates(tmp_path / "search.csv", both)
    copy = read_candidates(tmp_path / "search.csv")
    assert copy.z is None
    for name in COLUMNS:
        first, second = getattr(both, name), getattr(copy, name)
        np.testing.assert_array_equal(first, second, err_msg=name)
        assert first.dtype == second.dtype, name
    assert copy.rows()[2]["recomputed"] is None


@pytest.mark.parametrize("content", ["", "method,round\nascent,0\n", None])
def test_another_file_is_refused(content, tmp_path):
    path = tmp_path / "search.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"search.csv': holds no candidates"):
        read_candidates(path)


def test_distances_are_the_smallest_and_keep_their_digits():
    codes = np.array([[1e4, 0.0], [0.0, 1e4]])
    z = codes + np.array([[1e-5, 0.0], [0.0, -2e-5]])
    np.testing.assert_allclose(nearest_distances(z, codes), [1e-5, 2e-5], rtol=1e-6)
    rng = np.random.default_rng(0)
    many, others = rng.normal(size=(300, 3)), rng.normal(5.0, 2.0, (70, 3))
    expected = np.linalg.norm(many[:, None] - others, axis=-1).min(axis=1)
    np.testing.assert_allclose(nearest_distances(many, others), expected, rtol=1e-12)
    assert typical_distance([[0.0, 1.0], [3.0, 4.5], [0.0, 0.1]], TRAIN) == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: reference(values=np.ones(3)), r"len\(values\) = 3: must match z, 2"),
        (lambda: reference(examples=["C"]), r"len\(examples\) = 1: must match z, 2"),
        (lambda: reference().distance(np.ones((1, 3))), r"z.shape\[1\] = 3: must match codes, 2"),
        (lambda: typical_distance(TRAIN, TRAIN), "held_out: most of its codes are equal"),
    ],
)
def test_invalid_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
