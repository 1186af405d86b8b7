"""The modules work in Flax NNX, through its bridge."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from vae_jax import VAE, elbo, likelihoods, nets, posteriors, priors


def test_a_model_is_trained_in_nnx():
    """The same outputs as in Linen, gradients to all parameters, and methods by name."""
    model = VAE(
        encoder=nets.MLP((8,)),
        decoder=nets.MLP((8,)),
        posterior=posteriors.DiagGaussianHead(2),
        prior=priors.StandardNormal(2),
        likelihood=likelihoods.Gaussian((3,)),
    )
    x, key = (
        jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)), jnp.float32),
        jax.random.key(0),
    )
    bridged = nnx.bridge.ToNNX(model, rngs=nnx.Rngs(params=1)).lazy_init(x, key)
    state = nnx.state(bridged, nnx.Param)
    params = {"params": nnx.to_pure_dict(state)}
    expected = model.apply(params, x, key)
    np.testing.assert_allclose(bridged(x, key).log_px_z, expected.log_px_z, rtol=1e-6)
    q = bridged(x, method="encode")
    np.testing.assert_allclose(q.mean, model.apply(params, x, method="encode").mean, rtol=1e-6)

    optimizer = nnx.Optimizer(bridged, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(bridged, optimizer, key):
        loss, grads = nnx.value_and_grad(lambda m: elbo(m(x, key))[0])(bridged)
        optimizer.update(bridged, grads)
        return loss, grads

    losses = []
    for i in range(60):
        loss, grads = step(bridged, optimizer, jax.random.fold_in(key, i))
        losses.append(float(loss))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.3
    assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(grads))
