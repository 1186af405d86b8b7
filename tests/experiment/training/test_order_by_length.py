"""Training on batches of sequences of similar length."""

import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.config.rules import check_rules
from vae_jax.data import ArraySource
from vae_jax.data.order import batch_index_by_length
from vae_jax.errors import InputError
from vae_jax.experiment.builders.compatibility import RULES
from vae_jax.experiment.training.trainers import data_order


def config_by_length():
    config = Config(seed=3)
    config.data.name = "molecules"
    config.train.order, config.train.batch_size = "by_length", 4
    return config


def test_lengths_are_the_numbers_of_observed_tokens():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 10, 50)
    observed = np.arange(10) < lengths[:, None]
    source = ArraySource(jnp.asarray(2.0 * observed), observed=jnp.asarray(observed))
    steps = jnp.arange(5, 12)
    actual = data_order(config_by_length(), source)(steps)
    expected = batch_index_by_length(steps, lengths=jnp.asarray(lengths), batch_size=4, seed=3)
    np.testing.assert_array_equal(actual, expected)
    assert np.ptp(lengths[actual], axis=1).mean() < 3


def test_streamed_data_are_refused():
    config = config_by_length()
    config.data.streaming = True
    with pytest.raises(InputError, match=r"train\.order = 'by_length'.*data\.streaming"):
        check_rules(RULES, config)
