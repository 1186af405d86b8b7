"""What is evaluated: a trained model, its data and its terms on the test set, and how parts of the data are taken."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from vae_jax import parallel
from vae_jax.config import Config
from vae_jax.data import ArraySource, Dataset, HostSource, Source, SpriteSource
from vae_jax.distributions import DiagGaussian, Quantized
from vae_jax.evaluation import Terms
from vae_jax.evaluation.common import mean_estimate
from vae_jax.evaluation.scan import over_batches
from vae_jax.models.trained import TrainedModel
from vae_jax.objectives.loss import given_y
from vae_jax.types import Array, Batch, Params

Numbers = dict[
    str, Any
]  # what a metric returns: numbers by name, standard errors under <name>_stderr, sentences


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """A trained model and all that its metrics are made from."""

    config: Config
    workdir: pathlib.Path
    dataset: Dataset
    model: nn.Module  # with one sigma for all examples, see `vae_jax.evaluation.sigma`
    params: Params
    terms: Terms  # of the test set
    mesh: Mesh | None = None

    @functools.cached_property
    def trained_model(self) -> TrainedModel:
        """The model with its methods compiled."""
        return TrainedModel(self.model, self.params, self.config)

    @property
    def is_conditional(self) -> bool:
        """Whether the model is given y."""
        return self.model.conditioning is not None

    @property
    def log_px(self) -> str:
        """What the likelihood of an example is called."""
        return "log p(x | y)" if self.is_conditional else "log p(x)"

    def run(self, function: Any, source: Source, key: Array) -> Any:
        """(params, source, key) -> numbers of each example, on the devices of the run."""
        return function(*parallel.replicate((self.params, source, key), self.mesh))

    def codes(self, source: Source, key: Array) -> dict[str, np.ndarray]:
        """Centers "code" [N, D] of the posterior; where there are, "logvar" [N, D], "codes" [N, *grid] and labels "y"."""
        return self.run(
            _encoder(self.model, self.config.evaluation.batch_size, self.mesh), source, key
        )


@functools.lru_cache(maxsize=8)  # the trials of a sweep share it
def _encoder(model: nn.Module, batch_size: int, mesh: Mesh | None) -> Any:
    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        del key
        q = model.apply(params, batch["x"], **given_y(model, batch), method="encode")
        found = {"code": q.center} | {name: batch[name] for name in ("y",) if name in batch}
        if isinstance(q, DiagGaussian):
            found["logvar"] = jnp.broadcast_to(q.logvar, q.mean.shape)
        if isinstance(q, Quantized):
            found["codes"] = q.codes
        return found

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh)


def spread(num_examples: int, most: int) -> np.ndarray:
    """At most so many of 0 .. num_examples - 1, evenly spread."""
    return np.linspace(0, num_examples - 1, min(num_examples, most)).astype(np.int32)


def choose_examples(source: Source | HostSource, most: int) -> np.ndarray:
    """Which examples `part_of` takes: at most so many, evenly spread; of sprites, the first of their shuffle."""
    if isinstance(source, SpriteSource):
        return np.arange(min(most, source.num_examples), dtype=np.int32)
    return spread(source.num_examples, most)


def part_of(source: Source | HostSource, most: int) -> Source:
    """A source of those examples that `chosen` names."""
    index = choose_examples(source, most)
    if isinstance(source, SpriteSource):
        return dataclasses.replace(source, num_examples=len(index))
    if isinstance(source, HostSource):
        return source.at(index)
    return source if source.num_examples <= most else subset(source, index)


def subset(source: ArraySource, index: np.ndarray) -> ArraySource:
    """A source of the examples at index [n]."""
    labels = None if source.labels is None else source.labels[index]
    return dataclasses.replace(source, images=source.images[index], labels=labels)


def whole(source: Source, key: Array) -> Batch:
    """All examples of a small source as one batch."""
    return source.take(jnp.arange(source.num_examples), key)


def condition(model: nn.Module, batch: Batch) -> Array | None:
    """The y of a batch that the model conditions on, or None."""
    return given_y(model, batch).get("y")


def with_stderr(name: str, values: np.ndarray) -> dict[str, float]:
    """The mean of values [N] and its standard error, by name."""
    mean, stderr = mean_estimate(np.asarray(values))
    return {name: mean, f"{name}_stderr": stderr}


def example_of(dataset: Dataset) -> Batch:
    """The first test example, as a batch."""
    return dataset.test.take(jnp.arange(1), jax.random.key(0))
