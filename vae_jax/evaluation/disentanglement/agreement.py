"""UDR: agreement of the codes of several models, without labels."""

import warnings
from collections.abc import Sequence

import numpy as np

from vae_jax.errors import InputError, check_choice
from vae_jax.evaluation.disentanglement.inputs import finite


def udr(
    codes: Sequence[np.ndarray],
    kls: Sequence[np.ndarray],
    *,
    method: str = "lasso",
    min_kl: float = 0.01,
    alpha: float = 0.1,
) -> np.ndarray:
    """Unsupervised disentanglement ranking (UDR): scores [M] of models that differ by their seeds.

    With R_ab the strength of the relation between code a of model i and code b of model j, over
    codes with a KL above `min_kl`,

        UDR_ij = (mean_b max_a R_ab^2 / sum_a R_ab + mean_a max_b R_ab^2 / sum_b R_ab) / 2,
        UDR_i = median_{j != i} UDR_ji.

    R_ab is |Spearman's rank correlation| or the |coefficient| of z_a in Lasso's prediction of z_b.
    Codes are standardized, and codes with a low KL set to 0. Duan et al., 2020,
    https://arxiv.org/abs/1905.12614, as in their code in disentanglement_lib: it averages two
    means, while the paper divides the sum of both by d_a + d_b, which differs if the numbers of
    informative codes do. The median is over the models from which model i is predicted. A pair of
    models without informative codes, or without relations, scores 0.

    Args:
      codes: M arrays [N, D_m], posterior means of the same N examples.
      kls: M arrays [D_m], the mean KL of each code in nats.
      method: "lasso" or "spearman".
      min_kl: codes with a KL at or below it are uninformative.
      alpha: weight of the Lasso penalty.
    """
    check_choice("method", method, ("lasso", "spearman"))
    codes, informative = _check_models(codes, kls, min_kl)
    codes = [_standardize(z) * mask for z, mask in zip(codes, informative, strict=True)]
    if method == "spearman":
        from scipy.stats import rankdata

        codes = [_standardize(rankdata(z, axis=0)) for z in codes]
    scores = np.zeros((len(codes), len(codes)))
    for i, j in np.ndindex(scores.shape):
        if i != j:
            if method == "lasso":
                relation = _lasso(codes[i], codes[j], alpha)
            else:
                relation = np.abs(codes[i].T @ codes[j]) / len(codes[i])
            scores[i, j] = relative_strength(relation[informative[i]][:, informative[j]])
    return np.array([np.median(np.delete(scores[:, i], i)) for i in range(len(codes))])


def relative_strength(relation: np.ndarray) -> float:
    """UDR_ij of a table R [A, B]; 1 if it is a permutation of the identity."""
    if not relation.size:
        return 0.0
    halves = []
    for axis in (0, 1):
        total = relation.sum(axis=axis)
        halves.append(np.mean(np.square(relation.max(axis=axis)) / np.where(total > 0, total, 1)))
    return float(np.mean(halves))


def _lasso(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso

    with warnings.catch_warnings():  # codes may be copies of each other
        warnings.simplefilter("ignore", ConvergenceWarning)
        coefficients = Lasso(alpha=alpha).fit(x, y).coef_
    return np.abs(coefficients.reshape(y.shape[1], x.shape[1])).T


def _standardize(z: np.ndarray) -> np.ndarray:
    """Standardize each column to mean 0 and variance 1; constant columns become 0."""
    varies = np.ptp(z, axis=0) > 0
    return np.where(varies, (z - z.mean(axis=0)) / np.where(varies, z.std(axis=0), 1), 0)


def _check_models(
    codes: Sequence[np.ndarray], kls: Sequence[np.ndarray], min_kl: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The codes as float64, and masks [D_m] of informative codes."""
    if len(codes) < 2 or len(kls) != len(codes):
        raise InputError(
            f"{len(codes)} arrays of codes and {len(kls)} of KLs: must be equal numbers, "
            "at least two"
        )
    codes = [finite(f"codes of model {m}", z) for m, z in enumerate(codes)]
    kls = [np.asarray(kl, np.float64) for kl in kls]
    for m, (z, kl) in enumerate(zip(codes, kls, strict=True)):
        if len(z) != len(codes[0]):
            raise InputError(
                f"codes of model {m}: {len(z)} examples, must be the same {len(codes[0])} as of "
                "model 0"
            )
        if kl.shape != z.shape[1:] or not np.isfinite(kl).all():
            raise InputError(
                f"KLs of model {m}: must be {z.shape[1]} finite numbers, one for each code"
            )
    return codes, [kl > min_kl for kl in kls]
