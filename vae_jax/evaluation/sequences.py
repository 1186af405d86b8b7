"""Sequences of tokens: exact reconstruction by a stated protocol, lengths.

A sequence is ids [L]: tokens 2 .. V - 1, the end 1, and zeros. A reconstruction is exact if all
ids are equal, the end included.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.distributions.beam_search import beam_search
from vae_jax.distributions.tokens import END
from vae_jax.evaluation.common import Estimate, mean_estimate, ratio_estimate, share_estimate
from vae_jax.evaluation.scan import over_batches
from vae_jax.models.base import Model
from vae_jax.objectives.loss import given, given_y
from vae_jax.types import Array, Batch, Params

NUM_DRAWS, NUM_DECODES = 10, 10  # of the papers: "encode ten times, decode ten times"
NUM_BEAMS = 5


class Reconstructions(NamedTuple):
    """Reconstructions of N sequences; z is the posterior center or a draw of q(z | x)."""

    greedy: np.ndarray  # [N, L] greedy decoding of the center
    one_draw: np.ndarray  # [N, L] greedy decoding of a draw of z
    beam: np.ndarray  # [N, L] beam search at the center
    sampled: np.ndarray  # [N] share of exact ones among the samples of x at several draws of z
    hits: np.ndarray  # [N] tokens that are the most likely ones after the true tokens before them
    num_tokens: np.ndarray  # [N] tokens, the end included
    x: np.ndarray  # [N, L] the sequences themselves

    def estimates(self) -> dict[str, Estimate]:
        """Shares of exact reconstructions and of tokens, with standard errors over examples.

        exact_greedy    greedy decoding of the posterior center
        exact_one_draw  greedy decoding of one draw of z
        exact_sampled   samples of p(x | z) at several draws of z, as in the literature on molecules
        exact_beam      beam search at the center
        token_accuracy  tokens that are the most likely ones given z = the center and the true
                        tokens before them, the end included
        """
        return {
            "exact_greedy": share_estimate(is_exact(self.greedy, self.x)),
            "exact_one_draw": share_estimate(is_exact(self.one_draw, self.x)),
            "exact_sampled": mean_estimate(self.sampled),
            "exact_beam": share_estimate(is_exact(self.beam, self.x)),
            "token_accuracy": ratio_estimate(self.hits, self.num_tokens),
        }


def make_reconstructions(
    model: Model,
    *,
    batch_size: int,
    num_draws: int = NUM_DRAWS,
    num_decodes: int = NUM_DECODES,
    num_beams: int = NUM_BEAMS,
    mesh: Mesh | None = None,
) -> Any:
    """(params, source, key) -> the fields of `Reconstructions` by name, over all examples.

    Args:
      model: p(x | z) is a `TokenSequence`.
      batch_size: examples at a time, as for `over_batches`; `num_decodes` times as many sequences
        are sampled at a time.
      num_draws: draws of z for `sampled`; "encode ten times".
      num_decodes: samples of x for each of them; "decode ten times".
      num_beams: of the beam search.
      mesh: see `over_batches`.
    """

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        x, y = batch["x"], given_y(model, batch)
        q = model.apply(params, x, **given(model, batch), method="encode")
        key_one, key_many = jax.random.split(key)

        def decode(z: Array) -> Any:
            return model.apply(params, z, **y, method="decode")

        def exact_share(total: Array, key: Array) -> tuple[Array, None]:
            key_z, key_x = jax.random.split(key)
            draws = decode(q.sample(key_z)).sample(key_x, (num_decodes,))
            return total + is_exact(draws, x).mean(0), None

        keys = jax.random.split(key_many, num_draws)
        sampled, _ = jax.lax.scan(exact_share, jnp.zeros(len(x), jnp.float32), keys)
        p, is_token = decode(q.center), x > 0
        return {
            "greedy": p.center,
            "one_draw": decode(q.sample(key_one)).center,
            "beam": beam_search(p, num_beams).values[..., 0, :],
            "sampled": sampled / num_draws,
            "hits": ((p.predict(x) == x) & is_token).sum(-1),
            "num_tokens": is_token.sum(-1),
            "x": x,
        }

    return over_batches(
        one_batch, batch_size=batch_size, mesh=mesh, description="exact reconstruction"
    )


def is_exact(x: Any, y: Any) -> Any:
    """True [...] for sequences x, y [..., L] that are equal."""
    return (x == y).all(-1)


def lengths(x: np.ndarray) -> np.ndarray:
    """The number of tokens [N] of ids x [N, L], the end included."""
    return (np.asarray(x) > 0).sum(-1)


def has_end(x: np.ndarray) -> np.ndarray:
    """True [N] for sequences x [N, L] with an end; the others stop at L tokens."""
    return (np.asarray(x) == END).any(-1)


def length_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The Wasserstein distance of two sets of lengths [N], [M]: sum_k |F_a(k) - F_b(k)|."""
    size = int(max(a.max(), b.max())) + 1
    shares = [np.cumsum(np.bincount(x.astype(int), minlength=size) / len(x)) for x in (a, b)]
    return float(np.abs(shares[0] - shares[1]).sum())
