"""A trained model: a module with its parameters."""

import dataclasses
import functools
from typing import Any

import jax
from flax import linen as nn

from vae_jax.distributions import Distribution
from vae_jax.interpolation import Kind, interpolate
from vae_jax.models.vqvae import VQVAE
from vae_jax.types import Array, Params, Scalar


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A model with its parameters, trained here or loaded; every method is compiled at its first call for a shape."""

    model: nn.Module
    params: Params = dataclasses.field(repr=False)
    config: Any = None  # of the run that it comes from, and its step there
    step: int | None = None

    @functools.cached_property
    def _apply(self) -> Any:
        try:
            return _compiled(self.model)
        except TypeError:  # no hash: there is a list among the fields
            return _compiled.__wrapped__(self.model)

    @property
    def is_conditional(self) -> bool:
        """Whether `y` is to be given."""
        return self.model.conditioning is not None

    def supports(self, name: str) -> bool:
        """True if the model supports "temperature" or "traversals"."""
        return not (name == "traversals" and isinstance(self.model, VQVAE))

    def encode(self, x: Array, *, y: Array | None = None) -> Distribution:
        """q(z | x) for x [B, *E]: a distribution over [B, D]. `y` [B] or [B, C], where the model is conditional."""
        return self._apply(self.params, x, y=y, method="encode")

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [..., D]: a distribution over [..., *E]."""
        return self._apply(self.params, z, y=y, method="decode")

    def reconstruct(self, x: Array, *, y: Array | None = None) -> Array:
        """The mean of p(x | z) at the center of the posterior, [B, *E]; a draw, where there is no mean at hand."""
        return self.picture(self.encode(x, y=y).center, y=y)

    def picture(self, z: Array, *, y: Array | None = None) -> Array:
        """What to show of p(x | z) for z [..., D]: its mean, [..., *E], or a draw where there is no mean at hand."""
        return _picture(self.decode(z, y=y))

    def sample(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Array:
        """The means of p(x | z) at draws of z from the prior, [num_samples, *E], or draws of x where there is no mean.

        `y` [num_samples] or [num_samples, C] where the model is conditional; `temperature` below 1 narrows the prior.
        """
        key_z, key_x = jax.random.split(key)
        options = {"num_samples": num_samples, "y": y, "temperature": temperature}
        return _picture(self._apply(self.params, key_z, **options, method="generate"), key_x)

    def interpolate(
        self,
        start: Array,
        end: Array,
        num_points: int = 8,
        *,
        kind: Kind = "linear",
        y: Array | None = None,
    ) -> Array:
        """Decoded means [num_points, B, *E] along paths between the posterior centers of two batches [B, *E]."""
        codes = interpolate(
            self.encode(start, y=y).center, self.encode(end, y=y).center, num_points, kind=kind
        )
        return self.picture(codes, y=y)


def _picture(p: Distribution, key: Array | None = None) -> Array:
    """What to show of p(x | z)."""
    return p.mean if p.has_mean else _draw(p, jax.random.key(0) if key is None else key)


_draw = jax.jit(lambda p, key: p.sample(key))


@functools.lru_cache(
    maxsize=8
)  # equal models, as those of the trials of a sweep, are compiled once
def _compiled(model: nn.Module) -> Any:
    return jax.jit(model.apply, static_argnames=("method", "num_samples"))
