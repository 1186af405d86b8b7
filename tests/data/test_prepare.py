"""From arrays to a data set: scale, shapes, splits, binarization, and what is refused."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import ArraySource, binarization, from_arrays
from vae_jax.data.binarization import binarize
from vae_jax.data.splits import cut_test, fixed_permutation
from vae_jax.errors import InputError

KEY = jax.random.key(0)
RULE_SHA256 = "bf3ed59ae0d9cb5c661307e6023bd009b56eff3ec0a397731e57fe2a6ccff6f8"


def gray(n: int, seed: int = 0) -> np.ndarray:
    """Images whose first two pixels encode their number, so that each can be recognized."""
    images = np.random.default_rng(seed).integers(0, 256, (n, 4, 3)).astype(np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(n), 256)
    return images


def arrays(**changes) -> dict:
    """Twenty and ten images in bytes, with the changes; None takes an array away."""
    given = {"train_images": gray(20), "test_images": gray(10, seed=1)} | changes
    return {key: value for key, value in given.items() if value is not None}


def unit(n: int) -> np.ndarray:
    """Floats that reach 0 and 1."""
    return np.linspace(0, 1, n * 12, dtype=np.float32).reshape(n, 4, 3)


def read(source, key=KEY) -> np.ndarray:
    return np.asarray(source.take(jnp.arange(source.num_examples), key)["x"])


@pytest.mark.parametrize(
    ("train", "test", "factor", "value_range"),
    [
        (gray(20), gray(10), 1 / 255, (0, 1)),
        (gray(20).astype(np.int64), gray(10).astype(np.int16), 1 / 255, (0, 1)),
        (gray(20) // 128, gray(10) // 128, 1, (0, 1)),
        # 0 fits every scale, so all splits are bytes.
        (gray(20) * 0, gray(10), 1 / 255, (0, 1)),
        (gray(20) > 127, gray(10) > 127, 1, (0, 1)),
        (unit(20), unit(10), 1, (0, 1)),
        (unit(20).astype(np.float64) * 300 - 100, unit(10).astype(np.float16), 1, (-100, 200)),
    ],
    ids=["uint8", "int64", "binary", "black train", "bool", "unit", "float"],
)
def test_scale(train, test, factor, value_range) -> None:
    dataset = from_arrays(arrays(train_images=train, test_images=test, valid_images=train[:3]))
    for source, images in (
        (dataset.train, train),
        (dataset.test, test),
        (dataset.valid, train[:3]),
    ):
        x = read(source)
        assert x.dtype == np.float32
        np.testing.assert_allclose(
            x[..., 0], images.astype(np.float32) * np.float32(factor), rtol=1e-6
        )
        assert source.value_range == pytest.approx(value_range)
    assert dataset.preparation["scale"] == pytest.approx(factor)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 3), (4, 3, 1)), ((4, 3, 1), (4, 3, 1)), ((4, 3, 2), (4, 3, 2)), ((12,), (12,))],
)
def test_channel_axis(shape, expected) -> None:
    dataset = from_arrays(
        {"train_images": np.ones((20, *shape)), "test_images": np.ones((5, *shape))}
    )
    assert dataset.shape == expected
    assert dataset.num_dims == np.prod(expected)
    for source in (dataset.train, dataset.valid, dataset.test):
        assert source.shape == expected
        assert read(source).shape[1:] == expected


def numbers(source) -> np.ndarray:
    """Which images of `gray` a source holds."""
    images = np.asarray(source.images).astype(int)
    return images[:, 0, 0, 0] * 256 + images[:, 0, 1, 0]


def test_validation_is_cut_by_the_fixed_rule() -> None:
    images = gray(1000)
    labels = np.arange(1000) % 7
    given = arrays(
        train_images=images, train_labels=labels, test_labels=np.arange(10.0)[:, None]
    )  # whole numbers, in a column
    one, two = from_arrays(given, valid_fraction=0.15), from_arrays(given, valid_fraction=0.15)
    valid, train = numbers(one.valid), numbers(one.train)
    assert (len(valid), len(train)) == (150, 850)
    assert sorted([*valid, *train]) == list(range(1000))
    assert set(valid) == set(fixed_permutation(1000)[:150])
    np.testing.assert_array_equal(one.valid.labels, labels[valid])
    np.testing.assert_array_equal(one.train.labels, labels[train])
    assert one.valid.labels.dtype == jnp.int32
    assert one.test.labels.shape == (10,)
    assert one.test.labels.dtype == jnp.int32
    np.testing.assert_array_equal(valid, numbers(two.valid))
    np.testing.assert_array_equal(train, numbers(two.train))
    assert "first 150 of 1000" in one.preparation["validation"]


def test_the_fixed_rule_never_changes() -> None:
    # Published numbers depend on it.
    assert (
        hashlib.sha256(fixed_permutation(1000).astype("<i4").tobytes()).hexdigest() == RULE_SHA256
    )


def test_given_validation_is_kept() -> None:
    dataset = from_arrays(arrays(valid_images=gray(5, seed=2), valid_labels=np.arange(5)))
    np.testing.assert_array_equal(dataset.valid.images[..., 0], gray(5, seed=2))
    np.testing.assert_array_equal(dataset.train.images[..., 0], gray(20))
    np.testing.assert_array_equal(dataset.valid.labels, np.arange(5))
    assert dataset.train.labels is None
    assert dataset.preparation["validation"] == "as in the source"


def test_labels_come_with_the_batch_only_where_there_are_some() -> None:
    dataset = from_arrays(arrays(train_labels=np.arange(20)))
    index = jnp.array([3, 0, 3])
    batch = dataset.train.take(index, KEY)
    np.testing.assert_array_equal(batch["y"], dataset.train.labels[index])
    np.testing.assert_array_equal(batch["index"], index)
    assert set(dataset.test.take(index, KEY)) == {"x", "index"}


def test_cut_test() -> None:
    images, labels = gray(103), np.arange(103)
    cut = cut_test(images, labels)
    assert len(cut["test_images"]) == 20
    assert sorted([*cut["test_labels"], *cut["train_labels"]]) == list(range(103))
    for split in ("train", "test"):
        np.testing.assert_array_equal(cut[f"{split}_images"], images[cut[f"{split}_labels"]])
    assert set(cut_test(images, None)) == {"train_images", "test_images"}


@pytest.mark.parametrize("binarization", ["none", "threshold", "static", "dynamic"])
def test_binarization(binarization) -> None:
    # Pixel p in column p; 4,000 examples of each.
    probabilities = np.array([0, 51, 127, 128, 204, 255], np.uint8)
    images = np.tile(probabilities, (4000, 1))
    given = {f"{split}_images": images for split in ("train", "valid", "test")}
    one, two = (from_arrays(given, binarization=binarization) for _ in range(2))
    other_key = jax.random.key(1)

    for split in ("valid", "test"):
        x = read(getattr(one, split))
        np.testing.assert_array_equal(x, read(getattr(one, split), other_key))
        np.testing.assert_array_equal(x, read(getattr(two, split)))
    train = read(one.train)
    np.testing.assert_array_equal(train, read(two.train))  # the same key
    assert np.array_equal(train, read(one.train, other_key)) == (binarization != "dynamic")

    mean = probabilities / 255
    for source in (one.train, one.valid, one.test):
        x = read(source)
        if binarization == "none":
            np.testing.assert_allclose(x, images / 255, rtol=1e-6)
        elif binarization == "threshold":
            np.testing.assert_array_equal(x, images > 127)
        else:
            assert set(np.unique(x)) == {0, 1}
            error = np.sqrt(mean * (1 - mean) / len(x))
            assert (np.abs(x.mean(0) - mean) <= 4 * error + 1e-7).all()
    if binarization in ("static", "dynamic"):  # each split has draws of its own
        assert not np.array_equal(read(one.valid), read(one.test))
        assert not np.array_equal(read(one.train), read(one.test))
        x = read(one.test)
        assert len(np.unique(x, axis=0)) > 1  # and so has each example
    assert one.preparation["binarization"] == binarization
    assert one.preparation.get("binarization_seed") == (
        777 if binarization in ("static", "dynamic") else None
    )


def test_static_draw_of_an_example_does_not_depend_on_how_many_follow() -> None:
    images = np.full((5000, 12), 127, np.uint8)  # more than one chunk
    few = {"train_images": images[:4], "valid_images": images[:4]}
    long, short = (
        from_arrays(few | {"test_images": images[:n]}, binarization="static").test
        for n in (5000, 4100)
    )
    np.testing.assert_array_equal(read(long)[:4100], read(short))


@pytest.mark.parametrize("binarization", ["threshold", "static", "dynamic"])
def test_binarized_floats_have_the_range_of_bits(binarization) -> None:
    given = arrays(train_images=0.25 + unit(20) / 2, test_images=0.25 + unit(10) / 2)
    dataset = from_arrays(given, binarization=binarization)
    for source in (dataset.train, dataset.valid, dataset.test):
        assert set(np.unique(read(source))) == {0, 1}
        assert source.value_range == (0, 1)


@pytest.mark.parametrize("num_pixels", [1, 6, 7])
def test_dynamic_draws_have_their_probabilities_and_are_independent(num_pixels) -> None:
    levels = np.arange(256, dtype=np.uint8)
    source = ArraySource(np.repeat(levels[:, None], num_pixels, 1), scale=1 / 255, dynamic=True)
    keys, count = jax.random.split(jax.random.key(0), 4096), 4096
    draws = np.asarray(
        jax.vmap(lambda key: source.take(np.arange(256), key)["x"])(keys), np.float64
    )
    p = levels[:, None] / 255
    error = np.abs(draws.mean(0) - p) / np.sqrt(np.maximum(p * (1 - p), 1e-9) / count)
    assert error.max() < 5  # of 256 to 1,792 frequencies; black stays black, and white white
    if num_pixels > 1:  # those of one word of random bits, and neighbors
        centerd = (draws - p)[:, 1:-1]
        for other in {1, -(-num_pixels // 2)}:
            products = (centerd[..., 0] * centerd[..., other]) / (p * (1 - p))[1:-1, 0]
            assert abs(products.mean()) < 5 / np.sqrt(products.size)


def test_dynamic_binarization_in_compiled_code_equals_that_outside() -> None:
    source = from_arrays(arrays(), binarization="dynamic").train
    index = jnp.arange(6)
    compiled = jax.jit(lambda source, index, key: source.take(index, key)["x"])
    np.testing.assert_array_equal(compiled(source, index, KEY), source.take(index, KEY)["x"])


@pytest.mark.parametrize("binarization", ["none", "threshold", "static", "dynamic"])
def test_the_hash_of_the_test_images_is_recorded(binarization) -> None:
    dataset = from_arrays(arrays(), binarization=binarization)
    expected = (
        gray(10, seed=1)[..., None]
        if binarization == "none"
        else read(dataset.test).astype(np.uint8)
    )
    assert dataset.preparation["test_sha256"] == hashlib.sha256(expected.tobytes()).hexdigest()


def test_the_hash_changes_with_one_pixel() -> None:
    changed = gray(10, seed=1)
    changed[4, 2, 2] ^= 1
    hashes = [
        from_arrays(arrays(**extra)).preparation["test_sha256"]
        for extra in ({}, {"test_images": changed})
    ]
    assert hashes[0] != hashes[1]


def with_value(value: float) -> np.ndarray:
    images = unit(10).astype(np.float64)
    images[3, 1, 1] = value
    return images


REFUSED = {
    "no train": ({"train_images": None}, ["train_images", "['test_images']"]),
    "no test, and no rows for one": (
        {"test_images": None, "train_images": gray(3), "images": gray(3)},
        ["test_images", "['train_images']", "too few"],
    ),
    "two names of one array": (
        {"train_images": None, "x_train": gray(9), "X_train": gray(9)},
        ["'X_train' and 'x_train' could each be 'train_images'"],
    ),
    "empty train": ({"train_images": gray(0)}, ["train_images", "empty", "(0, 4, 3"]),
    "empty test": ({"test_images": gray(0)}, ["test_images", "empty", "(0, 4, 3"]),
    "empty valid": ({"valid_images": gray(0)}, ["valid_images", "empty", "(0, 4, 3"]),
    "empty list": ({"test_images": []}, ["test_images", "(0,)", "[N, H, W]"]),
    "a number": ({"test_images": 3}, ["test_images", "()", "[N, H, W]"]),
    "test shape": (
        {"test_images": np.ones((5, 4, 4), np.uint8)},
        ["(4, 3, 1)", "'test': (4, 4, 1)", "must be equal"],
    ),
    "valid shape": (
        {"valid_images": np.ones((5, 4, 3, 2), np.uint8)},
        ["(4, 3, 1)", "'valid': (4, 3, 2)", "must be equal"],
    ),
    "ragged": (
        {"train_images": [[[1, 2], [3, 4]], [[1, 2]]]},
        ["train_images", "unequal shapes", "must be equal"],
    ),
    "objects": (
        {"train_images": np.array([[None, 1]] * 5)},
        ["train_images", "objects", "numbers"],
    ),
    "text": (
        {"train_images": np.array([["a", "b"]] * 5)},
        ["train_images", "<U1", "integers, floats and booleans"],
    ),
    "complex": (
        {"train_images": gray(5) * 1j},
        ["train_images", "complex128", "integers, floats and booleans"],
    ),
    "NaN": ({"test_images": with_value(np.nan)}, ["test_images", "1 values", "NaN", "finite"]),
    "inf": ({"test_images": with_value(np.inf)}, ["test_images", "1 values", "infinite", "finite"]),
    "-inf": (
        {"test_images": with_value(-np.inf)},
        ["test_images", "1 values", "infinite", "finite"],
    ),
    "inf as float32": (
        {"test_images": with_value(1e39)},
        ["test_images", "1 values", "infinite", "finite"],
    ),
    "negative": (
        {"train_images": gray(5).astype(int) - 1},
        ["train_images", "from -1 to", "0 to 255"],
    ),
    "above 255": (
        {"test_images": np.full((5, 4, 3), 256)},
        ["test_images", "256 to 256", "0 to 255"],
    ),
    "mixed": (
        {"test_images": unit(10)},
        ["some splits contain integers, some floats", "must be the same"],
    ),
    "few labels": ({"train_labels": np.arange(19)}, ["train_labels", "(19,)", "20 images", "[20]"]),
    "many labels": ({"test_labels": np.arange(11)}, ["test_labels", "(11,)", "10 images", "[10]"]),
    "one label": ({"test_labels": 3}, ["test_labels", "()", "10 images", "[10]"]),
    "no label columns": (
        {"train_labels": np.zeros((20, 0), np.uint8)},
        ["train_labels", "(20, 0)", "[20, C]"],
    ),
    "label images": ({"test_labels": gray(10)}, ["test_labels", "(10, 4, 3)", "[10, C]"]),
    "ragged labels": (
        {"test_labels": [[1], [1, 2]] * 5},
        ["test_labels", "unequal lengths", "must be equal"],
    ),
    "text labels": (
        {"train_labels": np.arange(20), "test_labels": ["a"] * 10},
        ["test_labels", "<U1", "numbers"],
    ),
    "NaN labels": (
        {"train_labels": np.array([np.nan, *range(19)])},
        ["train_labels has 1 values that are NaN or infinite", "finite"],
    ),
    "texts of NaN": (
        {"train_labels": np.array(["cat", *[np.nan] * 19]).astype(str)},
        ["train_labels has 19 times 'nan', which is no class", "without a class by -1"],
    ),
    "empty texts": (
        {"test_labels": ["", "dog"] * 5},
        ["test_labels has 5 times ''", "numpy.unique(y, return_inverse=True)[1]"],
    ),
    "objects as labels": (
        {"test_labels": np.array(["cat"] * 9 + [None], object)},
        ["test_labels holds objects, such as None", "without a class by -1"],
    ),
    "masked labels": (
        {"train_labels": np.ma.array(np.arange(20), mask=np.arange(20) == 3)},
        ["train_labels is a masked array", "-1, the class of examples without a label"],
    ),
    "labels of no images": (
        {"valid_labels": np.arange(5)},
        ["valid_labels without valid_images", "'train_images'"],
    ),
    "infinite labels": (
        {"test_labels": np.full((10, 2), np.inf)},
        ["test_labels has 20 values that are NaN or infinite", "finite"],
    ),
    "labels beyond int32": (
        {"train_labels": np.arange(20) + 2**40},
        ["train_labels", "1099511627776 to", "32 bits"],
    ),
    "complex labels": ({"train_labels": np.arange(20) * 1j}, ["train_labels", "complex128"]),
    "labels of other shapes": (
        {"train_labels": np.ones((20, 2)), "test_labels": np.ones((10, 3))},
        ["label shapes differ", "'test': (3,)"],
    ),
    "scales of bytes": (
        {"train_images": gray(20) % 2},
        ["train holds 0 to 1", "test holds 0 to 25", "one scale"],
    ),
    "scales of floats": (
        {"train_images": unit(20), "test_images": unit(10) * 255},
        ["train holds 0 to 1", "test holds 0 to 255", "one scale"],
    ),
}


@pytest.mark.parametrize(("changes", "parts"), REFUSED.values(), ids=REFUSED)
def test_refused_arrays(changes, parts) -> None:
    with pytest.raises(InputError) as error:
        from_arrays(arrays(**changes), name="my set")
    for part in ["my set", *parts]:
        assert part in str(error.value)


@pytest.mark.parametrize("binarization", ["threshold", "static", "dynamic"])
@pytest.mark.parametrize(
    ("value", "span"), [(-0.25, "-0.25 to 1"), (1.5, "0 to 1.5"), (255, "0 to 255")]
)
def test_floats_outside_the_unit_interval_cannot_be_binarized(binarization, value, span) -> None:
    with pytest.raises(InputError) as error:
        from_arrays(
            arrays(train_images=with_value(value), test_images=unit(10)),
            binarization=binarization,
            name="my set",
        )
    for part in (f"binarization = {binarization!r}", "[0, 1]", "my set", span):
        assert part in str(error.value)


def test_unknown_binarization_names_the_nearest() -> None:
    with pytest.raises(InputError) as error:
        from_arrays(arrays(), binarization="dinamic")
    for part in (
        "binarization = 'dinamic'",
        "none, static, dynamic, threshold",
        "did you mean 'dynamic'?",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("fraction", "parts"),
    [
        *(
            (value, ["greater than 0 and at most 0.9"])
            for value in (0, -0.1, 0.91, 1, 2, float("nan"), float("inf"))
        ),
        (0.01, ["leaves 0 of 20", "both must have some"]),
    ],
)
def test_refused_valid_fraction(fraction, parts) -> None:
    with pytest.raises(InputError) as error:
        from_arrays(arrays(), valid_fraction=fraction)
    for part in [f"valid_fraction = {fraction}", *parts]:
        assert part in str(error.value)


def test_one_training_image_cannot_be_split() -> None:
    with pytest.raises(
        InputError, match=r"valid_fraction = 0.9: leaves 1 of 1 .* both must have some"
    ):
        from_arrays(arrays(train_images=gray(1)), valid_fraction=0.9)


def test_valid_fraction_is_not_looked_at_where_validation_is_given() -> None:
    assert from_arrays(arrays(valid_images=gray(5)), valid_fraction=0).valid.num_examples == 5


LABELS = {
    "column": (np.arange(20)[:, None], np.arange(20)),
    "whole floats": (np.arange(20.0), np.arange(20)),
    "bool": (np.arange(20) % 2 > 0, np.arange(20) % 2),
    "texts": (np.array(["dog", "cat"] * 10), np.array([1, 0] * 10)),
    "a column of texts": (np.array([["b"], ["a"]] * 10, object), np.array([1, 0] * 10)),
    "targets": (np.arange(20) / 2, np.arange(20, dtype=np.float32) / 2),
    "a column of targets": (np.arange(20)[:, None] / 2, np.arange(20)[:, None] / 2),
    "factors": (np.arange(40).reshape(20, 2), np.arange(40).reshape(20, 2)),
}


@pytest.mark.parametrize(("given", "expected"), LABELS.values(), ids=LABELS)
def test_labels_are_understood(given, expected) -> None:
    dataset = from_arrays(
        arrays(train_labels=given, valid_images=gray(20), valid_labels=given[::-1])
    )
    for source, values in ((dataset.train, expected), (dataset.valid, expected[::-1])):
        np.testing.assert_array_equal(source.labels, values)
        assert source.labels.dtype == (jnp.float32 if values.dtype.kind == "f" else jnp.int32)
    if given.dtype.kind in "UO":
        assert dataset.preparation["classes"] == sorted({*given.ravel()})


def test_examples_without_a_label_stay_in_train() -> None:
    labels = np.where(np.arange(100) % 5 == 0, np.arange(100) % 4, -1)
    dataset = from_arrays({"images": gray(100), "y": labels})
    assert np.min(dataset.test.labels) >= 0
    assert np.min(dataset.valid.labels) >= 0
    assert (len(dataset.test.labels), len(dataset.valid.labels)) == (4, 2)
    assert np.sum(np.asarray(dataset.train.labels) == -1) == 80


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["cat", "?"], "10 labels are '?', which is read as a class"),
        (["dog", "Unknown"], "10 labels are 'Unknown', which is read as a class"),
        (["cat", "cat "], "the classes 'cat' and 'cat ' differ only in case or spaces"),
        (["Dog", "dog"], "the classes 'Dog' and 'dog' differ only in case or spaces"),
        (["cat", "dog"], ""),
        (["DOI", "NAT"], ""),  # kinds of addresses
        (["A", "a"], ""),
        (["-", "?", "A", "B", "a"], ""),  # a set of characters
        (["a", "a "], "the classes 'a' and 'a ' differ only in case or spaces"),
    ],
)
def test_texts_that_are_perhaps_no_class_are_named(texts, said, caplog) -> None:
    with caplog.at_level("WARNING", logger="vae_jax"):
        dataset = from_arrays(arrays(train_labels=np.resize(texts, 20)))
    assert dataset.preparation["classes"] == sorted(texts)
    assert [said in message for message in caplog.messages] == [True] * bool(said)


def test_texts_are_named_once_for_all_splits(caplog) -> None:
    labels = {"train_labels": np.resize(["Dog", "?"], 20), "test_labels": np.resize(["dog"], 10)}
    with caplog.at_level("WARNING", logger="vae_jax.data.labels"):
        from_arrays(arrays(**labels))
    of_labels = [message for message in caplog.messages if "has classes that" not in message]
    assert [message.partition(",")[0] for message in of_labels] == [
        "arrays: 10 labels are '?'",
        "arrays: the classes 'Dog' and 'dog' differ only in case or spaces",
    ]


@pytest.mark.parametrize("text", ["NaT", "<NA>", " nan", "NaN"])
def test_texts_of_missing_values_are_no_classes(text) -> None:
    with pytest.raises(InputError, match=r"train_labels has 10 times .*, which is no class"):
        from_arrays(arrays(train_labels=np.resize(["cat", text], 20)))


def test_classes_of_minus_one_and_one_are_two_classes() -> None:
    labels = np.where(np.arange(100) % 3 == 0, 1, -1)
    dataset = from_arrays({"images": gray(100), "y": labels})
    assert set(np.unique(dataset.test.labels)) == {-1, 1}


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_images_of_16_bits_reach_one(bits) -> None:
    images = np.linspace(0, 2**bits - 1, 240).astype(np.uint16).reshape(20, 4, 3)
    dataset = from_arrays({"train_images": images, "test_images": images[:3]})
    x = read(dataset.test)[..., 0]
    np.testing.assert_allclose(x, images[:3] / (2**bits - 1), rtol=1e-6)
    assert dataset.preparation["bits"] == bits
    assert dataset.train.value_range[1] == 1


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((3, 8, 8), ["images of 3x8 with 8 channels", "numpy.moveaxis(x, 1, -1)"]),
        ((1, 9, 8), ["images of 1x9 with 8 channels", "numpy.moveaxis(x, 1, -1)"]),
        ((8, 8, 8), ["volumes", "images of 8x8 with 8 channels", "numpy.moveaxis(x, 1, -1)"]),
        ((8, 8, 3), []),
        ((3, 8, 4), []),
    ],
)
def test_axes_taken_for_others_are_noticed(shape, words, caplog) -> None:
    images = np.random.default_rng(0).uniform(size=(20, *shape))
    with caplog.at_level("WARNING"):
        dataset = from_arrays({"train_images": images, "test_images": images[:3]})
    assert bool(caplog.records) == bool(words)
    for word in words:
        assert word in caplog.text
    height, width, channels = shape
    assert dataset.preparation["shape"].startswith(f"images of {height}x{width} with {channels} ")


@pytest.mark.parametrize("split", ["train_images", "test_images", "train_labels", "test_labels"])
def test_the_identity_changes_with_any_entry(split) -> None:
    given = arrays(train_labels=np.arange(20), test_labels=np.arange(10))
    one = from_arrays(given).preparation["sha256"]
    changed = given[split].copy()
    changed[(3,) * changed.ndim if changed.ndim == 1 else (3, 0, 0)] ^= 1
    assert from_arrays(given).preparation["sha256"] == one
    assert from_arrays(given | {split: changed}).preparation["sha256"] != one


@pytest.mark.parametrize("num", [0, 1, 511, 512, 513, 4097])
def test_a_whole_split_has_the_draws_of_its_images_alone(num) -> None:
    """However many images are drawn at a time."""
    images = np.random.default_rng(0).integers(0, 256, (num, 3, 1), dtype=np.uint8)
    whole = binarize(images, 1 / 255, "static", 1)
    assert (whole.shape, whole.dtype) == (images.shape, np.uint8)
    for index in (np.arange(num)[:3], np.arange(num)[-2:]):
        if len(index):
            alone = binarize(images[index], 1 / 255, "static", 1, index)
            np.testing.assert_array_equal(whole[index], alone)
    if num > 500:
        assert abs(whole.mean() - images.mean() / 255) < 4 * 0.5 / whole.size**0.5


def test_draws_of_a_binarized_split_never_change() -> None:
    """Test sets of kept results have their bits."""
    images = (np.arange(600 * 12).reshape(600, 3, 4) % 256).astype(np.uint8)
    for num, digest in ((5, "4264dd91e2cd24bc"), (600, "18ae23264687fd85")):
        # Images from 0 on: a part of a split has the same draws.
        drawn = binarize(images[:num], 1 / 255, "static", 1)
        assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == digest


def test_splits_of_about_a_size_share_a_program(monkeypatch) -> None:
    shapes = []
    draw = binarization._draw
    monkeypatch.setattr(
        binarization, "_draw", lambda *args: shapes.append(args[3].shape) or draw(*args)
    )
    for num in (144, 359):
        binarize(np.zeros((num, 2, 2), np.uint8), 1 / 255, "static", 1)
    binarize(np.zeros((5000, 2, 2), np.uint8), 1 / 255, "static", 1)
    assert set(shapes) == {(512, 2, 2), (4096, 2, 2)}
    shapes.clear()
    binarize(np.zeros((7, 2, 2), np.uint8), 1 / 255, "static", 1, np.arange(7))
    binarize(np.zeros((3, 128, 128), np.uint8), 1 / 255, "static", 1)
    monkeypatch.setattr(binarization, "MAX_FILLED", 100)
    binarize(np.zeros((9, 2, 2), np.uint8), 1 / 255, "static", 1)
    assert shapes == [(7, 2, 2), (512, 128, 128), (9, 2, 2)]  # batches, and large images
