"""Searches on functions whose optimum is known, with a decoder that is honest or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.evaluation.search import (
    Decoded,
    Reference,
    best_rows,
    fit_predictor,
    search_at_random,
    search_by_ascent,
    search_by_rounds,
    search_prior,
    summarize,
)
from vae_jax.evaluation.search.rounds import add_values, choose_points

pytestmark = pytest.mark.filterwarnings("error:::vae_jax")
KEY = jax.random.key(0)
TOP = np.array([1.5, -1.0])


FEW = {"num_rounds": 3, "num_candidates": 12, "num_starts": 8, "num_steps": 20, "step_size": 0.2}


def value(z):
    """Highest, 10, at TOP."""
    return 10 - np.square(np.asarray(z, np.float64) - TOP).sum(-1)


def name(z):
    return [f"{a:.2f},{b:.2f}" for a, b in np.asarray(z)]


def honest(z):
    return Decoded(name(z), value(z))


def lying(z):
    """Beyond 2.5 from the origin everything decodes to the same poor example, or to nothing."""
    radius = np.linalg.norm(z, axis=1)
    examples = np.where(radius > 4, None, np.where(radius > 2.5, "poor", name(z))).tolist()
    values = np.where(radius > 4, np.nan, np.where(radius > 2.5, -5.0, np.asarray(z)[:, 0]))
    return Decoded(examples, values)


def sample_prior(key, number):
    return np.asarray(jax.random.normal(key, (number, 2)))


def reference_of(decode, number=60):
    z = np.random.default_rng(0).normal(size=(number, 2))
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True) / 2, 1)
    examples, values = decode(z)
    return Reference(z, values, examples, set(examples), 0.3, lambda z: -np.square(z).sum(-1) / 2)


def test_rounds_find_the_optimum_and_beat_draws_of_the_prior():
    reference = reference_of(honest, 10)
    table = search_by_rounds(KEY, reference, honest, sample_prior, **FEW)
    assert len(table) == 12
    assert table.round.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert set(table.method) == {"bayesian"}
    np.testing.assert_allclose(table.recomputed, value(table.z))
    assert table.recomputed.max() > 9.95
    # After the values of two rounds the process knows the function near its optimum, and says how
    # little it knows elsewhere.
    last = table.select(table.round == 2)
    error = np.abs(last.predicted - last.recomputed)
    assert error[last.recomputed.argmax()] < 0.01
    assert (error < 4 * last.predicted_stddev).all()
    known = table.start >= 0
    assert known.any()
    assert len(set(table.start[known])) == known.sum()  # no training code is a start twice
    expected = reference.values[table.start[known]]
    np.testing.assert_array_equal(table.start_value[known], expected)


def test_rounds_that_minimize_are_those_that_maximize_the_negative():
    def negative(z):
        return Decoded(name(z), -value(z))

    few = FEW | {"num_rounds": 2, "num_candidates": 8}
    high = search_by_rounds(KEY, reference_of(honest, 10), honest, sample_prior, **few)
    low = search_by_rounds(
        KEY, reference_of(negative, 10), negative, sample_prior, goal="minimize", **few
    )
    np.testing.assert_allclose(low.z, high.z, atol=1e-6)
    np.testing.assert_allclose(low.predicted, -high.predicted, atol=1e-6)


def test_a_decoder_that_lies_shows_in_the_summary():
    reference = reference_of(lying)
    predictor = fit_predictor(KEY, reference.z, reference.values)
    starts = best_rows(reference.values, 12, "maximize")
    table = search_by_ascent(reference, predictor, lying, starts, num_steps=40, step_size=0.3)
    fooled = summarize(table, reference.values.max())
    assert fooled["best_predicted"] > 4  # the line goes on beyond the data
    assert fooled["validity"] == 0
    near = search_by_ascent(
        reference, predictor, lying, starts, num_steps=40, step_size=0.3, max_distance=1.2
    )
    summary = summarize(near, reference.values.max())
    assert summary["validity"] > 0.9
    assert summary["prediction_gap"] > 5
    assert summary["duplicates"] > 0.3  # all of them "poor"
    assert summary["training_distance"] > 2
    # A stay near the data costs predicted value and is honest.
    stay = search_by_ascent(
        reference,
        predictor,
        lying,
        starts,
        num_steps=40,
        step_size=0.1,
        log_density=lambda z: -jnp.square(z).sum(-1) / 2,
        weight=0.5,
    )
    summary = summarize(stay, reference.values.max())
    assert abs(summary["prediction_gap"]) < 0.5
    assert summary["best_predicted"] < fooled["best_predicted"]


def test_invalid_candidates_have_the_worst_value():
    assert add_values(np.array([3.0, 1.0]), np.array([np.nan, 4.0])).tolist() == [3, 1, 1, 4]


def test_a_round_learns_that_invalid_codes_are_worthless():
    def broken(z):
        return Decoded([None] * len(z), np.full(len(z), np.nan))

    few = FEW | {"num_rounds": 2, "num_candidates": 8}
    table = search_by_rounds(KEY, reference_of(honest, 10), broken, sample_prior, **few)
    assert np.isnan(table.recomputed).all()
    first, second = (table.select(table.round == number) for number in (0, 1))
    assert second.predicted.mean() < first.predicted.mean()


def test_an_ascent_improves_its_starts_and_its_control_does_not():
    reference = reference_of(honest, 200)
    predictor = fit_predictor(KEY, reference.z, reference.values, penalty=1e-3)
    starts = np.arange(30)
    table = search_by_ascent(reference, predictor, honest, starts, num_steps=5, step_size=0.1)
    lengths = np.linalg.norm(table.z - reference.z[starts], axis=1)
    np.testing.assert_allclose(lengths, 0.3, rtol=1e-4)  # 0.1 (1 + 0.8 + ... + 0.2)
    control = search_at_random(KEY, reference, predictor, honest, starts, lengths)
    np.testing.assert_allclose(
        np.linalg.norm(control.z - reference.z[starts], axis=1), lengths, rtol=1e-4
    )
    gains = [(t.recomputed - t.start_value).mean() for t in (table, control)]
    assert gains[0] > 0.5
    assert abs(gains[1]) < 0.5
    lowest = search_by_ascent(
        reference, predictor, honest, starts, num_steps=5, step_size=0.1, goal="minimize"
    )
    assert (lowest.recomputed < lowest.start_value).mean() > 0.8


def test_draws_of_the_prior_have_no_start():
    reference = reference_of(honest)
    predictor = fit_predictor(KEY, reference.z, reference.values)
    table = search_prior(KEY, reference, predictor, honest, sample_prior, 7)
    np.testing.assert_array_equal(table.z, sample_prior(KEY, 7))
    assert (table.start == -1).all()
    assert table.start_decoded.tolist() == [None] * 7
    np.testing.assert_allclose(table.predicted, predictor.predict(jnp.asarray(table.z)), rtol=1e-6)


def test_points_are_the_best_and_a_choice_of_the_rest():
    values = np.random.default_rng(0).permutation(100).astype(float)
    rows = choose_points(values, 10)
    assert len(set(rows.tolist())) == 10
    assert sorted(values[rows])[-5:] == [95, 96, 97, 98, 99]
    assert min(values[choose_points(values, 10, "minimize")]) == 0
    assert choose_points(values, 100).tolist() == list(range(100))


def test_the_best_rows_repeat_beyond_the_data():
    assert best_rows([1.0, 3.0, 2.0], 5, "maximize").tolist() == [1, 2, 0, 1, 2]
    assert best_rows([1.0, 3.0, 2.0], 2, "minimize").tolist() == [0, 2]
