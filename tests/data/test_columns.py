"""Moments of the training split, and columns that are named at the start."""

import logging

import numpy as np
import pytest

from vae_jax import data
from vae_jax.data import moments
from vae_jax.data.column_survey import survey_columns
from vae_jax.data.columns import warn_columns

RNG = np.random.default_rng(0)


def table(rows=300):
    return RNG.normal(size=(rows, 3)) * [1, 1e-6, 1e4] + [0, 1e-6, 1.6e7]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("read_bytes", [100, 2**24])
def test_moments_are_those_of_numpy(streaming, read_bytes, monkeypatch):
    monkeypatch.setattr(moments, "READ_BYTES", read_bytes)
    x = table(100).astype(np.float32)
    dataset = data.from_arrays(
        {"train_images": x, "test_images": x[:5], "valid_images": x[:5]}, streaming=streaming
    )
    x = x.astype(np.float64)
    logs = np.log1p(np.maximum(x, 0))
    result = dataset.moments
    np.testing.assert_allclose(result.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(result.stddev, x.std(0), rtol=1e-12)
    np.testing.assert_allclose(result.log_mean, logs.mean(0), rtol=1e-12)
    np.testing.assert_allclose(result.log_stddev, logs.std(0), rtol=1e-12)
    logs = np.log(np.where(x > 0, x, 1))
    np.testing.assert_allclose(result.positive_log_mean, logs.mean(0), rtol=1e-9)
    np.testing.assert_allclose(result.positive_log_stddev, logs.std(0), rtol=1e-9)


def test_moments_are_those_of_the_training_split_alone():
    x = table(100).astype(np.float32)
    dataset = data.from_arrays({"train_images": x})  # validation and test are cut
    rows = np.asarray(dataset.train.images, np.float64)
    assert len(rows) == 72
    np.testing.assert_allclose(dataset.moments.stddev, rows.std(0), rtol=1e-12)


def test_moments_of_images_are_by_channel():
    images = RNG.random((30, 4, 5, 2)) * [1, 300]
    dataset = data.from_arrays({"train_images": images, "test_images": images})
    pixels = np.asarray(dataset.train.images, np.float64).reshape(-1, 2)
    np.testing.assert_allclose(dataset.moments.mean, pixels.mean(0), rtol=1e-12)


@pytest.mark.parametrize("read_bytes", [100, 2**24])
def test_the_survey_of_a_table_leaves_out_its_extreme_row(read_bytes, monkeypatch):
    monkeypatch.setattr(moments, "READ_BYTES", read_bytes)
    x = table(50)
    x[31, 1] = -7.0
    survey = survey_columns(x)
    assert (survey.row[1], survey.value[1]) == (31, -7.0)
    np.testing.assert_allclose(survey.rest.stddev[1], np.delete(x[:, 1], 31).std(), rtol=1e-9)
    np.testing.assert_allclose(survey.sums.stddev, x.std(0), rtol=1e-12)


@pytest.mark.parametrize("read_bytes", [300, 2**24])
@pytest.mark.parametrize("masked", [False, True])
def test_the_survey_tells_common_values_from_varied_ones(masked, read_bytes, monkeypatch):
    monkeypatch.setattr(moments, "READ_BYTES", read_bytes)
    x = RNG.normal(size=(90, 2)) + 4
    x[RNG.random(90) < 0.6, 1] = 0
    x[40:52, 1] = 0  # a part of no other value
    x[:2, 1] = 0, 0
    x[[60, 75], 1] = 30.0
    observed = RNG.random(x.shape) < 0.9
    observed[[60, 75]] = True
    survey = survey_columns(x, observed if masked else None)
    column = x[:, 1][observed[:, 1]] if masked else x[:, 1]
    varied = column[(column != 0) & (column != 30)]
    assert np.isnan(survey.common[0])
    assert (survey.common[1], survey.value[1], survey.times[1]) == (0, 30, 2)
    assert survey.varied.count[1] == len(varied)
    np.testing.assert_allclose(survey.size(0.0)[1], np.sqrt(np.square(varied).mean()), rtol=1e-9)
    np.testing.assert_allclose(survey.reach(0.0)[1], 30)
    np.testing.assert_allclose(survey.rest.count[1], len(column) - 2)


def warnings_of(arrays, caplog, **options):
    with caplog.at_level(logging.WARNING, logger="vae_jax"):
        data.from_arrays(arrays, **options)
    return caplog.messages


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("value", [1e20, -1e7])
def test_an_extreme_value_is_named_with_row_and_column(split, value, caplog):
    arrays = {"train_images": table(), "test_images": table()}
    arrays[f"{split}_images"][17, 1] = value
    [message] = warnings_of(arrays, caplog)
    assert f"{split}_images: row 17, column 1 is {value:g}, " in message


@pytest.mark.parametrize("share", [0.1, 0.6])
@pytest.mark.parametrize("read_bytes", [1000, 2**24])  # parts of 62 rows, or all
def test_a_value_that_marks_missing_ones_is_named(share, read_bytes, monkeypatch, caplog):
    monkeypatch.setattr(moments, "READ_BYTES", read_bytes)
    x = RNG.normal(size=(200, 4)) + 5
    is_missing = RNG.random(200) < share
    is_missing[::25] = False  # the rows of test
    x[is_missing, 1] = x[is_missing, 3] = -999
    [message] = warnings_of({"train_images": x, "test_images": x[::25]}, caplog)
    count = int(is_missing.sum())
    assert f"column 1, like 1 other column, has the value -999 in {count} rows" in message
    assert "if it marks missing values, leave them empty, as NaN, and set missing = True" in message


@pytest.mark.parametrize("row", range(0, 300, 50))
def test_rows_are_numbered_as_in_the_file_when_splits_are_cut(row, caplog):
    x = table()
    x[row, 2] = 1e20
    [message] = warnings_of({"x": x}, caplog)
    assert f"train_images: row {row}, column 2 is 1e+20" in message


def test_constant_columns_are_named_once(caplog):
    x = np.concatenate([table(), np.full((300, 5), 0.1)], axis=1)
    [message] = warnings_of({"train_images": x, "test_images": x[:50]}, caplog)
    assert "columns 3 (0.1), 4 (0.1), 5 (0.1) and 2 more are constant" in message


def test_a_column_that_float32_cannot_resolve_is_named(caplog):
    x = table()
    x[:, 0] = 1.6e9 + 60 * np.arange(300) / 300
    [message] = warnings_of({"train_images": x, "test_images": x}, caplog, name="log")[:1]
    assert "log: train_images: column 0 has values around 1.6e+09" in message
    assert "float32 has steps of 128 there; subtract its mean first" in message


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("a heavy tail", np.exp(2 * RNG.normal(size=(500, 2)))),
        ("bytes, mostly 0", (RNG.random((50, 9)) < 0.02) * RNG.integers(0, 256, (50, 9))),
        ("zeros and ones", np.eye(9)),
        ("images", RNG.normal(size=(9, 3, 3, 1)) * 0 + 0.3),
        ("a rare amount", (RNG.random((200, 2)) < 0.1) * 1e5 + 0.5),
        ("a limit", np.minimum(np.exp(RNG.normal(size=(200, 2))), 2.0)),
        ("mostly 0", (RNG.random((200, 2)) < 0.3) * np.exp(RNG.normal(size=(200, 2)))),
        ("a seldom event", (RNG.random((400, 2)) < 0.02) * RNG.normal(size=(400, 2))),
    ],
)
def test_other_data_raise_no_warning(name, x, caplog):
    assert not warnings_of({"train_images": x, "test_images": x}, caplog), name


def bits(rng, rows):
    return np.eye(30)[np.minimum(rng.geometric(0.25, rows) - 1, 29)]


def standard(x):
    return (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)


def seldom(rng, rows):
    return (rng.random((rows, 60)) < 0.01) * rng.gamma(2, size=(rows, 60))


def amounts(rng, rows, share, mean, stddev):
    return (rng.random((rows, 5)) < share) * rng.normal(mean, stddev, (rows, 5))


@pytest.mark.parametrize(
    ("name", "make", "other"),
    [
        ("categories, one-hot", bits, 75),
        ("the same, standardized", lambda *args: standard(bits(*args)), 75),
        ("seldom events", seldom, 75),
        ("seldom events, a few rows", seldom, 8),
        (
            "seldom bytes, standardized",
            lambda *args: standard(np.minimum(150 * seldom(*args), 255)),
            75,
        ),
        ("on and off", lambda *args: amounts(*args, 0.3, 1000, 30), 75),
        ("mostly on", lambda *args: amounts(*args, 0.8, 50, 0.5), 75),
        ("mostly on, a few rows", lambda *args: amounts(*args, 0.8, 50, 0.5), 8),
        ("a seldom amount", lambda rng, rows: (rng.random((rows, 9)) < 0.02) * 1e5 + 0.5, 75),
        ("two close rows of three", lambda rng, rows: rng.normal(size=(rows, 20)), 3),
    ],
)
def test_splits_of_one_law_raise_no_warning(name, make, other, caplog):
    for seed in range(10):
        x = make(np.random.default_rng(seed), 450 + 2 * other)
        rows = dict(zip(("train", "valid", "test"), np.split(x, [450, 450 + other]), strict=True))
        with caplog.at_level(logging.WARNING, logger="vae_jax"):
            warn_columns({split: survey_columns(part) for split, part in rows.items()}, "x")
        named = [text for text in caplog.messages if "constant" not in text]
        assert not named, (name, seed)


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_extreme_value_of_a_column_of_zeros_is_named(split, caplog):
    arrays = {name: np.append(table(), np.zeros((300, 1)), axis=1) for name in ("train", "test")}
    arrays[split][17, 3] = 1e9
    images = {f"{name}_images": x for name, x in arrays.items()}
    message = warnings_of(images, caplog)[-1]
    assert f"{split}_images: row 17, column 3 is 1e+09" in message


def test_a_mark_of_train_is_named_once(caplog):
    """And train is not in other units for it, nor for a test set that has none."""
    x = table()
    x[::20, 1] = -999
    rows = {"train_images": x, "valid_images": x[:100], "test_images": x[1:20]}
    [message] = warnings_of(rows, caplog)
    assert "train_images: column 1 has the value -999 in 15 rows" in message


def test_a_split_of_seldom_events_in_other_units_is_named(caplog):
    x = seldom(RNG, 3000)
    [*_, message] = warnings_of({"train_images": x, "test_images": x * 1000}, caplog)
    assert "the splits must have the same units" in message


def test_a_split_in_other_units_is_named_by_column(caplog):
    x, other = table(), table()
    other[:, 2] = (other[:, 2] - 1.6e7) / 1e4  # standardized
    [message] = warnings_of({"train_images": x, "test_images": other}, caplog)
    assert "test_images: column 2 has mean" in message
    assert "the splits must have the same units" in message


@pytest.mark.parametrize("standardized", ["train", "test"])
@pytest.mark.parametrize(("mean", "stddev"), [(40, 12), (6, 4), (-300, 200)])
def test_a_split_that_alone_is_standardized_is_named(standardized, mean, stddev, caplog):
    x = RNG.normal(mean, stddev, (400, 2))
    images = {"train_images": x[:300], "test_images": x[300:]}
    images[f"{standardized}_images"] = (images[f"{standardized}_images"] - mean) / stddev
    messages = warnings_of(images, caplog)
    assert len(messages) == 2
    assert all("the splits must have the same units" in message for message in messages)


@pytest.mark.parametrize(
    ("train", "test"), [((1, 0.3), (5, 2)), ((0, 1), (5, 2)), ((0, 1), (3, 0.5)), ((7, 1), (0, 5))]
)
def test_other_rows_in_the_same_units_are_none_in_other_units(train, test, caplog):
    """Such as sick ones, scaled as the healthy ones are."""
    images = {"train_images": RNG.normal(*train, (300, 5))}
    images["test_images"] = RNG.normal(*test, (200, 5))
    assert not warnings_of(images, caplog)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_few_rows_in_far_other_units_are_named(rows, caplog):
    x, other = table(), table()[:rows]
    other[:, 0] *= 1e4
    [message] = warnings_of({"train_images": x, "test_images": other}, caplog)
    assert "test_images: column 0 has mean" in message


@pytest.mark.parametrize("rows", [1, 2, 5, 60])
def test_a_small_or_shifted_split_is_none_in_other_units(rows, caplog):
    x = table()
    assert not warnings_of({"train_images": x, "test_images": x[:rows] + 3 * x.std(0)}, caplog)


@pytest.mark.parametrize("streaming", [False, True])
def test_columns_of_zeros_and_ones_are_known_from_all_splits(streaming):
    x = np.concatenate([table(), np.eye(2)[np.arange(300) % 2]], axis=1)
    test = x[:50].copy()
    arrays = {"train_images": x, "test_images": test}
    preparation = data.from_arrays(arrays, streaming=streaming).preparation
    assert preparation["binary_columns"] == [3, 4]
    test[7, 3] = 0.5
    assert data.from_arrays(arrays, streaming=streaming).preparation["binary_columns"] == [4]
    assert "binary_columns" not in data.from_arrays({"x": table()}).preparation
