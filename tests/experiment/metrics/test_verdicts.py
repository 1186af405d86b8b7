"""Verdicts from a config: what the remedy depends on, and the use of a codebook."""

import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.experiment.metrics import latents
from vae_jax.experiment.metrics.context import with_stderr


def setting(event=(8, 8, 1), **changes):
    config = Config()
    for path, value in changes.items():
        group, name = path.split("__")
        setattr(getattr(config, group), name, value)
    return latents.setting_of(config, event)


def test_the_cause_of_a_collapse_is_a_weight_of_the_objective():
    found = setting(objective__beta=50.0)
    assert (found.beta, found.weight_name) == (50.0, "config.objective.beta")
    assert setting(objective__beta=50.0, objective__capacity=5.0).beta == 1  # a target, no weight
    found = setting(objective__name="beta_tc", objective__tc_weight=9.0)
    assert (found.beta, found.weight_name) == (9.0, "config.objective.tc_weight")
    assert setting(objective__name="iwae", objective__beta=50.0).beta == 1


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        ("constant", {0: None, 50: None, 200: None}),
        ("linear", {0: 0.0, 50: 0.25, 100: None, 200: None, None: None}),
        ("cyclical", {0: 0.0, 5: 0.2, 15: None, 30: 0.2, 100: None}),
    ],
)
def test_the_weight_of_a_verdict_is_that_of_its_step(schedule, weights):
    config = Config()
    objective = config.objective
    objective.beta, objective.beta_schedule, objective.beta_steps = 0.5, schedule, 100
    for step, expected in weights.items():
        found = latents.setting_of(config, (5,), step)
        assert found.beta == 0.5
        assert found.current_weight == (expected if expected is None else pytest.approx(expected))
    objective.capacity = 3.0  # a target, no weight
    assert latents.setting_of(config, (5,), 50).current_weight is None


@pytest.mark.parametrize(
    ("event", "sigma", "fixed", "shared"),
    [
        ((8, 8, 1), "fixed", True, True),
        ((8, 8, 1), "scalar", False, True),
        ((8, 8, 1), "channel", False, True),
        ((8, 8, 1), "pixel", False, False),
        ((5,), "scalar", False, True),
        ((5,), "channel", False, False),  # one for each column: there are no more to learn
    ],
)
def test_the_scale_of_a_likelihood(event, sigma, fixed, shared):
    found = setting(event, model__likelihood="gaussian", model__sigma=sigma)
    assert (found.fixed_sigma, found.shared_sigma) == (fixed, shared)
    assert not setting(model__likelihood="bernoulli", model__sigma=sigma).shared_sigma


@pytest.mark.parametrize(
    ("indices", "share", "name"),
    [
        (np.arange(64).reshape(32, 2), 1.0, "healthy"),
        (np.arange(64).reshape(32, 2), 0.2, "partly collapsed"),
        (np.arange(64).reshape(32, 2), 0.05, "collapsed"),
        (np.arange(20).reshape(10, 2), 0.3, "unknown"),  # 20 draws for 32 codes
        (np.tile(np.arange(32), (12, 1)), 1.0, "blind"),  # all codes, the same for everyone
    ],
)
def test_the_verdict_on_a_codebook(indices, share, name):
    assert latents._judge_codes(indices, share, 32, "Evidence.").name == name


def test_means_of_metrics_count_what_they_leave_out():
    numbers = with_stderr("psnr", np.array([1.0, 3.0, np.inf]))
    assert numbers == pytest.approx({"psnr": 2.0, "psnr_stderr": 1.0, "psnr_not_finite": 1})
    assert with_stderr("psnr", np.array([1.0, 3.0])).keys() == {"psnr", "psnr_stderr"}
    assert np.isnan(with_stderr("psnr", np.array([np.nan, np.nan]))["psnr"])
