"""Losses of discrete codes: the VQ-VAE, the prior fitted to its codes, the codebook's averages.

A run has up to two phases. Before step S the loss is `vq`; from S on it is `fit_prior_loss` with
`prior_pass`, whose gradient is of the prior alone (`switch_losses` joins the two). With weight
decay or momentum a zero gradient still moves a parameter. So a run with two phases scales the
optimizer's updates: for ``params["params"]["prior"]`` by 0 before S, for the rest by 0 from S
on. `vq_post_update` freezes the codebook with ``frozen_from=S``.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.distributions import Quantized
from vae_jax.models.base import CodeModel
from vae_jax.objectives.loss import Arguments, Run
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Batch, Metrics, Outputs, Params, PostUpdate, Scalar

QUANTIZER = "quantizer"  # name of the module in the model and of its subtree of parameters
SPREAD = 60.0  # log of the ratio of the largest to the smallest weight of a candidate


def vq(
    outputs: Outputs,
    *,
    commitment: Scalar = 0.25,
    codebook_weight: Scalar = 1.0,
    key: Array | None = None,
) -> tuple[Array, Metrics]:
    """The loss of the VQ-VAE, in nats per example.

        loss = D + w |sg[z_e] - e|^2 + beta |z_e - sg[e]|^2        D = -log p(x | z)

    with w = `codebook_weight`, beta = `commitment`, and z equal to e in value and to z_e in
    gradient. Squared norms are summed over all places and dimensions, as D is over all pixels, and
    averaged over B. Some implementations average squared errors instead, of an event of n values
    with variance v and P codes of size d. Their ratio of terms corresponds to beta n / (2 P d) here
    with a Gaussian of sigma^2 = v.

    The second term is for a codebook that is a parameter. It is omitted if the codebook is a moving
    average, and so is the third if the codebook is fixed (finite scalar quantization). A uniform
    prior adds a constant, which is part of `rate` and `elbo` but not of the loss. A learned prior
    is fitted by `fit_prior_loss`.

    van den Oord et al., 2017, arXiv:1711.00937, equation 3.

    Args:
      outputs: terms of a `VQVAE`.
      commitment: beta; keeps the encoder close to its codes.
      codebook_weight: w, the weight of the codebook's term.
      key: selects the encoder outputs by which `vq_post_update` replaces unused codes; without it
        there are none.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate`; `quantization_error` |z_e - e|^2;
      `perplexity` of this batch's codes, exp of the entropy of their frequencies, and
      `codes_in_use`, a share of M; `prior_bits_per_code`, -log2 of the prior's mass divided by P;
      and `statistics` for `vq_post_update`.

    Raises:
      ValueError: the posterior is not from a quantizer.
    """
    q = _quantized(outputs)
    freeze = jax.lax.stop_gradient
    distortion, _ = per_example_terms(outputs)
    loss = distortion.mean()
    if q.learning == "gradient":
        loss += codebook_weight * _squared_distance(freeze(q.z_e), q.embedding)
    if q.learning != "none":
        loss += commitment * _squared_distance(q.z_e, freeze(q.embedding))
    return loss, _metrics(loss, outputs, q, key)


def fit_prior_loss(outputs: Outputs, *, key: Array | None = None) -> tuple[Array, Metrics]:
    """Loss = R = -log p(codes), nats per example: the prior's negative log-likelihood of the codes.

    Codes are integers, so only the parameters of the prior have a gradient. Returns the loss [] and
    the metrics of `vq`.

    Raises:
      ValueError: the posterior is not from a quantizer.
    """
    q = _quantized(outputs)
    loss = -outputs.log_pz.mean()
    return loss, _metrics(loss, outputs, q, key)


def prior_pass(model: CodeModel, run: Run) -> Arguments:
    """One pass in which everything but the prior is frozen, without a backward pass through it."""

    def arguments(params: Params, batch: Batch, key: Array) -> tuple[tuple[Outputs, ...], dict]:
        return (run(_freeze_all_but_prior(params), batch, key),), {}

    return arguments


def vq_post_update(
    *,
    decay: Scalar = 0.99,
    epsilon: Scalar = 1e-5,
    revive_below: Scalar | None = 0.1,
    frozen_from: Scalar | None = None,
) -> PostUpdate:
    """The update of a `VectorQuantizer` after the optimizer's: moving averages, revival of codes.

    With the share n_i of code i in this batch, and s_i the sum of its z_e divided by the number of
    all codes,

        N_i <- decay N_i + (1 - decay) n_i        S_i <- decay S_i + (1 - decay) s_i
        e_i = S_i / N_i

    where N_i is smoothed towards uniform use, (N_i + epsilon N / M) / (1 + epsilon) with
    N = sum_i N_i (van den Oord et al., 2017, appendix A.1). The averages start at the codebook's
    initial vectors, in equal use. An unused code keeps its place until its average use falls to
    epsilon. Then it drifts to the origin, unless revived. A codebook that is a parameter is moved
    by the optimizer and has the averages N_i alone.

    A code with N_i < `revive_below` N / M is replaced by a random encoder output of this batch. Its
    average use becomes N / M, with a matching S_i, so that it has time to be used: 230 steps with
    the defaults. The optimizer's statistics of the code stay.

    Averages start from the old parameters: neither weight decay nor momentum reach them. N is [M],
    S and e are [M, d], as in `posteriors.VectorQuantizer`.

    Args:
      decay: rate of the averages.
      epsilon: amount of smoothing, relative to uniform use.
      revive_below: share of uniform use below which a code counts as unused; None: never.
      frozen_from: step from which on the codebook is frozen.

    Raises:
      ValueError: parameters without a codebook; revival without candidates in the statistics.
    """

    def post_update(
        new: Params, old: Params, statistics: Metrics, key: Array, step: Array
    ) -> Params:
        if QUANTIZER not in new.get("codebook", {}):
            raise ValueError(
                "there is no codebook to update, as with finite scalar quantization; omit "
                "vq_post_update"
            )
        before = _codebook(old)
        book = before if "sums" in before else before | {"embedding": _codebook(new)["embedding"]}
        book = _update_averages(book, statistics, decay, epsilon)
        if revive_below is not None:
            book = _revive_codes(book, statistics, revive_below)
        if frozen_from is not None:
            book = jax.tree.map(lambda o, n: jnp.where(step >= frozen_from, o, n), before, book)
        return _with_codebook(new, book)

    return post_update


def _update_averages(
    book: dict[str, Array], statistics: Metrics, decay: Scalar, epsilon: Scalar
) -> dict[str, Array]:
    counts = decay * book["counts"] + (1 - decay) * statistics["counts"]
    if "sums" not in book:
        return book | {"counts": counts}
    sums = decay * book["sums"] + (1 - decay) * statistics["sums"]
    smoothed = (counts + epsilon * counts.mean()) / (1 + epsilon)
    return {"counts": counts, "sums": sums, "embedding": sums / smoothed[:, None]}


def _revive_codes(
    book: dict[str, Array], statistics: Metrics, revive_below: Scalar
) -> dict[str, Array]:
    if "candidates" not in statistics:
        raise ValueError(
            "unused codes are replaced by candidates, which `vq` samples with a key; pass it one, "
            "or revive_below=None"
        )
    vectors, weights = statistics["candidates"]
    counts, candidates = book["counts"], vectors / weights[:, None]
    mean_count = counts.mean()
    dead = counts < revive_below * mean_count
    replacement = {
        "counts": jnp.full_like(counts, mean_count),
        "sums": mean_count * candidates,
        "embedding": candidates,
    }
    return {
        name: jnp.where(dead if old.ndim == 1 else dead[:, None], replacement[name], old)
        for name, old in book.items()
    }


def _codebook(params: Params) -> dict[str, Array]:
    """The arrays `counts`, `embedding` and, for moving averages, `sums`."""
    book = dict(params["codebook"][QUANTIZER])
    if "embedding" not in book:
        book["embedding"] = params["params"][QUANTIZER]["embedding"]
    return book


def _with_codebook(params: Params, book: dict[str, Array]) -> Params:
    if "sums" in book:
        return {**params, "codebook": {QUANTIZER: book}}
    quantizer = {**params["params"][QUANTIZER], "embedding": book["embedding"]}
    modules = {**params["params"], QUANTIZER: quantizer}
    return {**params, "params": modules, "codebook": {QUANTIZER: {"counts": book["counts"]}}}


def _freeze_all_but_prior(params: Params) -> Params:
    modules = {
        name: tree if name == "prior" else jax.lax.stop_gradient(tree)
        for name, tree in params["params"].items()
    }
    return {**params, "params": modules}


def _quantized(outputs: Outputs) -> Quantized:
    if not isinstance(outputs.posterior, Quantized):
        raise ValueError(
            "the loss of codes needs a posterior that is Quantized, not a "
            f"{type(outputs.posterior).__name__}"
        )
    return outputs.posterior


def _squared_distance(a: Array, b: Array) -> Array:
    """|a - b|^2 for a, b [B, D], summed over D, mean over B."""
    return jnp.square(a - b).sum(-1).mean()


def _metrics(loss: Array, outputs: Outputs, q: Quantized, key: Array | None) -> Metrics:
    q = jax.lax.stop_gradient(q)
    statistics = _statistics(q, key)
    shares = statistics["counts"]
    rate = -jax.lax.stop_gradient(outputs.log_pz).mean()
    return bound_metrics(loss, outputs) | {
        "quantization_error": _squared_distance(q.z_e, q.embedding),
        "perplexity": jnp.exp(-jax.scipy.special.xlogy(shares, shares).sum()),
        "codes_in_use": (shares > 0).mean(dtype=shares.dtype),
        "prior_bits_per_code": rate / (math.prod(q.codes.shape[1:]) * math.log(2)),
        "statistics": statistics,
    }


def _statistics(q: Quantized, key: Array | None) -> dict[str, Any]:
    """Means that move the codebook; `pmap` averages them over devices without changing them.

    counts [M], shares of all codes; sums [M, d], of their z_e; candidates, M encoder outputs times
    their weights, and the weights. Weights are so unequal that the mean over devices, divided by
    the mean of the weights, is again close to a vector.
    """
    vectors, codes = q.z_e.reshape(q.codes.size, -1), q.codes.reshape(-1)
    one_hot = jax.nn.one_hot(codes, q.num_codes, dtype=jnp.float32)
    sums = jnp.matmul(one_hot.T, vectors, precision=jax.lax.Precision.HIGHEST) / len(codes)
    statistics: dict[str, Any] = {"counts": one_hot.mean(0), "sums": sums}
    if key is not None:
        key_index, key_weight = jax.random.split(key)
        index = jax.random.randint(key_index, (q.num_codes,), 0, len(codes), jnp.int32)
        weights = jnp.exp(-SPREAD * jax.random.uniform(key_weight, (q.num_codes,), jnp.float32))
        statistics["candidates"] = (vectors[index] * weights[:, None], weights)
    return statistics
