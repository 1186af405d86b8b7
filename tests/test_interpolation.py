"""Paths between codes: exact ends, straight lines, arcs on the sphere, undefined angles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import interpolation

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
KINDS = ("linear", "spherical")
interpolate = jit(interpolation.interpolate, static_argnames=("num_points", "kind"))


def codes(shape, norm=None):
    start, end = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    if norm is None:
        return start, end
    return tuple(
        np.float32(norm) * z / np.linalg.norm(z, axis=-1, keepdims=True) for z in (start, end)
    )


@pytest.mark.parametrize("shape", [(2,), (2, 3, 5)])
@pytest.mark.parametrize("num_points", [2, 11])
@pytest.mark.parametrize("kind", KINDS)
def test_ends_are_exact(kind, num_points, shape):
    start, end = codes(shape)
    path = interpolate(start, end, num_points, kind=kind)
    assert path.shape == (num_points, *shape)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[-1], end)


@pytest.mark.parametrize("kind", KINDS)
def test_ends_are_exact_without_jit(kind):
    start, end = codes((2, 3, 5))
    path = interpolation.interpolate(start, end, 3, kind=kind)
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[-1], end)


def test_linear_is_numpy_linspace():
    start, end = codes((3, 4))
    np.testing.assert_allclose(interpolate(start, end, 7), np.linspace(start, end, 7), atol=1e-6)


@pytest.mark.parametrize("norm", [0.1, 1.0, 30.0])
def test_spherical_keeps_the_norm_and_turns_at_a_constant_rate(norm):
    start, end = codes((6, 8), norm)
    path = np.asarray(interpolate(start, end, 9, kind="spherical"), np.float64)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), norm, rtol=1e-5)
    turns = np.arccos(np.sum(path[1:] * path[:-1], -1) / norm**2)
    whole = np.arccos(
        np.sum(np.asarray(start, np.float64) * np.asarray(end, np.float64), -1) / norm**2
    )
    np.testing.assert_allclose(turns, np.broadcast_to(whole / 8, turns.shape), rtol=1e-3)


def test_spherical_on_a_quarter_circle():
    t = np.linspace(0, np.pi / 2, 6)
    path = interpolate(jnp.array([2.0, 0.0]), jnp.array([0.0, 3.0]), 6, kind="spherical")
    np.testing.assert_allclose(path, np.stack([2 * np.cos(t), 3 * np.sin(t)], -1), atol=1e-6)


def test_each_pair_of_a_batch_has_its_own_angle():
    start, end = codes((5, 4))
    end[2] = start[2]  # one degenerate pair must not turn the others into lines
    together = interpolate(start, end, 5, kind="spherical")
    alone = np.stack(
        [interpolate(a, b, 5, kind="spherical") for a, b in zip(start, end, strict=True)], 1
    )
    np.testing.assert_allclose(together, alone, atol=1e-6)


A = np.array([1.0, 2.0, -2.0])
SIDE = np.array([2.0, 1.0, 2.0])  # orthogonal to A, of the same length


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (A, A),
        (A, -A),
        (A, 3 * A),
        (0 * A, A),
        (A, 0 * A),
        (0 * A, 0 * A),
        (1e-20 * A, 1e-20 * SIDE),
        (A, A + 1e-6 * SIDE),
    ],
    ids=[
        "same",
        "opposite",
        "parallel",
        "from zero",
        "to zero",
        "zeros",
        "tiny",
        "nearly the same",
    ],
)
def test_degenerate_angles_are_finite_and_meet_both_ends(start, end):
    start, end = np.float32(start), np.float32(end)
    path = interpolate(start, end, 5, kind="spherical")
    assert np.all(np.isfinite(path))
    np.testing.assert_array_equal(path[0], start)
    np.testing.assert_array_equal(path[-1], end)


@pytest.mark.parametrize(
    ("start", "end"), [(A, A), (A, -A), (A, 3 * A)], ids=["same", "opposite", "parallel"]
)
def test_without_a_plane_to_turn_in_the_path_is_straight(start, end):
    path = interpolate(np.float32(start), np.float32(end), 5, kind="spherical")
    np.testing.assert_allclose(path, np.linspace(start, end, 5), atol=1e-5)


def test_from_the_origin_no_point_passes_the_end():
    norms = np.linalg.norm(
        interpolate(np.zeros(3, np.float32), np.float32(A), 9, kind="spherical"), axis=-1
    )
    assert np.all(np.diff(norms) > 0)
    assert norms[-1] == 3


@pytest.mark.parametrize("gap", [1e-1, 1e-2, 3e-3, 1e-3])
@pytest.mark.parametrize("near", [0.0, np.pi])
def test_the_norm_is_kept_as_the_angle_closes_to_zero_or_pi(near, gap):
    angle = abs(near - gap)
    end = np.cos(angle) * A + np.sin(angle) * SIDE
    path = interpolate(np.float32(A), np.float32(end), 5, kind="spherical")
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 3.0, rtol=1e-3)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind = 'circular'.*linear, spherical"):
        interpolate(np.ones(2), np.ones(2), 3, kind="circular")
