"""Run by test_vq.py with eight virtual devices.

Prints, as JSON, how much the ways to compile differ.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax import likelihoods, nets, objectives, parallel, priors, train
from vae_jax.models import VQVAE
from vae_jax.posteriors import quantizers

STEPS, M = 12, 16
x = jax.random.uniform(jax.random.key(1), (32, 6))
model = VQVAE(
    nets.MLP((8,)),
    quantizers.VectorQuantizer(M, 3),
    nets.MLP((8,)),
    likelihoods.Gaussian((6,)),
    priors.UniformCodes((2, 2), M),
)
loss_fn, tx = objectives.make_loss_fn(model, objectives.vq, needs_key=True), optax.sgd(1e-2)
average = functools.partial(objectives.vq_post_update, decay=0.7)


start = train.init_state(jax.random.key(0), model, x[:1], tx)


def initial():
    return jax.tree.map(jnp.copy, start)  # steps donate their state


def distance(a, b):
    """Return the largest difference of a parameter array, relative to its norm."""
    a, b = jax.device_get((a, b))
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.linalg.norm(p - q) / np.linalg.norm(q)) for p, q in pairs)


def run(mesh, post_update):
    state = parallel.replicate(initial(), mesh)
    step = train.make_train_step(loss_fn, tx, post_update=post_update, mesh=mesh)
    for _ in range(STEPS):
        state, _ = step(state, {"x": x})
    return state


def run_pmap(post_update):
    devices = jax.device_count()
    state = jax.tree.map(lambda leaf: jnp.stack([leaf] * devices), initial())
    step = train.make_pmap_train_step(loss_fn, tx, post_update=post_update)
    for _ in range(STEPS):
        state, _ = step(state, {"x": x.reshape(devices, -1, *x.shape[1:])})
    return state


mesh = parallel.data_mesh()
one, eight = (run(where, average()) for where in (None, mesh))
plain = run(None, average(revive_below=None))
mapped = run_pmap(average(revive_below=None))
moved = np.abs(
    np.asarray(
        one.params["codebook"]["quantizer"]["counts"]
        - plain.params["codebook"]["quantizer"]["counts"]
    )
)
print(
    json.dumps(
        {
            "devices": jax.device_count(),
            "moved": distance(one.params, initial().params),
            "revived": int((moved > 1e-3).sum()),
            "jit": distance(eight.params, one.params),
            "pmap_averages": distance(
                jax.tree.map(lambda leaf: leaf[0], mapped.params), plain.params
            ),
            "pmap_replicas_differ": max(
                float(jnp.abs(leaf - leaf[:1]).max()) for leaf in jax.tree.leaves(mapped.params)
            ),
        }
    )
)
