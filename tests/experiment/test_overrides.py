"""Overrides of the saved config in an evaluation."""

import copy

import pytest

from vae_jax.config import Config
from vae_jax.config.validation import check
from vae_jax.errors import InputError
from vae_jax.experiment.overrides import apply_override


def saved_and_override() -> tuple[Config, Config]:
    saved = Config()
    saved.evaluation.metrics = ("likelihood", "decomposition")
    saved.evaluation.decomposition_samples, saved.evaluation.likelihood_samples = 300, 40
    return saved, copy.deepcopy(saved)


def test_saved_fields_of_metrics_that_are_not_requested_are_reset() -> None:
    saved, override = saved_and_override()
    override.evaluation.metrics = ("gap",)
    config = apply_override(override, saved, "runs/a")
    check(config)
    assert config.evaluation.decomposition_samples == Config().evaluation.decomposition_samples
    assert config.evaluation.likelihood_samples == 40  # of gap too
    assert (
        override.evaluation.decomposition_samples == saved.evaluation.decomposition_samples == 300
    )


def test_an_override_that_nothing_uses_is_an_error() -> None:
    saved, override = saved_and_override()
    override.evaluation.metrics, override.evaluation.decomposition_samples = ("gap",), 200
    with pytest.raises(InputError, match="decomposition_samples = 200: does nothing without"):
        check(apply_override(override, saved, "runs/a"))
