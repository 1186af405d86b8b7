"""All scores of one model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vae_jax.evaluation.disentanglement.aggregate import mig_chen
from vae_jax.evaluation.disentanglement.fixed_factor import beta_vae_score, factor_vae_score
from vae_jax.evaluation.disentanglement.information import mig_locatello, modularity
from vae_jax.evaluation.disentanglement.predictors import dci, explicitness, sap
from vae_jax.evaluation.disentanglement.robustness import irs
from vae_jax.evaluation.progress import track


def all_metrics(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    logvar: np.ndarray | None = None,
    which: Sequence[int] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """All scores that need labels, as in Locatello et al., 2019, but DCI by a random forest.

    Args:
      codes: [N, D], the posterior mean.
      factors: integers [N, F]. N should be at least 15,000, since scores use 10,000 and 5,000
        examples.
      logvar: [N, D] of the posterior, only if the examples form a full grid; adds `mig_chen`.
      which: the factors of `mig_chen`, by default all.
      seed: seed of each score; each equals the score computed alone with this seed.
    """
    functions: dict[str, Callable[..., Any]] = {
        "beta_vae": beta_vae_score,
        "factor_vae": factor_vae_score,
        "mig_locatello": mig_locatello,
        "dci": dci,
        "sap": sap,
        "modularity": modularity,
        "explicitness": explicitness,
        "irs": irs,
    }
    if logvar is not None:
        functions["mig_chen"] = lambda codes, factors, seed: mig_chen(
            codes, logvar, factors, which=which, seed=seed
        )
    scores: dict[str, float] = {}
    for name in track(list(functions), "disentanglement", "scores"):
        score = functions[name](codes, factors, seed=seed)
        parts = {f"{name}_{part}": value for part, value in score.items()} if name == "dci" else {}
        scores |= parts or {name: score}
    return scores
