"""Validation of a whole config: once before its data are loaded, and once with them."""

import jax

from vae_jax.config import Config
from vae_jax.config import validation as config_validation
from vae_jax.config.rules import Rule, check_rules
from vae_jax.config.sweep import sweep_lists
from vae_jax.data import Dataset
from vae_jax.experiment.builders import compatibility, data_compatibility, resolve
from vae_jax.experiment.builders.choices import check_names
from vae_jax.experiment.metrics import requirements
from vae_jax.experiment.metrics.udr import UDR


def _is_sweep(config: Config) -> bool:
    return bool(sweep_lists(config))


SWEEP_RULES = (
    Rule(
        lambda config: UDR in config.evaluation.metric_names,
        lambda config: len(config.sweep.seed) >= 2,
        lambda config: (
            f"config.sweep.seed = {tuple(config.sweep.seed)}: metric {UDR!r} compares models, give "
            "several seeds"
        ),
    ),
    Rule(
        _is_sweep,
        lambda config: jax.process_count() == 1,
        lambda config: (
            f"config.sweep: {jax.process_count()} processes can't share a sweep; give each process "
            "its own trials"
        ),
    ),
    Rule(
        _is_sweep,
        lambda config: not config.data.streaming,
        lambda config: (
            "config.data.streaming = True: a sweep reads data in memory only; run its trials one "
            "by one"
        ),
    ),
)


def validate(config: Config, dataset: Dataset | None = None) -> None:
    """Raises InputError for the first rule that the config of a run breaks.

    Without a data set, checks all that needs no data; with one, checks the config against it, with
    what is 'auto' chosen by the data.
    """
    if dataset is None:
        check_names(config)
        config_validation.check(config)
        requirements.check_metric_names(config)
        check_rules((*compatibility.RULES, *requirements.RULES), config)
    else:
        config = resolve(config, dataset.shape, dataset.preparation)
        rules = (*data_compatibility.RULES, *requirements.DATA_RULES)
        check_rules(rules, config, dataset)


def validate_sweep(config: Config) -> None:
    """Raises InputError if a config can't be trained as a sweep; its trials are runs."""
    check_rules(SWEEP_RULES, config)
