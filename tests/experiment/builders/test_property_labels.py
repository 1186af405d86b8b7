"""Labels of the objective `property`: given, or a property of molecules; standardized."""

import dataclasses

import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.data import from_arrays
from vae_jax.errors import InputError
from vae_jax.experiment.builders import build_data
from vae_jax.experiment.builders.property_labels import add_property, standardize_labels


def dataset(train=(1.0, 2.0, 6.5)):
    arrays = {name: np.ones((3, 4), np.float32) for name in ("train_images", "test_images")}
    if train:
        arrays |= {"train_labels": np.array(train), "test_labels": np.array([3.0, 4.0, 5.5])}
    return from_arrays(arrays, name="numbers", valid_fraction=0.4)


def test_labels_are_in_deviations_of_train():
    plain = dataset()
    result = standardize_labels(plain)
    y = np.asarray(plain.train.labels, np.float64)
    assert result.preparation["property"] == {"mean": y.mean(), "stddev": y.std()}
    for split in ("train", "valid", "test"):
        labels = getattr(result, split).labels
        assert labels.dtype == np.float32
        expected = (np.asarray(getattr(plain, split).labels) - y.mean()) / y.std()
        np.testing.assert_allclose(labels, expected, rtol=1e-6)


def test_molecules_get_a_property():
    pytest.importorskip("rdkit")
    from vae_jax.evaluation.molecules import properties

    config = Config()
    config.data.name, config.data.property = "molecules", "logp"
    config.objective.name = "property"
    result = build_data(config)
    y = np.asarray(result.train.labels)
    assert abs(y.mean()) < 1e-5
    assert y.std() == pytest.approx(1, abs=1e-5)
    smiles = result.text.decode_rows(np.asarray(result.test.images[:3]) * result.test.scale)
    moments = result.preparation["property"]
    np.testing.assert_allclose(
        result.test.labels[:3] * moments["stddev"] + moments["mean"],
        properties(smiles, ["logp"])["logp"],
        atol=1e-4,
    )
    broken = dataclasses.replace(result.test, images=np.zeros_like(result.test.images))
    with pytest.raises(InputError, match="has invalid molecules, such as '' of test; remove them"):
        add_property(dataclasses.replace(result, test=broken), "logp")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: standardize_labels(dataset(None)), "has not one number as the label"),
        (lambda: standardize_labels(dataset((2.0,) * 3)), "all training labels of numbers are 2;"),
        (
            lambda: add_property(dataset(), "qed"),
            "property = 'qed': numbers has no mol",
        ),
    ],
)
def test_other_labels_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
