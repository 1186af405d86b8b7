"""Codes against labels: disentanglement, representation, and semi-supervised accuracy."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.data import HostSource, Source, sprites
from vae_jax.data.labels import unknown
from vae_jax.errors import InputError
from vae_jax.evaluation.common import accuracy_estimate
from vae_jax.evaluation.representation import clustering, knn_accuracy, linear_probe, ridge_probe
from vae_jax.evaluation.scan import over_batches
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    name_estimate,
    subset,
)
from vae_jax.models.base import ClassifierModel
from vae_jax.types import Array, Batch, Params


def disentanglement(context: Context, key: Array) -> Numbers:
    """All disentanglement scores of codes against the generative factors of the data."""
    from vae_jax.evaluation.disentanglement import all_metrics  # slow to import

    seed = context.config.evaluation.seed
    codes, logvar, factors = _population(context, key)
    varies = [k for k in range(factors.shape[1]) if np.ptp(factors[:, k])]
    factors = factors[:, varies]
    names = _factor_names(context.dataset.factor_names, factors, varies)
    # All factors but the shape, as in Chen et al., 2018.
    which = [k for k, name in enumerate(names) if name != "shape"] or None
    is_grid = _is_grid(factors)
    if logvar is None:
        chen = "mig_chen is omitted: it needs Gaussian posteriors"
    elif not is_grid:
        chen = (
            "mig_chen is omitted: it needs every combination of factors equally often, and the "
            "factors do not form a full grid"
        )
    else:
        chen = f"mig_chen over {', '.join(names if which is None else [names[k] for k in which])}"
    scores = all_metrics(codes, factors, logvar=logvar if is_grid else None, which=which, seed=seed)
    return {
        "estimator": f"centers of the posteriors of {len(codes)} examples, with the settings of "
        f"Locatello et al., 2019, seed {seed}, except for DCI by a random forest instead of "
        f"boosted trees, which gives other numbers; {chen}; without a standard error: compare "
        "several training runs, whose scores differ by far more than scores of two populations",
        "num_examples": len(codes),
        "factors": names,
        **{name.replace("dci_", "dci_forest_"): value for name, value in scores.items()},
    }


def _factor_names(known: Sequence[str], factors: np.ndarray, varies: list[int]) -> list[str]:
    """Names of the factors [N, F] that vary; data with the factor sizes of sprites have theirs."""
    if known:
        return [known[k] for k in varies]
    if tuple(len(np.unique(column)) for column in factors.T) == sprites.FACTOR_SIZES:
        return list(sprites.FACTOR_NAMES)
    return [f"column {k}" for k in varies]


def _population(context: Context, key: Array) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Codes, log-variances and factors of all splits together, which may form a grid.

    Of the training split only if all splits have more examples than `evaluation.population`.
    """
    limit, dataset = context.config.evaluation.population, context.dataset
    sources = [dataset.train, dataset.valid, dataset.test]
    if sum(source.num_examples for source in sources) > limit:
        sources = sources[:1]
    parts = [context.codes(subset(source, limit), key) for source in sources]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return arrays["code"], arrays.get("logvar"), arrays["y"]


def _is_grid(factors: np.ndarray) -> bool:
    """True if every combination of values occurs equally often."""
    rows, counts = np.unique(factors, axis=0, return_counts=True)
    cells = math.prod(len(np.unique(column)) for column in factors.T)
    return len(rows) == cells and bool((counts == counts[0]).all())


def representation(context: Context, key: Array) -> Numbers:
    """Probes and clusters of the codes, fitted on training examples, measured on the test set.

    Examples without a label are excluded.
    """
    c = context.config.evaluation
    sources, num_unlabeled = _labeled([context.dataset.train, context.dataset.test])
    train, test = (context.codes(subset(source, c.population), key) for source in sources)
    arrays = train["code"], train["y"], test["code"], test["y"]
    counts = {"num_train": len(train["code"]), "num_examples": len(test["code"])}
    protocol = (
        f"fitted to the codes of {counts['num_train']} training examples, measured on "
        f"{counts['num_examples']} of test"
    )
    if num_unlabeled:
        counts["num_unlabeled"] = num_unlabeled
        protocol += f", without the {num_unlabeled} examples of both that have no label"
    if not _are_classes(test["y"]):
        r2 = ridge_probe(*arrays)
        return {
            "estimator": f"R^2 of a ridge regression {protocol}, without a standard error",
            **counts,
            "r2": r2.tolist(),
        }
    clusters = clustering(arrays[0], *arrays[2:], seed=c.seed)
    return {
        "estimator": f"{protocol}: accuracy of logistic regression on standardized codes and of "
        "10 nearest neighbors, with binomial standard errors; nmi and ari of k-means with one "
        "cluster per class, without a standard error",
        **counts,
        **name_estimate("linear_probe", linear_probe(*arrays)),
        **name_estimate("knn", knn_accuracy(*arrays, num_neighbors=min(10, counts["num_train"]))),
        **clusters._asdict(),
    }


def _labeled(
    sources: Sequence[Source | HostSource],
) -> tuple[list[Source | HostSource], int]:
    """The examples of each source that have a label, and the number of those without one.

    Raises InputError if a source has none.
    """
    labels = [source.all_labels() for source in sources]
    if any(y is None for y in labels):  # sprites have all their factors
        return list(sources), 0
    missing = np.split(unknown(np.concatenate(labels)), np.cumsum([len(y) for y in labels])[:-1])
    if any(part.all() for part in missing):
        raise InputError("no training or no test example has a label; all are -1")
    selection = [
        source.select(np.flatnonzero(~part)) if part.any() else source
        for source, part in zip(sources, missing, strict=True)
    ]
    return selection, sum(int(part.sum()) for part in missing)


def _are_classes(y: np.ndarray) -> bool:
    return y.ndim == 1 and y.dtype.kind in "iu"


def accuracy(context: Context, key: Array) -> Numbers:
    """Test accuracy of the classifier of a semi-supervised model."""
    run = _classify(context.model, context.config.evaluation.batch_size, context.mesh)
    predicted = context.run(run, context.dataset.test, key)
    num_labels = context.dataset.preparation.get("num_labels", "all")
    return {
        "estimator": "share of the test examples whose class the classifier predicts, trained "
        f"with {num_labels} labels; binomial standard error",
        "num_examples": len(predicted),
        **name_estimate("accuracy", accuracy_estimate(predicted, context.terms.y)),
    }


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _classify(model: ClassifierModel, batch_size: int, mesh: Mesh | None) -> Any:
    """(params, source, key) -> classes [N]."""

    def one_batch(params: Params, batch: Batch, key: Array) -> Array:
        del key
        options = {"observed": batch.get("observed"), "method": "classify"}
        return jnp.argmax(model.apply(params, batch["x"], **options), axis=-1)

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="accuracy")
