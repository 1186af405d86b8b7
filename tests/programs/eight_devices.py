"""Run by test_parallel.py with eight virtual devices.

Prints, as JSON, how much the ways to compile differ.
"""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax import (
    VAE,
    data,
    elbo,
    likelihoods,
    make_loss_fn,
    nets,
    parallel,
    posteriors,
    priors,
    reconstruction,
    train,
)
from vae_jax.evaluation import make_evaluator

STEPS, FEW, BATCH = 100, 30, 32

x = jax.random.bernoulli(jax.random.key(1), 0.4, (160, 8, 8, 1)).astype(jnp.float32)
model = VAE(
    nets.ConvEncoder((4,), (16,)),
    nets.ConvDecoder((8, 8, 1), (4,), (16,)),
    posteriors.DiagGaussianHead(3),
    priors.StandardNormal(3),
    likelihoods.Bernoulli((8, 8, 1)),
)
loss_fn, tx = make_loss_fn(model, elbo), optax.adam(3e-3)
mesh = parallel.data_mesh()
order = functools.partial(data.order.batch_index, num_examples=len(x), batch_size=BATCH, seed=0)
source = data.ArraySource(x * 0.9, None, dynamic=True)
plain = data.ArraySource(x, None)
observed = jax.random.bernoulli(jax.random.key(2), 0.6, x.shape)
masked = data.ArraySource(x, None, observed=observed)


def initial():
    return train.init_state(jax.random.key(0), model, x[:1], tx)


autoencoder = VAE(
    nets.MLP((16,)),
    nets.MLP((16,)),
    posteriors.DeterministicHead(3),
    priors.StandardNormal(3),
    model.likelihood,
)
flat = autoencoder.clone(posterior=posteriors.DiagGaussianHead(3))
noise_free_loss = make_loss_fn(autoencoder, reconstruction)


def noise_free_initial():
    return train.init_state(jax.random.key(0), autoencoder, x[:1], tx)


def distance(a, b):
    """Return the largest difference of a parameter array, relative to its norm."""
    a, b = jax.device_get((a, b))
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.linalg.norm(p - q) / np.linalg.norm(q)) for p, q in pairs)


def run_steps(mesh):
    state, step = parallel.replicate(initial(), mesh), train.make_train_step(loss_fn, tx, mesh=mesh)
    for t in range(FEW):
        state, metrics = step(state, {"x": x[order(jnp.asarray(t))]})
    return state, metrics


def run_epoch(mesh, source):
    epoch = train.make_train_epoch(loss_fn, tx, order=order, num_steps=STEPS, mesh=mesh)
    return epoch(parallel.replicate(initial(), mesh), parallel.replicate(source, mesh))


def run_steps_without_noise():
    state, step = noise_free_initial(), train.make_train_step(noise_free_loss, tx)
    for t in range(STEPS):
        state, _ = step(state, masked.take(order(jnp.asarray(t)), jax.random.key(0)))
    return state


def run_pmap(initial, loss_fn, num_steps, source):
    devices = jax.device_count()
    state = jax.tree.map(lambda leaf: jnp.stack([leaf] * devices), initial())
    step, losses = train.make_pmap_train_step(loss_fn, tx), []
    for t in range(num_steps):
        batch = source.take(order(jnp.asarray(t)), jax.random.key(0))
        shards = jax.tree.map(lambda a: a.reshape(devices, BATCH // devices, *a.shape[1:]), batch)
        state, metrics = step(state, shards)
        losses.append(float(metrics["loss"][0]))
    return state, losses


def run_trials(mesh):
    """Sixteen trials that differ in seed and beta, two for each device."""

    def one_trial(state, beta, source):
        loss = make_loss_fn(flat, elbo, beta=beta)
        return train.train_epoch(state, source, loss_fn=loss, tx=tx, order=order, num_steps=10)

    states = jax.vmap(lambda key: train.init_state(key, flat, x[:1], tx))(
        jax.random.split(jax.random.key(0), 16)
    )
    trials = parallel.map_trials(one_trial, chunk=1, mesh=mesh)
    return trials(
        states, np.linspace(0.5, 4.0, 16, dtype=np.float32), parallel.replicate(source, mesh)
    )


def rows_differ(state):
    return max(float(jnp.abs(leaf - leaf[:1]).max()) for leaf in jax.tree.leaves(state.params))


one_step, eight_step = run_steps(None), run_steps(mesh)
one_epoch, eight_epoch = run_epoch(None, source), run_epoch(mesh, source)
one_masked, eight_masked = run_epoch(None, masked), run_epoch(mesh, masked)
pmap_state, pmap_losses = run_pmap(initial, loss_fn, FEW, plain)
noise_free, _ = run_pmap(noise_free_initial, noise_free_loss, STEPS, masked)
one_trials, eight_trials = run_trials(None), run_trials(parallel.trials_mesh(16))
key = jax.random.key(0)
params = one_step[0].params
one_terms = make_evaluator(model, batch_size=64)(params, plain, key)
eight_terms = make_evaluator(model, batch_size=64, mesh=mesh)(
    parallel.replicate(params, mesh), parallel.replicate(plain, mesh), key
)
other = dataclasses.replace(masked, images=jnp.where(masked.observed, masked.images, 7.0))
masked_terms = [
    make_evaluator(model, batch_size=64, mesh=mesh)(
        *parallel.replicate((params, source, key), mesh)
    )
    for mesh, source in ((None, masked), (mesh, masked), (mesh, other))
]
results = {
    "devices": jax.device_count(),
    "batch_is_split": len(
        eight_step[0].params["params"]["posterior"]["mean"]["kernel"].sharding.device_set
    ),
    "step": distance(eight_step[0].params, one_step[0].params),
    "moved": distance(one_step[0].params, initial().params),
    "epoch": distance(eight_epoch[0].params, one_epoch[0].params),
    "epoch_losses": float(
        np.abs(np.asarray(eight_epoch[1]["loss"]) / np.asarray(one_epoch[1]["loss"]) - 1).max()
    ),
    "masked_epoch": distance(eight_masked[0].params, one_masked[0].params),
    "masked_evaluation": [float(terms.elbo.mean()) for terms in masked_terms],
    "trials": distance(eight_trials[0].params, one_trials[0].params),
    "trials_are_split": len(eight_trials[0].step.sharding.device_set),
    "trials_meshes": [
        0 if mesh is None else mesh.size for mesh in map(parallel.trials_mesh, (1, 3, 4, 7, 9, 16))
    ],
    "evaluation": [float(one_terms.elbo.mean()), float(eight_terms.elbo.mean())],
    "evaluated": [len(one_terms.elbo), len(eight_terms.elbo)],
    "pmap_losses": [np.mean(pmap_losses[:5]), np.mean(pmap_losses[-5:])],
    "pmap_noise_free": distance(
        jax.tree.map(lambda leaf: leaf[0], noise_free.params), run_steps_without_noise().params
    ),
    "pmap_replicas_differ": rows_differ(pmap_state),
}
print(json.dumps(results))
