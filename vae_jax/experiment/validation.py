"""Validation of a whole config: once before its data are loaded, and once with them."""

import jax

from vae_jax.config import Config
from vae_jax.config import validation as config_validation
from vae_jax.config.rules import Rule, check_rules
from vae_jax.config.sweep import sweep_lists
from vae_jax.data import Dataset
from vae_jax.data.optional import import_tracker
from vae_jax.errors import InputError
from vae_jax.experiment.builders import compatibility, data_compatibility, text_compatibility
from vae_jax.experiment.builders.auto import resolve
from vae_jax.experiment.builders.choices import check_names
from vae_jax.experiment.metrics import requirements
from vae_jax.experiment.metrics.udr import UDR
from vae_jax.experiment.storage.tracker import NO_TRACKER
from vae_jax.visualize import projections


def _umap_is_installed(config: Config) -> str | None:
    if config.evaluation.projection != "umap" or projections.has_umap():
        return None
    return f"config.evaluation.projection = 'umap': {projections.MISSING_UMAP}"


def _tracker_is_installed(config: Config) -> str | None:
    if config.train.tracker == NO_TRACKER:
        return None
    try:
        import_tracker(config.train.tracker)
    except InputError as error:
        return str(error)
    return None


RULES: tuple[Rule, ...] = (
    *config_validation.RULES,
    *compatibility.RULES,
    *text_compatibility.RULES,
    *requirements.RULES,
    _umap_is_installed,
    _tracker_is_installed,
)
DATA_RULES: tuple[Rule, ...] = (*data_compatibility.RULES, *requirements.DATA_RULES)


def validate(config: Config, dataset: Dataset | None = None) -> None:
    """Raises InputError for the first rule that the config of a run breaks.

    Rules about the data are skipped without a data set.
    """
    config_validation.check_values(config)
    check_names(config)
    requirements.check_metric_names(config)
    check_rules(RULES, config)
    if dataset is not None:
        config = resolve(config, dataset.shape, dataset.preparation)
        check_rules(DATA_RULES, config, dataset)


def _udr_needs_seeds(config: Config) -> str | None:
    if UDR not in config.evaluation.metric_names or len(config.sweep.seed) >= 2:
        return None
    return (
        f"config.sweep.seed = {tuple(config.sweep.seed)}: metric {UDR!r} compares models, give "
        "several seeds"
    )


def _sweep_in_one_process(config: Config) -> str | None:
    if not sweep_lists(config) or jax.process_count() == 1:
        return None
    return (
        f"config.sweep: {jax.process_count()} processes can't share a sweep; give each process its "
        "own trials"
    )


def _sweep_in_memory(config: Config) -> str | None:
    if not sweep_lists(config) or not config.data.streaming:
        return None
    return (
        "config.data.streaming = True: a sweep reads data in memory only; run its trials one by one"
    )


def _sweep_without_tracker(config: Config) -> str | None:
    if not sweep_lists(config) or config.train.tracker == NO_TRACKER:
        return None
    return (
        f"config.train.tracker = {config.train.tracker!r}: a process has one run of the tracker, "
        "and a sweep has several; set the default, 'none'"
    )


RULES_OF_SWEEPS: tuple[Rule, ...] = (
    _udr_needs_seeds,
    _sweep_in_one_process,
    _sweep_in_memory,
    _sweep_without_tracker,
)


def validate_sweep(config: Config) -> None:
    """Raises InputError if a config can't be trained as a sweep; its trials are runs."""
    check_rules(RULES_OF_SWEEPS, config)
