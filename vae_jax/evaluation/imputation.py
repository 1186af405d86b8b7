"""Imputation: the missing values of each example given its observed ones.

Single imputation is the conditional mean by self-normalized importance sampling (MIWAE, Mattei and
Frellsen, 2019, arXiv:1812.02633),

    E[x_missing | x_observed] = sum_k w_k E[x_missing | z_k] / sum_k w_k,
    w_k = p(x_observed | z_k) p(z_k) / q(z_k | x_observed),   z_k ~ q(z | x_observed).

Multiple imputations (Rubin, 1987) are draws of p(x_missing | x_observed), by sampling importance
resampling: z_k with probability w_k / sum w, then x of p(x | z_k). Both take one pass over the
draws in chunks, so memory does not grow with their number.
"""

import dataclasses
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from vae_jax.distributions import Deterministic, Distribution, Marginals, Quantized, marginals
from vae_jax.errors import check_range
from vae_jax.evaluation.likelihood import rescale
from vae_jax.models.base import Model
from vae_jax.objectives.loss import given, given_y
from vae_jax.objectives.terms import log_weights
from vae_jax.types import Array, Batch, Params

Carry: TypeAlias = tuple[Array, Array]


class Imputation(NamedTuple):
    """Examples with their missing values filled in. All are NaN where no draw has a weight."""

    values: Array  # [B, *E] mean, or the most likely code; observed values as they are
    stddev: Array  # [B, *E] conditional standard deviation; 0 if observed, NaN for codes
    probability: Array  # [B, *E] conditional probability of a code; 1 if observed, NaN for numbers
    ess: Array  # [B] effective sample size (sum w)^2 / sum w^2, from 1 to K


def impute(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int,
    chunk: int = 64,
) -> Imputation:
    """Single imputation of the entries of x [B, *E] where `observed` is False.

    Numbers are imputed by their conditional mean, with the conditional standard deviation: the
    variance of p(x | z), weighted, plus that of its mean (law of total variance). Where the former
    has no closed form, as for mixtures of logistics, it is estimated by one draw of x for each z.
    Codes of categories, ordinal codes and the booleans of a table are imputed by the code with the
    largest conditional probability. A Student-t with at most one degree of freedom has no mean; its
    location takes its place, and the standard deviation is infinite up to two.

    A posterior that is a point, of a model of codes or an autoencoder, has one z of weight 1.

    Args:
      model: any; a hierarchical model too.
      params: its parameters.
      batch: x, `observed`, and y for a conditional model. Without `observed` nothing is missing.
      key: PRNG key.
      num_samples: K, draws of z for each example.
      chunk: draws at a time.

    Raises:
      UnsupportedError: entries depend on each other given z, or have neither a mean nor codes.
    """
    draws = _Draws.start(model, params, batch, num_samples, chunk)

    def body(carry: Any, number: Array) -> tuple[Any, None]:
        top, total, squares, running = carry
        key_z, key_x = jax.random.split(jax.random.fold_in(key, number))
        z, log_w = draws.draw(key_z, number)
        top, shrink, w = rescale(top, log_w)
        part = marginals(draws.decode(z), key_x).mix(w)
        totals = jnp.stack([total * shrink, w.sum(0)])
        running = jax.tree.map(lambda *leaves: jnp.stack(leaves), running, part).mix(totals)
        return (top, totals.sum(0), squares * shrink**2 + jnp.square(w).sum(0), running), None

    zeros = jnp.zeros(len(batch["x"]), jnp.float32)
    start = (jnp.full_like(zeros, -jnp.inf), zeros, zeros, draws.zeros()[1])
    (_, total, squares, result), _ = jax.lax.scan(body, start, jnp.arange(draws.num_chunks))

    def fill(known: Array | float, imputed: Array) -> Array:
        weight = total.reshape(-1, *(1,) * (imputed.ndim - 1))
        return jnp.where(draws.observed, known, jnp.where(weight > 0, imputed, jnp.nan))

    return Imputation(
        fill(batch["x"], result.center),
        fill(jnp.where(jnp.isnan(result.stddev), jnp.nan, 0), result.stddev),
        fill(jnp.where(jnp.isnan(result.probability), jnp.nan, 1), result.probability),
        jnp.square(total) / squares,
    )


def multiple_imputations(
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int,
    num_imputations: int,
    chunk: int = 64,
) -> Array:
    """Draws of x given the observed entries: [M, B, *E], observed entries as they are.

    Each of M = `num_imputations` draws chooses one of K = `num_samples` draws of z by its weight,
    independently of the others, then x of p(x | z). So different imputations may share their z;
    with an effective sample size far below M many do. The choice is the largest log w plus Gumbel
    noise, which needs one pass and memory for M draws.

    Arguments and errors are those of `impute`. Also raises TypeError if p(x | z) cannot be sampled.
    """
    check_range("num_imputations", num_imputations, 1)
    draws = _Draws.start(model, params, batch, num_samples, chunk)
    key_choice, key_x = jax.random.split(key)

    def body(carry: Carry, number: Array) -> tuple[Carry, None]:
        best, chosen = carry
        key_z, key_noise = jax.random.split(jax.random.fold_in(key_choice, number))
        z, log_w = draws.draw(key_z, number)
        noise = jax.random.gumbel(key_noise, (num_imputations, *log_w.shape))
        scores = log_w + noise  # [M, K, B]
        winner = scores.argmax(1)
        score = scores.max(1)
        z = jnp.take_along_axis(z[None], winner[:, None, :, None], axis=1)[:, 0]
        is_better = score > best
        return (jnp.maximum(best, score), jnp.where(is_better[..., None], z, chosen)), None

    z = draws.zeros()[0]
    shape = (num_imputations, len(z))
    z = jnp.broadcast_to(z, (num_imputations, *z.shape))
    start = (jnp.full(shape, -jnp.inf, jnp.float32), z)
    (best, z), _ = jax.lax.scan(body, start, jnp.arange(draws.num_chunks))
    x = draws.decode(z).sample(key_x)
    weighted = best.reshape(*shape, *(1,) * (x.ndim - 2)) > -jnp.inf
    return jnp.where(draws.observed, batch["x"], jnp.where(weighted, x, jnp.nan))


@dataclasses.dataclass(frozen=True)
class _Draws:
    """Weighted draws of z for a batch, in chunks."""

    model: Model
    params: Params
    batch: Batch
    inferred: Any  # result of the model's `infer`
    num_samples: int
    chunk: int

    @classmethod
    def start(
        cls, model: Model, params: Params, batch: Batch, num_samples: int, chunk: int
    ) -> "_Draws":
        check_range("num_samples", num_samples, 1)
        check_range("chunk", chunk, 1)
        batch = {"observed": jnp.ones(batch["x"].shape, bool), **batch}
        inferred = model.apply(params, batch["x"], **given(model, batch), method="infer")
        if isinstance(getattr(inferred, "posterior", None), Deterministic | Quantized):
            num_samples = 1
        return cls(model, params, batch, inferred, num_samples, min(chunk, num_samples))

    @property
    def observed(self) -> Array:
        return self.batch["observed"]

    @property
    def num_chunks(self) -> int:
        return -(-self.num_samples // self.chunk)

    def draw(self, key: Array, number: Array) -> tuple[Array, Array]:
        """Draws z [chunk, B, D] and log w [chunk, B], -inf beyond K."""
        arguments = (self.params, self.inferred, self.batch["x"], key)
        outputs = self.model.apply(*arguments, num_samples=self.chunk, method="outputs")
        # A point has no density; its one draw has any finite weight.
        log_w = jnp.where(jnp.isposinf(outputs.log_qz_x), 0, log_weights(outputs))
        used = number * self.chunk + jnp.arange(self.chunk) < self.num_samples
        return outputs.z, jnp.where(used[:, None], log_w, -jnp.inf)

    def decode(self, z: Array) -> Distribution:
        """p(x | z) for z [K, B, D]; inside `jax.jit` it shares the work of `draw`."""
        y = given_y(self.model, self.batch)
        return self.model.apply(self.params, z, **y, method="decode")

    def zeros(self) -> tuple[Array, Marginals]:
        """One z [B, D] and its marginals [B, *E], all zeros."""

        def one(key: Array) -> tuple[Array, Marginals]:
            z, log_w = self.draw(key, jnp.zeros((), jnp.int32))
            return z[0], marginals(self.decode(z), key).mix(log_w)

        shapes = jax.eval_shape(one, jax.random.key(0))
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
