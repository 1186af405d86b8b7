"""The contract of models: what objectives, evaluation and visualization call by name."""

from typing import Any, Literal, Protocol, TypeAlias

from flax import linen as nn

from vae_jax.distributions import Distribution
from vae_jax.types import Array, Outputs, Params, Scalar

Capability: TypeAlias = Literal["temperature", "traversals", "flat_posterior"]
"""Capabilities that some models lack:

temperature     its prior can be sampled at a temperature
traversals      a single dimension of z has a meaning; not for the vectors of codes
flat_posterior  q(z | x) is over [B, D] and depends on x alone; not for a hierarchy
"""


class Model(Protocol):
    """A Flax module that composes parts and returns `Outputs`.

    Methods are called as ``model.apply(params, ..., method="encode")``, except `supports`, which
    needs no parameters. A part that a model doesn't have is None.
    """

    likelihood: nn.Module  # h -> p(x | z), with `event_shape`
    prior: nn.Module | None
    posterior: nn.Module | None  # h -> q(z | x), if it shares no parameters with the prior
    conditioning: nn.Module | None  # y [B] or [B, C] -> c [B, C]
    critic: nn.Module | None  # z [N, D] -> logits [N, 2]
    classifier: nn.Module | None  # x [N, *E] -> logits

    def init(self, key: Array, x: Array, key_z: Array) -> Params:
        """Initialize the parameters for inputs like x [B, *E]."""

    def apply(self, params: Params, *args: Any, method: str | None = None, **options: Any) -> Any:
        """Call the model, or one of its methods by name."""

    def __call__(
        self,
        x: Array,
        key: Array,
        *,
        y: Array | None = None,
        num_samples: int = 1,
        inputs: Array | None = None,
    ) -> Outputs:
        """The terms of the bound for x [B, *E] with K = `num_samples` draws of z each."""

    def encode(self, x: Array, *, y: Array | None = None) -> Distribution:
        """q(z | x) for x [B, *E], over [B, D]."""

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [*lead, D], over [*lead, *E]."""

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at `num_samples` draws of z from the prior, over [num_samples, *E].

        Raises UnsupportedError if a temperature is given to a model without one.
        """

    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability."""


class LatentModel(Model, Protocol):
    """A model with a density of z, for bounds of many samples, AIS and the inference gap."""

    def infer(self, x: Array, *, y: Array | None = None) -> Any:
        """One pass of the encoder for x [B, *E], the input of `outputs`."""

    def outputs(self, inferred: Any, x: Array, key: Array, *, num_samples: int = 1) -> Outputs:
        """The terms of the bound at K = `num_samples` draws of z for each x [B, *E]."""

    def log_joint(self, x: Array, z: Array, *, y: Array | None = None) -> tuple[Array, Array]:
        """The terms log p(z) and log p(x | z), each [K, B], at any z [K, B, D] for x [B, *E]."""

    def sample_prior(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Array:
        """Draws z [num_samples, D] of the prior."""
