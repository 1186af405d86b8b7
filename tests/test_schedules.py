"""Schedules against exact fractions: both ends, in between, beyond the end, under jit."""

import fractions
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import schedules

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
STEEP = 12.0


def logistic_ramp(t, steepness=STEEP):
    """The S-curve by itself: a logistic curve, shifted and scaled to go from 0 to 1."""
    curve = [1 / (1 + math.exp(-steepness * (u - 0.5))) for u in (0.0, t, 1.0)]
    return (curve[1] - curve[0]) / (curve[2] - curve[0])


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (schedules.constant(3.0), {0: 3.0, 50: 3.0, 100: 3.0, 10**9: 3.0}),
        (
            schedules.linear(1.0, 5.0, 100),
            {0: 1.0, 25: 2.0, 50: 3.0, 99: 4.96, 100: 5.0, 101: 5.0, 10**9: 5.0},
        ),
        (schedules.linear(5.0, 0.0, 100), {0: 5.0, 50: 2.5, 100: 0.0, 200: 0.0}),
        (
            schedules.sigmoid(1.0, 5.0, 100),
            {
                0: 1.0,
                25: 1 + 4 * logistic_ramp(0.25),
                50: 3.0,
                90: 1 + 4 * logistic_ramp(0.9),
                100: 5.0,
                10**9: 5.0,
            },
        ),
        (
            schedules.sigmoid(0.0, 1.0, 10, steepness=4.0),
            {0: 0.0, 2: logistic_ramp(0.2, 4.0), 5: 0.5, 10: 1.0, 11: 1.0},
        ),
        (  # four cycles of 25: up over the first half of each, then flat
            schedules.cyclical(1.0, 5.0, 100),
            {
                0: 1.0,
                5: 2.6,
                13: 5.0,
                24: 5.0,
                25: 1.0,
                50: 1.0,
                60: 4.2,
                75: 1.0,
                99: 5.0,
                100: 5.0,
                110: 5.0,
                10**9: 5.0,
            },
        ),
        (
            schedules.cyclical(0.0, 2.0, 20, num_cycles=1, ramp=1.0),
            {0: 0.0, 5: 0.5, 10: 1.0, 19: 1.9, 20: 2.0, 21: 2.0, 30: 2.0},
        ),
    ],
)
@pytest.mark.parametrize("transform", [lambda fn: fn, jit], ids=["eager", "jit"])
def test_values_at_the_ends_between_and_beyond(schedule, values, transform):
    fn = transform(schedule)
    actual = [float(fn(jnp.asarray(step))) for step in values]
    np.testing.assert_allclose(actual, list(values.values()), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (4.0, 0.5)])
@pytest.mark.parametrize("steepness", [1.0, 12.0, 40.0])
def test_sigmoid_is_monotone_symmetric_and_steepest_in_the_middle(start, end, steepness):
    schedule = schedules.sigmoid(start, end, 40, steepness=steepness)
    values = np.asarray(jax.vmap(schedule)(jnp.arange(41)), np.float64)
    rises = np.diff(values) * np.sign(end - start)
    assert np.all(rises >= 0)
    assert rises.argmax() in (19, 20)
    np.testing.assert_allclose(values + values[::-1], start + end, rtol=1e-5)


@pytest.mark.parametrize(
    ("num_steps", "num_cycles"),
    [(100, 4), (100, 3), (42, 20), (44, 20), (84, 60), (1000, 7), (110, 50), (12_345, 100)],
)
def test_every_step_of_a_cyclical_schedule_is_that_of_exact_fractions(num_steps, num_cycles):
    ramp = fractions.Fraction(1, 2)

    def exact(step):
        position = (fractions.Fraction(step * num_cycles, num_steps)) % 1
        return 1.0 if step >= num_steps else float(min(position / ramp, 1))

    steps = range(num_steps + 3)
    values = jit(schedules.cyclical(0.0, 1.0, num_steps, num_cycles=num_cycles))(
        jnp.arange(num_steps + 3)
    )
    np.testing.assert_allclose(values, [exact(step) for step in steps], atol=1e-5)


def test_a_schedule_runs_inside_scan():
    schedule = schedules.cyclical(0.0, 1.0, 8, num_cycles=2)
    _, values = jax.lax.scan(
        lambda step, _: (step + 1, schedule(step)), jnp.zeros((), jnp.int32), None, length=10
    )
    np.testing.assert_allclose(values, [0, 0.5, 1, 1, 0, 0.5, 1, 1, 1, 1])
