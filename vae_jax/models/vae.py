"""The variational autoencoder: encoder, posterior, prior, decoder and likelihood."""

from typing import NamedTuple

import chex
from flax import linen as nn

from vae_jax.distributions import Distribution, has_closed_form_kl, kl_divergence
from vae_jax.models import common, parts
from vae_jax.models.base import Capability
from vae_jax.nets.conditioning import call_with_condition
from vae_jax.nets.units import Units
from vae_jax.types import Array, Outputs, Scalar


class Inferred(NamedTuple):
    """The result of one pass of the encoder."""

    posterior: Distribution  # q(z | x), over [B, D]
    prior: Distribution  # p(z), over [D] or [B, D]
    c: Array | None  # [B, C]
    observed: Array | None = None  # [B, *E]


class VAE(nn.Module):
    """p(x, z) = p(z) p(x | z) with the amortized posterior q(z | x).

    Kingma and Welling, 2014, arXiv:1312.6114. With a deterministic posterior it is an autoencoder.
    With `conditioning` everything depends on y: p(x, z | y) and q(z | x, y) (Sohn et al., 2015,
    NeurIPS). `critic`, `classifier` and `regressor` are networks that some objectives train along
    with the model. With `units` networks see standardized x, and p(x | z) is in the units of x.

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import VAE, likelihoods, nets, posteriors, priors
    >>> model = VAE(encoder=nets.MLP((8,)), decoder=nets.MLP((8,)),
    ...             posterior=posteriors.DiagGaussianHead(2), prior=priors.StandardNormal(2),
    ...             likelihood=likelihoods.Gaussian((3,)))
    >>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
    >>> params = model.init(key, x, key)
    >>> outputs = model.apply(params, x, key, num_samples=5)
    >>> outputs.log_px_z.shape, outputs.kl.shape, outputs.z.shape
    ((5, 4), (4,), (5, 4, 2))
    >>> model.apply(params, key, 6, method="generate").mean.shape
    (6, 3)
    """

    encoder: nn.Module  # x [B, *E] -> h
    decoder: nn.Module  # z [N, D] -> h
    posterior: nn.Module  # h -> q(z | x)
    prior: nn.Module  # () -> p(z)
    likelihood: nn.Module  # h -> p(x | z)
    conditioning: nn.Module | None = None  # y [B] or [B, C] -> c [B, C]
    condition_prior: bool = False  # True if the prior depends on c too
    critic: nn.Module | None = None  # z [N, D] -> h, for FactorVAE
    classifier: nn.Module | None = None  # x [N, *E] -> h, for the semi-supervised M2
    regressor: nn.Module | None = None  # z [N, D] -> [N], for a property of x
    units: Units | None = None  # scale of x; without units, networks see x unchanged
    mask_input: bool = False  # True if networks see the mask of observed values too

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> Distribution:
        """q(z | x) for x [B, *E], floats in the range of the data; over [B, D]."""
        return self._posterior(x, common.condition(self, y, x.shape[:1]), observed)

    def _posterior(self, x: Array, c: Array | None, observed: Array | None) -> Distribution:
        parts.check_input(self, x, observed)
        inputs = common.network_input(self, x, observed)
        return self._from_input(inputs, common.network_condition(self, c))

    def _from_input(self, inputs: Array, c: Array | None) -> Distribution:
        return self.posterior(call_with_condition(self.encoder, inputs, c))

    def _prior(self, c: Array | None) -> Distribution:
        c = common.network_condition(self, c) if self.condition_prior else None
        return parts.prior_distribution(self.prior, c, self._from_pseudo_input)

    def _from_pseudo_input(self, inputs: Array, c: Array | None) -> Distribution:
        """q(z | u) of pseudo-inputs u, network inputs of which all values are observed."""
        return self._from_input(common.pseudo_input(self, inputs), c)

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [*lead, D], over [*lead, *E]; the shape of y is a tail of lead."""
        return self._decode(z, common.condition(self, y, z.shape[:-1]))

    def _decode(self, z: Array, c: Array | None) -> Distribution:
        lead = z.shape[:-1]
        rows = common.condition_rows(common.network_condition(self, c), lead)
        h = call_with_condition(self.decoder, z.reshape(-1, z.shape[-1]), rows)
        return common.in_units(self, parts.observe(self, h, lead), c)

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at `num_samples` draws of z from the prior, over [num_samples, *E].

        `y` [num_samples] or [num_samples, C] is for a conditional model. `temperature` below 1
        narrows the prior; raises UnsupportedError if the prior has none.
        """
        z = self.sample_prior(key, num_samples, y=y, temperature=temperature)
        return self.decode(z, y=y)

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
        """The terms of the bound for x [B, *E] with K = `num_samples` draws of z each.

        `inputs` [B, *E] replaces x as the input of the encoder: a corrupted copy, for denoising.
        With `observed` [B, *E] the bound is one of the observed values, log p(x_observed).
        `history` [B, *E] replaces x as the past that an autoregressive p(x | z) sees.
        """
        if inputs is not None:
            chex.assert_equal_shape([x, inputs])
        inferred = self.infer(x if inputs is None else inputs, y=y, observed=observed)
        outputs = self.outputs(inferred, x, key, num_samples=num_samples, history=history)
        if self.is_initializing():
            self._touch_auxiliary(x, outputs.z[0])
        return outputs

    def infer(self, x: Array, *, y: Array | None = None, observed: Array | None = None) -> Inferred:
        """One pass of the encoder for x [B, *E], for any number of draws by `outputs`."""
        c = common.condition(self, y, x.shape[:1])
        q, p = self._posterior(x, c, observed), self._prior(c)
        parts.check_latents(self, q, p)
        return Inferred(q, p, c, observed)

    def outputs(
        self,
        inferred: Inferred,
        x: Array,
        key: Array,
        *,
        num_samples: int = 1,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound at K = `num_samples` draws of z for each x [B, *E]."""
        q, p, c, observed = inferred
        z, log_qz_x = q.sample_and_log_prob(key, (num_samples,))
        return Outputs(
            log_px_z=common.log_px_z(self._decode(z, c), x, observed, history),
            log_pz=p.log_prob(z),
            log_qz_x=log_qz_x,
            kl=kl_divergence(q, p) if has_closed_form_kl(q, p) else None,
            z=z,
            posterior=q,
            prior=p,
            layers=(z.shape[-1],),
        )

    def sample_prior(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Array:
        """Draws z [num_samples, D] of the prior; arguments as for `generate`."""
        p = self._prior(common.condition(self, y, (num_samples,)))
        return common.sample_prior(common.at_temperature(p, temperature), key, num_samples)

    def log_joint(
        self, x: Array, z: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> tuple[Array, Array]:
        """The terms log p(z) and log p(x | z), each [K, B], at any z [K, B, D] for x [B, *E]."""
        c = common.condition(self, y, x.shape[:1])
        return self._prior(c).log_prob(z), self._decode(z, c).observed_log_prob(x, observed)

    def criticize(self, z: Array) -> Array:
        """The critic's logits [N, 2] for z [N, D]: from q(z), or the product of its marginals."""
        return self.critic(z)

    def classify(self, x: Array, *, observed: Array | None = None) -> Array:
        """The logits of q(y | x), [N, num_classes], for x [N, *E]."""
        return self.classifier(common.network_input(self, x, observed))

    def predict_property(self, z: Array) -> Array:
        """The property that the regressor predicts, [N], for z [N, D]."""
        return self.regressor(z)

    def _touch_auxiliary(self, x: Array, z: Array) -> None:
        """Create the parameters of the networks that no bound needs."""
        if self.critic is not None:
            self.criticize(z)
        if self.classifier is not None:
            self.classify(x)
        if self.regressor is not None:
            self.predict_property(z)

    @nn.nowrap
    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability, see `vae_jax.models.base`."""
        return common.supports(self, capability)
