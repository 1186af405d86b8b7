"""Gated dense layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import nets
from vae_jax.config import Config
from vae_jax.experiment import builders


def test_a_gated_layer_is_a_product_with_a_sigmoid() -> None:
    x = jax.random.normal(jax.random.key(0), (4, 5))
    mlp = nets.MLP((3, 2), gated=True)
    params = mlp.init(jax.random.key(1), x)
    h = np.asarray(x)
    for number, size in enumerate((3, 2)):
        layer = params["params"][f"Dense_{number}"]
        assert layer["kernel"].shape == (h.shape[1], 2 * size)
        out = h @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
        h = out[:, :size] / (1 + np.exp(-out[:, size:]))
    np.testing.assert_allclose(mlp.apply(params, x), h, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gated", [False, True])
def test_encoder_and_decoder_are_gated_by_the_config(gated) -> None:
    config = Config()
    config.model.gated, config.model.hidden = gated, (6, 3)
    model = builders.build_model(config, (4, 4, 1))
    x = jnp.zeros((2, 4, 4, 1))
    params = jax.eval_shape(model.init, jax.random.key(0), x, jax.random.key(0))["params"]
    widths = [params["encoder"][f"Dense_{layer}"]["kernel"].shape[1] for layer in range(2)]
    widths += [params["decoder"][f"Dense_{layer}"]["kernel"].shape[1] for layer in range(2)]
    assert widths == [(1 + gated) * size for size in (6, 3, 3, 6)]
