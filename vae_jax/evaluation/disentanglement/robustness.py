"""Interventional robustness: how constant a code stays while other factors change."""

import numpy as np

from vae_jax.errors import check_range
from vae_jax.evaluation.disentanglement.information import NUM_BINS, discretize
from vae_jax.evaluation.disentanglement.inputs import Seed, sample_indices, validate_codes


def irs(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    num_points: int = 10_000,
    num_bins: int = NUM_BINS,
    quantile: float = 0.99,
    seed: Seed = 0,
) -> float:
    """Interventional robustness score (IRS).

    With m_j = max |z_j - E[z_j]|, and Q the `quantile` over the examples with value v of factor k,

        R_jk = 1 - mean_v Q(|z_j - E[z_j | v]|) / m_j,    IRS = sum_j m_j max_k R_jk / sum_j m_j.

    Suter et al., 2019, https://arxiv.org/abs/1811.00007, use quantile 1. As in disentanglement_lib,
    it is 0.99, factors are binned into 20 bins too, and constant codes are ignored. If all codes
    are constant, the score is 0.

    Args:
      codes: [N, D].
      factors: integers [N, F].
      num_points: maximum number of examples, drawn without replacement.
      num_bins: bins of each factor; factors with fewer values are unchanged.
      quantile: quantile of the deviations, 1 for the maximum.
      seed: seed of the draw.
    """
    check_range("num_points", num_points, 2)
    check_range("num_bins", num_bins, 2)
    check_range("quantile", quantile, 0, 1)
    codes, factors = validate_codes(codes, factors)
    index = sample_indices(len(codes), num_points, np.random.default_rng(seed))
    codes, groups = codes[index], discretize(factors[index], num_bins)
    codes = codes[:, np.ptp(codes, axis=0) > 0]
    if not codes.shape[1]:
        return 0.0
    top = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    deviations = np.stack([_deviations(codes, group, quantile) for group in groups.T], axis=1)
    return float(np.average((1 - deviations / top[:, None]).max(axis=1), weights=top))


def _deviations(codes: np.ndarray, group: np.ndarray, quantile: float) -> np.ndarray:
    """mean_v Q(|z_j - E[z_j | v]|), [D], over the groups v."""
    members = [codes[group == v] for v in np.unique(group)]
    quantiles = [np.quantile(np.abs(z - z.mean(axis=0)), quantile, axis=0) for z in members]
    return np.mean(quantiles, axis=0)
