"""Estimates with standard errors: shares against the binomial formula and Wilson's interval."""

import math

import numpy as np
import pytest

from vae_jax.evaluation.common import share_estimate


def half_wilson(share, number):
    """Half the distance of the p that solve (share - p)^2 = p (1 - p) / number."""
    roots = np.roots([1 + 1 / number, -(2 * share + 1 / number), share**2])
    return float(np.ptp(roots)) / 2


@pytest.mark.parametrize("number", [1, 2, 10, 10_000])
@pytest.mark.parametrize("hit", [False, True])
def test_a_share_of_none_or_all_has_an_error(number, hit):
    estimate = share_estimate(np.full(number, hit))
    assert estimate.value == hit
    assert estimate.stderr == pytest.approx(half_wilson(float(hit), number), rel=1e-6)


@pytest.mark.parametrize(("hits", "number"), [(1, 2), (1, 10), (7, 1000)])
def test_any_other_share_has_the_binomial_error(hits, number):
    estimate = share_estimate(np.arange(number) < hits)
    share = hits / number
    assert estimate == (share, math.sqrt(share * (1 - share) / number))


def test_the_error_at_the_ends_is_that_of_one_standard_error():
    """Of about the size of the binomial error one hit away, and less."""
    at_end, next_to_it = (share_estimate(np.arange(50) < hits).stderr for hits in (0, 1))
    assert next_to_it / 3 < at_end < next_to_it
