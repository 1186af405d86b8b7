"""Missing values: NaN and masks in memory and on disk, through splits, streams and statistics."""

import functools
import logging
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import parallel
from vae_jax.config import Config
from vae_jax.data import HostSource, from_arrays, load, moments, order, streaming
from vae_jax.data.column_survey import survey_columns
from vae_jax.data.identity import check_same_data, data_identity
from vae_jax.data.inputs import Inputs
from vae_jax.data.names import canonical_name
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.builders.label_subsets import allow_unlabeled, keep_labels
from vae_jax.experiment.validation import validate
from vae_jax.nets.units import Units

KEY = jax.random.key(0)
SPLITS = ("train", "valid", "test")


def rng(seed=0):
    return np.random.default_rng(seed)


def table(n=60, seed=0):
    """Rows whose first column is their number, and a mask of half of the other columns."""
    x = rng(seed).normal(size=(n, 4)) * [1, 3, 100, 1e-3] + [0, 7, 0, 1]
    x[:, 0] = np.arange(n)
    observed = rng(seed + 1).random(x.shape) < 0.5
    observed[:, 0] = True
    return x, observed


def with_nan(x, observed):
    return np.where(observed, x, np.nan)


def arrays(shape=(4,), dtype=np.float64, n=40, mask_shape=None):
    """Train and test, with masks."""
    values = rng().integers(0, 256, (n + 10, *shape))
    values = values.astype(dtype) if dtype == np.uint8 else (values / 16).astype(dtype)
    observed = rng(1).random((n + 10, *(shape if mask_shape is None else mask_shape))) < 0.6
    observed[0] = True
    return {
        "train_images": values[:n],
        "test_images": values[n:],
        "train_observed": observed[:n],
        "test_observed": observed[n:],
    }


def batch(source, key=KEY):
    return source.take(jnp.arange(source.num_examples), key)


def refusal(given, **options):
    with pytest.raises(InputError) as error:
        from_arrays(given, **options)
    return str(error.value)


def test_nan_and_a_mask_are_the_same_data() -> None:
    x, observed = table()
    junk = np.where(observed, x, 1e30)
    by_nan = from_arrays({"x": with_nan(x, observed)}, missing=True)
    by_mask = from_arrays({"x": junk, "x_observed": observed.astype(np.uint8)}, missing=True)
    both = from_arrays({"x": with_nan(x, observed), "observed": observed}, missing=True)
    assert by_nan.preparation == by_mask.preparation == both.preparation
    for split in SPLITS:
        one, two, three = (getattr(d, split) for d in (by_nan, by_mask, both))
        chex.assert_trees_all_equal(one, two, three)
        result = batch(one)
        assert set(result) == {"x", "index", "observed"}
        rows = np.asarray(result["x"][:, 0]).astype(int)  # the numbers of the rows
        np.testing.assert_array_equal(result["observed"], observed[rows])
        expected = np.where(observed[rows], x[rows], 0).astype(np.float32)
        np.testing.assert_array_equal(result["x"], expected)
        share = by_nan.preparation["missing"][split]
        assert share == pytest.approx(1 - observed[rows].mean())


@pytest.mark.parametrize("mask_shape", [(3, 2, 3), (3, 2), (3, 2, 1)])
def test_images_of_bytes_have_masks_by_channel_or_by_pixel(mask_shape) -> None:
    given = arrays((3, 2, 3), np.uint8, mask_shape=mask_shape)
    wide = {
        k: np.broadcast_to(m.reshape(*m.shape[:3], -1), (len(m), 3, 2, 3))
        for k, m in given.items()
        if k.endswith("observed")
    }
    dataset = from_arrays(given, missing=True)
    result = batch(dataset.test)
    np.testing.assert_array_equal(result["observed"], wide["test_observed"])
    expected = np.where(wide["test_observed"], given["test_images"] / np.float32(255), 0)
    np.testing.assert_allclose(result["x"], expected, rtol=1e-6)
    other = dict(given)
    other["test_images"] = np.where(wide["test_observed"], given["test_images"], 255)
    assert from_arrays(other, missing=True).preparation == dataset.preparation


def test_gray_images_get_a_channel_axis_and_so_does_their_mask() -> None:
    given = arrays((3, 2), np.float16)
    nan = {
        k: with_nan(given[f"{k}_images"], given[f"{k}_observed"]).astype(np.float16)
        for k in ("train", "test")
    }
    dataset = from_arrays(nan, missing=True)
    assert dataset.test.observed.shape == (10, 3, 2, 1)
    np.testing.assert_array_equal(dataset.test.observed[..., 0], given["test_observed"])
    chex.assert_trees_all_equal(from_arrays(given, missing=True).train, dataset.train)


def test_integers_that_mark_missing_values_are_ignored_under_the_mask() -> None:
    given = arrays(dtype=np.uint8)
    given |= {
        f"{k}_images": np.where(given[f"{k}_observed"], given[f"{k}_images"].astype(int), -999)
        for k in ("train", "test")
    }
    dataset = from_arrays(given, missing=True)
    assert dataset.train.images.dtype == np.uint8
    assert "-999" in refusal({k: v for k, v in given.items() if "images" in k}, missing=True)


def test_without_the_flag_missing_values_are_errors_that_name_it() -> None:
    x, observed = table()
    message = refusal({"x": with_nan(x, observed)})
    assert message.endswith("must be finite; if NaN are missing values, set missing = True")
    assert "missing = True" not in refusal({"x": np.where(observed, x, np.inf)})
    message = refusal({"x": with_nan(np.round(np.abs(x)), observed)}, values="counts")
    assert message.endswith("; if NaN are missing values, set missing = True")
    message = refusal({"x": x, "observed": observed})
    assert "train_observed tells which values are observed, and is read with missing" in message


@pytest.mark.parametrize("streaming", [False, True])
def test_with_the_flag_complete_data_are_as_without(streaming, caplog) -> None:
    given = {k: v for k, v in arrays().items() if "images" in k}
    with caplog.at_level(logging.WARNING):
        one = from_arrays(given, missing=True, streaming=streaming)
    assert "no value is missing" in caplog.text
    two = from_arrays(given, streaming=streaming)
    assert one.preparation == two.preparation | {"missing": dict.fromkeys(SPLITS, 0.0)}
    masks = {f"{k}_observed": np.ones((n, 4)) for k, n in (("train", 40), ("test", 10))}
    three = from_arrays(given | masks, missing=True, streaming=streaming)
    for source in (one.train, three.train):
        assert source.observed is None
        if streaming:
            source = source.select(np.arange(30))
        assert set(batch(source)) == {"x", "index"}
    chex.assert_trees_all_equal(one.test, two.test, three.test)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"train_observed": np.ones((40, 3))}, "train_observed has shape (40, 3) for train_images"),
        ({"test_observed": np.ones(10)}, "must be (10, 4)"),
        ({"train_observed": np.full((40, 4), 2)}, "values such as 2; must be True, or 1,"),
        ({"train_observed": np.full((40, 4), np.nan)}, "values such as nan"),
        ({"train_observed": np.full((40, 4), "yes")}, "has dtype <U3; must be booleans"),
        ({"valid_observed": np.ones((5, 4))}, "valid_observed without valid_images"),
        ({"test_images": np.full((10, 4), np.nan)}, "NaN that are observed by test_observed, the"),
        ({"test_observed": np.zeros((10, 4))}, "test_images has no observed value"),
        ({"test_images": np.full((10, 4), np.inf)}, "values that are NaN or infinite"),
        ({"train_observed": np.arange(4) != 2}, "has shape (4,)"),
    ],
)
def test_masks_that_are_refused(change, part) -> None:
    assert part in refusal(arrays() | change, missing=True)


@pytest.mark.parametrize("streaming", [False, True])
def test_columns_without_an_observed_training_value_are_refused_by_number(streaming) -> None:
    given = arrays()
    given["train_observed"][:, [1, 3]] = False
    message = refusal(given, missing=True, streaming=streaming)
    assert "columns 1, 3 without an observed value in the training split; remove" in message
    given = arrays((2, 2, 3), np.uint8)
    given["train_observed"][..., 1] = False
    assert "channel 1 without" in refusal(given, missing=True, streaming=streaming)


def test_pixels_and_rows_without_an_observed_value_stay_and_are_named(caplog) -> None:
    given = arrays((2, 2), np.uint8)
    given["train_observed"][:, 0, 1] = False
    given["train_observed"][10:, 0, 0] = given["train_observed"][:10, 1, 1] = True
    given["train_observed"][[7, 9]] = False
    with caplog.at_level(logging.WARNING):
        dataset = from_arrays(given, missing=True)
    assert "train_images: rows without an observed value: 2, the first is row 7" in caplog.text
    assert "1 of 4 pixels are never observed" in caplog.text
    assert dataset.train.num_examples + dataset.valid.num_examples == 40


def test_small_data() -> None:
    x = np.array([[1.0, np.nan]])
    dataset = from_arrays(
        {f"{s}_images": x for s in SPLITS} | {"train_images": [[1, 2.0]]}, missing=True
    )
    assert batch(dataset.test)["observed"].tolist() == [[True, False]]
    assert "shape ()" in refusal({"train_images": np.nan, "test_images": x}, missing=True)
    assert "is empty" in refusal({"train_images": x, "test_images": x[:0]}, missing=True)


READ = {
    "batch_size": 7,
    "seed": 5,
    "rows": slice(0, 7),
    "place": functools.partial(parallel.split_batches, mesh=None),
}


@pytest.mark.parametrize(
    ("shape", "dtype", "mask_shape", "kind", "options"),
    [
        ((4,), np.float64, None, "nan", {}),
        ((4,), np.float32, None, "mask", {}),
        ((3, 2, 3), np.uint8, (3, 2), "mask", {"binarization": "dynamic"}),
        ((3, 2), np.uint8, None, "mask", {"binarization": "static"}),
        ((4,), np.float64, None, "nan", {"values": "counts"}),
    ],
)
def test_what_is_streamed_is_what_is_in_memory(
    tmp_path, shape, dtype, mask_shape, kind, options
) -> None:
    given = arrays(shape, dtype, mask_shape=mask_shape)
    if "values" in options:
        given |= {k: np.round(v) for k, v in given.items() if "images" in k}
    if kind == "nan":
        given = {
            f"{k}_images": with_nan(given[f"{k}_images"], given[f"{k}_observed"])
            for k in ("train", "test")
        }
    np.savez(tmp_path / "set.npz", **given)
    options |= {"path": os.fspath(tmp_path / "set.npz"), "missing": True}
    memory, streamed = load("npz", **options), load("npz", streaming=True, **options)
    assert isinstance(streamed.train, HostSource)
    ranges = {"ranges": None}  # of a streamed train, that of valid too
    assert memory.preparation | ranges == streamed.preparation | ranges
    assert memory.preparation["missing"]["train"] > 0.1
    chex.assert_trees_all_equal(streamed.valid, memory.valid)
    if "binarization" not in options:
        chex.assert_trees_all_close(memory.moments.__dict__, streamed.moments.__dict__, rtol=1e-12)
    index = np.array([35, 0, 7, 7])
    chex.assert_trees_all_equal(
        streamed.train.select(index).take(np.arange(4), KEY) | {"index": index},
        memory.train.take(index, KEY),
    )
    batches = []
    with streaming.stream(streamed.train, [(3, 5), (5, 9)], **READ) as blocks:
        for block in blocks:
            batches += [block.take(step, KEY) for step in range(len(block.index))]
    wanted = order.batch_index(np.arange(3, 9), num_examples=36, batch_size=7, seed=5)
    for one, index in zip(batches, wanted, strict=True):
        chex.assert_trees_all_equal(one, memory.train.take(index, KEY))


@pytest.mark.slow
def test_workers_read_the_same_masks(tmp_path) -> None:
    for key, array in arrays((3, 2), np.uint8).items():
        np.save(tmp_path / f"{key}.npy", array)
    source = load("npz", path=os.fspath(tmp_path), streaming=True, missing=True).train
    read = []
    for workers in (0, 2):
        with streaming.stream(source, [(0, 4), (4, 6)], workers=workers, **READ) as blocks:
            read.append(jax.device_get(list(blocks)))
    chex.assert_trees_all_equal(*read)
    assert read[0][0].observed.shape == (4, 7, 3, 2, 1)


@pytest.mark.parametrize("read_bytes", [100, 2**24])
def test_statistics_are_of_the_observed_values(read_bytes, monkeypatch) -> None:
    monkeypatch.setattr(moments, "READ_BYTES", read_bytes)
    x, observed = table()
    nan = with_nan(x, observed).astype(np.float32)
    dataset = from_arrays({f"{s}_images": nan for s in SPLITS}, missing=True)
    nan = nan.astype(np.float64)
    logs = np.log1p(np.maximum(nan, 0))
    result = dataset.moments
    np.testing.assert_allclose(result.mean, np.nanmean(nan, 0), rtol=1e-12)
    np.testing.assert_allclose(result.stddev, np.nanstd(nan, 0), rtol=1e-12)
    np.testing.assert_allclose(result.log_mean, np.nanmean(logs, 0), rtol=1e-12)
    np.testing.assert_allclose(result.log_stddev, np.nanstd(logs, 0), rtol=1e-12)
    assert dataset.train.value_range == pytest.approx((np.nanmin(nan), np.nanmax(nan)))


def test_units_by_hand_skip_nan() -> None:
    x, observed = table()
    x = np.abs(x) + 1
    masks = {"counts": (True, False, False, False), "positive": (False, True, False, False)}
    units = Units.fit(with_nan(x, observed), real=(False, False, True, True), **masks)
    for column, real in enumerate((False, False, True, True)):
        values = x[observed[:, column], column][:, None]
        options = {name: mask[column] for name, mask in masks.items()}
        alone = Units.fit(values, real=real, **options)
        for whole, part in ((units.inputs, alone.inputs), (units.density, alone.density)):
            np.testing.assert_allclose(whole.loc[column], part.loc[0], rtol=1e-12)
            np.testing.assert_allclose(whole.scale[column], part.scale[0], rtol=1e-12)
    x[:, 2] = np.nan
    with pytest.raises(InputError, match="units: column 2 has no value"):
        Units.fit(x)


@pytest.mark.parametrize("read_bytes", [100, 2**24])
def test_the_survey_of_columns_sees_observed_values_only(read_bytes, monkeypatch) -> None:
    monkeypatch.setattr(moments, "READ_BYTES", read_bytes)
    x, observed = table()
    observed[:20, 3] = False  # nothing in the first parts
    x[41, 1], x[42, 1] = -500.0, 9e9
    observed[41, 1], observed[42, 1] = True, False
    filled = np.where(observed, x, 0)
    survey = survey_columns(filled, observed)
    assert (survey.row[1], survey.value[1]) == (41, -500.0)
    for column in (1, 3):
        values = x[observed[:, column], column]
        np.testing.assert_allclose(survey.sums.mean[column], values.mean(), rtol=1e-12)
        np.testing.assert_allclose(survey.sums.stddev[column], values.std(), rtol=1e-9)
        rest = np.delete(values, np.flatnonzero(values == survey.value[column])[0])
        np.testing.assert_allclose(survey.rest.stddev[column], rest.std(), rtol=1e-9)
        assert survey.rest.count[column] == len(rest)


def test_range_and_kind_are_of_the_observed_values() -> None:
    x = rng().integers(5, 10, (50, 3)).astype(float)
    observed = rng(1).random(x.shape) < 0.7
    dataset = from_arrays({"x": with_nan(x, observed)}, missing=True)
    assert dataset.train.value_range == (5, 9)
    x[:, 1] = np.arange(50) % 2
    x[:, 0] += 0.5
    binary = from_arrays({"x": with_nan(x, observed)}, missing=True).preparation
    assert binary["binary_columns"] == [1]
    bits = from_arrays({"x": with_nan(x > 6, observed)}, missing=True)
    assert bits.preparation["binary"]
    counts = from_arrays({"x": with_nan(np.floor(x), observed)}, missing=True, values="counts")
    assert counts.preparation["values"] == "counts"


@pytest.mark.parametrize("binarization", ["threshold", "static", "dynamic"])
def test_binarized_pixels_are_those_of_complete_images_where_observed(binarization) -> None:
    given = arrays((4, 3), np.uint8)
    plain = {k: v for k, v in given.items() if "images" in k}
    one = from_arrays(given, missing=True, binarization=binarization)
    two = from_arrays(plain, binarization=binarization)
    for split in SPLITS:
        result, complete = batch(getattr(one, split)), batch(getattr(two, split))
        expected = np.where(result["observed"], complete["x"], 0)
        np.testing.assert_array_equal(result["x"], expected)


def test_a_source_zeroes_what_its_mask_excludes() -> None:
    images, observed = np.ones((3, 2, 2), np.float32), np.eye(2, dtype=bool)[None].repeat(3, 0)
    source = from_arrays({"x": np.ones((9, 2, 2))}).train
    source = source.__class__(images, observed=observed)
    result = jax.jit(lambda s, i: s.take(i, KEY))(source, jnp.array([2, 0]))
    np.testing.assert_array_equal(result["x"], observed[:2])
    np.testing.assert_array_equal(source.select(np.array([1])).observed, observed[:1])
    assert set(source.__class__(images).take(np.array([0]), KEY)) == {"x", "index"}


def test_another_mask_is_another_data_set() -> None:
    x, observed = table()
    x[x < 0] = 0
    one, two = (from_arrays({"x": x, "observed": m}, missing=True) for m in (observed, observed))
    check_same_data(data_identity(one), data_identity(two), "here")
    place = np.argwhere(~observed & (x == 0))[0]
    other = observed.copy()
    other[tuple(place)] = True  # where the stored value is 0 in both
    three = from_arrays({"x": x, "observed": other}, missing=True)
    with pytest.raises(InputError, match="was trained on other data"):
        check_same_data(data_identity(three), data_identity(one), "here")
    given = arrays()
    given["test_images"][3, 1], given["test_observed"][3, 1] = 0, True
    hashes = []
    for is_observed in (True, False):
        given["test_observed"][3, 1] = is_observed
        hashes.append(from_arrays(given, missing=True).preparation["test_sha256"])
    assert hashes[0] != hashes[1]


NAMES = {
    "observed": ("", "observed"),
    "X_observed": ("", "observed"),
    "trainObserved": ("train", "observed"),
    "observed_x_val": ("valid", "observed"),
    "test_images_observed": ("test", "observed"),
    "y_observed": None,
    "mask": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_masks(name) -> None:
    assert canonical_name(name) == NAMES[name]


def test_other_masks_are_not_ignored_silently(caplog) -> None:
    x, observed = table()
    message = refusal({"x": np.ma.array(x, mask=~observed)}, missing=True)
    assert "train_images is a masked array; replace its masked entries by NaN and set" in message
    from_arrays({"x": np.ma.array(x, mask=np.zeros(x.shape, bool)), "x_mask": observed})
    assert "'x_mask'; an array of observed values, 1 or 0, is named such as train_" in caplog.text


def test_subsets_of_classes_and_labels_keep_the_masks(tmp_path) -> None:
    given = arrays((4,), np.float64)
    labels = {"train_labels": np.arange(40) % 2, "test_labels": np.arange(10) % 2}
    np.savez(tmp_path / "set.npz", **given, **labels)
    config = Config()
    config.data.name, config.data.path = "npz", os.fspath(tmp_path / "set.npz")
    with pytest.raises(InputError, match=r"is read with config\.data\.missing = True"):
        builders.build_data(config)
    config.data.missing, config.data.leave_out = True, 1
    dataset = builders.build_data(config)
    kept = labels["test_labels"] != 1
    np.testing.assert_array_equal(dataset.test.observed, given["test_observed"][kept])
    share = dataset.preparation["missing"]["test"]
    assert share == pytest.approx(1 - given["test_observed"][kept].mean())
    assert keep_labels(dataset, 3).train.observed is dataset.train.observed


def test_examples_that_are_removed_for_their_label_take_their_mask_with_them() -> None:
    given = arrays((4,), np.float64)
    labels = {"train_labels": np.arange(40) % 3, "test_labels": np.arange(10) % 3}
    labels["test_labels"][[2, 5]] = -1
    complete = from_arrays(given | labels, missing=True)
    dataset = allow_unlabeled(complete)
    kept = labels["test_labels"] >= 0
    np.testing.assert_array_equal(dataset.test.observed, given["test_observed"][kept])
    share = dataset.preparation["missing"]["test"]
    assert share == pytest.approx(1 - given["test_observed"][kept].mean())
    assert dataset.preparation["test_sha256"] != complete.preparation["test_sha256"]


def test_inputs_of_a_trained_model() -> None:
    x, observed = table()
    inputs = Inputs.of(from_arrays({"x": with_nan(x, observed)}, missing=True))
    assert inputs.missing
    nan = with_nan(x, observed)
    for given in ((nan, None), (nan, observed), (np.where(observed, x, 1e20), observed * 1)):
        rows, mask = inputs.convert_observed(*given)
        np.testing.assert_array_equal(mask, observed)
        np.testing.assert_array_equal(rows, np.where(observed, x, 0).astype(np.float32))
    rows, mask = inputs.convert_observed(x)
    assert mask.all()
    complete = Inputs.of(from_arrays({"x": x}))
    assert complete.convert_observed(x)[1] is None
    np.testing.assert_array_equal(complete.convert_observed(nan, observed)[1], observed)
    with pytest.raises(InputError, match="trained without missing values: pass `observed`"):
        complete.convert_observed(nan)
    with pytest.raises(InputError, match="observed has shape"):
        inputs.convert_observed(x, observed[:, :2])
    with pytest.raises(InputError, match="x has values from"):
        inputs.convert_observed(np.full_like(x, 1e20), observed)
    far = Inputs.of(from_arrays({"x": with_nan(1000 + x[:, :1], observed[:, 1:2])}, missing=True))
    rows, _ = far.convert_observed(np.array([[1003.0], [np.nan]]))  # 0 is out of the range
    assert rows.tolist() == [[1003.0], [0.0]]
    assert Inputs.from_json({**inputs.__dict__}) == inputs


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model.likelihood": "autoregressive"}, "missing = True: doesn't fit config.model.likeli"),
        (
            {"data.missing": False, "model.mask_input": True},
            "model.mask_input = True: does nothing",
        ),
    ],
)
def test_configs_that_do_not_fit(fields, message) -> None:
    config = Config()
    config.data.missing = True
    for path, value in fields.items():
        group, leaf = path.split(".")
        setattr(getattr(config, group), leaf, value)
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        validate(config)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"likelihood": "logistic_mixture"}, "the three channels of a pixel depend on each other"),
        ({"metrics": "quality"}, "'quality': doesn't fit config.data.missing = True"),
        ({"metrics": "compression"}, "'compression': doesn't fit config.data.missing = True"),
    ],
)
def test_what_needs_complete_images_is_refused(fields, message) -> None:
    config = Config()
    config.data.missing = True
    config.data.binarization = "none"
    config.train.batch_size = 4
    config.model.likelihood = fields.get("likelihood", "discretized_logistic")
    config.evaluation.metrics = tuple(fields.get("metrics", "").split())
    given = arrays((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        validate(config, from_arrays(given, missing=True))
    if "likelihood" in fields:  # complete images may pass
        images = {k: v for k, v in given.items() if "images" in k}
        validate(config, from_arrays(images, missing=True))
