"""The loss of an autoencoder."""

from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Metrics, Outputs


def reconstruction(outputs: Outputs) -> tuple[Array, Metrics]:
    """Loss = D = -E_q[log p(x | z)], nats per example: the negative log-likelihood given the codes.

    With a deterministic posterior this is the autoencoder, with an infinite rate and an ELBO of
    minus infinity. Returns the loss [] and the metrics `loss, elbo, distortion, rate`.

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import VAE, likelihoods, nets, posteriors, priors, reconstruction
    >>> model = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DeterministicHead(2),
    ...             priors.StandardNormal(2), likelihoods.Gaussian((3,)))
    >>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
    >>> loss, metrics = reconstruction(model.apply(model.init(key, x, key), x, key))
    >>> bool(loss == metrics["distortion"]), float(metrics["rate"])
    (True, inf)
    """
    distortion, _ = per_example_terms(outputs)
    loss = distortion.mean()
    return loss, bound_metrics(loss, outputs)
