"""N-gram models of tokens against counts by hand, and their sum over all sequences."""

import collections
import math

import numpy as np
import pytest
from tiny_tokens import all_sequences, random_sequences

from vae_jax import data
from vae_jax.errors import InputError
from vae_jax.evaluation import baseline_scores
from vae_jax.evaluation.ngrams import fit_ngrams

V, L = 5, 4  # padding, end, and three tokens
RNG = np.random.default_rng(0)


def source(x):
    """The sequences as a split."""
    return data.ArraySource(np.asarray(x, np.float32), observed=np.asarray(x) > 0)


def witten_bell(train, row, order):
    """Log p of one sequence by dictionaries, from the formula."""
    grams = [collections.Counter() for _ in range(order)]
    for sequence in train:
        tokens = [int(token) for token in sequence if token > 0]
        for n in range(1, order + 1):
            padded = ["start"] * (n - 1) + tokens
            grams[n - 1].update(tuple(padded[i : i + n]) for i in range(len(tokens)))
    tokens, total = [int(token) for token in row if token > 0], 0.0
    for place, token in enumerate(tokens):
        p = 1 / (V - 1)
        for n in range(1, order + 1):
            context = tuple((["start"] * (n - 1) + tokens[:place])[place:]) if n > 1 else ()
            after = {gram[-1]: c for gram, c in grams[n - 1].items() if gram[:-1] == context}
            if after:
                p = (after.get(token, 0) + len(after) * p) / (sum(after.values()) + len(after))
        total += math.log(p)
    return total


@pytest.mark.parametrize("order", [1, 2, 3])
def test_it_is_the_formula_and_sums_to_one(order, monkeypatch):
    train, rows = random_sequences(RNG, 40, V, L), all_sequences(V, L)
    monkeypatch.setattr(baseline_scores, "CHUNK_VALUES", 7 * L)
    model = fit_ngrams(source(train), V, order=order)
    log_prob = model.log_prob(rows)
    expected = [witten_bell(train, row, order) for row in rows]
    np.testing.assert_allclose(log_prob, expected, rtol=1e-12)
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(model.score(source(rows)).log_px, expected, rtol=1e-12)


def test_a_trigram_model_scores_by_unigrams_too():
    train = random_sequences(RNG, 40, V, L)
    model = fit_ngrams(source(train), V)
    scores = model.score(source(train))
    assert scores.name == "a trigram model of tokens"
    unigrams = fit_ngrams(source(train), V, order=1).log_prob(train)
    np.testing.assert_allclose(scores.simpler["unigram"], unigrams, rtol=1e-12)
    some = scores.select(np.arange(3))
    assert len(some.log_px) == len(some.simpler["unigram"]) == 3
    assert scores.mse is None
    assert not scores.is_constant


def test_constant_sequences_are_noticed_and_unseen_contexts_have_a_mass():
    row = np.array([2, 2, 3, 1], np.float32)
    model = fit_ngrams(source(np.tile(row, (20, 1))), V)
    assert model.is_constant
    assert np.isfinite(model.log_prob(all_sequences(V, L))).all()
    # Every pair of tokens has one successor, so each of four factors is (20 + p) / 21.
    assert model.log_prob(row[None])[0] > 4 * math.log(20 / 21)


def test_orders_that_cannot_be_counted_are_rejected():
    with pytest.raises(InputError, match="order"):
        fit_ngrams(source(random_sequences(RNG, 4, V, L)), V, order=0)
    with pytest.raises(InputError, match="order"):
        fit_ngrams(source(random_sequences(RNG, 4, V, L)), V, order=30)
