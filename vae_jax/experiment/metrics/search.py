"""Search in latent space for molecules of a property, beside the controls of the search."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import HostSource, Source
from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.evaluation import search as measures
from vae_jax.evaluation.molecules import canonical, parse, properties
from vae_jax.evaluation.progress import Progress
from vae_jax.evaluation.scan import full_float32
from vae_jax.experiment import processes
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    as_batch,
    name_estimate,
    subset,
)
from vae_jax.experiment.metrics.latents import rate_weight
from vae_jax.experiment.metrics.molecules import training_molecules
from vae_jax.models.base import Model
from vae_jax.types import Array, Params

CANDIDATES = "search.csv"
HIDDEN = {"ridge": (), "network": (256,)}  # regressions from codes, and their hidden layers
HELD_OUT = 2_000  # maximum number of validation, and of test, molecules
STEPS = 50  # of an ascent, together twice as long as the largest distance from its start
MIN_VALID = 2  # molecules of each split
CLIMBS = 100  # minimum number of a round
DESCRIPTION = (
    "each candidate is decoded to the most likely molecule, whose {name} is recomputed; ascent: of "
    "the prediction of the {kind}, the regression that is better on validation, from the best of "
    "{num_train} training molecules; neighbors: from the same codes and as far, in random "
    "directions; bayesian: by expected improvement of a Gaussian process of {num_points} training "
    "codes, in {num_rounds} rounds that learn the recomputed values; prior: draws of z; distances "
    "are to the nearest training code, 1 is the median of {num_test} test codes; regressions: "
    "fitted to the training codes, measured on the test codes; constant: the mean of training for "
    "r2, the median for mae"
)


class Examples(NamedTuple):
    """Valid molecules of a split."""

    z: np.ndarray  # [N, D]
    values: np.ndarray  # [N]
    smiles: list[str]  # canonical


def search(context: Context, key: Array) -> Numbers:
    """Regressions of a property from codes, and the candidates of searches.

    Writes all candidates to `search.csv`.
    """
    c, dataset = context.config.evaluation, context.dataset
    key_codes, key_fit, key_search = jax.random.split(key, 3)
    train = _read(context, "train", c.search_examples, key_codes)
    valid = _read(context, "valid", HELD_OUT, key_codes)
    test = _read(context, "test", HELD_OUT, key_codes)
    predictors = {
        kind: measures.fit_predictor(key_fit, train.z, train.values, hidden=hidden)
        for kind, hidden in HIDDEN.items()
    }
    errors = {kind: _score(p, valid, train).mae.value for kind, p in predictors.items()}
    kind = min(errors, key=errors.__getitem__)
    unit = measures.typical_distance(test.z, train.z)
    prior = _prior(context)
    reference = measures.Reference(
        *train, training_molecules(dataset), unit, lambda z: prior.log_prob(jnp.float32(z))
    )
    tables = _run(context, reference, predictors[kind], prior, key_search)
    if processes.is_first():
        table = measures.concatenate(list(tables.values()))
        measures.write_candidates(context.workdir / CANDIDATES, table)
    best_training = measures.best_value(train.values, c.search_goal)
    weight = rate_weight(context.config, dataset.shape)
    return {
        "estimator": f"{c.search_budget} candidates of each search to {c.search_goal} "
        f"{c.search_property}; {_describe(context, len(train.z), len(test.z), kind)}",
        **({} if weight is None else {"rate_weight": weight}),
        "num_candidates": c.search_budget,
        "typical_distance": unit,
        "best_training": best_training,
        "candidates_file": CANDIDATES,
        "predictor": kind,
        "regressions": _describe_regressions(predictors, test, train),
        "searches": {
            method: _describe_search(table, best_training, c.search_goal)
            for method, table in tables.items()
        },
    }


def _describe(context: Context, num_train: int, num_test: int, kind: str) -> str:
    c = context.config.evaluation
    return DESCRIPTION.format(
        name=c.search_property,
        kind=kind,
        num_train=num_train,
        num_test=num_test,
        num_points=min(c.search_points, num_train),
        num_rounds=c.search_rounds,
    )


def _describe_search(
    table: measures.Candidates, best_training: float, goal: measures.Goal
) -> dict[str, float]:
    """The summary, without what is the same for all searches."""
    numbers = measures.summarize(table, best_training, goal=goal)
    return {k: v for k, v in numbers.items() if k not in ("num_candidates", "best_training")}


def _read(context: Context, split: str, limit: int, key: Array) -> Examples:
    """At most `limit` molecules of a split, without invalid ones.

    Raises InputError if fewer than two are valid.
    """
    source: Source | HostSource = subset(getattr(context.dataset, split), limit)
    z = context.codes(source, key)["code"]
    x = np.asarray(as_batch(source, key)["x"])
    examples = _select_valid(z, *_measure(context, x))
    if len(examples.z) < MIN_VALID:
        raise InputError(
            f"{len(examples.z)} of {len(x)} molecules of {split} are valid; search needs at least "
            f"{MIN_VALID}"
        )
    return examples


def _select_valid(z: np.ndarray, smiles: list[str | None], values: np.ndarray) -> Examples:
    index = np.flatnonzero(np.isfinite(values))
    return Examples(z[index], values[index], [smiles[i] for i in index])


def _measure(context: Context, x: np.ndarray) -> measures.Decoded:
    """Canonical SMILES of rows x [N, L] and their property; None and NaN for others."""
    molecules = parse(context.dataset.text.decode_complete(x))
    name = context.config.evaluation.search_property
    return measures.Decoded(canonical(molecules), properties(molecules, [name])[name])


def _score(predictor: measures.Predictor, examples: Examples, train: Examples) -> measures.Scores:
    return measures.score(measures.predict(predictor, examples.z), examples.values, train.values)


def _describe_regressions(
    predictors: Mapping[str, measures.Predictor], test: Examples, train: Examples
) -> dict[str, Any]:
    """R^2 and mean absolute error of each regression, and of constant predictions."""
    scores = {kind: _score(predictor, test, train) for kind, predictor in predictors.items()}
    pairs = {kind: (entry.r2, entry.mae) for kind, entry in scores.items()}
    first = scores[next(iter(scores))]
    pairs["constant"] = first.constant_r2, first.constant_mae
    return {
        kind: name_estimate("r2", r2) | name_estimate("mae", mae)
        for kind, (r2, mae) in pairs.items()
    }


def _run(
    context: Context,
    reference: measures.Reference,
    predictor: measures.Predictor,
    prior: Distribution,
    key: Array,
) -> dict[str, measures.Candidates]:
    """The candidates of each search, the same number of each."""
    c = context.config.evaluation
    keys = jax.random.split(key, 3)
    decode, sample_prior = functools.partial(_decode, context), functools.partial(_sample, context)
    data = reference, predictor, decode
    limit = c.search_distance * reference.unit
    climb: dict[str, Any] = {
        "goal": c.search_goal,
        "step_size": 4 * limit / STEPS,
        "max_distance": limit,
        "num_steps": STEPS,
    }
    tables = {}
    with Progress(4, "search", "searches") as progress:

        def add(table: measures.Candidates) -> None:
            tables[table.method[0]] = table
            progress.update()

        starts = measures.best_rows(reference.values, c.search_budget, c.search_goal)
        reward = {
            "log_density": prior.log_prob,
            "weight": c.search_prior_weight * float(np.std(reference.values)),
        }
        add(measures.search_by_ascent(*data, starts, **reward, **climb))
        lengths = np.linalg.norm(tables["ascent"].z - reference.z[starts], axis=1)
        add(measures.search_at_random(keys[0], *data, starts, lengths))
        rounds = {
            "num_candidates": c.search_budget,
            "num_rounds": c.search_rounds,
            "num_points": c.search_points,
            "num_starts": max(CLIMBS, -(-c.search_budget // c.search_rounds)),
        }
        add(measures.search_by_rounds(keys[1], reference, decode, sample_prior, **rounds, **climb))
        add(measures.search_prior(keys[2], *data, sample_prior, c.search_budget))
    return tables


def _decode(context: Context, z: np.ndarray) -> measures.Decoded:
    """The most likely molecules at codes z [M, D], batch by batch."""
    size, run = context.config.evaluation.batch_size, _decoder(context.model)
    rows = []
    for start in range(0, len(z), size):
        part = np.asarray(z[start : start + size], np.float32)
        padded = np.pad(part, [(0, size - len(part)), (0, 0)])  # one program for all batches
        rows.append(np.asarray(run(context.params, padded))[: len(part)])
    return _measure(context, np.concatenate(rows))


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _decoder(model: Model) -> Any:
    """(params, z [M, D]) -> centers of p(x | z), the greedy sequences of tokens."""

    @jax.jit
    @full_float32
    def decode(params: Params, z: Array) -> Array:
        return model.apply(params, z, method="decode").center

    return decode


def _sample(context: Context, key: Array, number: int) -> np.ndarray:
    """Draws [number, D] of the prior."""
    return np.asarray(context.model.apply(context.params, key, number, method="sample_prior"))


def _prior(context: Context) -> Distribution:
    """The prior p(z), over [D]."""
    x = jnp.zeros((1, *context.dataset.shape))
    return context.model.apply(context.params, x, method="infer").prior
