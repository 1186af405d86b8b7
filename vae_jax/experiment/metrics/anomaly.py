"""Anomaly detection: how well the model separates anomalous from normal examples.

Anomalies are other data, or a class that was removed from training.
"""

import functools
import io
import logging
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vae_jax.data import Source
from vae_jax.data.inputs import IMAGE_MARGIN
from vae_jax.evaluation import anomaly as measures
from vae_jax.evaluation.scan import over_batches
from vae_jax.experiment import processes
from vae_jax.experiment.builders import build_anomalies
from vae_jax.experiment.metrics.context import Context, Numbers, as_batch, name_estimate, subset
from vae_jax.experiment.metrics.likelihood import importance
from vae_jax.files import Path, write_atomically
from vae_jax.models.base import Model
from vae_jax.objectives.loss import given
from vae_jax.objectives.terms import per_example_terms
from vae_jax.types import Array, Batch, Outputs, Params

logger = logging.getLogger(__name__)

SCORES = "anomaly.npz"
DRAWS = 16  # draws of z for the reconstruction probability and the ELBO


def anomaly(context: Context, key: Array) -> Numbers:
    """AUROC, average precision and detection rates of every anomaly score.

    The threshold of the rates is a quantile of the scores of validation examples.
    """
    c, dataset = context.config.evaluation, context.dataset
    name, anomalous = build_anomalies(context.config)
    sources = {"normal": dataset.test, "anomalous": anomalous, "valid": dataset.valid}
    keys = jax.random.split(key, len(sources))
    # An anomaly may lie outside the range of the data, which the 8 bits of one score don't cover.
    ranges = [source.value_range for source in sources.values()]
    low, high = dataset.test.value_range
    in_range = all(low <= smallest and largest <= high for smallest, largest in ranges)
    _warn_of_scale(name, anomalous.value_range, (low, high), dataset.shape)
    has_missing = any(source.observed is not None for source in sources.values())
    scores = {
        kind: _scores(
            context,
            subset(source, c.anomaly_examples),
            key,
            with_complexity=in_range and not has_missing,
            per_value=has_missing,
        )
        for (kind, source), key in zip(sources.items(), keys, strict=True)
    }
    if processes.is_first():
        _save(context.workdir / SCORES, scores)
    samples = f"{DRAWS} draws of z for reconstruction and elbo"
    if "likelihood" in scores["normal"]:
        samples += f", {c.likelihood_samples} importance samples for likelihood"
    complexity = "likelihood_less_[...] is corrected for the length of a compressed image"
    if dataset.text is not None:
        complexity = "sums over tokens, and <score>_per_token divided by their number"
    elif has_missing:
        complexity = (
            "sums over observed values, and <score>_per_value divided by their number; "
            "likelihood_less_[...] is omitted: it needs complete examples"
        )
    elif not in_range:
        smallest, largest = anomalous.value_range
        complexity = (
            f"likelihood_less_[...] is omitted: the anomalies have values from {smallest:g} to "
            f"{largest:g}, and its 8 bits cover the range of the data, {low:g} to {high:g}"
        )
    return {
        "estimator": "higher scores are more anomalous; AUROC with DeLong's standard error, "
        "average precision with the standard error of 200 bootstrap samples; the threshold is the "
        f"{c.anomaly_quantile:g} quantile of validation examples, its rates have binomial "
        f"standard errors; {samples}; {complexity}{_count_infinite(scores)}",
        "anomalies": f"{name}, binarization {dataset.preparation['binarization']}",
        **{f"num_{kind}": len(scores[kind]["reconstruction"]) for kind in sources},
        "scores_file": SCORES,
        "scores": {
            score: _measure(*(scores[kind][score] for kind in sources), quantile=c.anomaly_quantile)
            for score in scores["normal"]
        },
    }


def _warn_of_scale(
    name: str, given: tuple[float, float], own: tuple[float, float], shape: tuple[int, ...]
) -> None:
    """Warn of images whose range is far from that of the data, which alone tells them apart."""
    (smallest, largest), (low, high) = given, own
    margin = (high - low) * IMAGE_MARGIN
    if len(shape) == 3 and (smallest < low - margin or largest > high + margin):
        logger.warning(
            "config.evaluation.anomaly: %s has values from %.4g to %.4g, the data from %.4g to "
            "%.4g; on another scale any images are anomalies",
            *(name, smallest, largest, low, high),
        )


def _count_infinite(scores: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """The numbers of examples whose score is infinity, as it is where the density is 0."""
    score = "likelihood" if "likelihood" in scores["normal"] else "reconstruction"
    counts = {kind: np.isposinf(table[score]) for kind, table in scores.items()}
    if not any(values.any() for values in counts.values()):
        return ""
    texts = [f"{values.sum()} of {len(values)} {kind}" for kind, values in counts.items()]
    return f"; the score by {score} is infinity for {', '.join(texts)} examples"


def _save(path: Path, scores: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write the scores of every example, under <score>/<kind of examples>."""
    content = io.BytesIO()
    arrays = {
        f"{score}/{kind}": values
        for kind, table in scores.items()
        for score, values in table.items()
    }
    np.savez(content, **arrays)
    write_atomically(path, content.getvalue())


def _measure(
    normal: np.ndarray, anomalous: np.ndarray, valid: np.ndarray, *, quantile: float
) -> Numbers:
    threshold = measures.threshold(valid, quantile=quantile)
    rates = measures.detection_rates(normal, anomalous, threshold)
    estimates = {
        "auroc": measures.auroc(normal, anomalous),
        "average_precision": measures.average_precision(normal, anomalous),
        **rates._asdict(),
    }
    numbers = {"threshold": threshold}
    for name, estimate in estimates.items():
        numbers |= name_estimate(name, estimate)
    return numbers


def _scores(
    context: Context, source: Source, key: Array, *, with_complexity: bool, per_value: bool
) -> dict[str, np.ndarray]:
    """Scores [N] by name.

    Deterministic posteriors have the reconstruction score only, codebooks no likelihood.
    """
    c, model = context.config, context.model
    key_terms, key_weights, key_x = jax.random.split(key, 3)

    run = _draw_terms(model, c.evaluation.batch_size, context.mesh)
    terms = context.run(run, source, key_terms)
    is_deterministic = not np.isfinite(context.terms.rate).any()
    log_px = None
    if not is_deterministic and model.supports("latent_density"):
        log_px = importance(context, source, key_weights).log_px
    batch = as_batch(source, key_x)
    x, axes = np.asarray(batch["x"]), tuple(range(1, batch["x"].ndim))
    observed = batch.get("observed", np.ones(x.shape, bool))
    is_image = x.ndim == 4 and x.shape[-1] in (1, 3)
    table = measures.scores(
        terms["log_px_z"].T,
        terms["elbo"],
        log_px,
        x if with_complexity else None,
        value_range=context.dataset.test.value_range,
        compressor="png" if is_image else "zlib",
        num_observed=np.sum(observed, axis=axes) if per_value else None,
        unit="value" if context.dataset.text is None else "token",
    )
    if is_deterministic:
        return {name: score for name, score in table.items() if name.startswith("reconstruction")}
    return table


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _draw_terms(model: Model, batch_size: int, mesh: Mesh | None) -> Any:
    """(params, source, key) -> "log_px_z" [N, K] of each draw and "elbo" [N].

    One draw is decoded at a time. All draws of codes are the same, and are decoded once.
    """

    def terms_of(outputs: Outputs) -> tuple[Array, Array]:
        distortion, rate = per_example_terms(outputs)
        return outputs.log_px_z, -(distortion + rate)

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        x = batch["x"]
        inferred = model.apply(params, x, **given(model, batch), method="infer")
        if not model.supports("latent_density"):
            outputs = model.apply(params, inferred, x, key, num_samples=DRAWS, method="outputs")
            log_px_z, elbo = terms_of(outputs)
            return {"log_px_z": log_px_z.T, "elbo": elbo}

        def draw(_: None, key: Array) -> tuple[None, tuple[Array, Array]]:
            return None, terms_of(model.apply(params, inferred, x, key, method="outputs"))

        _, (log_px_z, elbo) = jax.lax.scan(draw, None, jax.random.split(key, DRAWS))
        return {"log_px_z": log_px_z[:, 0].T, "elbo": elbo.mean(0)}

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="anomaly")
