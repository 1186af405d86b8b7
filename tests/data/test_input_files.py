"""Files that people have: folders of images, .npy and HDF5."""

import os

import numpy as np
import pytest
from PIL import Image

from vae_jax.data import load
from vae_jax.errors import InputError


def pixels(n: int, shape=(6, 5, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


def save(folder, images, suffix="png", **options) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:03d}.{suffix}", **options)


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as error:
        load("npz", path=os.fspath(path), **options)
    return str(error.value)


def sizes(dataset) -> list[int]:
    return [source.num_examples for source in (dataset.train, dataset.valid, dataset.test)]


def test_folder_with_splits_and_classes(tmp_path) -> None:
    for split, n in (("train", 12), ("val", 4), ("test", 3)):
        for i, name in enumerate(("cat", "dog")):
            save(tmp_path / split / name, pixels(n, seed=n + i))
    dataset = load("npz", path=os.fspath(tmp_path))
    assert dataset.shape == (6, 5, 3)
    for source, n in ((dataset.train, 12), (dataset.valid, 4), (dataset.test, 3)):
        expected = np.concatenate([pixels(n, seed=n), pixels(n, seed=n + 1)])
        np.testing.assert_array_equal(source.images, expected)
        np.testing.assert_array_equal(source.labels, np.repeat([0, 1], n))
    assert dataset.preparation["classes"] == ["cat", "dog"]


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_flat_folder_of_gray_or_colour_images(tmp_path, suffix) -> None:
    shape = (6, 5) if suffix == "png" else (6, 5, 3)
    images = (
        np.full((10, *shape), 40, np.uint8)
        + np.arange(10, dtype=np.uint8).reshape(10, *(1,) * len(shape)) * 20
    )
    save(tmp_path, images, suffix, **({"lossless": True} if suffix == "webp" else {}))
    dataset = load("npz", path=os.fspath(tmp_path))
    parts = [np.asarray(s.images) for s in (dataset.train, dataset.valid, dataset.test)]
    assert [len(part) for part in parts] == [7, 1, 2]
    values = np.sort(np.concatenate(parts)[:, 0, 0, 0])
    np.testing.assert_allclose(values, images.reshape(10, -1)[:, 0], atol=2 * (suffix == "jpg"))
    assert dataset.shape == (*shape, 1)[:3]
    assert dataset.name == f"folder {tmp_path.name}"


def test_images_of_1_bit_are_binary(tmp_path) -> None:
    images = pixels(10, (6, 5)) > 100
    for i, image in enumerate(images):
        (tmp_path / "train").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "train" / f"{i}.png")
    dataset = load("npz", path=os.fspath(tmp_path))
    assert dataset.preparation["binary"]
    stored = np.concatenate(
        [np.asarray(s.images) for s in (dataset.train, dataset.valid, dataset.test)]
    )
    assert set(np.unique(stored)) == {0, 1}
    assert stored.mean() == pytest.approx(images.mean())
    x = dataset.train.take(np.arange(2), None)["x"]
    assert set(np.unique(x)) == {0.0, 1.0}
    resized = load("npz", path=os.fspath(tmp_path), image_size=4)  # gray in between
    assert not resized.preparation["binary"]
    assert resized.train.value_range[1] > 0.5
    Image.fromarray(pixels(1, (6, 5))[0]).save(tmp_path / "train" / "gray.png")
    mixed = load("npz", path=os.fspath(tmp_path))
    assert not mixed.preparation["binary"]
    stored = np.concatenate([np.asarray(s.images) for s in (mixed.train, mixed.valid, mixed.test)])
    assert stored.max() == 255


def test_images_of_16_bits_and_transparent_ones(tmp_path) -> None:
    deep = np.linspace(0, 65535, 120).astype(np.uint16).reshape(10, 4, 3)
    save(tmp_path / "deep", deep)
    dataset = load("npz", path=os.fspath(tmp_path / "deep"))
    assert dataset.preparation["bits"] == 16
    assert dataset.train.value_range == (0, 1)
    clear = np.zeros((10, 4, 3, 4), np.uint8)
    clear[:, :2, :, 3] = 255  # the upper half is black, the rest transparent
    save(tmp_path / "clear", clear)
    x = np.asarray(load("npz", path=os.fspath(tmp_path / "clear")).test.images)
    assert (x[:, :2] == 0).all()
    assert (x[:, 2:] == 255).all()


def test_a_warning_counts_the_files_that_are_not_read(tmp_path, caplog) -> None:
    for split in ("train", "test"):
        save(tmp_path / split, pixels(6))
        save(tmp_path / split / "more", pixels(0))
    save(tmp_path / "train", pixels(4), "tif")
    for name in ("Labels.CSV", ".hidden", "Thumbs.db", "a.1", "b.2", "c.3"):
        (tmp_path / "test" / name).write_text("0\n")
    with caplog.at_level("WARNING", logger="vae_jax"):
        dataset = load("npz", path=os.fspath(tmp_path))
    assert dataset.test.num_examples == 6
    [message] = caplog.messages
    assert message.endswith(
        "only images are read (.png, .jpg, .jpeg, .webp), not 4 .tif files, 1 .csv file, 1 .1 file "
        "and 2 other files"
    )


@pytest.mark.parametrize("split", ["train", "val", "Test"])
def test_a_split_folder_whose_images_are_not_read_is_refused(tmp_path, split) -> None:
    for name in {"train", "val", "Test"} - {split}:
        save(tmp_path / name, pixels(20))
    save(tmp_path / split / "cat", pixels(20), "tif")
    message = refusal(tmp_path)
    assert f"its folder {split!r} has no image (.png, .jpg, .jpeg, .webp) but 20 .tif files" in (
        message
    )


@pytest.mark.parametrize(
    ("full", "empty"),
    [
        (("",), "train"),
        (("cat", "dog"), "tr"),
        (("train", "test"), "training"),
        (("train", "val", "test"), "dev"),
        (("train", "test"), "val"),
        (("train", "test"), ".trash"),
    ],
)
def test_empty_folders_are_none_of_the_data(tmp_path, full, empty, caplog) -> None:
    for name in full:
        save(tmp_path / name, pixels(20))
    (tmp_path / empty).mkdir()
    (tmp_path / empty / ".gitkeep").write_text("")
    with caplog.at_level("WARNING", logger="vae_jax"):
        dataset = load("npz", path=os.fspath(tmp_path))
    assert not caplog.messages
    assert sum(sizes(dataset)) == 20 * len(full)


def test_folders_that_are_links_are_read_and_loops_are_not(tmp_path) -> None:
    save(tmp_path / "real", pixels(9))
    for split in ("train", "test"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / split).symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again").symlink_to(tmp_path / "set")
    (tmp_path / "real" / "self").symlink_to(tmp_path / "real")
    dataset = load("npz", path=os.fspath(tmp_path / "set"))
    assert dataset.test.num_examples == 9


def test_images_beside_arrays_are_named(tmp_path, caplog) -> None:
    np.save(tmp_path / "x.npy", pixels(20))
    save(tmp_path / ".cache", pixels(1))
    with caplog.at_level("WARNING", logger="vae_jax"):
        load("npz", path=os.fspath(tmp_path))
        assert not caplog.messages
        save(tmp_path / "train", pixels(5))
        load("npz", path=os.fspath(tmp_path))
    [message] = caplog.messages
    assert "only its .npy files are read, not images such as" in message


@pytest.mark.parametrize(("files", "part"), [(24, "it has 24 .gif files"), (0, "it is empty")])
def test_a_folder_without_images_names_what_it_has(tmp_path, files, part) -> None:
    save(tmp_path, pixels(files), "gif")
    message = refusal(tmp_path)
    assert "has no .npy file at its top and no image (.png, .jpg, .jpeg, .webp)" in message
    assert part in message


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.csv", "a table, which the data set 'table' reads"),
        ("a.parquet", "a table, which the data set 'table' reads"),
        ("a.smi", "a text, which the data set 'text' reads"),
        ("a.PNG", "an image; must be the folder that contains it"),
    ],
)
def test_a_file_of_another_kind_is_not_called_damaged(tmp_path, name, part) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    assert part in refusal(tmp_path / name)


def test_folders_whose_images_or_names_are_of_two_kinds(tmp_path, caplog) -> None:
    save(tmp_path / "mixed", [*pixels(1, (6, 5)), *pixels(9)])
    with caplog.at_level("WARNING", logger="vae_jax"):
        load("npz", path=os.fspath(tmp_path / "mixed"))
    [message] = caplog.messages
    assert "9 of 10 images are in color, such as 001.png, and are read as gray" in message
    caplog.clear()
    for name in ("validation", "test", "cat"):
        save(tmp_path / "splits" / name, pixels(3))
    load("npz", path=os.fspath(tmp_path / "splits"))
    [message] = caplog.messages
    assert "without a folder 'train', 'test' and 'validation' are read as training" in message
    save(tmp_path / "deep", [*pixels(5, (6, 5)), *pixels(5, (6, 5)).astype(np.uint16) * 99])
    message = refusal(tmp_path / "deep").replace("mode I,", "mode I;16,")  # of Pillow 10
    assert "has mode I;16, more than 8 bits, and the first training image 8" in message


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_gray_images_stored_in_color_are_gray(tmp_path, suffix, caplog) -> None:
    gray = pixels(10, (6, 5))
    for i, image in enumerate(gray):
        stored = Image.fromarray(image if i == 0 else np.stack([image] * 3, -1))
        stored.save(tmp_path / f"{i}.{suffix}")
    dataset = load("npz", path=os.fspath(tmp_path))
    assert dataset.shape == (6, 5, 1)
    assert not caplog.messages


def test_unequal_sizes_are_refused_or_cropped(tmp_path) -> None:
    save(tmp_path / "a", pixels(5))
    save(tmp_path / "b", pixels(5, (9, 12, 3)))
    message = refusal(tmp_path)
    assert "12 wide and 9 high" in message
    assert "image_size" in message
    dataset = load("npz", path=os.fspath(tmp_path), image_size=4)
    assert dataset.shape == (4, 4, 3)
    assert set(np.unique(dataset.train.labels)) == {0, 1}


def test_the_crop_is_around_the_center(tmp_path) -> None:
    image = np.zeros((4, 12, 3), np.uint8)
    image[:, 4:8] = 255
    save(tmp_path, [image] * 10)
    dataset = load("npz", path=os.fspath(tmp_path), image_size=4)
    assert (np.asarray(dataset.train.images) == 255).all()


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("damaged", "cannot be read"),
        ("beside classes", "in no folder of a class"),
        ("beside splits", "'extra' next to folders of splits"),
        ("streaming", "must be False"),
    ],
)
def test_folders_that_are_refused(tmp_path, kind, part) -> None:
    save(tmp_path / "train" / "cat", pixels(6))
    if kind == "damaged":
        (tmp_path / "train" / "cat" / "900.png").write_bytes(b"no image")
    elif kind == "beside classes":
        save(tmp_path / "train", pixels(1))
    elif kind == "beside splits":
        save(tmp_path / "extra", pixels(1))
    assert part in refusal(tmp_path, streaming=kind == "streaming")


def test_npy(tmp_path) -> None:
    np.save(tmp_path / "anything.npy", pixels(10))
    dataset = load("npz", path=os.fspath(tmp_path / "anything.npy"))
    assert dataset.train.num_examples + dataset.valid.num_examples == 8
    assert dataset.shape == (6, 5, 3)
    assert "image_size = 4" in refusal(tmp_path / "anything.npy", image_size=4)


def test_hdf5(tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        file["train/images"] = pixels(20)
        file["train/labels"] = ["cat", "dog"] * 10
        file["test/images"] = pixels(5, seed=1)
        file["test/labels"] = ["dog"] * 5
    dataset = load("npz", path=os.fspath(path))
    np.testing.assert_array_equal(dataset.test.images, pixels(5, seed=1))
    np.testing.assert_array_equal(dataset.test.labels, np.ones(5))
    assert dataset.preparation["classes"] == ["cat", "dog"]
    path.write_bytes(b"no file of HDF5")
    assert "not a readable HDF5 file" in refusal(path)


def test_hdf5_without_h5py(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "set.h5").write_bytes(b"x")
    assert "pip install h5py" in refusal(tmp_path / "set.h5")
