"""Evaluation: per-example terms over a whole split, and the metrics computed from them.

All functions take a model and its parameters, or plain arrays. Import `evaluation.disentanglement`,
`.quality`, `.sequences`, `.features`, `.representation`, `.reconstruction`, `.anomaly`,
`.augmentation` and `.coding` by name.

>>> import numpy as np
>>> from vae_jax import evaluation
>>> codes = np.array([[0, 1], [2, 3]])
>>> evaluation.code_usage(codes, num_codes=8)["codes_in_use"]
0.5
"""

from vae_jax.evaluation.ais import run_ais, simulate
from vae_jax.evaluation.baseline import Baseline, fit_baseline
from vae_jax.evaluation.baseline_scores import BaselineScores
from vae_jax.evaluation.codes import code_usage
from vae_jax.evaluation.collapse import verdict
from vae_jax.evaluation.decomposition import decompose
from vae_jax.evaluation.gap import inference_gap
from vae_jax.evaluation.likelihood import Likelihoods, log_likelihood, make_likelihoods
from vae_jax.evaluation.ngrams import NGrams, fit_ngrams
from vae_jax.evaluation.remedies import Setting
from vae_jax.evaluation.terms import Terms, make_evaluator, summarize

__all__ = [
    "Baseline",
    "BaselineScores",
    "Likelihoods",
    "NGrams",
    "Setting",
    "Terms",
    "code_usage",
    "decompose",
    "fit_baseline",
    "fit_ngrams",
    "inference_gap",
    "log_likelihood",
    "make_evaluator",
    "make_likelihoods",
    "run_ais",
    "simulate",
    "summarize",
    "verdict",
]
