"""The VQ-VAE: an encoder to a grid of discrete codes, and a decoder from their vectors."""

import math
from typing import ClassVar, NamedTuple

import chex
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import Distribution, EmbeddedCodes, Quantized, kl_divergence
from vae_jax.errors import InputError
from vae_jax.models import common, parts
from vae_jax.models.base import Capability
from vae_jax.nets.conditioning import call_with_condition
from vae_jax.nets.units import Units
from vae_jax.types import Array, Outputs, Scalar


class Inferred(NamedTuple):
    """The result of one pass of the encoder."""

    posterior: Quantized  # q(z | x), over [B, D]
    prior: EmbeddedCodes  # p(z), over [D] or [B, D]
    c: Array | None  # [B, C]
    observed: Array | None = None  # [B, *E]


class VQVAE(nn.Module):
    """p(codes) p(x | codes) with one grid of codes per x.

    van den Oord et al., 2017, arXiv:1711.00937. q(codes | x) = 1 at the codes that the encoder
    selects. So the rate is -log p(codes) exactly, P log M under a uniform prior, and the usual
    bound holds:

        ELBO = log p(x | codes) + log p(codes) <= log sum_codes p(codes) p(x | codes) = log p(x)

    z [D] is the vectors of the codes side by side, D = P d, and `decode` accepts any z. The prior
    defines the grid and the order of its places in z.
    """

    encoder: nn.Module  # x [B, *E] -> h [B, *grid, F] or [B, F]
    quantizer: nn.Module  # (h, grid) -> q(z | x), `vae_jax.posteriors.quantizers`
    decoder: nn.Module  # z [N, *grid, d] -> h
    likelihood: nn.Module  # h -> p(x | z)
    prior: nn.Module  # () or c -> p(codes), over integers [*grid]
    conditioning: nn.Module | None = None  # y [B] or [B, C] -> c [B, C]
    condition_prior: bool = False  # True if the prior depends on c too
    units: Units | None = None  # scale of x; without units, networks see x unchanged
    mask_input: bool = False  # True if networks see the mask of observed values too
    posterior: ClassVar[None] = None
    critic: ClassVar[None] = None
    regressor: ClassVar[None] = None
    classifier: ClassVar[None] = None

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Quantized:
        """q(z | x) for x [B, *E], floats in the range of the data; over [B, D]."""
        return self._posterior(x, common.condition(self, y, x.shape[:1]), observed)

    def embed(self, codes: Array) -> Array:
        """The vectors z [*lead, D] of codes [*lead, *grid]."""
        lead = codes.shape[: codes.ndim - len(self.prior.grid)]
        chex.assert_shape(codes, (*lead, *self.prior.grid))
        return self.quantizer.codebook()[codes].reshape(*lead, -1)

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for any z [*lead, D], over [*lead, *E]; the shape of y is a tail of lead."""
        return self._decode(z, common.condition(self, y, z.shape[:-1]))

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at `num_samples` draws of codes from the prior, over [num_samples, *E]."""
        c = common.condition(self, y, (num_samples,))
        p = common.at_temperature(self._prior(c), temperature)
        return self._decode(common.sample_prior(p, key, num_samples), c)

    def __call__(
        self,
        x: Array,
        key: Array,
        *,
        y: Array | None = None,
        num_samples: int = 1,
        inputs: Array | None = None,
        observed: Array | None = None,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound for x [B, *E], equal for all K = `num_samples` draws.

        `inputs` [B, *E] replaces x as the input of the encoder: a corrupted copy, for denoising.
        With `observed` [B, *E] the bound is one of the observed values, log p(x_observed).
        `history` [B, *E] replaces x as the past that an autoregressive p(x | z) sees.
        """
        if inputs is not None:
            chex.assert_equal_shape([x, inputs])
        inferred = self.infer(x if inputs is None else inputs, y=y, observed=observed)
        return self.outputs(inferred, x, key, num_samples=num_samples, history=history)

    def infer(self, x: Array, *, y: Array | None = None, observed: Array | None = None) -> Inferred:
        """One pass of the encoder for x [B, *E], for any number of draws by `outputs`."""
        c = common.condition(self, y, x.shape[:1])
        return Inferred(self._posterior(x, c, observed), self._prior(c), c, observed)

    def outputs(
        self,
        inferred: Inferred,
        x: Array,
        key: Array,
        *,
        num_samples: int = 1,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound for x [B, *E], equal for all K = `num_samples` draws."""
        del key
        q, p, c, observed = inferred
        kl = kl_divergence(q, p)
        log_px_z = common.log_px_z(self._decode(q.z_q, c), x, observed, history)
        terms = jnp.stack([log_px_z, -kl, jnp.zeros_like(kl)])
        log_px_z, log_pz, log_qz_x = jnp.broadcast_to(terms[:, None], (3, num_samples, *kl.shape))
        z = jnp.broadcast_to(q.z_q, (num_samples, *q.z_q.shape))
        return Outputs(
            log_px_z, log_pz, log_qz_x, kl, z=z, posterior=q, prior=p, layers=(z.shape[-1],)
        )

    def _posterior(self, x: Array, c: Array | None, observed: Array | None) -> Quantized:
        parts.check_input(self, x, observed)
        inputs = common.network_input(self, x, observed)
        h = call_with_condition(self.encoder, inputs, common.network_condition(self, c))
        return self.quantizer(h, tuple(self.prior.grid))

    def _prior(self, c: Array | None) -> EmbeddedCodes:
        if self.prior.num_codes != self.quantizer.num_codes:
            raise InputError(
                f"num_codes = {self.prior.num_codes} of the prior: must be the quantizer's, "
                f"{self.quantizer.num_codes}"
            )
        c = common.network_condition(self, c) if self.condition_prior else None
        codes = parts.prior_distribution(self.prior, c)
        return EmbeddedCodes(codes, self.quantizer.codebook())

    def _decode(self, z: Array, c: Array | None) -> Distribution:
        lead, grid = z.shape[:-1], tuple(self.prior.grid)
        chex.assert_axis_dimension(z, -1, math.prod(grid) * self.quantizer.code_dim)
        rows = common.condition_rows(common.network_condition(self, c), lead)
        z = z.reshape(-1, *grid, self.quantizer.code_dim)
        h = call_with_condition(self.decoder, z, rows)
        return common.in_units(self, parts.observe(self, h, lead), c)

    @nn.nowrap
    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability, see `vae_jax.models.base`."""
        return common.supports(self, capability, missing=("traversals", "latent_density"))
