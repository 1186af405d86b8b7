"""A trained model, given back from its workdir."""

import dataclasses
import functools
import os
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax import build, train
from vae_jax.config import Config
from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.interpolation import Kind, interpolate
from vae_jax.types import Array, Params, Scalar
from vae_jax.workdir import run_workdir


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model with its parameters, trained here or loaded; every method is compiled at its first call for a shape."""

    model: nn.Module
    params: Params = dataclasses.field(repr=False)
    config: Config | None = None  # of the run that it comes from, and its step there
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

    def encode(self, x: Array, *, y: Array | None = None) -> Distribution:
        """q(z | x) for x [B, *E]: a distribution over [B, D]. `y` [B] or [B, C], where the model is conditional."""
        return self._apply(self.params, x, y=y, method="encode")

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [..., D]: a distribution over [..., *E]."""
        return self._apply(self.params, z, y=y, method="decode")

    def reconstruct(self, x: Array, *, y: Array | None = None) -> Array:
        """The mean of p(x | z) at the centre of the posterior, [B, *E]; a draw, where there is no mean at hand."""
        return self.picture(self.encode(x, y=y).centre, y=y)

    def picture(self, z: Array, *, y: Array | None = None) -> Array:
        """What to show of p(x | z) for z [..., D]: its mean, [..., *E], or a draw where there is no mean at hand."""
        return _picture(self.decode(z, y=y))

    def sample(self, key: Array, num_samples: int, *, y: Array | None = None, temperature: Scalar | None = None) -> Array:
        """The means of p(x | z) at draws of z from the prior, [num_samples, *E], or draws of x where there is no mean.

        `y` [num_samples] or [num_samples, C] where the model is conditional; `temperature` below 1 narrows the prior.
        """
        key_z, key_x = jax.random.split(key)
        options = {"num_samples": num_samples, "y": y, "temperature": temperature}
        return _picture(self._apply(self.params, key_z, **options, method="generate"), key_x)

    def interpolate(
        self, start: Array, end: Array, num_points: int = 8, *, kind: Kind = "linear", y: Array | None = None
    ) -> Array:
        """Decoded means [num_points, B, *E] along paths between the posterior centres of two batches [B, *E]."""
        codes = interpolate(self.encode(start, y=y).centre, self.encode(end, y=y).centre, num_points, kind=kind)
        return self.picture(codes, y=y)


def _picture(p: Distribution, key: Array | None = None) -> Array:
    """What to show of p(x | z)."""
    return p.mean if p.has_mean else _draw(p, jax.random.key(0) if key is None else key)


_draw = jax.jit(lambda p, key: p.sample(key))


@functools.lru_cache(maxsize=8)  # equal models, as those of the lanes of a sweep, are compiled once
def _compiled(model: nn.Module) -> Any:
    return jax.jit(model.apply, static_argnames=("method", "num_samples"))


def load(workdir: str | os.PathLike, *, lane: int | str | None = None, step: int | None = None) -> Trained:
    """The model that a run left in its workdir, rebuilt from its saved config; the best on validation, or that of `step`.

    The parameters are the averaged ones where the run kept an average. Of a sweep, `lane` says which: by its name, such as
    "beta=4,seed=1", or by its number.

    Raises:
      InputError: no run there, no such lane, no checkpoint at that step, or a damaged one.
    """
    from vae_jax.checkpoint import Checkpoints  # Orbax: slow to import, and importers of parts don't need it

    workdir = run_workdir(workdir, lane)
    with Checkpoints(workdir, for_writing=False) as checkpoints:
        steps, step = checkpoints.steps(), checkpoints.best_step() if step is None else step
        if step not in steps:
            wanted = "no checkpoint that can be read" if step is None else f"step = {step}: no such checkpoint"
            raise InputError(f"{wanted} in {checkpoints.directory}; there are {steps}")
        saved = checkpoints.describe(step)
        model, tx = build.build_model(saved.config, saved.event_shape), build.build_optimizer(saved.config)
        example = jax.ShapeDtypeStruct((1, *saved.event_shape), jnp.float32)
        init = functools.partial(train.init_state, model=model, tx=tx, ema=saved.config.optimizer.ema_decay > 0)
        like = jax.eval_shape(lambda key, x: init(key, x=x), jax.random.key(0), example)
        state = checkpoints.restore(step, like)
    return Trained(model, state.eval_params, saved.config, step)
