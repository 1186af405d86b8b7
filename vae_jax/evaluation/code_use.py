"""Use of the codes by a decoder: log p(x | z) at the code of an example and of another one."""

from typing import Any

import jax.numpy as jnp
from jax.sharding import Mesh

from vae_jax.evaluation.scan import over_batches
from vae_jax.models.base import Model
from vae_jax.objectives.loss import given, given_y
from vae_jax.types import Array, Batch, Params


def make_code_gain(model: Model, *, batch_size: int, mesh: Mesh | None = None) -> Any:
    """(params, source, key) -> log p(x | z) - log p(x | z') of all examples [N], in nats.

    z is a draw of q(z | x), and z' the code of the previous example in the batch. The mean is about
    0 if the decoder does not listen to its codes, whatever the rate.

    Args:
      model: has `encode` and `decode`.
      batch_size: examples at a time, as for `over_batches`; at least 2.
      mesh: see `over_batches`.
    """

    def one_batch(params: Params, batch: Batch, key: Array) -> Array:
        x, y, observed = batch["x"], given_y(model, batch), batch.get("observed")
        z = model.apply(params, x, **given(model, batch), method="encode").sample(key)
        matched, shifted = (
            model.apply(params, code, **y, method="decode").observed_log_prob(x, observed)
            for code in (z, jnp.roll(z, 1, axis=0))
        )
        return matched - shifted

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="use of codes")
