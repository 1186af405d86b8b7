"""Anomaly scores, higher for more anomalous examples, and how well they separate."""

import io
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.evaluation.common import Estimate, check_same, share_estimate, vector

LEVELS = 255
COMPRESSORS = ("png", "zlib")


class Rates(NamedTuple):
    """Rates of the examples that a threshold flags, with binomial standard errors."""

    false_positive: Estimate
    true_positive: Estimate


def auroc(normal: Any, anomalous: Any) -> Estimate:
    """Area under the ROC curve of the scores normal [N] and anomalous [M].

    It is P(s_anomalous > s_normal) + P(equal) / 2. The standard error is by DeLong et al.,
    1988, Biometrics 44: with V_i the share of normal scores below anomalous score i and W_j the
    share of anomalous scores above normal score j, ties counted half, var = var(V) / M + var(W) /
    N. It is 0 if the scores are perfectly separated, NaN if N or M is 1.
    """
    normal, anomalous = _scores(normal, anomalous)
    below = _share_below(normal, anomalous)
    above = 1 - _share_below(anomalous, normal)
    variance = math.nan
    if min(len(normal), len(anomalous)) > 1:
        variance = np.var(below, ddof=1) / len(below) + np.var(above, ddof=1) / len(above)
    return Estimate(float(below.mean()), math.sqrt(variance))


def average_precision(
    normal: Any, anomalous: Any, *, num_resamples: int = 200, seed: int = 0
) -> Estimate:
    """Average precision sum_t (recall_t - recall_{t-1}) precision_t over thresholds t.

    Anomalous examples are the positives. As in scikit-learn, equal scores share a threshold.
    Uninformative scores have the value M / (N + M), the share of anomalies. The standard error is
    by `num_resamples` bootstrap samples, each with N normal and M anomalous scores.
    """
    from sklearn.metrics import average_precision_score

    check_range("num_resamples", num_resamples, 2)
    normal, anomalous = _scores(normal, anomalous)
    # Only the order of the scores matters; ranks are finite even if scores are not.
    ranks = np.unique(np.concatenate([normal, anomalous]), return_inverse=True)[1]
    is_anomalous = np.arange(len(ranks)) >= len(normal)
    rng = np.random.default_rng(seed)

    def resample() -> float:
        samples = [
            part[rng.integers(len(part), size=len(part))]
            for part in (ranks[~is_anomalous], ranks[is_anomalous])
        ]
        return average_precision_score(is_anomalous, np.concatenate(samples))

    stderr = np.std([resample() for _ in range(num_resamples)], ddof=1)
    return Estimate(float(average_precision_score(is_anomalous, ranks)), float(stderr))


def threshold(normal: Any, *, quantile: float = 0.95) -> float:
    """The smallest normal score [N] that at least a share `quantile` of them does not exceed.

    Use other normal examples than those whose false positives are counted afterwards.
    """
    check_range("quantile", quantile, 0, 1)
    normal = vector("normal", normal, infinite=True)
    return float(np.quantile(normal, quantile, method="inverted_cdf"))


def detection_rates(normal: Any, anomalous: Any, threshold: float) -> Rates:
    """The shares of the normal [N] and of the anomalous [M] scores above the threshold."""
    normal, anomalous = _scores(normal, anomalous)
    return Rates(share_estimate(normal > threshold), share_estimate(anomalous > threshold))


def input_complexity(
    x: Any, *, value_range: tuple[float, float] = (0.0, 1.0), compressor: str = "png"
) -> np.ndarray:
    """Bits per dimension [N] of images x [N, *E], rounded to 8 bits, under lossless compression.

    Serra et al., 2020, arXiv:1909.11480. 'png' is Pillow's optimized encoder for images [N, H, W],
    or [N, H, W, C] with one or three channels. 'zlib' compresses the bytes of any event at its
    highest level. Headers count: about 0.6 bits per dimension for a PNG of 28x28, the same for all
    images of a size.

    Raises:
      InputError: an unknown compressor, no examples, or values outside `value_range`.
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
    """E_q[log p(x | z)] [N], nats, from log_px_z [K, N] at K draws of q(z | x).

    It is low for anomalous examples (An and Cho, 2015).

    Raises:
      InputError: another shape than [K, N].
    """
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
    num_observed: Any = None,
    unit: str = "value",
) -> dict[str, np.ndarray]:
    """Anomaly scores by name, each [N] and higher for more anomalous examples.

        reconstruction             -E_q[log p(x | z)], nats: -`reconstruction_probability`
        elbo                       -ELBO, nats
        likelihood                 -log p(x), nats
        likelihood_less_[png]      S = -log2 p(x) / dims - L(x), bits per dimension

    S corrects for simplicity: L(x) is the `input_complexity` (Serra et al., 2020,
    arXiv:1909.11480); the name contains its compressor. A density differs from a mass over 8-bit
    values by a constant, which changes no rank.

    The first three are sums over the observed values of an example, so they depend on the number of
    these. If values are missing, each score also has a variant `<name>_per_value` that is divided
    by this number; an example without any has the score 0.

    Args:
      log_px_z: [K, N] at K draws of the posterior.
      elbo, log_px: [N], nats. If log_px is None, S is computed from the ELBO and named
        `elbo_less_[png]`.
      x: [N, *E], with values in `value_range`; None leaves S out.
      compressor: see `input_complexity`.
      num_observed: [N] observed values of each example, if values are missing.
      unit: name of a value; "token" for sequences, whose long ones have large sums.
    """
    elbo = vector("elbo", elbo, infinite=True)
    reconstruction = reconstruction_probability(log_px_z)
    num_examples = len(elbo) if x is None else len(x)
    table = {"reconstruction": -reconstruction, "elbo": -elbo}
    best = "elbo"
    if log_px is not None:
        best, table["likelihood"] = "likelihood", -vector("log_px", log_px, infinite=True)
    for name, score in table.items():
        check_same(f"the number of examples of {name}", len(score), "x", num_examples)
    if num_observed is not None:
        count = vector("num_observed", num_observed)
        check_same("the length of num_observed", len(count), "x", num_examples)
        each = {name: score / np.maximum(count, 1) for name, score in table.items()}
        table |= {f"{name}_per_{unit}": score for name, score in each.items()}
    if x is None:
        return table
    complexity = input_complexity(x, value_range=value_range, compressor=compressor)
    num_dims = math.prod(np.shape(x)[1:])
    return table | {
        f"{best}_less_[{compressor}]": table[best] / (num_dims * math.log(2)) - complexity
    }


def _png_length(images: np.ndarray) -> Callable[[np.ndarray], int]:
    from PIL import Image

    if images.ndim == 4 and images.shape[-1] == 1:
        squeeze: tuple[Any, ...] = (..., 0)
    elif images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3):
        squeeze = (...,)
    else:
        raise InputError(
            f"x: has shape {images.shape}; must be [N, H, W] or [N, H, W, 1 or 3] for PNG; "
            "compressor = 'zlib' allows any shape"
        )

    def length(image: np.ndarray) -> int:
        content = io.BytesIO()
        Image.fromarray(image[squeeze]).save(content, format="png", optimize=True)
        return len(content.getvalue())

    return length


def _share_below(scores: np.ndarray, of: np.ndarray) -> np.ndarray:
    """For each value in `of`, the share of the scores below it, ties counted half."""
    scores = np.sort(scores)
    count = np.searchsorted(scores, of, "left") + np.searchsorted(scores, of, "right")
    return count / (2 * len(scores))


def _scores(normal: Any, anomalous: Any) -> tuple[np.ndarray, np.ndarray]:
    return vector("normal", normal, infinite=True), vector("anomalous", anomalous, infinite=True)
