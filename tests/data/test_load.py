"""Data sets by name: embedded ones, .npz files and tensorflow-datasets, present or missing."""

import importlib.util
import json
import os
import pathlib
import pickle
import shutil
import socket
import time
import types
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import load, order, sprites
from vae_jax.data import tfds as tfds_sets
from vae_jax.data.splits import CUT_TEST_RULE, cut_test
from vae_jax.errors import InputError

KEY = jax.random.key(0)
MNIST_LABELS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8)).astype(np.uint8)


def sizes(dataset) -> tuple[int, int, int]:
    return dataset.train.num_examples, dataset.valid.num_examples, dataset.test.num_examples


def stored(dataset) -> np.ndarray:
    """All images of the three splits, one row each."""
    parts = [np.asarray(source.images) for source in (dataset.train, dataset.valid, dataset.test)]
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def refusal(*args, **kwargs) -> str:
    with pytest.raises(InputError) as error:
        load(*args, **kwargs)
    return str(error.value)


def assert_parts(message: str, *parts: str) -> None:
    for part in parts:
        assert part in message


def test_digits_are_the_1797_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    dataset = load("digits")
    assert sizes(dataset) == (1294, 144, 359)
    assert dataset.shape == (8, 8, 1)
    values = stored(dataset)
    assert set(np.unique(values * 16)) == set(range(17))
    # Each image with its label, as often as in the source: all there, and none in two splits.
    labels = np.concatenate(
        [np.asarray(s.labels) for s in (dataset.train, dataset.valid, dataset.test)]
    )
    bunch = datasets.load_digits()
    ours = np.column_stack([values * 16, labels]).astype(int)
    theirs = np.column_stack([bunch.data, bunch.target]).astype(int)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_sprites_are_all_there_and_in_one_split_each(monkeypatch) -> None:
    monkeypatch.setattr(
        sprites, "render", lambda classes: jnp.zeros((len(classes), 1))
    )  # only the factors are looked at
    dataset = load("sprites")
    assert sizes(dataset) == (730_280, 2_000, 5_000)
    rows = []
    for source in (dataset.train, dataset.valid, dataset.test):
        classes = jax.jit(lambda index, source=source: source.take(index, KEY)["y"])(
            jnp.arange(source.num_examples)
        )
        rows.append(np.ravel_multi_index(np.asarray(classes).T, sprites.FACTOR_SIZES))
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(sprites.NUM_IMAGES))
    for row in rows:  # mixed: each split has near a third of each shape
        share = np.bincount(row // (sprites.NUM_IMAGES // 3), minlength=3) / len(row)
        np.testing.assert_allclose(share, 1 / 3, atol=4 * np.sqrt(2 / 9 / len(row)))


def test_sprites_are_rendered_from_their_factors_in_compiled_code() -> None:
    dataset = load("sprites")
    assert dataset.shape == (64, 64, 1)
    index = jnp.array([0, 1999, 7, 7])
    take = jax.jit(lambda source, index: source.take(index, KEY))
    batch = take(dataset.valid, index)
    assert batch["x"].dtype == jnp.float32
    assert set(np.unique(batch["x"])) == {0, 1}
    np.testing.assert_array_equal(batch["x"], sprites.render(batch["y"]))
    np.testing.assert_array_equal(batch["x"][2], batch["x"][3])
    np.testing.assert_array_equal(batch["index"], index)
    rows = order.permute(
        index, sprites.NUM_IMAGES, jnp.uint32(0)
    )  # validation comes first in the shuffle
    np.testing.assert_array_equal(batch["y"], sprites.index_to_classes(rows))


@pytest.mark.parametrize("name", ["sprites", "digits"])
def test_unknown_binarization_of_any_set(name) -> None:
    message = refusal(name, binarization="statik")
    assert_parts(message, "binarization = 'statik'", "threshold", "did you mean 'static'?")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save) -> None:
    path = tmp_path / "set.npz"
    save(path, train_images=images(50), test_images=images(20, 1), other=np.arange(3))
    dataset = load("npz", path=os.fspath(path), valid_fraction=0.2)
    assert sizes(dataset) == (40, 10, 20)
    assert dataset.name == "npz file set.npz"
    expected = np.concatenate([images(50), images(20, 1)]).reshape(70, -1)
    np.testing.assert_array_equal(np.unique(stored(dataset), axis=0), np.unique(expected, axis=0))
    np.testing.assert_array_equal(dataset.test.images[..., 0], images(20, 1))
    assert dataset.train.labels is None


def test_npz_with_validation_and_labels(tmp_path) -> None:
    path = tmp_path / "set.npz"
    given = {
        f"{split}_images": images(n, n) for split, n in (("train", 30), ("valid", 20), ("test", 10))
    }
    np.savez(
        path,
        **given,
        train_labels=np.arange(30),
        valid_labels=np.arange(20) + 100,
        test_labels=np.arange(10) + 200,
    )
    dataset = load("npz", path=os.fspath(path))
    for split, first in (("train", 0), ("valid", 100), ("test", 200)):
        source = getattr(dataset, split)
        np.testing.assert_array_equal(source.images[..., 0], given[f"{split}_images"])
        np.testing.assert_array_equal(source.labels, first + np.arange(source.num_examples))


def test_npz_without_a_key_says_what_there_is(tmp_path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, test_images=images(5), mask=images(5))
    assert_parts(
        refusal("npz", path=os.fspath(path)),
        os.fspath(path),
        "'train_images'",
        "['mask', 'test_images']",
    )


NAMES = [
    ("x_train", "y_train", "x_val", "x_test"),
    ("trainX", "trainY", "devX", "testX"),
    ("Train Images", "train-label", "validation_data", "TEST_DATA"),
    ("X", "y", "X_valid", "X_test"),
    ("train", "train_targets", "val", "test"),
    ("tr_features", "labels", "features_val", "te_features"),
]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[0])
def test_names_that_people_use(tmp_path, names) -> None:
    path = tmp_path / "set.npz"
    train, valid, test = images(30), images(20, 1), images(10, 2)
    np.savez(path, **dict(zip(names, (train, np.arange(30) % 4, valid, test), strict=True)))
    dataset = load("npz", path=os.fspath(path))
    for source, expected in zip(
        (dataset.train, dataset.valid, dataset.test), (train, valid, test), strict=True
    ):
        np.testing.assert_array_equal(source.images[..., 0], expected)
    np.testing.assert_array_equal(dataset.train.labels, np.arange(30) % 4)


def test_a_missing_test_split_is_cut_by_the_rule_of_the_digits(tmp_path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, imgs=images(100), latents_classes=np.arange(200).reshape(100, 2))
    dataset = load("npz", path=os.fspath(path))
    expected = cut_test(images(100), np.arange(200).reshape(100, 2))
    assert sizes(dataset) == (72, 8, 20)
    np.testing.assert_array_equal(dataset.test.images[..., 0], expected["test_images"])
    np.testing.assert_array_equal(dataset.test.labels, expected["test_labels"])
    assert dataset.preparation["test"] == CUT_TEST_RULE


def test_arrays_that_nothing_reads_are_named(tmp_path, caplog) -> None:
    path = tmp_path / "set.npz"
    objects = np.array([{"author": 1}], object)
    np.savez(path, train_images=images(30), val_imagse=images(9), metadata=objects, X=images(4))
    with caplog.at_level("WARNING"):
        assert sizes(load("npz", path=os.fspath(path))) == (22, 2, 6)
    messages = [record.getMessage() for record in caplog.records]
    assert any("'val_imagse'; did you mean 'valid_images'?" in text for text in messages)
    assert any("'metadata'" in text for text in messages)
    assert any("'X'; another array is read in its place" in text for text in messages)


def test_a_needed_array_of_objects_is_named(tmp_path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, train_images=images(30), y_train=np.array([{}] * 30))
    assert_parts(refusal("npz", path=os.fspath(path)), "y_train holds objects")


def damaged(kind: str, path: pathlib.Path) -> None:
    save = np.savez if kind == "flipped bits" else np.savez_compressed
    save(path, train_images=images(50), test_images=images(20))
    content = bytearray(path.read_bytes())
    if kind in ("flipped bits", "damaged deflate stream"):
        for position in range(100, 160) if kind == "damaged deflate stream" else [1000]:
            content[position] ^= 0xFF
    elif kind == "damaged LZMA stream":
        with zipfile.ZipFile(path) as file:
            members = {name: file.read(name) for name in file.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
            for name, member in members.items():
                file.writestr(name, member)
        content = bytearray(path.read_bytes())
        content[100:140] = bytes(40)
    elif kind == "truncated":
        content = content[: len(content) // 2]
    elif kind == "last byte missing":
        content = content[:-1]
    elif kind == "empty":
        content = b""
    elif kind == "text":
        content = b"train_images,test_images\n"
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, images(5))
        content = path.read_bytes()
    elif kind == "pickle":
        content = pickle.dumps({"train_images": images(5), "test_images": images(5)})
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "kind",
    [
        "flipped bits",
        "damaged deflate stream",
        "damaged LZMA stream",
        "truncated",
        "last byte missing",
        "empty",
        "text",
        "npy",
        "pickle",
    ],
)
def test_unreadable_npz(tmp_path, kind) -> None:
    path = tmp_path / "set.npz"
    damaged(kind, path)
    message = refusal("npz", path=os.fspath(path))
    assert_parts(message, f"path = {os.fspath(path)!r}", "npz")
    assert "allow_pickle" not in message  # no advice to load it unsafely


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (os.fspath(self.path),)


def test_pickled_objects_are_refused_and_do_not_run(tmp_path) -> None:
    path, mark = tmp_path / "set.npz", tmp_path / "mark"
    np.savez(path, train_images=np.array([Trap(mark)], object), test_images=images(5))
    assert_parts(
        refusal("npz", path=os.fspath(path)),
        f"path = {os.fspath(path)!r}",
        "not a readable .npz of plain",
    )
    assert not mark.exists()
    with np.load(path, allow_pickle=True) as file:  # the trap works
        file["train_images"]
    assert mark.exists()


def test_npz_path_of_a_folder_without_arrays_of_train(tmp_path) -> None:
    for name in ("weights", "biases"):
        np.save(tmp_path / f"{name}.npy", np.zeros(3))
    assert_parts(
        refusal("npz", path=os.fspath(tmp_path)),
        "no array 'train_images'",
        "it needs train_images and test_images",
    )


@pytest.mark.parametrize("kind", ["missing", "none"])
def test_npz_path_that_is_no_file(tmp_path, kind) -> None:
    path = {"missing": os.fspath(tmp_path / "a.npz"), "none": ""}[kind]
    assert_parts(
        refusal("npz", path=path),
        f"path = {path!r}",
        "needs the path" if kind == "none" else "no such file",
    )


# Files of `real_data/raw`: split sizes, and pixel means of train with validation and of test.
REAL = {
    "binarized_mnist": (
        (50_000, 10_000, 10_000),
        (0.13056227 * 5 / 6 + 0.13112704 / 6, 0.13251225),
    ),
    "fashion_mnist": ((54_000, 6_000, 10_000), (0.28604060, None)),
    "omniglot_28x28": ((17_352, 1_928, 13_180), (None, None)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_npz(real_data, name) -> None:
    path = real_data / "raw" / name / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no {name} there")
    dataset = load("npz", path=os.fspath(path))
    expected, means = REAL[name]
    assert sizes(dataset) == expected
    assert dataset.shape == (28, 28, 1)
    scale = dataset.preparation["scale"]
    assert scale == (1.0 if name == "binarized_mnist" else pytest.approx(1 / 255))
    learned = np.concatenate([np.asarray(dataset.train.images), np.asarray(dataset.valid.images)])
    for part, mean in zip((learned, np.asarray(dataset.test.images)), means, strict=True):
        assert part.max() * scale == pytest.approx(1)
        assert part.min() == 0
        if mean is not None:
            assert part.mean() * scale == pytest.approx(mean, abs=1e-6)
    assert dataset.preparation["validation"].startswith(
        "as in" if name == "binarized_mnist" else "first"
    )
    if name == "fashion_mnist":
        counts = sum(np.bincount(source.labels) for source in (dataset.train, dataset.valid))
        np.testing.assert_array_equal(counts, 6000)
        np.testing.assert_array_equal(np.bincount(dataset.test.labels), 1000)


@pytest.mark.slow
def test_mnist_of_tensorflow_datasets(real_data) -> None:
    if not (real_data / "tfds" / "mnist").is_dir():
        pytest.skip("no MNIST there")
    dataset = load("mnist", dir=os.fspath(real_data / "tfds"))
    assert sizes(dataset) == (54_000, 6_000, 10_000)
    assert dataset.shape == (28, 28, 1)
    learned = (dataset.train, dataset.valid)
    assert sum(
        np.asarray(source.images).sum() for source in learned
    ) / 60_000 / 784 / 255 == pytest.approx(0.13066048, abs=1e-6)
    np.testing.assert_array_equal(
        sum(np.bincount(source.labels) for source in learned), MNIST_LABELS["train"]
    )
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), MNIST_LABELS["test"])
    # Labels belong to their images: a one is the digit with the least ink.
    ink = np.asarray(dataset.test.images).mean((1, 2, 3))
    assert (
        np.argmin([ink[np.asarray(dataset.test.labels) == digit].mean() for digit in range(10)])
        == 1
    )


def no_network(*args, **kwargs):
    raise OSError("no network")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnits", "mnist"),
        ("sprits", "sprites"),
        ("digit", "digits"),
        ("npy", "npz"),
        ("cifar_10", "cifar10"),
        ("qqqqqqqq", None),
    ],
)
def test_unknown_name(tmp_path, monkeypatch, name, hint) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    message = refusal(name, dir=os.fspath(tmp_path))
    assert_parts(
        message,
        f"name = {name!r}",
        "sprites, digits, npz, and the names of tensorflow-datasets",
    )
    assert message.endswith(f"did you mean {hint!r}?") if hint else "did you mean" not in message


@pytest.mark.parametrize(
    "name", ["", "../x", "mnist:9.9.9", "mnist/letters", "mnist:", "no such set"]
)
def test_name_that_does_not_parse(tmp_path, monkeypatch, name) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    message = refusal(name, dir=os.fspath(tmp_path))
    assert_parts(message, f"name = {name!r}", "allowed are sprites, digits, npz")
    assert "\n" not in message


def test_data_dir_that_does_not_exist(tmp_path) -> None:
    path = os.fspath(tmp_path / "nowhere")
    assert_parts(
        refusal("mnist", dir=path),
        f"dir = {path!r}",
        "no such directory",
        "'mnist'",
        "'digits'",
    )
    assert not os.path.exists(path)


def test_set_that_is_absent_without_a_network(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    began = time.monotonic()
    message = refusal("mnist", dir=os.fspath(tmp_path))
    assert time.monotonic() - began < 10
    assert_parts(
        message,
        "name = 'mnist'",
        f"dir = {os.fspath(tmp_path)!r}",
        "no network",
    )
    assert_parts(message, "set dir to", "'sprites' or 'digits'")
    assert not list(tmp_path.iterdir())


def test_download_that_fails(tmp_path, monkeypatch) -> None:
    def fails(*args, **kwargs):
        raise RuntimeError("checksum mismatch")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])
    monkeypatch.setattr(tfds_sets.tfds.core.DatasetBuilder, "download_and_prepare", fails)
    message = refusal("mnist", dir=os.fspath(tmp_path))
    assert_parts(
        message,
        "name = 'mnist'",
        "download failed: checksum mismatch",
        "set dir to",
    )


@pytest.fixture
def prepared(tmp_path):
    """Write the metadata of a prepared data set as stored on disk; return its `dir`."""

    def write(
        name="mnist",
        *,
        file_format="array_record",
        image="image",
        shape=(28, 28, 1),
        splits=("train", "test"),
    ) -> str:
        shard = {
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "numBytes": "1",
            "shardLengths": ["3"],
        }
        info = {
            "name": name,
            "version": "3.0.1",
            "fileFormat": file_format,
            "splits": [shard | {"name": s} for s in splits],
        }
        image_type = {
            "image": {"dtype": "uint8", "shape": {"dimensions": [str(size) for size in shape]}},
            "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
        }
        features = {
            "featuresDict": {"features": {image: image_type}},
            "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        }
        folder = tmp_path / name / "3.0.1"
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text(json.dumps(info))
        (folder / "features.json").write_text(json.dumps(features))
        return os.fspath(tmp_path)

    return write


def without_tensorflow(monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "tensorflow" else find(name, *rest),
    )


def test_tfrecord_without_tensorflow_says_how_to_prepare_it(prepared, monkeypatch) -> None:
    without_tensorflow(monkeypatch)
    path = prepared(file_format="tfrecord")
    message = refusal("mnist", dir=path)
    assert_parts(message, f"dir = {path!r}", "as tfrecord", "TensorFlow", "not installed")
    assert_parts(
        message,
        "tfds.builder('mnist', data_dir='DIR').download_and_prepare(file_format='array_record')",
    )


def test_real_metadata_with_another_file_format(real_data, tmp_path, monkeypatch) -> None:
    source = real_data / "tfds" / "mnist" / "3.0.1"
    if not source.is_dir():
        pytest.skip("no MNIST there")
    without_tensorflow(monkeypatch)
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    info = json.loads((source / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    shutil.copy(source / "features.json", folder)
    assert_parts(
        refusal("mnist", dir=os.fspath(tmp_path)),
        "holds 'mnist' as tfrecord",
        "file_format='array_record'",
    )


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"image": "picture"}, ["not images of one shape under the key 'image'", "picture"]),
        ({"shape": (-1, -1, 3)}, ["not images of one shape", "None, None, 3"]),
        ({"splits": ("test",)}, ["no split 'train'", "['test']"]),
    ],
    ids=["no image", "images of many shapes", "no train"],
)
def test_sets_that_do_not_serve(prepared, options, parts) -> None:
    assert_parts(refusal("my_set", dir=prepared("my_set", **options)), "name = 'my_set'", *parts)


@pytest.mark.parametrize(
    "content", [None, b"", b"not a record" * 10_000], ids=["missing", "empty", "damaged"]
)
def test_unreadable_records(prepared, content) -> None:
    path = prepared()
    if content is not None:
        (
            pathlib.Path(path) / "mnist" / "3.0.1" / "mnist-train.array_record-00000-of-00001"
        ).write_bytes(content)
    assert_parts(
        refusal("mnist", dir=path),
        f"dir = {path!r}",
        "records of mnist/3.0.1 cannot be read",
    )


def test_damaged_dataset_info(prepared) -> None:
    path = prepared()
    (pathlib.Path(path) / "mnist" / "3.0.1" / "dataset_info.json").write_text("{")
    assert_parts(refusal("mnist", dir=path), "name = 'mnist'", "cannot open it")


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (
            ("train", "test", "validation"),
            {"train": "train", "test": "test", "valid": "validation"},
        ),
        (("train", "test", "extra"), {"train": "train", "test": "test"}),
        (("train", "validation"), {"train": "train", "test": "validation"}),
        (("train",), None),
    ],
)
def test_which_splits_are_read(monkeypatch, splits, expected) -> None:
    size = {"train": 50, "test": 20, "validation": 10, "extra": 5}

    def read(builder, split, prefix, data_dir):
        return {
            f"{prefix}_images": images(size[split])[..., None],
            f"{prefix}_labels": np.arange(size[split]),
        }

    features = {"image": types.SimpleNamespace(shape=(8, 8, 1))}
    info = types.SimpleNamespace(name="my_set", splits=dict.fromkeys(splits), features=features)
    monkeypatch.setattr(
        tfds_sets, "_builder", lambda name, data_dir: types.SimpleNamespace(info=info)
    )
    monkeypatch.setattr(tfds_sets, "_read", read)
    dataset = load("my_set", valid_fraction=0.1)
    if expected is None:  # a fifth for test, then a tenth of the rest for validation
        assert sizes(dataset) == (36, 4, 10)
        labels = np.concatenate(
            [np.asarray(source.labels) for source in (dataset.train, dataset.valid, dataset.test)]
        )
        assert sorted(labels) == list(range(50))
    else:
        held_out = size[expected["valid"]] if "valid" in expected else 5
        assert sizes(dataset) == (
            50 if "valid" in expected else 45,
            held_out,
            size[expected["test"]],
        )
