"""Warnings about values that are read in another way than they are meant."""

import logging

import numpy as np
import pytest

from vae_jax import data
from vae_jax.data.hints import warn_counts
from vae_jax.data.moments import sums_of_means
from vae_jax.errors import InputError

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (80, 4, 4)).astype(np.uint8)
COUNTS = "for counts, set values = 'counts'"


def warnings_of(train, test, caplog, **labels):
    with caplog.at_level(logging.WARNING, logger="vae_jax"):
        data.from_arrays({"train_images": train, "test_images": test} | labels)
    return caplog.messages


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_small_integers_are_named_for_they_are_divided_by_255(dtype, caplog):
    x = (GRAY // 16).astype(dtype)  # 0 to 15
    [message] = warnings_of(x, x, caplog)
    assert "integers from 0 to 15 are divided by 255, to at most 0.059" in message
    assert "for images of 16 gray levels, save x / 15" in message
    assert COUNTS in message


def test_a_table_of_integers_is_named_for_it_is_read_as_pixels(caplog):
    x = RNG.integers(0, 91, (80, 5))
    [message] = warnings_of(x, x, caplog)
    assert "rows of integers from 0 to 90 are divided by 255, as pixels of 8 bits" in message
    assert "save a table as floats" in message
    caplog.clear()
    assert not warnings_of(x.astype(np.uint8), x.astype(np.uint8), caplog)
    assert not warnings_of(x.reshape(80, 5, 1), x.reshape(80, 5, 1), caplog)


@pytest.mark.parametrize("shape", [(5,), (4, 4)])
@pytest.mark.parametrize("factor", [0.01, 100])
def test_counts_of_a_split_of_another_depth_are_named(shape, factor, caplog):
    train, test = (RNG.poisson(rate, (60, *shape)) for rate in (200, 200 * factor))
    with caplog.at_level(logging.WARNING, logger="vae_jax"):
        data.from_arrays({"train_images": train, "test_images": test}, values="counts")
    [message] = caplog.messages
    assert "test_images has a mean count of" in message
    caplog.clear()
    data.from_arrays({"train_images": train, "test_images": 3 * train[:20]}, values="counts")
    assert not caplog.messages


def heavy(rng, shape):
    return rng.poisson((rng.random(shape) < 0.05) * np.exp(3 + 2 * rng.normal(size=shape)))


@pytest.mark.parametrize(
    ("name", "make", "size", "num_counts"),
    [
        ("many zeros, few large counts", heavy, 10, 3),
        ("few large counts, more rows", heavy, 60, 3),
        ("seldom counts", lambda rng, shape: rng.poisson(0.05, shape), 20, 4),
        ("zeros of a test set", lambda rng, shape: rng.poisson(0.01, shape), 10, 5),
    ],
)
def test_counts_of_one_law_raise_no_warning(name, make, size, num_counts, caplog):
    for seed in range(100):
        x = make(np.random.default_rng(seed), (300 + size, num_counts))
        rows = {"train": sums_of_means(x[:300]), "test": sums_of_means(x[300:])}
        with caplog.at_level(logging.WARNING, logger="vae_jax"):
            warn_counts(rows, num_counts, "x")
        assert not caplog.messages, (name, seed)


def test_the_means_of_rows_of_counts_are_over_observed_entries():
    x = np.arange(12).reshape(3, 4)
    observed = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]], bool)
    sums = sums_of_means(x, observed)
    assert (sums.count, sums.mean, sums.stddev) == (2, 3.5, 2.0)
    assert sums_of_means(x).mean == x.mean()


@pytest.mark.parametrize("factor", [1, 1 / 255])
@pytest.mark.filterwarnings("error")
def test_a_constant_channel_is_no_single_pixel(factor, caplog):
    images = RNG.uniform(0, 255 * factor, (40, 4, 4, 4))
    images[..., 3] = 255  # of opacity
    dataset = data.from_arrays({"train_images": images, "test_images": images})
    assert dataset.moments.stddev[3] == 0
    constant = data.from_arrays({"train_images": 0 * images + 255.5, "test_images": images})
    assert not constant.moments.stddev.any()
    assert not [text for text in caplog.messages if "standard deviations" in text]


def test_a_pixel_that_sets_the_scale_of_all_images_is_named(caplog):
    x = RNG.normal(size=(60, 4, 4, 2)) * [1, 100]
    arrays = {"train_images": x, "test_images": x[:9]}
    assert not data.from_arrays(arrays).moments.mean.max() > 50
    heavy = {"train_images": np.exp(x / [1, 60]), "test_images": np.exp(x[:9] / [1, 60])}
    assert data.from_arrays(heavy).moments.mean.max() > 0
    assert not caplog.messages
    x[5, 1, 2, 0] = 1e20
    assert data.from_arrays(arrays).moments.mean.max() > 1e10
    [message] = caplog.messages
    assert "train_images has the value 1e+20, " in message
    assert "standard deviations from the mean" in message
    assert message.endswith("if it is an error, correct it")


@pytest.mark.parametrize(("high", "is_image"), [(255, True), (4000, False)])
def test_whole_numbers_in_floats_are_named(high, is_image, caplog):
    x = RNG.integers(0, high + 1, (80, 30)).astype(float)
    x[0, :2] = 0, high
    [message] = warnings_of(x, x, caplog)
    assert f"floats that are integers from 0 to {high} are read as real numbers" in message
    assert ("save 8-bit images as uint8" in message) == is_image
    assert COUNTS in message


@pytest.mark.parametrize(
    ("train", "test"), [(0, -1), (-1, 0)], ids=["test from -1 to 1", "train from -1 to 1"]
)
def test_images_of_a_split_on_another_scale_are_named(train, test, caplog):
    x = GRAY / 255
    [message] = warnings_of(x * (1 - train) + train, x * (1 - test) + test, caplog)
    assert f"test_images has values from {test} to 1, train from {train} to 1" in message


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (GRAY, GRAY),
        (GRAY // 128, GRAY // 128),
        (GRAY / 255, GRAY[:1] / 900),  # one image says little of a range
        (GRAY / 255 - 0.5, GRAY / 300 - 0.4),
    ],
)
def test_other_images_raise_no_warning(train, test, caplog):
    assert not warnings_of(train, test, caplog)


def test_classes_that_no_training_example_has_are_named(caplog):
    names = np.array(["bag", "boot", "coat", "shirt"])
    y = np.arange(80) % 3
    labels = {"train_labels": names[y], "test_labels": names[y + 1]}
    [message] = warnings_of(GRAY, GRAY, caplog, **labels)
    assert "test_labels has classes that train_labels has not: shirt" in message
    caplog.clear()
    assert not warnings_of(GRAY, GRAY, caplog, train_labels=y, test_labels=y[::-1])
    number = np.arange(80)  # a number of each example, which is no class
    assert not warnings_of(GRAY, GRAY, caplog, train_labels=number, test_labels=number + 9)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_first_value_that_is_not_finite_is_located(split):
    arrays = {"train_images": GRAY / 255, "test_images": GRAY / 255}
    arrays[f"{split}_images"][7, 1, 2] = np.inf
    with pytest.raises(InputError, match=rf"{split}_images has 1 .* the first at \(7, 1, 2, 0\);"):
        data.from_arrays(arrays)
