"""The plain bound and the reconstruction error of every example of a split, and their means.

Nothing is averaged on the device: each example keeps its own numbers, padding is cut off by its mask, and means and standard
errors are taken over the examples in float64.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from vae_jax.corruptions import Corruption
from vae_jax.data import Source
from vae_jax.distributions import has_kl_terms
from vae_jax.evaluation.scan import over_batches
from vae_jax.objectives.loss import given_y
from vae_jax.objectives.terms import dimension_rates, per_example_terms
from vae_jax.types import Array, Batch, Params

# Latents
MOST_LATENTS = 128  # whose KLs are written one by one; maps of latents have thousands
ACTIVE = 0.01  # variance of the posterior mean over the data above which a unit is active (Burda et al., 2016)


@dataclasses.dataclass(frozen=True)
class Terms:
    """One number, or one row, for each example of a split."""

    distortion: np.ndarray  # [N] -E_q[log p(x | z)], nats
    rate: np.ndarray  # [N] KL(q(z | x) || p(z)), nats
    code: np.ndarray  # [N, D] center of the posterior: its mean, where it has one
    mse: (
        np.ndarray | None
    )  # [N] mean squared error of the reconstruction from the code, where p(x | z) has a mean at hand
    kl: (
        np.ndarray | None
    )  # [N, D] KL of each dimension, or of each categorical variable, where there is a closed form
    y: np.ndarray | None  # [N] or [N, C] labels
    denoising_mse: np.ndarray | None  # [N] error of the reconstruction from a corrupted input

    @property
    def elbo(self) -> np.ndarray:
        """[N], nats."""
        return -(self.distortion + self.rate)


Evaluator = Callable[[Params, Source, Array], Terms]


def make_evaluator(
    model: nn.Module,
    *,
    batch_size: int,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    mesh: Mesh | None = None,
) -> Evaluator:
    """(params, source, key) -> Terms over all examples of the source, compiled once for each split.

    Args:
      model: yields `Outputs`; `encode` and `decode` give distributions.
      batch_size: examples at a time, split over the mesh where they divide evenly; the noise of z depends on it, and not on
        the number of devices.
      num_samples: K, draws of z for each example in distortion and rate.
      corruption: when given, the error from a corrupted input is measured too.
    """

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        key_z, key_corruption = jax.random.split(key)
        x = batch["x"]
        y = given_y(model, batch)
        outputs = model.apply(params, x, key_z, num_samples=num_samples, **y)
        distortion, rate = per_example_terms(outputs)
        code = model.apply(params, x, **y, method="encode").center
        terms = {"distortion": distortion, "rate": rate, "code": code}
        terms |= _squared_error("mse", model, params, x, y, code)
        if has_kl_terms(outputs.posterior, outputs.prior):
            terms["kl"] = dimension_rates(outputs)
        if "y" in batch:
            terms["y"] = batch["y"]
        if corruption is not None:
            code = model.apply(params, corruption(key_corruption, x), **y, method="encode").center
            terms |= _squared_error("denoising_mse", model, params, x, y, code)
        return terms

    run = over_batches(one_batch, batch_size=batch_size, mesh=mesh)

    def evaluator(params: Params, source: Source, key: Array) -> Terms:
        terms = run(params, source, key)
        return Terms(**{field.name: terms.get(field.name) for field in dataclasses.fields(Terms)})

    return evaluator


def summarize(
    terms: Terms, event_shape: tuple[int, ...], value_range: tuple[float, float]
) -> dict[str, float]:
    """Means over the split: elbo, its standard error, distortion, rate, KL per dimension, active units, bits/dim, MSE, PSNR.

    bits/dim is -ELBO / (number of dimensions * ln 2), of the values as the model sees them: for a density it depends on
    their scale, and may be negative. PSNR, in dB, takes the range of the data as its peak.
    """
    mean = functools.partial(np.mean, dtype=np.float64)
    has_elbo = len(terms.elbo) > 1 and bool(np.isfinite(terms.elbo).all())
    numbers = {
        "elbo": mean(terms.elbo),
        "elbo_stderr": np.std(terms.elbo, dtype=np.float64, ddof=1) / math.sqrt(len(terms.elbo))
        if has_elbo
        else math.nan,
        "distortion": mean(terms.distortion),
        "rate": mean(terms.rate),
        "bits_per_dim": -mean(terms.elbo) / (math.prod(event_shape) * math.log(2)),
        "active_units": _active_units(terms.code),
    }
    if terms.mse is not None:
        numbers |= {"mse": mean(terms.mse), "psnr": mean(_psnr(terms.mse, value_range))}
    if terms.denoising_mse is not None:
        numbers["denoising_mse"] = mean(terms.denoising_mse)
        numbers["denoising_psnr"] = mean(_psnr(terms.denoising_mse, value_range))
    if terms.kl is not None and terms.kl.shape[1] <= MOST_LATENTS:
        numbers |= {f"kl/{d}": kl for d, kl in enumerate(terms.kl.mean(0, dtype=np.float64))}
    return {
        name: value if isinstance(value, int) else float(value) for name, value in numbers.items()
    }


def _active_units(codes: np.ndarray) -> int:
    """How many entries of the codes [N, D] vary over the data."""
    with np.errstate(invalid="ignore"):  # of a run that diverged
        return int(np.sum(np.var(codes, axis=0, dtype=np.float64) > ACTIVE))


def _squared_error(
    name: str, model: nn.Module, params: Params, x: Array, y: dict, z: Array
) -> dict[str, Array]:
    """Mean squared error [B] of the decoded codes z [B, D], by that name; nothing where p(x | z) has no mean at hand."""
    p = model.apply(params, z, **y, method="decode")
    return {name: jnp.square(p.mean - x).mean(axis=tuple(range(1, x.ndim)))} if p.has_mean else {}


def _psnr(mse: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    peak = value_range[1] - value_range[0]
    return 10 * np.log10(peak**2 / np.maximum(mse.astype(np.float64), 1e-12))
