"""Search in latent space for codes of high, or low, value: a property of what they decode to.

All functions take arrays: codes z [N, D], values [N] of anything, and a function that decodes codes
and recomputes their values. A regression from codes to values (`fit_predictor`) is climbed by
`search_by_ascent`; a Gaussian process learns from recomputed values in `search_by_rounds`.
`search_at_random` and `search_prior` are their controls. Each returns `Candidates`, with the
predicted beside the recomputed value of each.
"""

from vae_jax.evaluation.search.acquisition import (
    choose,
    expected_improvement,
    log_expected_improvement,
    propose,
)
from vae_jax.evaluation.search.ascent import Ascent, ascend
from vae_jax.evaluation.search.candidates import (
    GOALS,
    Candidates,
    Goal,
    best_value,
    concatenate,
    read_candidates,
    summarize,
    write_candidates,
)
from vae_jax.evaluation.search.covariance import (
    Hyperparameters,
    double_precision,
    log_marginal_likelihood,
)
from vae_jax.evaluation.search.gaussian_process import GaussianProcess, fit_gaussian_process
from vae_jax.evaluation.search.methods import (
    best_rows,
    predict,
    search_at_random,
    search_by_ascent,
    search_prior,
)
from vae_jax.evaluation.search.predictor import Predictor, Scores, fit_predictor, score
from vae_jax.evaluation.search.reference import (
    Decoded,
    Reference,
    nearest_distances,
    typical_distance,
)
from vae_jax.evaluation.search.rounds import search_by_rounds

__all__ = [
    "GOALS",
    "Ascent",
    "Candidates",
    "Decoded",
    "GaussianProcess",
    "Goal",
    "Hyperparameters",
    "Predictor",
    "Reference",
    "Scores",
    "ascend",
    "best_rows",
    "best_value",
    "choose",
    "concatenate",
    "double_precision",
    "expected_improvement",
    "fit_gaussian_process",
    "fit_predictor",
    "log_expected_improvement",
    "log_marginal_likelihood",
    "nearest_distances",
    "predict",
    "propose",
    "read_candidates",
    "score",
    "search_at_random",
    "search_by_ascent",
    "search_by_rounds",
    "search_prior",
    "summarize",
    "typical_distance",
    "write_candidates",
]
