"""The worth of generated examples, where it is known: good ones, useless ones, wrong ones."""

import math

import numpy as np
import pytest

from vae_jax.errors import InputError
from vae_jax.evaluation import augmentation
from vae_jax.evaluation.augmentation import augmentation_gain, train_classifier
from vae_jax.evaluation.common import mean_estimate


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    return rng.normal(size=(n, 2, 5, 1)) + y[:, None, None, None] * 0.5, y


FEW, MANY, TEST = blobs(12, 0), blobs(600, 1), blobs(1000, 2)


def test_more_examples_of_the_true_distribution_help_and_wrong_labels_harm():
    good = augmentation_gain(*FEW, *MANY, [TEST], seeds=(0, 1), num_updates=150)
    assert good.gain.value > 0.03
    wrong = augmentation_gain(
        *FEW, MANY[0], (MANY[1] + 1) % 3, [TEST], seeds=(0, 1), num_updates=150
    )
    assert wrong.gain.value < -0.1
    assert wrong.without == good.without  # the generated ones have no part in it


def test_the_gain_is_the_mean_over_seeds_of_the_difference():
    seeds, options = (3, 4, 5), {"num_updates": 40}
    gain = augmentation_gain(*FEW, *MANY, [TEST], seeds=seeds, **options)
    both = np.concatenate([FEW[0], MANY[0]]), np.concatenate([FEW[1], MANY[1]])

    def accuracy(x, y, seed):
        return np.mean(
            train_classifier(x, y, seed=seed, **options).predict(TEST[0].reshape(1000, -1))
            == TEST[1]
        )

    without, augmented = (
        np.array([accuracy(*data, seed) for seed in seeds]) for data in (FEW, both)
    )
    assert gain.without == mean_estimate(without)
    assert gain.augmented == mean_estimate(augmented)
    assert gain.gain.value == pytest.approx(np.mean(augmented - without))
    assert gain.gain.stderr == pytest.approx(np.std(augmented - without, ddof=1) / math.sqrt(3))


def test_batches_of_the_test_set_are_read_once_and_change_nothing():
    options = {"seeds": (0, 1), "num_updates": 20}
    parts = np.array_split(np.arange(1000), 7)
    batches = ((TEST[0][part], TEST[1][part]) for part in parts)
    ours = augmentation_gain(*FEW, *MANY, batches, **options)
    assert ours == augmentation_gain(*FEW, *MANY, [TEST], **options)
    with pytest.raises(InputError, match="test: has no examples"):
        augmentation_gain(*FEW, *MANY, batches, **options)


def test_both_trainings_take_the_same_number_of_updates(monkeypatch):
    import sklearn.neural_network

    taken = []

    class Counted(sklearn.neural_network.MLPClassifier):
        def partial_fit(self, x, y, **options):
            taken.append(len(x))
            return super().partial_fit(x, y, **options)

    monkeypatch.setattr(sklearn.neural_network, "MLPClassifier", Counted)
    small, large = (
        train_classifier(*FEW, seed=0, num_updates=30),
        train_classifier(*MANY, seed=0, num_updates=30),
    )
    assert taken == [128] * 60
    assert small.t_ == large.t_ == 30 * 128  # examples seen, one step of Adam for each batch
    assert small._optimizer.t == large._optimizer.t == 30


def test_every_example_comes_once_in_an_epoch():
    rows = np.concatenate(augmentation._batches(10, 4, 5, np.random.default_rng(0)))
    for epoch in rows.reshape(2, 10):
        assert sorted(epoch) == list(range(10))
    assert not np.array_equal(rows[:10], rows[10:])


def test_a_seed_decides_the_training():
    first, again, other = (train_classifier(*MANY, seed=seed, num_updates=20) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.coefs_[0], again.coefs_[0])
    assert not np.array_equal(first.coefs_[0], other.coefs_[0])


def test_one_seed_has_no_standard_error():
    gain = augmentation_gain(*FEW, *MANY, [TEST], seeds=(0,), num_updates=5)
    assert math.isnan(gain.gain.stderr)


def test_bad_input():
    with pytest.raises(InputError, match=r"generated_y: has shape \(12,\); must be \[600\]"):
        augmentation_gain(*FEW, MANY[0], FEW[1], [TEST])
    with pytest.raises(InputError, match="the dimensions of test_x = 5: must match real_x, 10"):
        augmentation_gain(*FEW, *MANY, [(TEST[0][:, 0], TEST[1])], num_updates=1)
    with pytest.raises(InputError, match=r"len\(seeds\) = 0: must be at least 1"):
        augmentation_gain(*FEW, *MANY, [TEST], seeds=())
    with pytest.raises(InputError, match="y: has a single class"):
        train_classifier(FEW[0], 0 * FEW[1], seed=0)
    with pytest.raises(InputError, match=r"x: is nan at \[0, 0\]"):
        train_classifier(FEW[0] * np.nan, FEW[1], seed=0)
    with pytest.raises(InputError, match="num_updates = 0: must be at least 1"):
        train_classifier(*FEW, seed=0, num_updates=0)
