"""Scores of all rows given to a trained model, in constant memory beside the rows.

Rows are scored in blocks of a fixed size. The noise of a block depends on its number alone, so
that the scores of a file don't depend on the parts in which it is read.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Distribution
from vae_jax.errors import UnsupportedError
from vae_jax.evaluation.likelihood import running_means
from vae_jax.evaluation.progress import track
from vae_jax.evaluation.scan import full_float32
from vae_jax.models.base import Model
from vae_jax.nets.attributes import read_attribute
from vae_jax.objectives.loss import given, given_y
from vae_jax.objectives.terms import log_weights
from vae_jax.types import Array, Batch, Outputs, Params

BLOCK_VALUES = 2**17  # approximate number of values of x in a block
BLOCK_ROWS = (8, 256)  # smallest and largest block
DRAWN_ROWS = 1024  # approximate number of z decoded at a time
CALL_BLOCKS = 32  # blocks of one compiled call
MAX_COLUMNS = 256  # columns of a table with their own scores


class RowScores(NamedTuple):
    """Scores of rows, in nats; None if unavailable or not requested."""

    distortion: Array  # [B] -E_q[log p(x | z)]
    rate: Array  # [B] KL(q(z | x) || p(z)); +inf for a deterministic posterior
    log_px: Array | None = None  # [B] log p(x) by importance sampling
    ess: Array | None = None  # [B] effective sample size (sum w)^2 / sum w^2, from 1 to K
    # [B, C] -E_q[log p(x_c | z)] of each column c of a table, NaN if it is missing
    columns: Array | None = None

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
      key: PRNG key of block 0; block b uses ``fold_in(key, b)``.
      num_samples: K.
      weights: compute `log_px` and `ess`.
      columns: compute `columns`, if p(x | z) factorizes over at most 256 columns.
      first_block: number of the block with the first row; a multiple of `block_rows` rows precedes.

    Raises:
      UnsupportedError: weights of a model of codes, which have no density.
    """
    if weights and not model.supports("latent_density"):
        raise UnsupportedError(
            "log_prob: codes have no density, so there are no importance samples; use elbo"
        )
    num_rows = batch["x"].shape[0]
    size = block_rows(batch["x"].shape[1:])
    if read_attribute(model.likelihood, "batch_scale"):
        size = min(size, num_rows)  # copies in the last block would change its scale
    num_blocks = -(-num_rows // size)
    blocks = jax.tree.map(lambda rows: _in_blocks(rows, num_blocks, size), dict(batch))
    numbers = np.arange(num_blocks) + first_block
    options = (model, num_samples, weights, columns)
    is_traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((batch, key)))
    if is_traced or num_blocks <= CALL_BLOCKS:
        return _join([_run(options, params, blocks, key, numbers)], num_rows)
    calls = [slice(i, i + CALL_BLOCKS) for i in range(0, num_blocks, CALL_BLOCKS)]
    parts = []
    for call in track(calls, "scores", "part"):
        some = jax.tree.map(lambda rows, call=call: rows[call], blocks)
        parts.append(jax.device_get(_run(options, params, some, key, numbers[call])))
    return _join(parts, num_rows)


def block_rows(event_shape: tuple[int, ...]) -> int:
    """The rows of a block: a power of two, fewer for larger events."""
    smallest, largest = BLOCK_ROWS
    fitting = BLOCK_VALUES // math.prod(event_shape)
    return min(largest, max(smallest, 2 ** max(fitting, 1).bit_length() // 2))


def _in_blocks(rows: Any, num_blocks: int, size: int) -> Any:
    """Rows [B, ...] as [num_blocks, size, ...]; copies of the last row fill up the last block."""
    missing = num_blocks * size - rows.shape[0]
    pad = jnp.pad if isinstance(rows, jax.core.Tracer) else np.pad
    rows = pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1), mode="edge") if missing else rows
    return rows.reshape(num_blocks, size, *rows.shape[1:])


def _join(parts: list[RowScores], num_rows: int) -> RowScores:
    """Scores of [blocks, rows, ...] of several calls as [B, ...]."""

    def rows(*leaves: Array) -> Array:
        joined = leaves[0] if len(leaves) == 1 else np.concatenate(leaves)
        return joined.reshape(-1, *joined.shape[2:])[:num_rows]

    return jax.tree.map(rows, *parts)


def _run(options: tuple[Any, ...], *arguments: Any) -> RowScores:
    try:
        return _compile(*options)(*arguments)
    except TypeError as error:  # not hashable: a field of the model holds a list
        if "unhashable" not in str(error):
            raise
        return _compile.__wrapped__(*options)(*arguments)


@functools.lru_cache(maxsize=16)
def _compile(model: Model, num_samples: int, weights: bool, columns: bool) -> Any:
    @jax.jit
    @full_float32
    def run(params: Params, blocks: Batch, key: Array, numbers: Array) -> RowScores:
        def one_block(batch_and_number: tuple[Batch, Array]) -> RowScores:
            batch, number = batch_and_number
            key_block = jax.random.fold_in(key, number)
            return _score_block(
                model, params, batch, key_block, num_samples, weights=weights, columns=columns
            )

        return jax.lax.map(one_block, (blocks, numbers))

    return run


def _score_block(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    num_samples: int,
    *,
    weights: bool,
    columns: bool,
) -> RowScores:
    x = batch["x"]
    chunk = max(1, min(num_samples, DRAWN_ROWS // len(x)))
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
