"""Anomalies by a score for each example, the higher the more anomalous: the scores, and how well they tell."""

import io
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.evaluation.common import Estimate, check_same, vector

LEVELS = 255
COMPRESSORS = ("png", "zlib")


class Rates(NamedTuple):
    """What a threshold flags, each with its binomial standard error."""

    false_positive: Estimate
    true_positive: Estimate


def auroc(normal: Any, anomalous: Any) -> Estimate:
    """P(s_anomalous > s_normal) + P(equal) / 2 of the scores normal [N] and anomalous [M]: the area under the ROC curve.

    The standard error is that of DeLong et al., 1988, Biometrics 44: with V_i the share of the normal scores below anomalous
    score i and W_j the share of the anomalous ones above normal score j, ties counted half, var = var(V) / M + var(W) / N.
    It is 0 where all scores are told apart, NaN with fewer than two of a kind.
    """
    normal, anomalous = _scores(normal, anomalous)
    below, above = _share_below(normal, anomalous), 1 - _share_below(anomalous, normal)
    enough = min(len(normal), len(anomalous)) > 1
    variance = (
        np.var(below, ddof=1) / len(below) + np.var(above, ddof=1) / len(above)
        if enough
        else math.nan
    )
    return Estimate(float(below.mean()), math.sqrt(variance))


def average_precision(
    normal: Any, anomalous: Any, *, num_resamples: int = 200, seed: int = 0
) -> Estimate:
    """Average precision sum_t (recall_t - recall_{t-1}) precision_t over thresholds t, the anomalous being the positives.

    scikit-learn's, in which equal scores are one threshold. It depends on the share M / (N + M) of anomalies, which is its
    value for scores that tell nothing. The standard error is that of `num_resamples` bootstrap samples, in each of which both
    kinds keep their number.
    """
    from sklearn.metrics import average_precision_score

    check_range("num_resamples", num_resamples, 2)
    normal, anomalous = _scores(normal, anomalous)
    # Only the order of the scores matters; ranks are finite where a score is not.
    ranks = np.unique(np.concatenate([normal, anomalous]), return_inverse=True)[1]
    is_anomalous = np.arange(len(ranks)) >= len(normal)
    rng = np.random.default_rng(seed)

    def resample() -> float:
        chosen = [
            part[rng.integers(len(part), size=len(part))]
            for part in (ranks[~is_anomalous], ranks[is_anomalous])
        ]
        return average_precision_score(is_anomalous, np.concatenate(chosen))

    stderr = np.std([resample() for _ in range(num_resamples)], ddof=1)
    return Estimate(float(average_precision_score(is_anomalous, ranks)), float(stderr))


def threshold(normal: Any, *, quantile: float = 0.95) -> float:
    """The smallest of the normal scores [N] that at least the share `quantile` of them does not exceed.

    Take it from normal examples other than those whose false positives are then counted.
    """
    check_range("quantile", quantile, 0, 1)
    return float(
        np.quantile(vector("normal", normal, infinite=True), quantile, method="inverted_cdf")
    )


def detection_rates(normal: Any, anomalous: Any, threshold: float) -> Rates:
    """The shares of the normal [N] and of the anomalous [M] scores above the threshold."""
    flagged = (scores > threshold for scores in _scores(normal, anomalous))
    return Rates(
        *(Estimate(float(f.mean()), math.sqrt(f.mean() * (1 - f.mean()) / len(f))) for f in flagged)
    )


def input_complexity(
    x: Any, *, value_range: tuple[float, float] = (0.0, 1.0), compressor: str = "png"
) -> np.ndarray:
    """Bits per dimension [N] to which a lossless compressor brings each of the images x [N, *E], rounded to 8 bits.

    Serra et al., 2020, arXiv:1909.11480. 'png' is Pillow's, optimized, for images [N, H, W], or [N, H, W, C] of one or three
    channels; 'zlib' takes the bytes of any event in their order, at its highest level. Headers are counted: about 0.6 bits
    per dimension for a PNG of 28x28, the same for all images of a size.
    """
    check_choice("compressor", compressor, COMPRESSORS)
    width = value_range[1] - value_range[0]
    check_range("value_range: high - low", width, 0, open_low=True)
    x = np.asarray(x, np.float64)
    if x.ndim < 2 or not x.size:
        raise InputError(f"x: has shape {x.shape}; must be [N, *E]")
    low, high = x.min(), x.max()
    if not (low >= value_range[0] and high <= value_range[1]):  # also of NaN
        raise InputError(
            f"x: has values from {low:g} to {high:g}; must be in value_range = {value_range}"
        )
    images = np.round((x - value_range[0]) / width * LEVELS).astype(np.uint8)
    length = (
        _png_length(images)
        if compressor == "png"
        else lambda image: len(zlib.compress(image.tobytes(), 9))
    )
    return np.array([8 * length(image) / image.size for image in images])


def reconstruction_probability(log_px_z: Any) -> np.ndarray:
    """E_q[log p(x | z)] [N], nats, from log_px_z [K, N] at K draws of q(z | x) (An and Cho, 2015); low where anomalous."""
    log_px_z = np.asarray(log_px_z, np.float64)
    if log_px_z.ndim != 2 or not log_px_z.size:
        raise InputError(f"log_px_z: has shape {log_px_z.shape}; must be [K, N]")
    return log_px_z.mean(axis=0)


def scores(
    log_px_z: Any,
    elbo: Any,
    log_px: Any,
    x: Any,
    *,
    value_range: tuple[float, float] = (0.0, 1.0),
    compressor: str = "png",
) -> dict[str, np.ndarray]:
    """Anomaly scores by name, each [N] and higher where more anomalous.

        reconstruction             -E_q[log p(x | z)], nats: the negative `reconstruction_probability`
        elbo                       -ELBO, nats
        likelihood                 -log p(x), nats
        likelihood_less_[png]      S = -log2 p(x) / dims - L(x), bits per dimension

    S corrects for what is merely simple: L(x) is the `input_complexity` (Serra et al., 2020, arXiv:1909.11480), and stands in
    the name by its compressor. A density differs from a mass over 8-bit values by a constant, which moves no rank.

    Args:
      log_px_z: [K, N] at K draws of the posterior.
      elbo, log_px: [N], nats; log_px None where no better estimate of log p(x) is at hand: S is then made from the ELBO, as
        `elbo_less_[png]`.
      x: [N, *E], with values in `value_range`.
      compressor: as for `input_complexity`.
    """
    elbo = vector("elbo", elbo, infinite=True)
    reconstruction = reconstruction_probability(log_px_z)
    complexity = input_complexity(x, value_range=value_range, compressor=compressor)
    table = {"reconstruction": -reconstruction, "elbo": -elbo}
    best = "elbo"
    if log_px is not None:
        best, table["likelihood"] = "likelihood", -vector("log_px", log_px, infinite=True)
    for name, score in table.items():
        check_same(f"the number of examples of {name}", len(score), "x", len(complexity))
    num_dims = math.prod(np.shape(x)[1:])
    return table | {
        f"{best}_less_[{compressor}]": table[best] / (num_dims * math.log(2)) - complexity
    }


def _png_length(images: np.ndarray) -> Callable[[np.ndarray], int]:
    from PIL import Image

    if images.ndim == 4 and images.shape[-1] == 1:
        squeeze = (..., 0)
    elif images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3):
        squeeze = (...,)
    else:
        raise InputError(
            f"x: has shape {images.shape}; PNG takes [N, H, W] and [N, H, W, 1 or 3]; compressor = 'zlib' any"
        )

    def length(image: np.ndarray) -> int:
        content = io.BytesIO()
        Image.fromarray(image[squeeze]).save(content, format="png", optimize=True)
        return len(content.getvalue())

    return length


def _share_below(scores: np.ndarray, of: np.ndarray) -> np.ndarray:
    """For each value in `of`, the share of the scores below it, ties counted half."""
    scores = np.sort(scores)
    return (np.searchsorted(scores, of, "left") + np.searchsorted(scores, of, "right")) / (
        2 * len(scores)
    )


def _scores(normal: Any, anomalous: Any) -> tuple[np.ndarray, np.ndarray]:
    return vector("normal", normal, infinite=True), vector("anomalous", anomalous, infinite=True)
