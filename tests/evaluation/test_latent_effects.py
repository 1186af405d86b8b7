"""Effects of latents on columns: linear decoders, categories, and columns without a spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import Categorical, DiagGaussian, Mixed
from vae_jax.evaluation.latent_effects import latent_effects
from vae_jax.evaluation.table_columns import CATEGORY, NamedColumn

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(6, 3)).astype(np.float32)
CENTER, STDDEV = np.array([0.5, -1.0, 0.0]), np.array([0.3, 2.0, 1.0])
WEIGHTS = np.array([[2.0, 0.0, 0.0], [-1.0, 3.0, 0.0]], np.float32)  # [columns, latents]
LOGITS = np.array([[0, 0, 0], [0, 1.5, 0], [0, -0.5, 0]], np.float32)  # [categories, latents]
COLUMNS = (
    NamedColumn("first"),
    NamedColumn("category", CATEGORY, ("a", "b", "c")),
    NamedColumn("second"),
)


def decode(z):
    mean = z @ WEIGHTS.T
    numbers = DiagGaussian(mean, jnp.zeros_like(mean))
    return Mixed((numbers, Categorical((z @ LOGITS.T)[..., None, :])), ((0, 2), (1,)))


def effects(columns=COLUMNS, spread=(4.0, np.nan, 0.5), decode=decode, latents=(1, 0, 2)):
    return latent_effects(
        decode,
        CODES,
        latents,
        center=CENTER,
        stddev=STDDEV,
        columns=columns,
        column_stddev=np.array(spread),
    )


def test_numbers_move_by_the_slope_times_four_deviations():
    found = effects()
    np.testing.assert_array_equal(found.latents, [1, 0, 2])
    np.testing.assert_array_equal(found.is_variation, [False, True, False])
    expected = 4 * STDDEV * WEIGHTS / np.array([[4.0], [0.5]])  # [columns, latents]
    np.testing.assert_allclose(found.change[:, [0, 2]], expected.T[[1, 0, 2]], atol=1e-5)


def test_categories_move_by_the_total_variation():
    ends = CENTER[1] + 2 * STDDEV[1] * np.array([-1, 1])
    start, end = np.asarray(jax.nn.softmax(jnp.asarray(ends[:, None] * LOGITS[:, 1])))
    found = effects().change[:, 1]
    assert found[0] == pytest.approx(0.5 * np.abs(start - end).sum(), abs=1e-5)
    np.testing.assert_allclose(found[1:], 0, atol=1e-6)  # the other latents do not move it


def test_a_column_that_returns_to_its_start_has_moved():
    def square(z):
        return DiagGaussian(jnp.square(z - CENTER), jnp.zeros_like(z))

    columns = tuple(NamedColumn(name) for name in "abc")
    found = effects(columns, np.ones(3), square)
    moved = (2 * STDDEV) ** 2
    np.testing.assert_allclose(np.abs(found.change), np.diag(moved)[[1, 0, 2]], rtol=1e-5)


def test_columns_without_a_spread_have_no_change():
    found = effects(spread=(0.0, np.nan, np.nan)).change
    assert np.isnan(found[:, [0, 2]]).all()
    assert np.isfinite(found[:, 1]).all()


def test_without_a_mean_there_are_no_effects():
    def no_mean(z):
        return Categorical(jnp.zeros((*z.shape, 2)))

    assert effects(decode=no_mean) is None
