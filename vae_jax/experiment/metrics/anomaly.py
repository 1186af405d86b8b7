"""How well the model tells strange examples from its own: other data, or a class that it was trained without."""

import io

import jax
import numpy as np

from vae_jax.data import Source
from vae_jax.evaluation import anomaly as measures
from vae_jax.evaluation.scan import over_batches
from vae_jax.experiment import processes
from vae_jax.experiment.builders import build_anomalies
from vae_jax.experiment.metrics.context import Context, Numbers, part_of, whole
from vae_jax.experiment.metrics.likelihood import importance
from vae_jax.files import write_atomically
from vae_jax.objectives.loss import given_y
from vae_jax.objectives.terms import per_example_terms
from vae_jax.types import Array, Batch, Params

SCORES = "anomaly.npz"
DRAWS = 16  # of z, for reconstruction probability and ELBO


def anomaly(context: Context, key: Array) -> Numbers:
    """Every score's AUROC, average precision and rates at a threshold that validation examples set."""
    c, dataset = context.config.evaluation, context.dataset
    name, anomalous = build_anomalies(context.config)
    sources = {"normal": dataset.test, "anomalous": anomalous, "valid": dataset.valid}
    found = {
        kind: _scores(context, part_of(source, c.anomaly_examples), k)
        for (kind, source), k in zip(
            sources.items(), jax.random.split(key, len(sources)), strict=True
        )
    }
    if processes.is_first():
        content = io.BytesIO()
        np.savez(
            content,
            **{
                f"{score}/{kind}": values
                for kind, table in found.items()
                for score, values in table.items()
            },
        )
        write_atomically(context.workdir / SCORES, content.getvalue())
    drawn = f"{DRAWS} draws of z for reconstruction and elbo"
    if "likelihood" in found["normal"]:
        drawn += f", {c.likelihood_samples} importance samples for likelihood"
    return {
        "estimator": f"higher scores are stranger; AUROC with the standard error of DeLong, average precision with that of 200 "
        f"bootstrap samples; the threshold is the {c.anomaly_quantile:g} quantile of validation examples, its rates have "
        f"binomial standard errors; {drawn}; likelihood_less_[...] is corrected for the length of a compressed image",
        "anomalies": f"{name}, binarization {dataset.preparation['binarization']}",
        "num_normal": len(found["normal"]["reconstruction"]),
        "num_anomalous": len(found["anomalous"]["reconstruction"]),
        "num_valid": len(found["valid"]["reconstruction"]),
        "scores_file": SCORES,
        "scores": {
            score: _table(*(found[kind][score] for kind in sources), quantile=c.anomaly_quantile)
            for score in found["normal"]
        },
    }


def _table(
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
        numbers |= {name: estimate.value, f"{name}_stderr": estimate.stderr}
    return numbers


def _scores(context: Context, source: Source, key: Array) -> dict[str, np.ndarray]:
    """Scores [N] by name: of a deterministic posterior by reconstruction alone, of codes without importance samples."""
    c, model = context.config, context.model
    key_terms, key_weights, key_x = jax.random.split(key, 3)

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        outputs = model.apply(params, batch["x"], key, num_samples=DRAWS, **given_y(model, batch))
        distortion, rate = per_example_terms(outputs)
        return {"log_px_z": outputs.log_px_z.T, "elbo": -(distortion + rate)}

    terms = context.run(
        over_batches(one_batch, batch_size=c.evaluation.batch_size, mesh=context.mesh),
        source,
        key_terms,
    )
    is_point = not np.isfinite(context.terms.rate).any()
    log_px = (
        None
        if is_point or c.model.kind == "vq"
        else importance(context, source, key_weights).log_px
    )
    x = np.asarray(whole(source, key_x)["x"])
    is_image = x.ndim == 4 and x.shape[-1] in (1, 3)
    table = measures.scores(
        *(terms["log_px_z"].T, terms["elbo"], log_px, x),
        value_range=context.dataset.test.value_range,
        compressor="png" if is_image else "zlib",
    )
    return {"reconstruction": table["reconstruction"]} if is_point else table
