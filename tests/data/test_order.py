"""The order of the data: bijections, whole epochs, uniformity, and exact 32-bit arithmetic."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vae_jax.data.order import ROUNDS, batch_index, batch_index_by_length, padded_batches, permute

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
MASK = 2**32 - 1
permutations = jit(  # [S] seeds -> [S, n]
    lambda seeds, n: permute(jnp.arange(n), n, seeds[:, None]), static_argnums=1
)


@functools.partial(jit, static_argnames=("num_examples", "batch_size"))
def indices(step, seed=0, *, num_examples, batch_size):
    return batch_index(step, num_examples=num_examples, batch_size=batch_size, seed=seed)


def exact_hash(x):
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & MASK
    return x ^ (x >> 16)


def exact_permute(x, n, seed):
    """The swap-or-not shuffle on Python's integers."""
    for r in range(ROUNDS):
        key = exact_hash((seed + r * 0x9E3779B9) & MASK)
        partner = (exact_hash(key) - x) % n
        if exact_hash(max(x, partner) ^ key) % 2:
            x = partner
    return x


def exact_batch(step, num_examples, batch_size, seed):
    places = [divmod(step * batch_size + i, num_examples) for i in range(batch_size)]
    return [
        exact_permute(place, num_examples, exact_hash(exact_hash(seed) ^ (epoch & MASK)))
        for epoch, place in places
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1000, 60_001])
def test_permute_is_a_bijection(n):
    for row in np.asarray(permutations(jnp.array([0, 1, MASK], jnp.uint32), n)):
        np.testing.assert_array_equal(np.sort(row), np.arange(n))


@pytest.mark.parametrize("n", [1, 7, 1000, 2**31 - 1])
def test_permute_is_that_of_exact_integers(n):
    positions, seeds = [0, n // 3, n - 1], [0, 12345, MASK]
    actual = permute(jnp.array(positions, jnp.uint32), n, jnp.array(seeds, jnp.uint32)[:, None])
    assert actual.tolist() == [[exact_permute(x, n, seed) for x in positions] for seed in seeds]


@pytest.mark.parametrize(
    ("n", "batch_size"), [(1, 1), (7, 3), (10, 4), (10, 10), (5, 8), (64, 16), (1000, 96)]
)
def test_every_example_comes_once_per_epoch(n, batch_size):
    num_epochs = 3 * batch_size  # so that epochs begin at every place in a batch that they can
    flat = np.asarray(indices(jnp.arange(3 * n), num_examples=n, batch_size=batch_size)).reshape(
        num_epochs, n
    )
    np.testing.assert_array_equal(np.sort(flat, axis=1), np.broadcast_to(np.arange(n), flat.shape))


def test_one_step_is_a_row_of_many():
    options = {"num_examples": 100, "batch_size": 32}
    steps = jnp.array([[0, 1, 3], [4, 99, 2**31 - 1]])
    many = indices(steps, **options)
    assert many.shape == (2, 3, 32)
    for place in np.ndindex(2, 3):
        one = indices(steps[place], **options)
        assert one.shape == (32,)
        np.testing.assert_array_equal(one, many[place])


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
@pytest.mark.parametrize(
    ("n", "batch_size"),
    [
        (1, 3),
        (2, 5),
        (7, 3),
        (1000, 96),
        (60_000, 128),
        (50_000, 50_000),
        (1_281_167, 3351),
        (2**31 - 1, 1),
    ],
)
def test_big_steps_are_those_of_exact_integers(n, batch_size, seed):
    steps = [0, 1, n - 1, n, 10**6 + 7, 2**31 - 2, 2**31 - 1]
    actual = np.asarray(indices(jnp.array(steps), seed, num_examples=n, batch_size=batch_size))
    columns = sorted({0, 1 % batch_size, batch_size // 2, batch_size - 1})
    for row, step in zip(actual, steps, strict=True):
        for column in columns:
            epoch, place = divmod(step * batch_size + column, n)
            key = exact_hash(exact_hash(seed) ^ (epoch & MASK))
            assert row[column] == exact_permute(place, n, key), (step, column)


def test_a_whole_batch_over_the_end_of_an_epoch():
    step = 10**9 + 10  # 96 does not divide 1000: this batch spans two epochs
    assert step * 96 // 1000 != (step * 96 + 95) // 1000
    assert indices(jnp.array(step), 5, num_examples=1000, batch_size=96).tolist() == exact_batch(
        step, 1000, 96, 5
    )


def test_steps_up_to_uint32():
    step = jnp.array(MASK, jnp.uint32)
    assert indices(step, num_examples=1000, batch_size=4).tolist() == exact_batch(MASK, 1000, 4, 0)


@pytest.mark.parametrize(
    ("n", "batch_size"), [(65_536, 65_536), (1_281_167, 4096), (2**31 - 1, 3), (7, 20)]
)
def test_products_beyond_32_bits_are_exact(n, batch_size):
    for step in (0, n - 1, n, 1_000_003, 2**32 - 1):
        row = batch_index(
            jnp.array(step, jnp.uint32), num_examples=n, batch_size=batch_size, seed=3
        )
        for column in (0, batch_size - 1):
            epoch, place = divmod(step * batch_size + column, n)
            assert row[column] == exact_permute(
                place, n, exact_hash(exact_hash(3) ^ (epoch & MASK))
            ), (step, column)


@pytest.mark.parametrize("n", [0, 2**31, 2**32])
def test_too_few_or_too_many_examples_are_refused(n):
    with pytest.raises(ValueError, match=f"num_examples = {n}: must be at least 1 and at most"):
        batch_index(jnp.array(0), num_examples=n, batch_size=4, seed=0)


LENGTHS = np.random.default_rng(0).integers(1, 60, 1000)


@functools.partial(jit, static_argnames=("num_steps", "batch_size", "window"))
def by_length(start, lengths, seed=0, *, num_steps, batch_size, window):
    steps = start + jnp.arange(num_steps)
    options = {"lengths": lengths, "batch_size": batch_size, "seed": seed, "window": window}
    return batch_index_by_length(steps, **options)


@pytest.mark.parametrize(
    ("n", "batch_size", "window"), [(1, 1, 4), (10, 4, 3), (5, 8, 4), (64, 16, 4), (100, 7, 5)]
)
def test_every_example_comes_once_per_epoch_by_length(n, batch_size, window):
    """In windows of several epochs, and with batches and windows across the end of one."""
    options = {"num_steps": 3 * n, "batch_size": batch_size, "window": window}
    index = by_length(0, jnp.asarray(LENGTHS[:n]), **options)
    flat = np.asarray(index).reshape(3 * batch_size, n)
    np.testing.assert_array_equal(np.sort(flat, axis=1), np.broadcast_to(np.arange(n), flat.shape))


def test_a_window_by_length_is_that_of_the_plain_order_sorted():
    """A window within one epoch: the same examples, in batches that do not overlap in length."""
    options = {"num_examples": 1000, "batch_size": 16}
    plain = np.asarray(indices(jnp.arange(8, 16), 5, **options))
    index = np.asarray(by_length(8, jnp.asarray(LENGTHS), 5, num_steps=8, batch_size=16, window=8))
    np.testing.assert_array_equal(np.sort(index, axis=None), np.sort(plain, axis=None))
    batches = sorted(map(sorted, LENGTHS[index]))
    np.testing.assert_array_equal(np.concatenate(batches), np.sort(LENGTHS[plain], axis=None))


@pytest.mark.parametrize("start", [0, 1, 7, 8, 61, 2**31 - 40])
def test_steps_by_length_do_not_depend_on_those_before_them(start):
    """As after a resumption at any step."""
    options = {"batch_size": 16, "window": 8}
    lengths = jnp.asarray(LENGTHS)
    begin = max(start - 13, 0)
    many = by_length(begin, lengths, 3, num_steps=40, **options)
    few = by_length(start, lengths, 3, num_steps=9, **options)
    np.testing.assert_array_equal(few, many[start - begin :][:9])


def test_batches_by_length_come_in_random_order():
    """All places of the batch of the shortest examples are equally likely: 4 windows of one epoch.

    And seeds and windows have different orders.
    """
    lengths = jnp.arange(64)

    @jit
    def orders(seed):
        index = batch_index_by_length(
            jnp.arange(16), lengths=lengths, batch_size=4, seed=seed, window=4
        )
        return jnp.argmin(index.min(-1).reshape(4, 4), axis=1)

    places = np.asarray(jax.vmap(orders)(jnp.arange(3_000)))
    for window in range(4):
        assert p_value(places[:, window], 4) > 1e-3
        assert p_value(places[:, window] * 4 + places[:, (window + 1) % 4], 16) > 1e-3


def agreement(a, b):
    return np.mean(np.asarray(a) == np.asarray(b))


def test_seeds_and_epochs_differ():
    """Two random orders agree in one place on average; 12 or more has probability below 1e-9."""
    n = 500
    step = jnp.array(0)
    orders = [
        indices(step + epoch, seed, num_examples=n, batch_size=n)
        for seed in (0, 1, 2, 2**31 - 1)
        for epoch in range(4)
    ]
    assert max(agreement(a, b) for i, a in enumerate(orders) for b in orders[:i]) < 12 / n
    assert max(agreement(a, np.arange(n)) for a in orders) < 12 / n


def of_seeds(num):
    return np.asarray(permutations(jnp.arange(num, dtype=jnp.uint32), 6))


def of_epochs(num):
    """The orders that training runs through: with B = n each step is an epoch."""
    return np.asarray(indices(jnp.arange(num), num_examples=6, batch_size=6))


def of_run_seeds(num):
    """The first epoch under each seed a run can have."""
    return np.asarray(
        jax.vmap(lambda seed: indices(jnp.array(0), seed, num_examples=6, batch_size=6))(
            jnp.arange(num)
        )
    )


def p_value(cells, num_cells):
    return stats.chisquare(np.bincount(cells, minlength=num_cells)).pvalue


@pytest.mark.parametrize("orders", [of_seeds, of_epochs, of_run_seeds])
def test_orders_of_six_are_uniform(orders):
    orders = orders(72_000)
    for place in range(6):
        assert p_value(orders[:, place], 6) > 1e-3
        after = (place + 1) % 6
        pairs = orders[:, place] * 5 + orders[:, after] - (orders[:, after] > orders[:, place])
        assert p_value(pairs, 30) > 1e-3
    # All 720 orders, numbered in base 6: 719 degrees of freedom.
    _, counts = np.unique(orders @ 6 ** np.arange(6), return_counts=True)
    assert len(counts) == 720
    assert stats.chisquare(counts).pvalue > 1e-3


def test_one_epoch_says_nothing_of_the_next():
    orders = of_epochs(72_000)
    for element in range(6):
        place = np.argmax(orders == element, axis=1)
        assert p_value(place[:-1] * 6 + place[1:], 36) > 1e-3


@pytest.mark.parametrize(
    ("n", "batch_size", "num_batches"),
    [(1, 1, 1), (1, 4, 1), (7, 3, 3), (9, 3, 3), (10, 4, 3), (5, 8, 1), (1000, 250, 4)],
)
def test_padded_batches_visit_each_example_once_in_order(n, batch_size, num_batches):
    index, mask = map(np.asarray, padded_batches(n, batch_size))
    assert index.shape == mask.shape == (num_batches, batch_size)
    np.testing.assert_array_equal(index[mask], np.arange(n))
    assert np.all((index >= 0) & (index < n))  # padding can be taken too
    assert np.all(mask.ravel()[:-1] >= mask.ravel()[1:])
