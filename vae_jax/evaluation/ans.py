"""Asymmetric numeral systems (Duda, 2009, arXiv:0902.0271).

The coder is a stack of symbols, each coded in -log2 p bits for its probability p.

Several lanes are coded in parallel, each with a head of 64 bits in [2^32, 2^64), over one stack of
32-bit words. A symbol is an interval [start, start + freq) of integers out of 2^bits. Pushing it
turns a head s into

    (s // freq) 2^bits + scatter(start + s mod freq)

after moving its low word to the stack if it would overflow. Popping is the exact inverse, in
reverse order. Here scatter(p) = a p mod 2^bits is a fixed permutation of the positions. Without it
a pop would depend on exactly the number pushed last: in bits-back coding a latent would follow from
the code of the previous example, instead of a draw of the posterior, if the latents of the data
are not distributed as the prior. That cost up to half a percent in the rate.
"""

from collections.abc import Callable

import numpy as np

from vae_jax.errors import InputError, check_range, format_value

WORD = 32
MIN_HEAD = np.uint64(1 << WORD)
SCATTER = 0x9E3779B97F4A7C15  # odd, 2^64 by the golden ratio: moves neighbors far apart
GATHER = pow(SCATTER, -1, 1 << 64)
MAX_BITS = 28  # precision of a symbol; near 32, s // freq is small and its rounding costs bits


class Message:
    """The lanes of an ANS coder. It starts from random bits and draws more if needed.

    These are the "clean" bits of bits-back coding. `num_clean_bits` counts them; decoding
    everything recovers them.
    """

    def __init__(self, lanes: int, *, seed: int = 0) -> None:
        check_range("lanes", lanes, 1)
        self._random: np.random.Generator | None = np.random.default_rng(seed)
        self.head = self._random.integers(1 << WORD, 1 << 64, size=lanes, dtype=np.uint64)
        self._words = np.empty(1024, np.uint32)
        self._size = 0
        self.num_clean_bits = 64 * lanes

    @property
    def words(self) -> np.ndarray:
        """The stack [n], uint32; the top comes last."""
        return self._words[: self._size]

    @property
    def num_bits(self) -> int:
        """The length of the stored message: 64 bits per lane, 32 per word."""
        return 64 * len(self.head) + WORD * self._size

    @property
    def information(self) -> float:
        """Bits of information in the message; like `num_bits`, but heads count as their log2."""
        return float(np.log2(self.head.astype(np.float64)).sum()) + WORD * self._size

    def push(self, start: np.ndarray, freq: np.ndarray, bits: int) -> None:
        """Push one symbol onto each of the first n lanes.

        The symbols are intervals start [n], freq [n] out of 2^bits, with freq at least 1.
        """
        lanes = slice(0, len(start))
        start, freq = start.astype(np.uint64), freq.astype(np.uint64)
        head = self.head[lanes]
        full = (head >> np.uint64(64 - bits)) >= freq
        if full.any():
            self._put((head[full] & (MIN_HEAD - np.uint64(1))).astype(np.uint32))
            head = np.where(full, head >> np.uint64(WORD), head)
        quotient, remainder = np.divmod(head, freq)
        self.head[lanes] = (quotient << np.uint64(bits)) | _times(SCATTER, start + remainder, bits)

    def pop(
        self,
        find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
        lanes: int,
        bits: int,
    ) -> np.ndarray:
        """Pop one symbol off each of the first `lanes` lanes.

        Args:
          find: positions [n] in 0..2^bits - 1 -> (symbols [n], start [n], freq [n]) of their
            intervals.
        """
        head = self.head[:lanes]
        position = _times(GATHER, head, bits)
        symbol, start, freq = find(position)
        offset = position - start.astype(np.uint64)
        head = freq.astype(np.uint64) * (head >> np.uint64(bits)) + offset
        short = head < MIN_HEAD
        if short.any():
            words = self._take(int(short.sum())).astype(np.uint64)
            head[short] = (head[short] << np.uint64(WORD)) | words
        self.head[:lanes] = head
        return symbol

    def to_bytes(self) -> bytes:
        """Heads, then words, little-endian; the number of lanes is not stored."""
        return self.head.astype("<u8").tobytes() + self.words.astype("<u4").tobytes()

    @classmethod
    def from_bytes(cls, content: bytes, lanes: int) -> "Message":
        """The message that `to_bytes` wrote; popping beyond its end raises InputError."""
        if len(content) < 8 * lanes or len(content) % 4:
            raise InputError(
                f"content: has {len(content)} bytes; must be 8 for each of {lanes} lanes, "
                "and 4 for each word"
            )
        message = cls(lanes)
        message.head = np.frombuffer(content[: 8 * lanes], "<u8").astype(np.uint64)
        if message.head.min() < MIN_HEAD:
            raise InputError(
                "content: a head is below 2^32; must be written by Message.to_bytes with the same "
                "number of lanes"
            )
        message.num_clean_bits, message._random = 0, None
        message._put(np.frombuffer(content[8 * lanes :], "<u4"))
        return message

    def _put(self, words: np.ndarray) -> None:
        end = self._size + len(words)
        if end > len(self._words):
            room = np.empty(max(end, 2 * len(self._words)) - self._size, np.uint32)
            self._words = np.concatenate([self.words, room])
        self._words[self._size : end] = words
        self._size = end

    def _take(self, count: int) -> np.ndarray:
        missing = count - self._size
        if missing > 0:
            if self._random is None:
                raise InputError(
                    "message: holds less than is popped; it was coded differently, or is truncated"
                )
            clean = self._random.integers(1 << WORD, size=missing, dtype=np.uint32)
            words = np.concatenate([clean, self.words])
            self.num_clean_bits += WORD * missing
            self._size = 0
            return words
        self._size -= count
        return self._words[self._size : self._size + count].copy()


def _times(factor: int, position: np.ndarray, bits: int) -> np.ndarray:
    """The product mod 2^bits; uint64 wraps around at a multiple of 2^bits."""
    return (position * np.uint64(factor)) & np.uint64((1 << bits) - 1)


def push_uniform(message: Message, symbol: np.ndarray, bits: int) -> None:
    """Push symbols [n] in 0..2^bits - 1, each for `bits` bits."""
    message.push(symbol, np.ones(len(symbol), np.uint64), bits)


def pop_uniform(message: Message, lanes: int, bits: int) -> np.ndarray:
    """The inverse of `push_uniform`: symbols [lanes]."""

    def find(position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return position.astype(np.int64), position, np.ones_like(position)

    return message.pop(find, lanes, bits)


def cumulative(probabilities: np.ndarray, bits: int) -> np.ndarray:
    """Cumulative frequencies [n, L + 1] out of 2^bits, from 0, of probabilities [n, L] with sum 1.

    Each frequency is about p (2^bits - L) + 1, hence at least 1, so any symbol can be coded.

    Raises:
      InputError: too many symbols for the bits, or rows that are no probabilities.
    """
    probabilities = np.asarray(probabilities, np.float64)
    num_symbols = probabilities.shape[-1]
    check_range("the number of symbols", num_symbols, 2, 2 ** (bits - 1))
    total = probabilities.sum(axis=-1, keepdims=True)
    if not (probabilities.min() >= 0 and np.abs(total - 1).max() < 1e-3):  # also of NaN
        raise InputError(
            f"probabilities: the least is {format_value(float(probabilities.min()))} and they sum "
            f"to {total.min():g} up to {total.max():g}; must be at least 0 and sum to 1"
        )
    sums = np.minimum(np.cumsum(probabilities / total, axis=-1), 1.0)
    sums[..., -1] = 1.0
    ends = np.floor(sums * (2**bits - num_symbols)).astype(np.int64)
    ends += np.arange(1, num_symbols + 1)
    return np.concatenate([np.zeros_like(ends[..., :1]), ends], axis=-1)


def push_categorical(message: Message, symbol: np.ndarray, table: np.ndarray, bits: int) -> None:
    """Push symbols [n] in 0..L - 1 under a table [n, L + 1] from `cumulative`."""
    rows = np.arange(len(symbol))
    start = table[rows, symbol]
    message.push(start, table[rows, symbol + 1] - start, bits)


def pop_categorical(message: Message, table: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of `push_categorical`: symbols [n]."""
    rows = np.arange(len(table))

    def find(position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        symbol = (table[:, 1:] <= position.astype(np.int64)[:, None]).sum(axis=1)
        start = table[rows, symbol]
        return symbol, start, table[rows, symbol + 1] - start

    return message.pop(find, len(table), bits)


class GaussianBins:
    """A Gaussian over 2^prior_bits intervals of equal mass under N(0, 1).

    Bin i has the frequency floor((2^bits - 2 n) F(e_{i+1})) - floor((2^bits - 2 n) F(e_i)) + 2 of
    2^bits, with n bins, edges e, and the distribution function F of the Gaussian. The 2 compensates
    for rounding errors of F, so that no bin is empty and any can be coded.
    """

    def __init__(self, prior_bits: int, bits: int) -> None:
        from scipy.special import ndtri

        check_range("latent_bits", prior_bits, 1, bits - 2)
        check_range("bits", bits, 3, MAX_BITS)
        self.prior_bits, self.num_bins, self.bits = prior_bits, 2**prior_bits, bits
        self.edges = ndtri(np.arange(self.num_bins + 1) / self.num_bins)
        self.centers = ndtri((np.arange(self.num_bins) + 0.5) / self.num_bins)

    def push(
        self, message: Message, symbol: np.ndarray, mean: np.ndarray, stddev: np.ndarray
    ) -> None:
        """Push bins [n] under N(mean, stddev^2) [n]."""
        start = self._start(symbol, mean, stddev)
        message.push(start, self._start(symbol + 1, mean, stddev) - start, self.bits)

    def pop(self, message: Message, mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
        """The inverse of `push`: bins [n], by bisection."""

        def find(position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            position = position.astype(np.int64)
            low, high = np.zeros(len(position), np.int64), np.full(len(position), self.num_bins)
            while high[0] - low[0] > 1:  # the same power of 2 for all
                middle = (low + high) // 2
                below = self._start(middle, mean, stddev) <= position
                low, high = np.where(below, middle, low), np.where(below, high, middle)
            start = self._start(low, mean, stddev)
            return low, start, self._start(high, mean, stddev) - start

        return message.pop(find, len(mean), self.bits)

    def _start(self, symbol: np.ndarray, mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        mass = ndtr((self.edges[symbol] - mean) / stddev)
        return np.floor(mass * (2**self.bits - 2 * self.num_bins)).astype(np.int64) + 2 * symbol
