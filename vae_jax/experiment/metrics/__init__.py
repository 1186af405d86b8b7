"""The metrics that a config can request, computed on a trained model and its data.

`measure` runs those of `config.evaluation.metrics`. `check_metrics` rejects those that are
incompatible with the model or the data, before training.
"""

from vae_jax.experiment.metrics.context import Context, Numbers
from vae_jax.experiment.metrics.registry import METRICS, describe, measure
from vae_jax.experiment.metrics.requirements import NEEDS, check_metrics
from vae_jax.experiment.metrics.udr import UDR, agreement, check_seeds

__all__ = [
    "METRICS",
    "NEEDS",
    "UDR",
    "Context",
    "Numbers",
    "agreement",
    "check_metrics",
    "check_seeds",
    "describe",
    "measure",
]
