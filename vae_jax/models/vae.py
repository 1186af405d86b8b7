"""The variational autoencoder: encoder, posterior, prior, decoder and likelihood, composed."""

import chex
from flax import linen as nn

from vae_jax.distributions import Distribution, has_closed_form_kl, kl_divergence
from vae_jax.types import Array, Outputs


class VAE(nn.Module):
    """p(x, z) = p(z) p(x | z) with the amortised posterior q(z | x) (Kingma and Welling, 2014, arXiv:1312.6114).

    With a deterministic posterior it is an autoencoder.
    """

    encoder: nn.Module  # x [B, *E] -> h
    decoder: nn.Module  # z [N, D] -> h
    posterior: nn.Module  # h -> q(z | x)
    prior: nn.Module  # () -> p(z)
    likelihood: nn.Module  # h -> p(x | z)

    def encode(self, x: Array) -> Distribution:
        """q(z | x) for x [B, *E], floats in the range of the data; over [B, D]."""
        chex.assert_shape(x, (None, *self.likelihood.event_shape))
        chex.assert_type(x, float)
        return self.posterior(self.encoder(x))

    def decode(self, z: Array) -> Distribution:
        """p(x | z) for z [*lead, D], over [*lead, *E]."""
        h = self.decoder(z.reshape(-1, z.shape[-1]))
        return self.likelihood(h, z.shape[:-1])

    def generate(self, key: Array, num_samples: int) -> Distribution:
        """p(x | z) at `num_samples` draws of z from the prior, over [num_samples, *E]: take its mean, or sample it."""
        return self.decode(self.prior().sample(key, (num_samples,)))

    def __call__(self, x: Array, key: Array, *, num_samples: int = 1, inputs: Array | None = None) -> Outputs:
        """The terms of the bound for x [B, *E] with K = `num_samples` draws of z each.

        `inputs` [B, *E] is what the encoder sees instead of x: a corrupted copy, in a denoising model.
        """
        if inputs is not None:
            chex.assert_equal_shape([x, inputs])
        q = self.encode(x if inputs is None else inputs)
        p = self.prior()
        z, log_qz_x = q.sample_and_log_prob(key, (num_samples,))
        return Outputs(
            log_px_z=self.decode(z).log_prob(x),
            log_pz=p.log_prob(z),
            log_qz_x=log_qz_x,
            kl=kl_divergence(q, p) if has_closed_form_kl(q, p) else None,
            z=z,
            posterior=q,
            prior=p,
        )
