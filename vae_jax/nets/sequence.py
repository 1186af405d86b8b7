"""The encoder of token sequences."""

from typing import Any

from flax import linen as nn

from vae_jax.errors import InputError, format_value
from vae_jax.nets.recurrent import GRUEncoder
from vae_jax.nets.transformer import TransformerEncoder
from vae_jax.types import Array

KINDS = ("gru", "transformer")


class SequenceEncoder(nn.Module):
    """Sequences to features: a GRU, see `nets.recurrent`, or a transformer, see `nets.transformer`.

    Zeros among the ids are padding and never enter: features do not depend on their number. Tokens
    of a transformer are embedded in all its features. Raises InputError for another kind.
    """

    num_tokens: int
    features: int = 256
    layers: int = 1
    kind: str = "gru"
    bidirectional: bool = True  # gru only: twice the features
    embedding: int = 64  # gru only
    heads: int = 4  # transformer only
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Ids x [N, L] and an optional condition c [N, C] -> h [N, F or 2 F]."""
        if self.kind not in KINDS:
            raise InputError(f"kind = {format_value(self.kind)}: must be one of {', '.join(KINDS)}")
        sizes = {"features": self.features, "layers": self.layers, "dtype": self.dtype}
        network: nn.Module
        if self.kind == "gru":
            options = {"embedding": self.embedding, "bidirectional": self.bidirectional}
            network = GRUEncoder(self.num_tokens, **sizes, **options, name="network")
        else:
            network = TransformerEncoder(self.num_tokens, **sizes, heads=self.heads, name="network")
        return network(x, c)
