"""The metrics that a config can request, computed on a trained model and its data.

`measure` runs the metrics in `config.evaluation.metrics`. The rules of `requirements` reject a
metric in advance.
"""

from vae_jax.experiment.metrics.context import Context, Numbers
from vae_jax.experiment.metrics.registry import METRICS, describe, measure
from vae_jax.experiment.metrics.udr import UDR, agreement

__all__ = ["METRICS", "UDR", "Context", "Numbers", "agreement", "describe", "measure"]
