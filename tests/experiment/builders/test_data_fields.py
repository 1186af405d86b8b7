"""The data of a config: errors name its fields, and labels are compatible with the model."""

import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.builders.data import data_fields
from vae_jax.experiment.validation import validate


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("path = 'x.npz': no such file", "config.data.path = 'x.npz': no such file"),
        ("path: 'x.npy' is damaged", "config.data.path: 'x.npy' is damaged"),
        ("valid_fraction = 1: too large", "config.data.valid_fraction = 1: too large"),
        ("config.data.path = 'x.npz': no such file", "config.data.path = 'x.npz': no such file"),
        ("pathology: train_images is empty", "pathology: train_images is empty"),
    ],
)
def test_errors_of_the_library_name_the_field(message, expected) -> None:
    with pytest.raises(InputError) as error, data_fields():
        raise InputError(message)
    assert str(error.value) == expected


def test_other_errors_are_unchanged() -> None:
    with pytest.raises(KeyError, match="path"), data_fields():
        raise KeyError("path = 3")


def test_an_unusable_path_names_the_field() -> None:
    config = Config()
    config.data.name = "npz"
    config.data.path = "/nonexistent.npz"
    with pytest.raises(InputError, match=r"^config\.data\.path = '/nonexistent\.npz': no such"):
        builders.build_data(config)


def semi_supervised(tmp_path, labels: np.ndarray) -> Config:
    images = np.zeros((20, 4), np.uint8)
    path = tmp_path / "set.npz"
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    config = Config()
    config.data.name = "npz"
    config.data.path = str(path)
    config.data.num_labels = 9
    config.train.batch_size = 2
    config.objective.name = "m2"
    config.model.conditioning = "label"
    config.model.num_classes = 2
    return config


def test_examples_without_label_are_no_class_of_their_own(tmp_path) -> None:
    config = semi_supervised(tmp_path, np.arange(20) % 2)
    validate(config)
    dataset = builders.build_data(config)
    validate(config, dataset)
    assert (np.asarray(dataset.train.labels) == -1).sum() == dataset.train.num_examples - 9


def test_labels_that_are_no_classes_are_refused(tmp_path) -> None:
    config = semi_supervised(tmp_path, np.arange(20) % 3)
    with pytest.raises(InputError, match=r"num_classes = 2: .* has labels from 0 to 2"):
        validate(config, builders.build_data(config))
    config = semi_supervised(tmp_path, np.arange(20) % 2 - 2)  # -1 alone means no label
    with pytest.raises(InputError, match=r"num_labels = 9: .* has labels below 0"):
        builders.build_data(config)


def test_own_examples_without_a_label_are_those_of_m2(tmp_path) -> None:
    labels = np.where(np.arange(20) < 14, np.arange(20) % 2, -1)
    config = semi_supervised(tmp_path, labels)
    config.data.num_labels = 0
    dataset = builders.build_data(config)
    validate(config, dataset)
    assert np.sum(np.asarray(dataset.train.labels) == -1) == 6
    assert dataset.preparation["num_labels"] == dataset.train.num_examples - 6
    assert dataset.test.num_examples == 14
    assert dataset.preparation["left_out_of_test"] == 6


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        (np.arange(20) % 2 + 1, "save y - 1"),
        (np.arange(20) % 2 * 7, "numpy.unique(y, return_inverse=True)[1]"),
        (np.arange(20) % 3, "it must be at least 3"),
        (np.arange(20) % 2 * 2 - 1, "save (y + 1) // 2"),
        (np.arange(20) % 3 - 1, "only objective 'm2' takes -1"),
    ],
)
def test_labels_of_another_numbering_come_with_the_remedy(tmp_path, labels, remedy) -> None:
    config = semi_supervised(tmp_path, labels)
    config.data.num_labels, config.data.valid_fraction = 0, 0.4
    config.objective.name = "elbo"
    with pytest.raises(InputError) as error:
        validate(config, builders.build_data(config))
    assert remedy in str(error.value)


def test_one_target_per_example_is_a_vector_of_one(tmp_path) -> None:
    config = semi_supervised(tmp_path, np.arange(20)[:, None])
    config.data.num_labels = 0
    config.objective.name = "elbo"
    config.model.conditioning, config.model.num_classes = "vector", 1
    dataset = builders.build_data(config)
    validate(config, dataset)
    assert dataset.train.labels.shape[1:] == (1,)
