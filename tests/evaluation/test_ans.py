"""The ANS coder: exact inverses, on one stack, at the length that information theory gives."""

import math

import numpy as np
import pytest
from scipy import stats

from vae_jax.errors import InputError
from vae_jax.evaluation.ans import (
    MIN_HEAD,
    GaussianBins,
    Message,
    cumulative,
    pop_categorical,
    pop_uniform,
    push_categorical,
    push_uniform,
)


def scattered(position, bits):
    return position * 0x9E3779B97F4A7C15 % 2**bits


def test_one_symbol_by_hand():
    message = Message(1)
    message.head[:] = MIN_HEAD + np.uint64(5)
    message.push(np.array([3]), np.array([4]), 4)  # [3, 7) of 16
    assert int(message.head[0]) == (2**32 + 5) // 4 * 16 + scattered(3 + (2**32 + 5) % 4, 4)
    message.head[:] = np.uint64(2**64 - 7)  # no room: the low word goes to the stack
    message.push(np.array([3]), np.array([4]), 4)
    assert message.words.tolist() == [2**32 - 7]
    assert int(message.head[0]) == (2**32 - 1) // 4 * 16 + scattered(3 + 3, 4)


def test_the_last_symbol_pushed_is_the_first_popped_and_all_is_left_as_it_was():
    rng = np.random.default_rng(0)
    message, untouched = Message(7, seed=3), Message(7, seed=3)
    tables = [cumulative(rng.dirichlet(np.ones(5), size=7), bits) for bits in (8, 20, 28)]
    bins, mean, stddev = GaussianBins(10, 24), rng.normal(size=7), rng.uniform(0.01, 2, size=7)
    script = []
    for _ in range(200):
        script.append(
            (rng.integers(5, size=7), rng.integers(2**12, size=4), rng.integers(2**10, size=7))
        )
        categories, uniform, bin_ = script[-1]
        for table, bits in zip(tables, (8, 20, 28), strict=True):
            push_categorical(message, categories, table, bits)
        push_uniform(message, uniform, 12)  # on the first four lanes only
        bins.push(message, bin_, mean, stddev)
        assert message.head.min() >= MIN_HEAD
    assert message.num_clean_bits == 64 * 7  # pushing needs none
    for categories, uniform, bin_ in reversed(script):
        np.testing.assert_array_equal(bins.pop(message, mean, stddev), bin_)
        np.testing.assert_array_equal(pop_uniform(message, 4, 12), uniform)
        for table, bits in reversed(list(zip(tables, (8, 20, 28), strict=True))):
            np.testing.assert_array_equal(pop_categorical(message, table, bits), categories)
    np.testing.assert_array_equal(message.head, untouched.head)
    assert len(message.words) == 0


def test_clean_bits_are_counted_and_come_back():
    rng = np.random.default_rng(0)
    message, untouched = Message(3), Message(3)
    bins, mean, stddev = GaussianBins(12, 24), rng.normal(size=3), rng.uniform(0.1, 1, size=3)
    popped = [bins.pop(message, mean, stddev) for _ in range(100)]
    words = (message.num_clean_bits - 64 * 3) // 32
    assert words > 10
    assert len(message.words) == 0
    for symbol in reversed(popped):
        bins.push(message, symbol, mean, stddev)
    np.testing.assert_array_equal(message.head, untouched.head)
    assert message.num_bits == message.num_clean_bits


def test_the_length_is_the_information():
    rng = np.random.default_rng(0)
    p = np.array([0.6, 0.25, 0.1, 0.049, 0.001])
    symbols = rng.choice(5, p=p, size=(2000, 4))
    message, table = Message(4), cumulative(np.tile(p, (4, 1)), 20)
    before = message.information
    for row in symbols:
        push_categorical(message, row, table, 20)
    assert message.information - before == pytest.approx(-np.log2(p[symbols]).sum(), rel=2e-4)
    assert 0 <= message.num_bits - message.information < 33 * 4


def test_uniform_symbols_cost_their_bits():
    message = Message(1)
    before = message.information
    for _ in range(500):
        push_uniform(message, np.array([1234]), 12)
    assert message.information - before == pytest.approx(12 * 500, rel=1e-5)


def test_frequencies_fill_the_range_and_none_is_empty():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.dirichlet(np.full(200, 0.01), size=50), np.eye(200)[:3]])
    table = cumulative(p, 16)
    freq = np.diff(table, axis=1)
    assert (table[:, 0] == 0).all()
    assert (table[:, -1] == 2**16).all()
    assert freq.min() >= 1
    np.testing.assert_allclose(freq / 2**16, p, atol=201 / 2**16)


def test_bins_have_equal_mass_under_the_prior_and_gaussian_mass_under_another():
    bins = GaussianBins(6, 24)
    np.testing.assert_allclose(np.diff(stats.norm.cdf(bins.edges)), 1 / 64, rtol=1e-9)
    np.testing.assert_allclose(stats.norm.cdf(bins.centers), (np.arange(64) + 0.5) / 64, rtol=1e-9)
    mean, stddev = np.full(64, 0.7), np.full(64, 0.3)
    symbols = np.arange(64)
    start, end = bins._start(symbols, mean, stddev), bins._start(symbols + 1, mean, stddev)
    assert start[0] == 0
    assert end[-1] == 2**24
    np.testing.assert_allclose(
        (end - start) / 2**24, np.diff(stats.norm.cdf(bins.edges, 0.7, 0.3)), atol=130 / 2**24
    )


@pytest.mark.parametrize(
    ("mean", "stddev"), [(0.0, 1.0), (8.0, 1e-6), (-40.0, 1.0), (0.0, 1e6), (1.5, 1e-3)]
)
def test_any_bin_can_be_coded_under_any_gaussian(mean, stddev):
    bins, symbols = GaussianBins(12, 24), np.arange(2**12)
    means, stddevs = np.full(2**12, mean), np.full(2**12, stddev)
    assert (
        bins._start(symbols + 1, means, stddevs) - bins._start(symbols, means, stddevs)
    ).min() >= 1
    message = Message(2**12)
    bins.push(message, symbols, means, stddevs)
    np.testing.assert_array_equal(bins.pop(message, means, stddevs), symbols)


def test_what_is_popped_from_random_bits_has_the_distribution():
    n = 20_000
    bins = GaussianBins(8, 24)
    z = bins.centers[bins.pop(Message(n), np.full(n, 0.5), np.full(n, 0.4))]
    assert (
        stats.kstest(
            z + 1e-3 * np.random.default_rng(0).normal(size=n), stats.norm(0.5, 0.4).cdf
        ).statistic
        < 0.015
    )
    table = cumulative(np.tile([0.2, 0.5, 0.3], (n, 1)), 16)
    counts = np.bincount(pop_categorical(Message(n, seed=1), table, 16))
    assert stats.chisquare(counts, [0.2 * n, 0.5 * n, 0.3 * n]).pvalue > 1e-3


def test_what_is_popped_does_not_follow_from_what_was_pushed_last():
    n, rng = 20_000, np.random.default_rng(0)
    message, bins = Message(n), GaussianBins(12, 24)
    for _ in range(2):
        push_uniform(message, rng.integers(1000, 2000, size=n), 12)  # all in one quarter
    z = bins.centers[bins.pop(message, np.full(n, 0.5), np.full(n, 0.4))]
    assert stats.kstest(z, stats.norm(0.5, 0.4).cdf).statistic < 0.015


def test_bytes_hold_the_whole_message():
    message = Message(3)
    rng = np.random.default_rng(0)
    symbols = rng.integers(2**12, size=(100, 3))
    for row in symbols:
        push_uniform(message, row, 12)
    content = message.to_bytes()
    assert 8 * len(content) == message.num_bits
    again = Message.from_bytes(content, 3)
    for row in symbols[::-1]:
        np.testing.assert_array_equal(pop_uniform(again, 3, 12), row)
    np.testing.assert_array_equal(again.head, Message(3).head)
    with pytest.raises(InputError, match="message: holds less than is popped"):
        [pop_uniform(again, 3, 12) for _ in range(100)]


def test_bad_input():
    with pytest.raises(InputError, match="lanes = 0: must be at least 1"):
        Message(0)
    with pytest.raises(InputError, match="must be at least 0 and sum to 1"):
        cumulative(np.array([[0.5, 0.2]]), 16)
    with pytest.raises(InputError, match=r"the least is -0\.5"):
        cumulative(np.array([[1.5, -0.5]]), 16)
    with pytest.raises(InputError, match="must be at least 0 and sum to 1"):
        cumulative(np.array([[math.nan, 1.0]]), 16)
    with pytest.raises(InputError, match="content: has 13 bytes"):
        Message.from_bytes(bytes(13), 1)
    with pytest.raises(InputError, match=r"a head is below 2\^32"):
        Message.from_bytes(bytes(16), 1)
    with pytest.raises(InputError, match="latent_bits = 23: must be at least 1 and at most 22"):
        GaussianBins(23, 24)
