"""Disentanglement metrics, one pure function for each published score.

Settings are from Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and their
disentanglement_lib; docstrings state the differences. Codes are [N, D], factors integers [N, F];
`seed` is an int or a numpy Generator.
"""

from vae_jax.evaluation.disentanglement.aggregate import mig_chen
from vae_jax.evaluation.disentanglement.agreement import udr
from vae_jax.evaluation.disentanglement.fixed_factor import beta_vae_score, factor_vae_score
from vae_jax.evaluation.disentanglement.information import (
    mig_locatello,
    modularity,
    mutual_information,
)
from vae_jax.evaluation.disentanglement.predictors import (
    boosted_trees,
    dci,
    explicitness,
    random_forest,
    sap,
)
from vae_jax.evaluation.disentanglement.robustness import irs
from vae_jax.evaluation.disentanglement.summary import all_metrics

__all__ = [
    "all_metrics",
    "beta_vae_score",
    "boosted_trees",
    "dci",
    "explicitness",
    "factor_vae_score",
    "irs",
    "mig_chen",
    "mig_locatello",
    "modularity",
    "mutual_information",
    "random_forest",
    "sap",
    "udr",
]
