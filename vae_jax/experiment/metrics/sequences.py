"""Sequences of tokens: exact reconstruction by a stated protocol, and lengths of samples."""

import functools
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.data.text.tokens import MOLECULES
from vae_jax.evaluation import sequences as measures
from vae_jax.evaluation.common import bits_per_token, mean_estimate, share_estimate
from vae_jax.evaluation.molecules.parsing import canonical
from vae_jax.experiment.metrics.context import Context, Numbers, name_estimate, subset
from vae_jax.experiment.metrics.latents import rate_weight
from vae_jax.experiment.metrics.samples import generate_examples
from vae_jax.models.base import Model
from vae_jax.types import Array

MAX_TRAIN = 20_000  # training sequences whose lengths are compared with those of test


def sequences(context: Context, key: Array) -> Numbers:
    """Exact reconstructions, token accuracy and bits per token; lengths of samples and data."""
    c, dataset = context.config.evaluation, context.dataset
    key_reconstruct, key_generate, key_labels = jax.random.split(key, 3)
    source = subset(dataset.test, c.sequence_examples)
    size = min(c.batch_size, source.num_examples)
    run = _reconstructions(context.model, size, c.num_beams, context.mesh)
    result = measures.Reconstructions(**context.run(run, source, key_reconstruct))
    numbers: Numbers = {}
    for name, estimate in (result.estimates() | _canonical(context, result)).items():
        numbers |= name_estimate(name, estimate)
    weight = rate_weight(context.config, dataset.shape)
    trained = "a model without latents"
    if weight is not None:
        trained = f"trained with a weight of the rate of {weight:.4g}"
    return {
        "estimator": f"shares of {len(result.x)} test sequences reproduced to the last token: "
        "greedy decoding of the posterior mean (exact_greedy) and of a draw of z (exact_one_draw), "
        f"{measures.NUM_DRAWS} draws of z decoded {measures.NUM_DECODES} times each by sampling "
        f"(exact_sampled: the share of matches), beam search with {c.num_beams} beams at the mean "
        "(exact_beam); canonical_...: the same molecule; token_accuracy: the most likely token "
        "given the true ones before it, ends included; standard errors over sequences; "
        "bits_per_token: -ELBO of all test sequences by their tokens and ends; "
        f"{trained}; lengths count the end, length_distance is the Wasserstein distance to lengths "
        f"of test sequences, of {c.num_generated} samples and of training sequences",
        "num_examples": len(result.x),
        **({} if weight is None else {"rate_weight": weight}),
        **numbers,
        **_bits(context),
        **_lengths(context, key_generate, key_labels),
    }


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _reconstructions(model: Model, batch_size: int, num_beams: int, mesh: Mesh | None) -> Any:
    return measures.make_reconstructions(
        model, batch_size=batch_size, num_beams=num_beams, mesh=mesh
    )


def _canonical(context: Context, result: measures.Reconstructions) -> dict[str, measures.Estimate]:
    """Shares of reconstructions that are the same molecule; empty for other text."""
    alphabet = context.dataset.text
    if alphabet.kind not in MOLECULES or importlib.util.find_spec("rdkit") is None:
        return {}
    truth = canonical(alphabet.decode_rows(result.x))
    shares = {}
    for name in ("greedy", "one_draw", "beam"):
        rows = getattr(result, name)
        decoded = canonical(alphabet.decode_rows(rows))
        is_same = np.array([a is not None and a == b for a, b in zip(decoded, truth, strict=True)])
        shares[f"canonical_{name}"] = share_estimate(
            is_same | np.asarray(measures.is_exact(rows, result.x))
        )
    return shares


def _bits(context: Context) -> Numbers:
    terms = context.finite_terms
    if terms.num_observed is None or not np.isfinite(terms.rate).all():
        return {}
    return name_estimate("bits_per_token", bits_per_token(terms.elbo, terms.num_observed))


def _lengths(context: Context, key: Array, key_labels: Array) -> Numbers:
    """Lengths of samples, test and training sequences, and samples without an end."""
    dataset, size = context.dataset, context.config.evaluation.num_generated
    test = _read_lengths(dataset.test, dataset.test.num_examples)
    train = _read_lengths(dataset.train, MAX_TRAIN)
    numbers: Numbers = {
        "test": name_estimate("length", mean_estimate(test)),
        "train": name_estimate("length", mean_estimate(train))
        | {"length_distance": measures.length_distance(train, test)},
    }
    if not np.isfinite(context.terms.rate).any():  # nothing to sample from
        return numbers
    y = None
    if context.is_conditional:
        labels = dataset.test.all_labels()
        y = jnp.asarray(labels)[jax.random.randint(key_labels, (size,), 0, len(labels))]
    x = generate_examples(context, size, key, y)["draws"]
    lengths = measures.lengths(x)
    return {
        "samples": name_estimate("length", mean_estimate(lengths))
        | {"length_distance": measures.length_distance(lengths, test)}
        | name_estimate("unended", share_estimate(~measures.has_end(x))),
        **numbers,
    }


def _read_lengths(source: Any, limit: int) -> np.ndarray:
    return np.asarray(subset(source, limit).observed).sum(-1)
