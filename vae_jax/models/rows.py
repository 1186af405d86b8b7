"""Scores of rows, and their missing values filled in, for a batch of any size."""

from typing import NamedTuple

import jax.numpy as jnp

from vae_jax.distributions import Distribution
from vae_jax.errors import UnsupportedError
from vae_jax.evaluation.imputation import Imputation, impute, multiple_imputations
from vae_jax.evaluation.likelihood import running_means
from vae_jax.models.base import Model
from vae_jax.models.blocks import over_blocks
from vae_jax.objectives.loss import given, given_y
from vae_jax.objectives.terms import log_weights
from vae_jax.types import Array, Batch, Outputs, Params

DRAWN_ROWS = 1024  # approximate number of z decoded at a time
MAX_COLUMNS = 256  # columns of a table with their own scores


class RowScores(NamedTuple):
    """Scores of rows, in nats; None if unavailable or not requested."""

    distortion: Array  # [B] -E_q[log p(x | z)]
    rate: Array  # [B] KL(q(z | x) || p(z)); +inf for a deterministic posterior
    log_px: Array | None = None  # [B] log p(x) by importance sampling
    ess: Array | None = None  # [B] effective sample size (sum w)^2 / sum w^2, from 1 to K
    # [B, C] -E_q[log p(x_c | z)] of each column c of a table, NaN if it is missing
    columns: Array | None = None
    num_observed: Array | None = None  # [B] observed values, tokens of text; None if all are

    @property
    def elbo(self) -> Array:
        """[B] -(distortion + rate)."""
        return -(self.distortion + self.rate)


def score_rows(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int,
    weights: bool = False,
    columns: bool = False,
    first_block: int = 0,
) -> RowScores:
    """The scores of a batch of any size, as means over K = `num_samples` draws of z for each row.

    Args:
      model: see `vae_jax.models.base`.
      params: its parameters.
      batch: "x" [B, *E]; "observed" [B, *E] if values are missing, "y" for a conditional model.
      key: PRNG key.
      num_samples: K.
      weights: compute `log_px` and `ess`.
      columns: compute `columns`, if p(x | z) factorizes over at most 256 columns.
      first_block: see `over_blocks`.

    Raises:
      UnsupportedError: weights of a model of codes, which have no density.
    """
    if weights and not model.supports("latent_density"):
        raise UnsupportedError(
            "log_prob: codes have no density, so there are no importance samples; use elbo"
        )
    options = {"num_samples": num_samples, "weights": weights, "columns": columns}
    return over_blocks(_score_block, model, params, batch, key, first_block=first_block, **options)


def impute_rows(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int,
    num_imputations: int | None = None,
    first_block: int = 0,
) -> Imputation | Array:
    """The missing entries of a batch of any size, see `vae_jax.evaluation.imputation`.

    Args:
      model, params, batch, key, first_block: as for `score_rows`.
      num_samples: K.
      num_imputations: M, for draws instead of means.

    Returns:
      The imputation, or draws of x given its observed entries, [B, M, *E].
    """
    options = {"first_block": first_block, "num_samples": num_samples}
    if num_imputations is None:
        return over_blocks(_impute_block, model, params, batch, key, **options)
    options |= {"num_imputations": num_imputations}
    return over_blocks(_draw_block, model, params, batch, key, **options)


def _impute_block(
    model: Model, params: Params, batch: Batch, key: Array, *, num_samples: int
) -> Imputation:
    chunk = draws_at_once(num_samples, batch)
    return impute(model, params, batch, key, num_samples=num_samples, chunk=chunk)


def _draw_block(
    model: Model, params: Params, batch: Batch, key: Array, *, num_samples: int, **options: int
) -> Array:
    options |= {"num_samples": num_samples, "chunk": draws_at_once(num_samples, batch)}
    return jnp.moveaxis(multiple_imputations(model, params, batch, key, **options), 0, 1)


def draws_at_once(num_samples: int, batch: Batch) -> int:
    """The draws of each row that are decoded at a time."""
    return max(1, min(num_samples, DRAWN_ROWS // len(batch["x"])))


def _score_block(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int,
    weights: bool,
    columns: bool,
) -> RowScores:
    x = batch["x"]
    chunk = draws_at_once(num_samples, batch)
    inferred = model.apply(params, x, **given(model, batch), method="infer")

    def draws(key: Array, _: Array) -> tuple[Array, dict[str, Array]]:
        outputs = model.apply(params, inferred, x, key, num_samples=chunk, method="outputs")
        rate = outputs.log_qz_x - outputs.log_pz
        if outputs.kl is not None:
            rate = jnp.broadcast_to(outputs.kl, rate.shape)
        sums = {"distortion": -outputs.log_px_z, "rate": rate}
        terms = _column_terms(model, params, batch, outputs) if columns else None
        return log_weights(outputs), sums if terms is None else sums | {"columns": -terms}

    (log_px, ess, _), means = running_means(
        draws, key, num_samples=num_samples, chunk=chunk, num_examples=len(x)
    )
    observed = batch.get("observed")
    if observed is not None:
        means["num_observed"] = observed.sum(tuple(range(1, x.ndim)))
    return RowScores(**means, **({"log_px": log_px, "ess": ess} if weights else {}))


def _column_terms(model: Model, params: Params, batch: Batch, outputs: Outputs) -> Array | None:
    """Log p(x_c | z), [K, B, C]; None unless p(x | z) factorizes over a few columns."""
    x = batch["x"]
    if x.ndim != 2 or x.shape[1] > MAX_COLUMNS:
        return None
    # The same computation as in `outputs`, which the compiler shares.
    p: Distribution = model.apply(params, outputs.z, **given_y(model, batch), method="decode")
    if not p.factorized:
        return None
    observed = batch.get("observed")
    if observed is None:
        return p.log_prob_terms(x)
    terms = p.log_prob_terms(jnp.where(observed, x, p.center))
    return jnp.where(observed, terms, jnp.nan)
