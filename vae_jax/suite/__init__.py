"""The evaluation of a run: every metric that the config may ask for, computed on a trained model and its data.

`measure` runs those of `config.evaluation.metrics`; `check_metrics` says beforehand which of them model and data don't fit.
"""

from vae_jax.suite.agreement import UDR, agreement, check_seeds
from vae_jax.suite.requests import NEEDS, check_metrics
from vae_jax.suite.subject import Numbers, Subject
from vae_jax.suite.table import METRICS, describe, measure

__all__ = [
    "METRICS",
    "NEEDS",
    "UDR",
    "Numbers",
    "Subject",
    "agreement",
    "check_metrics",
    "check_seeds",
    "describe",
    "measure",
]
