"""A run goes on with the data that it began with, and is evaluated on no other."""

import copy
import os

import numpy as np
import pytest
from logs import logged_lines

from vae_jax.config import Config
from vae_jax.data import from_arrays
from vae_jax.data.identity import check_same_data, data_identity, describe_data
from vae_jax.errors import InputError
from vae_jax.experiment import evaluate_workdir, train_and_evaluate


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 4)).astype(np.uint8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    np.savez(folder / "set.npz", train_images=images(30), test_images=images(9, 1))
    config = Config()
    config.data.name, config.data.path = "npz", os.fspath(folder / "set.npz")
    config.model.hidden, config.model.latent_dim = (4,), 2
    config.model.likelihood = "gaussian"
    config.train.num_steps, config.train.batch_size = 2, 4
    config.evaluation.metrics = ()
    with logged_lines() as lines:
        results = train_and_evaluate(config, folder / "run")
    return folder, config, results, lines


def test_shape_ranges_and_hash_are_in_the_log_and_the_results(trained) -> None:
    _, _, results, lines = trained
    first = next(line for line in lines if "training" in line)
    data = results["data"]
    assert "images of 4x4 with 1 channel" in first
    assert data["sha256"][:12] in first
    assert data["shape"] == "images of 4x4 with 1 channel"
    assert set(data["ranges"]) == {"train", "valid", "test"}


@pytest.mark.parametrize("change", ["one pixel", "fewer test images", "same"])
def test_other_data_are_refused(trained, change) -> None:
    folder, config, _, _ = trained
    train, test = images(30), images(9, 1)
    if change == "one pixel":
        train[3, 2, 1] ^= 1
    elif change == "fewer test images":
        test = test[:8]
    np.savez(folder / "set.npz", train_images=train, test_images=test)
    if change == "same":  # the file is another, its content is not
        evaluate_workdir(folder / "run")
        train_and_evaluate(config, folder / "run")
        return
    for go_on in (
        lambda: train_and_evaluate(config, folder / "run"),
        lambda: evaluate_workdir(folder / "run"),
    ):
        with pytest.raises(InputError, match=r"other data than npz file set\.npz"):
            go_on()


def test_data_of_another_kind_are_refused_as_other_data(trained) -> None:
    folder, config, _, _ = trained
    assert config.model.network == "auto"
    x = np.random.default_rng(0).normal(size=(39, 5))  # a table, for which it is an MLP
    np.savez(folder / "set.npz", train_images=x[:30], test_images=x[30:])
    with pytest.raises(InputError, match=r"other data than npz file set\.npz") as caught:
        train_and_evaluate(config, folder / "run")
    assert "config.model.network: 'mlp' here, 'conv' there" in str(caught.value)
    config = copy.deepcopy(config)
    config.model.latent_dim += 1  # another config, whatever the data
    with pytest.raises(InputError, match="another config"):
        train_and_evaluate(config, folder / "run")


def test_a_test_set_that_is_a_copy_is_not_named() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[0] = np.nan
    arrays = {"train_images": x}
    dataset = from_arrays(arrays, missing=True, needs_test=False)
    np.testing.assert_array_equal(dataset.test.images, dataset.valid.images)
    identity = data_identity(dataset)
    assert set(identity["ranges"]) == set(identity["missing"]) == {"train", "valid"}
    assert "num_test" not in identity
    text = describe_data(dataset.preparation)
    assert ", valid " in text
    assert "missing share train" in text
    assert "test" not in text
    with pytest.raises(InputError, match=r"\{'train': \(3,\), 'valid': \(2,\)\}"):
        from_arrays(arrays | {"valid_images": np.ones((4, 2))}, missing=True, needs_test=False)
    named = describe_data(from_arrays(arrays, missing=True).preparation)
    assert ", test " in named


def test_checkpoints_without_an_identity_still_load() -> None:
    dataset = from_arrays({"train_images": images(9), "test_images": images(5)})
    check_same_data(data_identity(dataset), None, "workdir")
    other = from_arrays({"train_images": images(9, 2), "test_images": images(5)})
    with pytest.raises(InputError, match="ranges"):
        check_same_data(data_identity(other), data_identity(dataset) | {"ranges": []}, "workdir")
