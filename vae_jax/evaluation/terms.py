"""The ELBO and the reconstruction error of every example of a split, and their means.

Nothing is averaged on the device: each example keeps its own numbers, padding is masked out, and
means and standard errors over the examples are computed in float64.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.corruptions import Corruption
from vae_jax.data import Source
from vae_jax.distributions import has_kl_terms
from vae_jax.evaluation.common import bits_per_token, mean_estimate
from vae_jax.evaluation.reconstruction import to_psnr
from vae_jax.evaluation.scan import OverBatches, mean_over_draws, over_batches
from vae_jax.models.base import Model
from vae_jax.objectives.loss import given, given_y
from vae_jax.objectives.terms import dimension_rates, layer_rates, per_example_terms
from vae_jax.types import Array, Batch, Params

MAX_LATENTS = 128  # latents with their own KL in the summary; maps of latents have thousands
MAX_COLUMNS = 256  # columns of a table with their own error
ACTIVE = 0.01  # a unit is active if its posterior mean has a larger variance (Burda et al., 2016)
USED = 0.1  # nats: a latent with at least this mean KL over the data carries information
DIVERGED = 0.1  # share of examples without a finite bound above which a run has diverged
MAX_ROWS = 5  # rows named in a message
MOVED = 1e-3  # share of a mean by which an extreme example moves it at least
MIN_REST = 20  # examples against which one is extreme


@dataclasses.dataclass(frozen=True)
class Terms:
    """One number, or one row, for each example of a split; None if unavailable."""

    distortion: np.ndarray  # [N] -E_q[log p(x | z)] of the observed values, nats
    rate: np.ndarray  # [N] KL(q(z | x) || p(z)), nats
    code: np.ndarray  # [N, D] center of the posterior: its mean, if it has one
    # [N] MSE of the reconstruction from the code, of the observed values, 0 without any; needs a
    # closed-form mean
    mse: np.ndarray | None
    kl: np.ndarray | None  # [N, D] closed-form KL of each dimension, or categorical variable
    y: np.ndarray | None  # [N] or [N, C] labels
    denoising_mse: np.ndarray | None  # [N] MSE of the reconstruction from a corrupted input
    # [N, D] reconstruction less x of each column of a table, NaN where x is missing
    error: np.ndarray | None = None
    num_observed: np.ndarray | None = None  # [N] observed values; None if no value is missing
    layer_rates: np.ndarray | None = None  # [N, L] KL of each layer, if `kl` has no closed form

    @property
    def elbo(self) -> np.ndarray:
        """[N], nats."""
        return -(self.distortion + self.rate)

    @property
    def is_finite(self) -> np.ndarray:
        """[N], True for examples with a finite bound, or distortion if no posterior has a rate."""
        finite = np.isfinite(self.distortion)
        return finite if np.isposinf(self.rate).all() else finite & np.isfinite(self.rate)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (getattr(self, field.name) for field in dataclasses.fields(self))
        return sum(array.nbytes for array in arrays if array is not None)

    def select(self, rows: np.ndarray) -> "Terms":
        """The terms of some examples, by index [M] or mask [N]."""
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        selection = {name: x[rows] for name, x in arrays.items() if x is not None}
        return dataclasses.replace(self, **selection)


def has_diverged(is_finite: np.ndarray) -> bool:
    """True if all of examples [N], or more than a tenth and than one, have no finite bound."""
    num_bad = int(np.sum(~is_finite))
    return num_bad == len(is_finite) or num_bad > max(1, DIVERGED * len(is_finite))


def describe_rows(is_finite: np.ndarray) -> str:
    """The examples [N] without a finite bound: '1 of 200 ... has no finite bound (row 17)'."""
    rows = np.flatnonzero(~is_finite)
    names = ", ".join(map(str, rows[:MAX_ROWS])) + (", ..." if len(rows) > MAX_ROWS else "")
    verb, noun = ("has", "row") if len(rows) == 1 else ("have", "rows")
    return f"{len(rows)} of {len(is_finite)} examples {verb} no finite bound ({noun} {names})"


def find_extreme(bound: np.ndarray, is_finite: np.ndarray) -> list[int]:
    """The rows, at most `MAX_ROWS`, of which each alone decides the mean of a bound [N], in nats.

    Such a row moves the mean by more than a standard deviation, and by more than a thousandth of
    the mean. Both are those of the remaining rows with a finite bound, at least `MIN_REST`.
    """
    rest = np.asarray(is_finite).copy()
    rows: list[int] = []
    while len(rows) < MAX_ROWS and np.sum(rest) > MIN_REST:
        index = np.flatnonzero(rest)
        values = bound[index].astype(np.float64)
        place = int(np.argmax(np.abs(values - np.median(values))))
        others = np.delete(values, place)
        mean = others.mean()
        least = max(others.std(), MOVED * np.abs(mean))
        if np.abs(values[place] - mean) <= len(values) * least:
            break
        rows.append(int(index[place]))
        rest[index[place]] = False
    return sorted(rows) if np.sum(rest) >= MIN_REST else []


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """(params, source, key) -> Terms over all examples of the source; see `make_evaluator`."""

    run: OverBatches

    def __call__(self, params: Params, source: Source, key: Array) -> Terms:
        """The terms of all examples."""
        terms = self.run(params, source, key)
        return Terms(**{field.name: terms.get(field.name) for field in dataclasses.fields(Terms)})

    def lower(self, params: Params, source: Source, key: Array) -> Any:
        """Lower the compiled part, as the method of `jax.jit`."""
        return self.run.lower(params, source, key)

    def compiled_arguments(self, params: Params, source: Source, key: Array) -> tuple[Any, ...]:
        """Return the arguments of the compiled part."""
        return self.run.compiled_arguments(params, source, key)


def make_evaluator(
    model: Model,
    *,
    batch_size: int,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    mesh: Mesh | None = None,
) -> Evaluator:
    """(params, source, key) -> Terms over all examples, compiled once per shape of a source.

    Args:
      model: see `vae_jax.models.base`.
      batch_size: examples at a time, as for `over_batches`; the noise of z depends on it.
      num_samples: K, draws of z for each example in distortion and rate. They are accumulated a few
        at a time, so memory does not depend on K.
      corruption: if given, the error from a corrupted input is measured too.
      mesh: see `over_batches`.
    """

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        key_z, key_corruption = jax.random.split(key)
        x, inputs = batch["x"], given(model, batch)
        difference = functools.partial(_difference, model, params, batch)
        observed = batch.get("observed")
        inferred = model.apply(params, x, **inputs, method="infer")  # the encoder runs once

        def some_draws(key: Array, num: int) -> dict[str, Array]:
            outputs = model.apply(params, inferred, x, key, num_samples=num, method="outputs")
            distortion, rate = per_example_terms(outputs)
            terms = {"distortion": distortion, "rate": rate}
            if has_kl_terms(outputs.posterior, outputs.prior):
                terms["kl"] = dimension_rates(outputs)
            elif len(outputs.layers) > 1:
                terms["layer_rates"] = layer_rates(outputs).T
            return terms

        terms = mean_over_draws(some_draws, key_z, num_samples=num_samples, num_rows=len(x))
        code = model.apply(params, x, **inputs, method="encode").center
        terms["code"] = code
        error = difference(code)
        if error is not None:
            terms["mse"] = _mean_square(error, observed)
        if error is not None and x.ndim == 2 and x.shape[1] <= MAX_COLUMNS:
            terms["error"] = error if observed is None else jnp.where(observed, error, jnp.nan)
        if observed is not None:
            terms["num_observed"] = observed.sum(tuple(range(1, x.ndim)))
        if "y" in batch:
            terms["y"] = batch["y"]
        if corruption is not None:
            corrupted = corruption(key_corruption, x)
            code = model.apply(params, corrupted, **inputs, method="encode").center
            error = difference(code)
            if error is not None:
                terms["denoising_mse"] = _mean_square(error, observed)
        return terms

    return Evaluator(over_batches(one_batch, batch_size=batch_size, mesh=mesh))


def summarize(
    terms: Terms,
    event_shape: tuple[int, ...],
    value_range: tuple[float, float],
    *,
    is_text: bool = False,
) -> dict[str, float]:
    """Means over the split: ELBO, distortion, rate, KLs, active and used units, bits/dim, MSE.

    A unit is active by the variance of its code, and used by a mean KL of at least 0.1 nats.
    bits/dim is -ELBO / (number of dimensions * ln 2) of the values as the model sees them; for a
    density it depends on their scale and may be negative. Images have a PSNR in dB, whose peak is
    the range of the data, unless that is a single value.

    With missing values, all are of the observed values: `observed_values` is their mean number,
    which divides bits/dim, and errors are means over the examples that have any.

    Of text (`is_text`) there are bits per token instead, with the standard error of a ratio of
    sums, and `tokens`, their mean number; the end is a token.

    If some examples have no finite bound, the means exclude them, and `num_not_finite`
    counts them; if there are too many, see `has_diverged`, over all.
    """
    terms, num_not_finite = finite_terms(terms)
    mean = functools.partial(np.mean, dtype=np.float64)
    elbo = mean_estimate(terms.elbo)
    num_dims, observed = float(math.prod(event_shape)), terms.num_observed
    if observed is not None:
        num_dims = mean(observed)
    numbers = {
        "elbo": elbo.value,
        "elbo_stderr": elbo.stderr,
        "distortion": mean(terms.distortion),
        "rate": mean(terms.rate),
        "bits_per_dim": -elbo.value / (num_dims * math.log(2)),
        "active_units": _active_units(terms.code),
    }
    if observed is not None and is_text:
        bits = bits_per_token(terms.elbo, observed)
        del numbers["bits_per_dim"]
        numbers |= {"bits_per_token": bits.value, "bits_per_token_stderr": bits.stderr}
        numbers["tokens"] = num_dims
    elif observed is not None:
        numbers["observed_values"] = num_dims
    if num_not_finite:
        numbers["num_not_finite"] = num_not_finite
    if terms.kl is not None and not np.isposinf(terms.rate).all():
        with np.errstate(invalid="ignore"):  # a diverged run
            used = terms.kl.mean(0, dtype=np.float64) >= USED
            if used.shape == terms.code.shape[1:]:  # else a variable has several entries of code
                used &= np.var(terms.code, axis=0, dtype=np.float64) > ACTIVE
            numbers["used_units"] = int(np.sum(used))
    for prefix, error in (("", terms.mse), ("denoising_", terms.denoising_mse)):
        if error is not None:
            error = error if observed is None else error[observed > 0]
            numbers[f"{prefix}mse"] = mean(error)
            if len(event_shape) == 3 and value_range[0] < value_range[1]:
                numbers[f"{prefix}psnr"] = mean(to_psnr(error, value_range))
    if terms.kl is not None and terms.kl.shape[1] <= MAX_LATENTS:
        numbers |= {f"kl/{d}": kl for d, kl in enumerate(terms.kl.mean(0, dtype=np.float64))}
    return {
        name: value if isinstance(value, int) else float(value) for name, value in numbers.items()
    }


def finite_terms(terms: Terms) -> tuple[Terms, int]:
    """The terms of examples with a finite bound, and the number of excluded examples.

    All terms and 0 if the run has diverged.
    """
    finite = terms.is_finite
    if finite.all() or has_diverged(finite):
        return terms, 0
    return terms.select(finite), int(np.sum(~finite))


def _active_units(codes: np.ndarray) -> int:
    """The number of entries of the codes [N, D] that vary over the data."""
    with np.errstate(invalid="ignore"):  # a diverged run
        return int(np.sum(np.var(codes, axis=0, dtype=np.float64) > ACTIVE))


def _difference(model: Model, params: Params, batch: Batch, z: Array) -> Array | None:
    """The mean of p(x | z) at z [B, D] less x, [B, *E]; None if it has no cheap mean."""
    p = model.apply(params, z, **given_y(model, batch), method="decode")
    return p.mean - batch["x"] if p.has_mean else None


def _mean_square(difference: Array, observed: Array | None) -> Array:
    """The mean square [B] over the event, or over its observed entries; 0 without any."""
    axes = tuple(range(1, difference.ndim))
    squared = jnp.square(difference)
    if observed is None:
        return squared.mean(axes)
    return jnp.where(observed, squared, 0).sum(axes) / jnp.maximum(observed.sum(axes), 1)
