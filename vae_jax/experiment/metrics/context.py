"""The context of the metrics: a trained model, its data, its terms on the test set."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax import parallel
from vae_jax.config import Config
from vae_jax.data import Dataset, HostSource, Source, SpriteSource
from vae_jax.distributions import DiagGaussian, Quantized
from vae_jax.evaluation import BaselineScores, Terms, common
from vae_jax.evaluation.common import Estimate, finite_estimate
from vae_jax.evaluation.scan import over_batches
from vae_jax.evaluation.terms import finite_terms
from vae_jax.files import Path
from vae_jax.models.base import Model
from vae_jax.models.trained import TrainedModel
from vae_jax.objectives.loss import given, given_y
from vae_jax.types import Array, Batch, Params

# The result of a metric: numbers by name, standard errors under <name>_stderr, sentences.
Numbers = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """A trained model and everything that its metrics are computed from."""

    config: Config
    workdir: Path
    dataset: Dataset
    model: Model  # has a fixed sigma, see `vae_jax.evaluation.sigma`
    params: Params
    terms: Terms  # test set
    mesh: Mesh | None = None
    baseline: BaselineScores | None = None  # test set
    step: int | None = None  # of the parameters; None: the last one

    @functools.cached_property
    def trained_model(self) -> TrainedModel:
        """The model with compiled methods."""
        return TrainedModel(self.model, self.params, self.config, checks=False)

    @functools.cached_property
    def finite_terms(self) -> Terms:
        """The terms of the test examples that have a finite bound."""
        return finite_terms(self.terms)[0]

    @property
    def is_conditional(self) -> bool:
        """True if the model takes y."""
        return self.model.conditioning is not None

    @property
    def log_px(self) -> str:
        """The name of the likelihood of an example."""
        return "log p(x | y)" if self.is_conditional else "log p(x)"

    @property
    def of_observed(self) -> str:
        """What an estimator says of missing values, if any."""
        if self.terms.num_observed is None or self.dataset.text is not None:
            return ""
        return "; all of the observed values alone"

    def run(self, function: Any, source: Source, key: Array) -> Any:
        """Call (params, source, key) -> numbers of each example, on the devices of the run."""
        return function(*parallel.replicate((self.params, source, key), self.mesh))

    def codes(self, source: Source, key: Array) -> dict[str, np.ndarray]:
        """Encode all examples: centers of the posterior, "code" [N, D].

        Also "logvar" [N, D], "codes" [N, *grid] and labels "y" when available.
        """
        encoder = _encoder(self.model, self.config.evaluation.batch_size, self.mesh)
        return self.run(encoder, source, key)


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _encoder(model: Model, batch_size: int, mesh: Mesh | None) -> Any:
    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        del key
        q = model.apply(params, batch["x"], **given(model, batch), method="encode")
        entries = {"code": q.center}
        if "y" in batch:
            entries["y"] = batch["y"]
        if isinstance(q, DiagGaussian):
            entries["logvar"] = jnp.broadcast_to(q.logvar, q.mean.shape)
        if isinstance(q, Quantized):
            entries["codes"] = q.codes
        return entries

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="codes")


def choose_examples(source: Source | HostSource, limit: int) -> np.ndarray:
    """Choose at most `limit` examples, ascending: at random, or the first of shuffled sprites.

    The choice depends on the two sizes only.
    """
    if isinstance(source, SpriteSource):
        return np.arange(min(source.num_examples, limit), dtype=np.int32)
    return common.choose_examples(source.num_examples, limit).astype(np.int32)


def random_order(num_examples: int) -> np.ndarray:
    """A random order of the examples 0..N - 1, always the same."""
    return np.random.default_rng(0).permutation(num_examples)


def subset(source: Source | HostSource, limit: int) -> Source:
    """A source of the examples that `choose_examples` returns."""
    index = choose_examples(source, limit)
    if source.num_examples <= limit and not isinstance(source, HostSource):
        return source
    return source.select(index)


def read_batches(
    source: Source | HostSource, index: np.ndarray, key: Array, *, batch_size: int
) -> Iterator[Batch]:
    """Yield the examples at index [n] in batches, so that few are in memory as floats."""
    for number, start in enumerate(range(0, len(index), batch_size)):
        rows, key_batch = index[start : start + batch_size], jax.random.fold_in(key, number)
        if isinstance(source, HostSource):
            yield as_batch(source.select(rows), key_batch)
        else:
            yield source.take(jnp.asarray(rows), key_batch)


def as_batch(source: Source, key: Array) -> Batch:
    """All examples of a small source, as one batch."""
    return source.take(jnp.arange(source.num_examples), key)


def condition(model: Model, batch: Batch) -> Array | None:
    """The y of a batch if the model is conditional, else None."""
    return given_y(model, batch).get("y")


def with_stderr(name: str, values: np.ndarray) -> dict[str, float]:
    """The mean of values [N] and its standard error, by name.

    Values that are not finite are excluded and counted under <name>_not_finite, unless all are.
    """
    estimate, num_left_out = finite_estimate(np.asarray(values))
    numbers: dict[str, float] = name_estimate(name, estimate)
    return numbers | ({f"{name}_not_finite": num_left_out} if num_left_out else {})


def name_estimate(name: str, estimate: Estimate) -> dict[str, float]:
    """An estimate as {name: value, <name>_stderr: standard error}."""
    return {name: estimate.value, f"{name}_stderr": estimate.stderr}


def first_example(dataset: Dataset) -> Batch:
    """The first test example, as a batch of one."""
    return dataset.test.take(jnp.arange(1), jax.random.key(0))
