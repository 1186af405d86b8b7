"""Lossless compression with a VAE by bits-back coding: BB-ANS.

Townsend, Bird and Barber, 2019, arXiv:1901.04866.

An example x is coded onto a message that already holds bits:

    pop z ~ q(z | x)              -log2 q(z | x) bits fewer
    push x under p(x | z)         -log2 p(x | z) bits more
    push z under p(z)             -log2 p(z)     bits more

so in expectation it grows by -ELBO / ln 2 bits. Decoding inverts each step in reverse order and
recovers the previous message. The first examples need random bits, which are counted.

Latents live in bins of equal mass under the prior N(0, 1), and the decoder sees their medians. The
examples of a batch are coded in parallel, each in its own lane of the coder. Decoding must compute
the same floats: it needs the same functions, batch shapes, machine and libraries.
"""

import copy
import dataclasses
import math
from collections.abc import Callable

import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation import ans
from vae_jax.evaluation.ans import GaussianBins, Message
from vae_jax.types import Array

PIXEL_BITS = 20  # precision of p(x | z): no symbol costs more than 20 bits
POSTERIOR_BITS = 24

# x [B, *E] -> mean, stddev [B, D]
Posterior = Callable[[np.ndarray], tuple[Array | np.ndarray, Array | np.ndarray]]
# z [B, D] float32 -> P(x = 1) [B, *E], or P(x = l) [B, *E, L]
Decode = Callable[[np.ndarray], Array | np.ndarray]


@dataclasses.dataclass(frozen=True)
class Compressed:
    """A message, the settings needed to decode it, and its length in bits."""

    message: Message
    latent_dim: int
    num_examples: int
    event_shape: tuple[int, ...]
    batch_size: int
    latent_bits: int
    num_clean_bits: int  # random bits at the start of the message
    bits_per_dim: float  # excludes the clean bits; heads count as their log2
    total_bits_per_dim: float  # everything that is stored, clean bits included


def bits_back_encode(
    x: Array | np.ndarray,
    posterior: Posterior,
    decode: Decode,
    *,
    batch_size: int = 100,
    latent_bits: int = 12,
    seed: int = 0,
) -> Compressed:
    """Compress examples x [N, *E], integers from 0.

    Args:
      posterior: x [B, *E] -> mean and standard deviation [B, D] of q(z | x).
      decode: z [B, D] -> probabilities: of x = 1 in the shape of x, for x of 0 and 1, or of x = l
        on an additional axis.
      batch_size: examples coded in parallel; the last batch may be smaller. The frequencies of a
        batch are in memory at once, eight bytes for every value of every pixel.
      latent_bits: each latent has 2^latent_bits bins.
      seed: seed of the random bits.
    """
    x = _symbols(x)
    check_range("batch_size", batch_size, 1)
    bins = GaussianBins(latent_bits, POSTERIOR_BITS)
    message = Message(min(batch_size, len(x)), seed=seed)
    before = message.information - message.num_bits  # heads hold less than 64 bits
    for start in range(0, len(x), batch_size):
        latent_dim = _push_batch(message, x[start : start + batch_size], posterior, decode, bins)
    net = message.information - message.num_clean_bits - before
    return Compressed(
        message=message,
        latent_dim=latent_dim,
        num_examples=len(x),
        event_shape=x.shape[1:],
        batch_size=batch_size,
        latent_bits=latent_bits,
        num_clean_bits=message.num_clean_bits,
        bits_per_dim=net / x.size,
        total_bits_per_dim=message.num_bits / x.size,
    )


def bits_back_decode(compressed: Compressed, posterior: Posterior, decode: Decode) -> np.ndarray:
    """Decompress examples [N, *E], int64, from the result of `bits_back_encode`.

    Raises:
      InputError: more or less than the clean bits remain, so `posterior` and `decode` are not those
        of the encoder, or did not compute the same floats.
    """
    c, message = compressed, copy.deepcopy(compressed.message)
    bins = GaussianBins(c.latent_bits, POSTERIOR_BITS)
    batches = [
        _pop_batch(message, c, min(c.batch_size, c.num_examples - start), posterior, decode, bins)
        for start in reversed(range(0, c.num_examples, c.batch_size))
    ]
    if message.num_bits != c.num_clean_bits:
        raise InputError(
            f"posterior, decode: left {message.num_bits} bits in the message, not the "
            f"{c.num_clean_bits} it began with; must be the functions of the encoder, and compute "
            "the same floats"
        )
    return np.concatenate(batches[::-1])


def _push_batch(
    message: Message, x: np.ndarray, posterior: Posterior, decode: Decode, bins: GaussianBins
) -> int:
    """Push examples x [B, *E] onto the message; return the number of latents of each."""
    mean, stddev = _gaussian(posterior(x), len(x))
    latents = [bins.pop(message, m, s) for m, s in zip(mean.T, stddev.T, strict=True)]
    tables = _tables(decode, latents, bins, x.shape)
    pixels = x.reshape(len(x), -1)
    if pixels.max() >= tables.shape[-1] - 1:
        raise InputError(
            f"x: has a value of {pixels.max()}; decode gives probabilities for 0 to "
            f"{tables.shape[-1] - 2}"
        )
    for i in range(pixels.shape[1]):
        ans.push_categorical(message, pixels[:, i], tables[:, i], PIXEL_BITS)
    for symbol in latents:
        ans.push_uniform(message, symbol, bins.prior_bits)
    return len(latents)


def _pop_batch(
    message: Message,
    c: Compressed,
    size: int,
    posterior: Posterior,
    decode: Decode,
    bins: GaussianBins,
) -> np.ndarray:
    """The inverse of `_push_batch`, step by step."""
    latents = [ans.pop_uniform(message, size, bins.prior_bits) for _ in range(c.latent_dim)][::-1]
    tables = _tables(decode, latents, bins, (size, *c.event_shape))
    pixels = np.empty((size, math.prod(c.event_shape)), np.int64)
    for i in reversed(range(pixels.shape[1])):
        pixels[:, i] = ans.pop_categorical(message, tables[:, i], PIXEL_BITS)
    x = pixels.reshape(size, *c.event_shape)
    mean, stddev = _gaussian(posterior(x), size)
    for symbol, m, s in reversed(list(zip(latents, mean.T, stddev.T, strict=True))):
        bins.push(message, symbol, m, s)
    return x


def _tables(
    decode: Decode, latents: list[np.ndarray], bins: GaussianBins, shape: tuple[int, ...]
) -> np.ndarray:
    """Cumulative frequencies [B, pixels, L + 1] of p(x | z), with z the medians of the bins."""
    z = bins.centers[np.stack(latents, axis=1)].astype(np.float32)
    probabilities = np.asarray(decode(z), np.float64)
    if probabilities.shape == shape:
        probabilities = np.stack([1 - probabilities, probabilities], axis=-1)
    if probabilities.shape[:-1] != shape:
        raise InputError(
            f"decode: gives probabilities of shape {probabilities.shape}; must be {shape}, "
            "or that and an axis of values"
        )
    return ans.cumulative(probabilities.reshape(shape[0], -1, probabilities.shape[-1]), PIXEL_BITS)


def _gaussian(
    parameters: tuple[Array | np.ndarray, Array | np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray]:
    mean, stddev = (np.asarray(p, np.float64) for p in parameters)
    if mean.ndim != 2 or mean.shape != stddev.shape or len(mean) != size or not mean.shape[1]:
        raise InputError(
            f"posterior: gives shapes {mean.shape} and {stddev.shape}; must be [{size}, D] both"
        )
    if not (np.isfinite(mean).all() and np.isfinite(stddev).all() and stddev.min() > 0):
        raise InputError(
            "posterior: gives values that are not finite, or a standard deviation that is not "
            "above 0"
        )
    return mean, stddev


def _symbols(x: Array | np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim < 2 or not x.size:
        raise InputError(f"x: has shape {x.shape}; must be [N, *E]")
    whole = x.astype(np.int64) if x.dtype.kind in "biuf" and np.isfinite(x).all() else None
    if whole is None or not np.array_equal(whole, x) or whole.min() < 0:
        raise InputError(f"x: of type {x.dtype}; must contain integers from 0, the symbols to code")
    return whole
