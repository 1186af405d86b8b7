"""The encoder of token sequences."""

from typing import Any

from flax import linen as nn

from vae_jax.errors import InputError, format_value
from vae_jax.nets.recurrent import GRUEncoder
from vae_jax.types import Array

KINDS = ("gru",)


class SequenceEncoder(nn.Module):
    """Sequences to features, by a GRU: see `nets.recurrent`.

    Zeros among the ids are padding and never enter: features do not depend on their number.
    Raises InputError for another kind.
    """

    num_tokens: int
    features: int = 256
    layers: int = 1
    kind: str = "gru"
    bidirectional: bool = True
    embedding: int = 64
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Ids x [N, L] and an optional condition c [N, C] -> h [N, F or 2 F]."""
        if self.kind not in KINDS:
            raise InputError(f"kind = {format_value(self.kind)}: must be one of {', '.join(KINDS)}")
        network = GRUEncoder(
            self.num_tokens,
            self.features,
            self.layers,
            self.embedding,
            self.bidirectional,
            self.dtype,
            name="network",
        )
        return network(x, c)
