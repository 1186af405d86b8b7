"""The trivial baseline of sequences: n-gram models of tokens, smoothed as by Witten and Bell.

Plain numpy in float64. With c(h, w) the number of times that token w follows the n - 1 tokens h in
training, c(h) their sum, and T(h) the number of different tokens that follow h,

    p_n(w | h) = (c(h, w) + T(h) p_{n-1}(w | h')) / (c(h) + T(h)),

where h' is h without its first token, and p_0 is uniform over the end token and the alphabet
(Witten and Bell, 1991, IEEE Trans. Inf. Theory 37(4); interpolated as in Chen and Goodman, 1999).
A context that never occurs has p_{n-1}. Nothing is tuned.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from vae_jax.data import HostSource, Source
from vae_jax.errors import check_range
from vae_jax.evaluation.baseline_scores import MAX_VALUES, BaselineScores, read_rows
from vae_jax.evaluation.common import choose_examples

NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}
ORDER = 3


@dataclasses.dataclass(frozen=True)
class _Counts:
    """Counts of the n-grams of one n; an n-gram is a number with n digits to the base V + 1."""

    ngrams: np.ndarray  # [M] ascending
    counts: np.ndarray  # [M]
    contexts: np.ndarray  # [C] ascending: n-grams without their last token
    totals: np.ndarray  # [C] c(h)
    types: np.ndarray  # [C] T(h)


@dataclasses.dataclass(frozen=True)
class NGrams:
    """A distribution over sequences of ids [L]: tokens, the end token 1, and zeros.

    It sums to 1 over all sequences of at most L tokens, those without an end included.

    Attributes:
      num_tokens: V, including padding and end.
      is_constant: True if all training sequences are the same.
      tables: counts of unigrams, bigrams, ... up to the order of the model.
    """

    num_tokens: int
    is_constant: bool
    tables: tuple[_Counts, ...] = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """Human-readable."""
        order = len(self.tables)
        return f"a {NAMES.get(order, f'{order}-gram')} model of tokens"

    def with_order(self, order: int) -> "NGrams":
        """The model of a smaller order from the same counts."""
        check_range("order", order, 1, len(self.tables))
        return dataclasses.replace(self, tables=self.tables[:order])

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log p(x) [N] in nats of ids x [N, L], summed over the tokens and the end."""
        ids, is_token = _ids(x)
        p = np.full(int(is_token.sum()), 1 / (self.num_tokens - 1))
        for ngrams, table in zip(
            _ngrams(ids, self.num_tokens, len(self.tables)), self.tables, strict=True
        ):
            keys = ngrams[is_token]
            count = _look_up(table.ngrams, table.counts, keys)
            contexts = keys // (self.num_tokens + 1)
            total = _look_up(table.contexts, table.totals, contexts)
            types = _look_up(table.contexts, table.types, contexts)
            p = np.where(total > 0, (count + types * p) / np.maximum(total + types, 1), p)
        terms = np.zeros(ids.shape)
        terms[is_token] = np.log(p)
        return terms.sum(axis=1)

    def score(self, source: Source | HostSource) -> BaselineScores:
        """Score every example of a split, by the model and by the unigram model."""
        unigrams = self.with_order(1)
        log_px, log_px_unigrams = [], []
        for rows in read_rows(source, np.arange(source.num_examples)):
            log_px.append(self.log_prob(rows))
            log_px_unigrams.append(unigrams.log_prob(rows))
        return BaselineScores(
            np.concatenate(log_px),
            None,
            self.name,
            np.zeros(0),
            self.is_constant,
            {NAMES[1]: np.concatenate(log_px_unigrams)} if len(self.tables) > 1 else {},
        )


def fit_ngrams(train: Source | HostSource, num_tokens: int, *, order: int = ORDER) -> NGrams:
    """Count the n-grams of a training split, n = 1 .. order; a start symbol precedes each example.

    Args:
      train: examples [L] of ids; of very large splits, random examples that are always the same.
      num_tokens: V, including padding and end.
      order: n of the model; 3 is a trigram model.
    """
    check_range("order", order, 1)
    check_range("num_tokens", num_tokens, 2)
    check_range("(num_tokens + 1)^order", float(num_tokens + 1) ** order, 1, 2**63)
    (length,) = train.shape
    index = choose_examples(train.num_examples, max(1, MAX_VALUES // length))
    parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(order)]
    first, is_constant = None, True
    for rows in read_rows(train, index):
        ids, is_token = _ids(rows)
        first = ids[0] if first is None else first
        is_constant &= bool((ids == first).all())
        for part, ngrams in zip(parts, _ngrams(ids, num_tokens, order), strict=True):
            part.append(np.unique(ngrams[is_token], return_counts=True))
    return NGrams(num_tokens, is_constant, tuple(_merge(part, num_tokens) for part in parts))


def _ids(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids [N, L] as integers, 0 where x is NaN, and True at tokens and ends."""
    ids = np.nan_to_num(np.asarray(x, np.float64)).astype(np.int64)
    return ids, ids > 0


def _ngrams(ids: np.ndarray, num_tokens: int, order: int) -> Iterator[np.ndarray]:
    """Yield the n-grams [N, L] that end at each position, n = 1 .. order."""
    total = np.zeros_like(ids)
    for shift in range(order):
        earlier = np.full_like(ids, num_tokens)  # the start symbol
        earlier[:, shift:] = ids[:, : ids.shape[1] - shift]
        total = total + earlier * (num_tokens + 1) ** shift
        yield total


def _merge(parts: list[tuple[np.ndarray, np.ndarray]], num_tokens: int) -> _Counts:
    ngrams, place = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    counts = np.bincount(place, np.concatenate([counts for _, counts in parts]))
    contexts, first, types = np.unique(
        ngrams // (num_tokens + 1), return_index=True, return_counts=True
    )
    totals = np.add.reduceat(counts, first) if len(counts) else counts
    return _Counts(ngrams, counts, contexts, totals, types)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 for keys that are not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
