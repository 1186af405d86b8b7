"""Lines of text that codes decode to: reconstructions, paths, neighbors and samples."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset, Source
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.evaluation import Terms
from vae_jax.interpolation import interpolate
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array
from vae_jax.visualize import model_arrays

NUM_EXAMPLES = 24
NUM_PAIRS, NUM_STEPS = 3, 16  # interpolations, and codes on each
NUM_CENTERS = 2  # examples whose neighbors are decoded
NUM_DIRECTIONS = 12
RADII = (0.1, 0.2, 0.3, 0.45, 0.6)  # of the neighbors, in typical distances
NUM_SAMPLES = 500
MAX_CODES = 1_000  # for the typical distance


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Test examples and their codes.

    Attributes:
      x: rows [B, L] of token numbers.
      lines: their texts.
      codes: centers of the posterior [B, D].
      y: labels, of a conditional model.
      key: for samples.
    """

    x: np.ndarray
    lines: list[str]
    codes: np.ndarray
    y: np.ndarray | None
    key: Array


class Codes(NamedTuple):
    """Codes z [*lead, B, D], and labels y [B] or [B, C] of a conditional model."""

    z: np.ndarray
    y: np.ndarray | None


def read_examples(
    model: TrainedModel, dataset: Dataset, corruption: Corruption | None, num: int = NUM_EXAMPLES
) -> Examples:
    """The first test examples; `corruption` is of the inputs of a denoising model."""
    batch, key, key_prior = model_arrays.take_examples(dataset.test, num)
    x, y = batch["x"], batch["y"] if model.is_conditional else None
    inputs = x if corruption is None else corruption(key, x)
    code = model.encode(inputs, y=y, observed=batch.get("observed")).center
    rows = np.asarray(x)
    labels = None if y is None else np.asarray(y)
    lines = text_alphabet(dataset).decode_rows(rows)
    return Examples(rows, lines, np.asarray(code), labels, key_prior)


def text_alphabet(dataset: Dataset) -> Alphabet:
    """The alphabet of a data set of lines; raises TypeError for other data."""
    if dataset.text is None:
        raise TypeError("the data set has no lines of text")
    return dataset.text


def decode_codes(
    model: TrainedModel, alphabet: Alphabet, codes: Mapping[str, Codes]
) -> dict[str, np.ndarray]:
    """Texts [*lead, B] of codes by name, greedy, all in one compiled call."""
    shapes = {name: part.z.shape[:-1] for name, part in codes.items()}
    z = np.concatenate([part.z.reshape(-1, part.z.shape[-1]) for part in codes.values()])
    labels = [
        np.broadcast_to(part.y, (*shapes[name], *part.y.shape[1:])).reshape(-1, *part.y.shape[1:])
        for name, part in codes.items()
        if part.y is not None
    ]
    y = jnp.asarray(np.concatenate(labels)) if labels else None
    x = np.asarray(model.image(jnp.asarray(z, jnp.float32), y=y))
    texts = np.empty(len(x), object)
    texts[:] = alphabet.decode_rows(x)
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    parts = np.split(texts, ends)
    return {name: part.reshape(shapes[name]) for name, part in zip(codes, parts, strict=True)}


def has_codes(terms: Terms) -> bool:
    """True if the codes are finite and differ between examples, unlike those of a control."""
    codes = terms.code
    return len(codes) > 1 and bool(np.isfinite(codes).all()) and bool(np.ptp(codes, axis=0).any())


def interpolation_codes(examples: Examples) -> Codes:
    """Codes [P, pairs, D] on the lines from the codes of the first examples to those of others."""
    num = min(NUM_PAIRS, len(examples.codes) // 2)
    start, end = examples.codes[:num], examples.codes[num : 2 * num]
    z = _interpolate(start, end)
    return Codes(np.asarray(z), None if examples.y is None else examples.y[:num])


def typical_distance(codes: np.ndarray) -> float:
    """The median distance of two codes [N, D] of the data."""
    index = model_arrays.choose(len(codes), MAX_CODES)
    chosen = codes[index]
    return float(np.median(np.linalg.norm(chosen[:-1] - chosen[1:], axis=1)))


def neighbor_codes(examples: Examples, terms: Terms) -> tuple[Codes, np.ndarray]:
    """Codes z [M, centers, D] around those of the first examples, and their distances [M].

    The distances are `RADII`, in typical distances of two codes; the directions are random, with
    the spread of the codes in each dimension.
    """
    num = min(NUM_CENTERS, len(examples.codes))
    rng = np.random.default_rng(0)
    shape = (len(RADII), NUM_DIRECTIONS, num, terms.code.shape[1])
    offsets = rng.normal(size=shape) * terms.code.std(0)
    offsets /= np.linalg.norm(offsets, axis=-1, keepdims=True)
    offsets *= np.reshape(RADII, (-1, 1, 1, 1)) * typical_distance(terms.code)
    z = (examples.codes[:num] + offsets).reshape(-1, *shape[2:]).astype(np.float32)
    y = None if examples.y is None else examples.y[:num]
    return Codes(z, y), np.repeat(RADII, NUM_DIRECTIONS)


def sample_lines(
    model: TrainedModel, dataset: Dataset, examples: Examples
) -> tuple[np.ndarray, list[str]]:
    """Rows [`NUM_SAMPLES`, L] drawn from p(x | z), z from the prior, and their texts."""
    y = None
    if examples.y is not None:
        y = jnp.asarray(examples.y[np.arange(NUM_SAMPLES) % len(examples.y)])
    x = np.asarray(model.sample(examples.key, NUM_SAMPLES, y=y, draws=True))
    return x, text_alphabet(dataset).decode_rows(x)


def read_lines(source: Source, alphabet: Alphabet, limit: int) -> list[str]:
    """At most `limit` lines of a source: a random choice that is always the same."""
    index = model_arrays.choose(source.num_examples, limit)
    batch, _, _ = model_arrays.take(source, index, jax.random.key(0))
    return alphabet.decode_rows(np.asarray(batch["x"]))


_interpolate = jax.jit(functools.partial(interpolate, num_points=NUM_STEPS))
