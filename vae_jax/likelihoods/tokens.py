"""Likelihoods of sequences: each token given z and the tokens before it."""

from collections.abc import Sequence
from typing import ClassVar

from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.likelihoods.base import Likelihood
from vae_jax.types import Array


class Tokens(Likelihood):
    """p(x | z) = prod_t p(x_t | x_1 .. x_{t-1}, z) for sequences x [L] of ids of tokens.

    See `distributions.TokenSequence`. `network` is a causal network such as `nets.CausalGRU`, whose
    context are the features. Bowman et al., 2016, arXiv:1511.06349.

    A network that models all dependence between tokens has little use for z, and the rate falls to
    zero; a weight of the rate below one, free bits or `corruptions.token_dropout` prevent it.
    Scoring takes one pass of the network per z, sampling L steps.

    Raises InputError for events that are not sequences [L].
    """

    network: nn.Module  # tokens [N, L], context [N, F] -> logits [N, L, num_tokens]
    autoregressive: ClassVar[bool] = True

    @property
    def num_tokens(self) -> int:
        """The number of ids: the alphabet, its end and its padding."""
        return self.network.num_tokens

    @property
    def support(self) -> tuple[float, float]:  # type: ignore[override]
        """Ids from 0, the padding."""
        return 0.0, float(self.num_tokens - 1)

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        event = tuple(self.event_shape)
        if len(event) != 1:
            raise InputError(f"event_shape = {event}: must be sequences (L,) for tokens")
        lead = h.shape[:1] if lead is None else tuple(lead)
        context = h.reshape(h.shape[0], -1)
        network = self.network.clone(parent=None, name=None)
        params = self.param("decoder", lambda key: network.init_params(key, context.shape[-1]))
        context = context.reshape(*lead, context.shape[-1])
        return distributions.TokenSequence(context, params, network, event[0], self.num_tokens)

    @nn.nowrap
    def real_columns(self) -> bool:
        """False: ids are not numbers."""
        return False
