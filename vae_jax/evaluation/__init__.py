"""Evaluation: per-example terms over a whole split, and the numbers made from them.

Every piece is a function of a model and its parameters, or of plain arrays. `evaluation.disentanglement`, `.quality`,
`.features`, `.representation`, `.reconstruction`, `.anomaly`, `.augmentation` and `.coding` are imported by their own names.
"""

from vae_jax.evaluation.ais import run_ais, simulate
from vae_jax.evaluation.codes import code_usage
from vae_jax.evaluation.collapse import verdict
from vae_jax.evaluation.decomposition import decompose
from vae_jax.evaluation.gap import inference_gap
from vae_jax.evaluation.likelihood import Likelihoods, log_likelihood, make_likelihoods
from vae_jax.evaluation.terms import Terms, make_evaluator, summarize

__all__ = [
    "Likelihoods",
    "Terms",
    "code_usage",
    "decompose",
    "inference_gap",
    "log_likelihood",
    "make_evaluator",
    "make_likelihoods",
    "run_ais",
    "simulate",
    "summarize",
    "verdict",
]
