"""Runs on data with missing values: streamed and in memory, resumed, and without any missing."""

import os

import chex
import jax
import numpy as np
import pytest

import vae_jax
from vae_jax.config import Config
from vae_jax.data.identity import data_identity
from vae_jax.errors import InputError
from vae_jax.experiment.run import make_run
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import Description
from vae_jax.experiment.training import loop, trainers

COMPLETE = np.random.default_rng(0).normal(size=(100, 3)) * [1, 30, 500] + [0, 0, 900]
OBSERVED = np.random.default_rng(1).random(COMPLETE.shape) < 0.7
NAN = np.where(OBSERVED, COMPLETE, np.nan)


def config(path, **fields):
    result = Config(name="holes")
    result.data.name, result.data.path, result.data.missing = "npz", os.fspath(path), True
    result.model.hidden, result.model.latent_dim = (8,), 2
    train = result.train
    train.num_steps, train.batch_size, train.log_every, train.eval_every = 12, 16, 6, 12
    for name, value in fields.items():
        group, leaf = name.split("__")
        setattr(getattr(result, group), leaf, value)
    return result


def save(folder, x, **masks):
    path = folder / "set.npz"
    np.savez(path, train_images=x[:80], test_images=x[80:], **masks)
    return path


def trained(config, workdir):
    """Train without the final evaluation; returns the model of the newest checkpoint."""
    workdir.mkdir(exist_ok=True)
    current = make_run(config, workdir)
    loop.train_to_end([current], trainers.make_trainer([current]))
    return vae_jax.load(workdir)


@pytest.mark.slow
def test_streamed_rows_end_in_the_bits_of_rows_in_memory(tmp_path):
    path = save(tmp_path, NAN)
    one, two = (
        trained(
            config(path, data__streaming=streams, model__mask_input=True), tmp_path / str(streams)
        )
        for streams in (False, True)
    )
    chex.assert_trees_all_equal(one.params, two.params)
    assert one.model.mask_input
    assert one.inputs.missing
    kernel = one.params["params"]["encoder"]["Dense_0"]["kernel"]
    assert kernel.shape == (6, 8)  # values and mask


@pytest.mark.slow
def test_values_under_the_mask_change_nothing_and_complete_data_end_in_the_same_bits(tmp_path):
    train, test = OBSERVED[:80], OBSERVED[80:]
    masks = {"train_observed": train, "test_observed": test}
    junk = save(tmp_path, np.where(OBSERVED, COMPLETE, -1e30), **masks)
    params = trained(config(junk), tmp_path / "junk").params
    nan = save(tmp_path, NAN)
    chex.assert_trees_all_equal(params, trained(config(nan), tmp_path / "nan").params)
    complete = save(tmp_path, COMPLETE)
    plain = trained(config(complete, data__missing=False), tmp_path / "plain")
    allowed = trained(config(complete), tmp_path / "allowed")
    chex.assert_trees_all_equal(plain.params, allowed.params)
    distance = jax.tree.map(lambda a, b: float(abs(a - b).max()), params, plain.params)
    assert max(jax.tree.leaves(distance)) > 1e-4


def test_a_run_is_not_resumed_with_another_mask(tmp_path):
    stored = np.where(OBSERVED, COMPLETE, 0)
    masks = {"train_observed": OBSERVED[:80], "test_observed": OBSERVED[80:]}
    workdir = tmp_path / "run"
    workdir.mkdir()
    current = make_run(config(save(tmp_path, stored, **masks)), workdir)
    description = Description(
        current.config, (3,), None, data=data_identity(current.dataset), units=current.model.units
    )
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(trainers.make_trainer([current]).initial(), description)
    other = masks["test_observed"].copy()
    other[tuple(np.argwhere(~other)[0])] = True  # the stored values are the same
    path = save(tmp_path, stored, **masks | {"test_observed": other})
    with pytest.raises(InputError, match="was trained on other data"):
        trained(config(path), workdir)
    with pytest.raises(InputError, match=r"config\.data\.missing"):
        trained(config(save(tmp_path, COMPLETE), data__missing=False), workdir)


@pytest.mark.slow
def test_the_trials_of_a_sweep_share_the_mask(tmp_path):
    path = save(tmp_path, NAN)
    swept = config(path)
    swept.sweep.seed = (0, 1)
    runs = loop.prepare_runs(swept, tmp_path / "sweep")[0]
    trainer = trainers.make_trainer(runs)
    state, _ = trainer.epoch(6)(trainer.initial(), trainer.source)
    alone = make_run(config(path), tmp_path / "alone")
    single = trainers.make_trainer([alone])
    expected, _ = single.epoch(6)(single.initial(), single.source)
    chex.assert_trees_all_close(
        trainer.split(state)[0].params, expected.params, rtol=1e-5, atol=1e-6
    )
