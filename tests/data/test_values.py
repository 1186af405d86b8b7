"""The grid that values lie on, and counts, in memory and streamed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import from_arrays, load
from vae_jax.data.values import survey
from vae_jax.errors import InputError

KEY = jax.random.key(0)


def whole(high: int, dtype=np.float32) -> np.ndarray:
    """[40, 30] integers from 0 to high, both there."""
    x = np.random.default_rng(high).integers(0, high + 1, (40, 30))
    x[0, :2] = 0, high
    return x.astype(dtype)


def prepared(x, **options):
    return from_arrays({"train_images": x, "test_images": x[:9]}, **options)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("x", "levels"),
    [
        (whole(1), 2),
        (whole(1, bool), 2),
        (whole(1, np.uint8) * np.uint8(255), 2),
        (whole(2) / 2, 3),
        (whole(16) / 16, 17),
        (whole(255) / np.float32(255), 256),
        (whole(255, np.uint8), 256),
        (whole(16, np.int64), 256),
        (whole(300) / 300, 0),
        (np.random.default_rng(0).random((40, 30)), 0),
        (2 * whole(1) - 1, 0),
        (whole(16), 0),
    ],
    ids=[
        "bits",
        "bool",
        "black and white",
        "3",
        "17",
        "256",
        "bytes",
        "small bytes",
        "301",
        "continuous",
        "-1",
        "unscaled",
    ],
)
def test_levels(x, levels, streaming) -> None:
    preparation = prepared(x, streaming=streaming).preparation
    assert preparation["levels"] == levels
    assert preparation["binary"] == (levels == 2)
    assert preparation["values"] == "scaled"


def test_one_value_off_the_grid_is_found_in_any_split() -> None:
    x = whole(16) / 16
    off = x.copy()
    off[5, 7] += 1e-4
    assert from_arrays({"train_images": x, "test_images": off}).preparation["levels"] == 0
    assert survey(off).levels == ()
    assert survey(x).levels == tuple(range(17, 257, 16))
    quarters = whole(4) / 4
    assert from_arrays({"train_images": quarters, "test_images": x}).preparation["levels"] == 17
    assert (
        from_arrays({"train_images": quarters, "test_images": whole(2) / 2}).preparation["levels"]
        == 5
    )


def test_binarized_data_have_two_levels() -> None:
    assert prepared(whole(16) / 16, binarization="threshold").preparation["levels"] == 2


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int64, np.uint32, np.float16, np.float32, np.float64, bool]
)
@pytest.mark.parametrize("streaming", [False, True])
def test_counts(dtype, streaming) -> None:
    high = {np.uint8: 255, np.float16: 2000, bool: 1}.get(dtype, 2**24)
    x = whole(high, dtype)
    dataset = prepared(x, values="counts", streaming=streaming)
    index = np.arange(dataset.train.num_examples)
    source = dataset.train.select(index) if streaming else dataset.train
    read = np.asarray(source.take(jnp.asarray(index), KEY)["x"])
    assert read.dtype == np.float32
    assert sorted(map(tuple, read)) == sorted(
        map(tuple, np.delete(x.astype(np.float32), valid_rows(dataset, x), axis=0))
    )
    assert dataset.train.value_range == (0, high)
    assert dataset.preparation["values"] == "counts"
    assert dataset.preparation["levels"] == 0
    assert dataset.preparation["scale"] == 1


def valid_rows(dataset, x) -> list[int]:
    valid = np.asarray(dataset.valid.images)
    return [i for i, row in enumerate(x.astype(np.float32)) if (valid == row).all(1).any()][
        : len(valid)
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("bad", [-1.0, 0.5, 2.0**24 + 2, np.nan, np.inf])
def test_no_counts(bad, streaming) -> None:
    x = whole(9)
    x[30, 3] = bad
    with pytest.raises(InputError, match="integers from 0 to 16777216"):
        prepared(x, values="counts", streaming=streaming)


def test_half_precision_has_no_way_around_the_largest_count() -> None:
    with pytest.raises(InputError, match="not counts, such as inf"):
        prepared(np.full((40, 3), np.inf, np.float16), values="counts")


def test_counts_are_not_binarized_and_no_sprites() -> None:
    with pytest.raises(InputError, match=r"binarization = 'dynamic': must be 'none'"):
        prepared(whole(9), values="counts", binarization="dynamic")
    with pytest.raises(InputError, match="sprites are zeros and ones"):
        load("sprites", values="counts")
    with pytest.raises(InputError, match="did you mean 'counts'"):
        load("digits", values="count")


def test_digits_as_counts() -> None:
    counts, scaled = load("digits", values="counts"), load("digits")
    assert set(np.unique(counts.train.images)) == set(range(17))
    np.testing.assert_array_equal(counts.test.images, scaled.test.images * 16)
    assert counts.train.value_range == (0, 16)
    assert (counts.preparation["levels"], scaled.preparation["levels"]) == (0, 17)
    assert load("sprites").preparation["levels"] == 2
