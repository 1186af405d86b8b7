"""The broadcast decoder against numpy: its coordinates, its cells and its sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets import BroadcastDecoder
from vae_jax.nets.broadcast import coordinates

KEY = jax.random.key(0)


def test_coordinates_are_centers_of_cells():
    grid = np.asarray(coordinates(4, 1))
    np.testing.assert_allclose(grid[:, 0, 0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(grid[..., 1], 0)
    np.testing.assert_array_equal(grid, np.swapaxes(coordinates(1, 4), 0, 1)[..., ::-1])


def test_cells_are_two_dense_layers_of_z_and_the_coordinates():
    decoder = BroadcastDecoder((10, 6, 1), channels=(3,), hidden=())
    z = jax.random.normal(KEY, (2, 4))
    h, variables = decoder.init_with_output(KEY, z)
    kernels = [np.asarray(variables["params"][f"Dense_{i}"]["kernel"]) for i in range(3)]
    assert h.shape == (2, 5, 3, 3)
    for n, i, j in ((0, 0, 0), (1, 4, 1), (0, 2, 2)):
        place = np.array([(2 * i + 1) / 5 - 1, (2 * j + 1) / 3 - 1])
        cell = np.maximum(np.asarray(z[n]) @ kernels[0] + place @ kernels[1], 0)
        np.testing.assert_allclose(h[n, i, j], np.maximum(cell @ kernels[2], 0), atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (28, 28), (13, 20), (3, 1)])
@pytest.mark.parametrize("c", [None, jnp.ones((6, 2))])
def test_features_have_half_the_size_of_the_event(size, c):
    decoder = BroadcastDecoder((*size, 3), channels=(2, 3, 4), hidden=(5,))
    h, _ = jax.eval_shape(decoder.init_with_output, KEY, jnp.zeros((6, 2)), c)
    assert h.shape == (6, -(-size[0] // 2), -(-size[1] // 2), 4)
