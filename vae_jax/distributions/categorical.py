"""Categorical variables as one-hot vectors, concatenated along one axis."""

import dataclasses

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, Scalar, pytree_dataclass, static


@pytree_dataclass
class OneHotCategorical(Distribution):
    """N categorical variables of M classes, as one-hot vectors on one flat axis of N * M.

    Samples are exactly one-hot, so they have the mass of the discrete variables. Their gradient is
    from the relaxation softmax((logits + Gumbel noise) / temperature): straight-through
    Gumbel-softmax (Jang et al., 2017, arXiv:1611.01144; Maddison et al., 2017, arXiv:1611.00712).
    `log_prob_terms` and the KL terms have one entry per variable, [..., N].
    """

    logits: Array  # [*batch, N * M]
    num_classes: int = static()  # M
    temperature: Scalar = 1.0  # used by the gradient; broadcasts to [*batch, N, M]
    event_ndims = 1

    @property
    def log_probs(self) -> Array:
        """Log-probabilities [*batch, N, M], normalized over M."""
        return jax.nn.log_softmax(self._by_variable(self.logits))

    @property
    def mean(self) -> Array:
        """The probabilities, [*batch, N * M]."""
        return jnp.exp(self.log_probs).reshape(self.logits.shape)

    def _by_variable(self, flat: Array) -> Array:
        return flat.reshape(*flat.shape[:-1], -1, self.num_classes)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        log_probs = self.log_probs
        noisy = log_probs + jax.random.gumbel(key, (*shape, *log_probs.shape), log_probs.dtype)
        hard = jax.nn.one_hot(noisy.argmax(-1), self.num_classes, dtype=noisy.dtype)
        soft = jax.nn.softmax(noisy / self.temperature)
        # In this order the second term is exactly 0.
        z = hard + (soft - jax.lax.stop_gradient(soft))
        return z.reshape(*shape, *self.logits.shape)

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of each variable, [..., N]; linear between one-hot vectors."""
        self._assert_event(value)
        return jnp.sum(self._by_variable(value) * self.log_probs, -1)

    def log_prob(self, value: Array) -> Array:
        return self.log_prob_terms(value).sum(-1)

    def _narrow(self, temperature: Scalar) -> "OneHotCategorical":
        """The logits divided by the temperature, which favors the more probable classes."""
        return dataclasses.replace(self, logits=self.logits / temperature)
