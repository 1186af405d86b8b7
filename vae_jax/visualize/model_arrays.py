"""The arrays that figures show: reconstructions and samples of a model, and its codes."""

import io
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import Source
from vae_jax.distributions import Distribution
from vae_jax.evaluation import Terms
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array, Batch

MAX_CODES = 10_000  # limit of latents.npz; larger test sets are subsampled

KINDS = ("mean", "draw")  # kinds of images from p(x | z)

Arrays = dict[str, np.ndarray]


def take_examples(source: Source, num: int) -> tuple[Batch, Array, Array]:
    """The first `num` examples, x [num, *E], a key for corruption and a key for the prior."""
    return take(source, np.arange(min(num, source.num_examples)), jax.random.key(0))


@jax.jit  # op by op, the source would be compiled as dozens of programs
def take(source: Source, index: Any, key: Array) -> tuple[Batch, Array, Array]:
    """The examples of an index [B], a key for corruption and a key for the prior."""
    key_data, key_corruption, key_prior = jax.random.split(key, 3)
    return source.take(index, key_data), key_corruption, key_prior


def reconstruct(
    model: TrainedModel,
    x: Array,
    key: Array,
    *,
    corrupted: Array | None = None,
    y: Array | None = None,
    observed: Array | np.ndarray | None = None,
) -> Arrays:
    """Examples and their reconstructions from the center of the posterior, each [B, *E].

    Keys: "data", "corrupted" if there is one, "mean" if p(x | z) has one, "draw" from p(x | z), and
    "y" of a conditional model. With a mask of `observed` entries [B, *E], the encoder sees these
    alone, and examples are NaN at the others.
    """
    inputs = {"data": x} | ({} if corrupted is None else {"corrupted": corrupted})
    last = x if corrupted is None else corrupted
    code = model.encode(last, y=y, **given_observed(observed)).center
    decoded = _mean_and_draw(model.decode(code, y=y), key)
    arrays = _to_host(inputs | {kind: decoded[kind] for kind in KINDS if kind in decoded}, y)
    return arrays | {name: hide_missing(arrays[name], observed) for name in inputs}


def hide_missing(x: np.ndarray, observed: Array | np.ndarray | None) -> np.ndarray:
    """Examples [B, *E] with NaN where a mask [B, *E] of `observed` entries, if any, is False."""
    return x if observed is None else np.where(observed, x, np.float32(np.nan))


def given_observed(observed: Array | np.ndarray | None) -> dict[str, Any]:
    """The keyword of `encode` for data with a mask [B, *E] of missing entries; empty without."""
    return {} if observed is None else {"observed": jnp.asarray(observed)}


def sample(
    model: TrainedModel,
    key: Array,
    num_samples: int,
    *,
    y: Array | None = None,
    temperature: float | None = None,
) -> Arrays:
    """Samples of a model [num_samples, *E]: z from the prior, and p(x | z) at each z.

    Keys: "mean" if p(x | z) has one, "draw" from p(x | z), and "y" of a conditional model. Raises
    UnsupportedError if the prior has no temperature and one is given.
    """
    key_z, key_x = jax.random.split(key)
    p = model.generate(key_z, num_samples, y=y, temperature=temperature)
    decoded = _mean_and_draw(p, key_x)
    return _to_host({kind: decoded[kind] for kind in KINDS if kind in decoded}, y)


@jax.jit
def _mean_and_draw(p: Distribution, key: Array) -> dict[str, Array]:
    draw = {"draw": p.sample(key)}
    return {"mean": p.mean} | draw if p.has_mean else draw


def _to_host(arrays: Mapping[str, Any], y: Array | None) -> Arrays:
    """The arrays on the host, in their order."""
    return {key: np.asarray(value) for key, value in arrays.items()} | (
        {} if y is None else {"y": np.asarray(y)}
    )


def codes(terms: Terms, split: str, *, limit: int = MAX_CODES) -> Arrays:
    """Codes of a split: "code" [N, D], "index" and "split" [N], and "y" [N] or [N, C] if any.

    Of more than `limit` examples, a random choice that is always the same.
    """
    index = choose(len(terms.code), limit)
    arrays = {"code": terms.code[index], "index": index, "split": np.full(len(index), split)}
    return arrays | ({} if terms.y is None else {"y": np.asarray(terms.y)[index]})


def choose(num_examples: int, limit: int) -> np.ndarray:
    """At most `limit` [M] of the examples 0..N - 1, ascending: at random, always the same."""
    if num_examples <= limit:
        return np.arange(num_examples)
    return np.sort(np.random.default_rng(0).choice(num_examples, limit, replace=False))


def to_npz(arrays: Mapping[str, Any]) -> bytes:
    """The content of an .npz file."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()
