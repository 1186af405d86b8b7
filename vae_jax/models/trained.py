"""A trained model: a module with its parameters."""

import dataclasses
import functools
from typing import Any

import jax

from vae_jax.distributions import Distribution
from vae_jax.interpolation import Kind, interpolate
from vae_jax.models.base import Capability, Model
from vae_jax.types import Array, Params, Scalar


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A model with its parameters, trained here or loaded.

    Every method is compiled at its first call for a shape.

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import VAE, likelihoods, nets, posteriors, priors
    >>> from vae_jax.models.trained import TrainedModel
    >>> module = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
    ...              priors.StandardNormal(2), likelihoods.Bernoulli((3,)))
    >>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
    >>> model = TrainedModel(module, module.init(key, x, key))
    >>> model.reconstruct(x).shape, model.sample(key, 6, temperature=0.7).shape
    ((4, 3), (6, 3))
    >>> model.supports("traversals")
    True
    """

    model: Model
    params: Params = dataclasses.field(repr=False)
    config: Any = None  # of the run that it comes from
    step: int | None = None  # of that run
    last_step: int | None = None  # of that run, at or after `step`
    score: float | None = None  # on validation, by which the step was selected; higher is better
    score_name: str = ""  # such as "ELBO"

    @functools.cached_property
    def _apply(self) -> Any:
        try:
            return _compile(self.model)  # type: ignore[arg-type]
        except TypeError:  # not hashable: a field holds a list
            return _compile.__wrapped__(self.model)

    @property
    def is_conditional(self) -> bool:
        """True if the methods need `y`."""
        return self.model.conditioning is not None

    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability: "temperature", "traversals" or "flat_posterior"."""
        return self.model.supports(capability)

    def encode(self, x: Array, *, y: Array | None = None) -> Distribution:
        """q(z | x) for x [B, *E], over [B, D]. `y` [B] or [B, C] is for a conditional model."""
        return self._apply(self.params, x, y=y, method="encode")

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [..., D]: a distribution over [..., *E]."""
        return self._apply(self.params, z, y=y, method="decode")

    def reconstruct(self, x: Array, *, y: Array | None = None) -> Array:
        """The mean of p(x | z) at the posterior center, [B, *E]; a draw if it has no mean."""
        return self.image(self.encode(x, y=y).center, y=y)

    def image(self, z: Array, *, y: Array | None = None) -> Array:
        """An image of p(x | z) for z [..., D]: its mean, [..., *E], or a draw if it has no mean."""
        return _image(self.decode(z, y=y))

    def sample(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Array:
        """Means of p(x | z) at draws of z from the prior, [num_samples, *E]; draws if without mean.

        `y` [num_samples] or [num_samples, C] is for a conditional model. `temperature` below 1
        narrows the prior; raises UnsupportedError if the prior has none.
        """
        key_z, key_x = jax.random.split(key)
        return _image(self.generate(key_z, num_samples, y=y, temperature=temperature), key_x)

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | None = None,
    ) -> Distribution:
        """p(x | z) at draws of z from the prior, over [num_samples, *E]; options as of `sample`."""
        options = {"num_samples": num_samples, "y": y, "temperature": temperature}
        return self._apply(self.params, key, **options, method="generate")

    def interpolate(
        self,
        start: Array,
        end: Array,
        num_points: int = 8,
        *,
        kind: Kind = "linear",
        y: Array | None = None,
    ) -> Array:
        """Decoded means [num_points, B, *E] between posterior centers of two batches [B, *E]."""
        codes = _interpolate(
            self.encode(start, y=y).center, self.encode(end, y=y).center, num_points, kind=kind
        )
        return self.image(codes, y=y)


def _image(p: Distribution, key: Array | None = None) -> Array:
    return p.mean if p.has_mean else _draw(p, jax.random.key(0) if key is None else key)


_interpolate = jax.jit(interpolate, static_argnames=("num_points", "kind"))
_draw = jax.jit(lambda p, key: p.sample(key))


@functools.lru_cache(maxsize=8)
def _compile(model: Model) -> Any:
    """Compile once for equal models, such as those of the trials of a sweep."""
    return jax.jit(model.apply, static_argnames=("method", "num_samples"))
