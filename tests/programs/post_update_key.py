"""Run by test_post_update.py with eight virtual devices.

Prints, as JSON, the largest difference between the parameters of devices after a `pmap` step whose
post-update adds noise, and between their noise in the loss.
"""

import json

import jax
import jax.numpy as jnp
import optax

from vae_jax import train


def loss_fn(params, batch, key, step):
    noise = jax.random.normal(key)
    return params["w"] * batch["x"].mean(), {"noise": noise, "square": jnp.square(noise)}


def add_noise(new, old, statistics, key, step):
    return {"w": new["w"] + jax.random.normal(key)}


devices, tx = jax.device_count(), optax.sgd(0.1)
params = {"w": jnp.zeros(())}
zero = jnp.zeros((), jnp.int32)
state = train.TrainState(zero, params, tx.init(params), None, jax.random.key(0), zero, zero)
single, _ = train.make_train_step(loss_fn, tx, post_update=add_noise)(
    jax.tree.map(jnp.copy, state), {"x": jnp.ones(8)}
)
state = jax.tree.map(lambda leaf: jnp.stack([leaf] * devices), state)
step = train.make_pmap_train_step(loss_fn, tx, post_update=add_noise)
state, metrics = step(state, {"x": jnp.ones((devices, 1))})
w = state.params["w"]
print(
    json.dumps(
        {
            "devices": devices,
            "replicas_differ": float(jnp.abs(w - w[0]).max()),
            "from_single": float(jnp.abs(w - single.params["w"]).max()),
            "noise_variance": float((metrics["square"] - jnp.square(metrics["noise"]))[0]),
        }
    )
)
