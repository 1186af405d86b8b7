"""Losses of discrete codes: the VQ-VAE, the prior that is fitted to its codes afterwards, and the averages of its codebook.

A run has up to two phases. Before step S = `prior_from` the loss is `vq`; from S on it is `fit_prior_loss`, whose gradient is
that of the prior alone. A gradient of zero is not yet a parameter at rest, under weight decay or momentum, so a run with two
phases scales the optimizer's updates: those of ``params["params"]["prior"]`` by 0 before S, all others by 0 from S on. The
codebook is held by `vq_post_update` with ``frozen_from=S``.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.corruptions import Corruption
from vae_jax.distributions import Quantized
from vae_jax.objectives.loss import at_step, objective_key, one_pass
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import (
    Array,
    Batch,
    LossFn,
    Metrics,
    Outputs,
    Params,
    PostUpdate,
    Scalar,
    Schedule,
)

QUANTIZER = "quantizer"  # the name of the module in the model, and so in the tree of parameters
SPREAD = 60.0  # log of the ratio of the largest to the smallest weight of a candidate


def vq(
    outputs: Outputs,
    *,
    commitment: Scalar = 0.25,
    codebook_weight: Scalar = 1.0,
    key: Array | None = None,
) -> tuple[Array, Metrics]:
    """The loss of the VQ-VAE, in nats per example.

        loss = D + w |sg[z_e] - e|^2 + beta |z_e - sg[e]|^2        D = -log p(x | z), z = e in value and z_e in gradient

    with w = `codebook_weight`, beta = `commitment`, the squared norms summed over all places and dimensions as D is over all
    pixels, and the mean over B. Implementations that take means of squared errors instead, of an event of n values with
    variance v and P codes of size d, have the same ratio of terms as beta n / (2 P d) here with a Gaussian of sigma^2 = v.

    The second term is for a codebook that is a parameter: it is left out where the codebook is a moving average, and both are
    where it is fixed (finite scalar quantization). A uniform prior adds a constant, which the loss leaves out and the metrics
    have, in `rate` and `elbo`; a prior that is learned is fitted by `fit_prior_loss`.

    van den Oord et al., 2017, arXiv:1711.00937, equation 3.

    Args:
      outputs: of a `VQVAE`.
      commitment: what holds the encoder to its codes.
      codebook_weight: of the codebook's own term.
      key: for the encoder's outputs that `vq_post_update` replaces unused codes by; without, there are none.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate`; `quantization_error` |z_e - e|^2; of the codes of this batch the
      `perplexity`, exp of the entropy of their frequencies, and `codes_in_use`, a share of M; `prior_bits_per_code`, -log2 of
      the prior's mass divided by P; and `statistics` for `vq_post_update`.

    Raises:
      ValueError: the posterior is not that of a quantizer.
    """
    q = _quantized(outputs)
    held = jax.lax.stop_gradient
    distortion, _ = per_example_terms(outputs)
    loss = distortion.mean()
    if q.learning == "gradient":
        loss += codebook_weight * _squared_distance(held(q.z_e), q.embedding)
    if q.learning != "none":
        loss += commitment * _squared_distance(q.z_e, held(q.embedding))
    return loss, _metrics(loss, outputs, q, key)


def fit_prior_loss(outputs: Outputs, *, key: Array | None = None) -> tuple[Array, Metrics]:
    """Loss = R = -log p(codes), nats per example: the prior's negative log-likelihood of the codes that the encoder chose.

    Codes are integers, so the gradient is in the parameters of the prior alone. The metrics are those of `vq`.
    """
    q = _quantized(outputs)
    loss = -outputs.log_pz.mean()
    return loss, _metrics(loss, outputs, q, key)


def make_vq_loss_fn(
    model: nn.Module,
    *,
    commitment: Scalar | Schedule = 0.25,
    codebook_weight: Scalar | Schedule = 1.0,
    prior_from: Scalar | None = None,
    corruption: Corruption | None = None,
) -> LossFn:
    """(params, batch, key, step) -> (loss, metrics): `vq`, and from step `prior_from` on `fit_prior_loss`.

    The metrics are the same in both phases, but the second one takes no gradient of encoder and decoder, in arithmetic either
    (unless it is under `vmap`, which computes both). See the module for what the optimizer must do.
    """
    hyper_parameters = {"commitment": commitment, "codebook_weight": codebook_weight}

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        key_vq = objective_key(key)

        def fit_model(params: Params) -> tuple[Array, Metrics]:
            outputs = one_pass(model, params, batch, key, corruption=corruption)
            return vq(outputs, key=key_vq, **at_step(hyper_parameters, step))

        def fit_prior(params: Params) -> tuple[Array, Metrics]:
            return fit_prior_loss(
                one_pass(model, _only_prior(params), batch, key, corruption=corruption), key=key_vq
            )

        if prior_from is None:
            return fit_model(params)
        return jax.lax.cond(step < prior_from, fit_model, fit_prior, params)

    return loss_fn


def vq_post_update(
    *,
    decay: Scalar = 0.99,
    epsilon: Scalar = 1e-5,
    revive_below: Scalar | None = 0.1,
    frozen_from: Scalar | None = None,
) -> PostUpdate:
    """What moves the codebook of a `VectorQuantizer` after the optimizer's step: moving averages, and the reuse of idle codes.

    With the share n_i of this batch's codes that are i, and s_i the sum of their z_e divided by the number of all codes,

        N_i <- decay N_i + (1 - decay) n_i        S_i <- decay S_i + (1 - decay) s_i        e_i = S_i / N_i

    where N_i is smoothed towards uniform use, (N_i + epsilon N / M) / (1 + epsilon) with N = sum_i N_i (van den Oord et al.,
    2017, appendix A.1). The averages begin with the vectors that the codebook begins with, in equal use. A code that
    is not used stays where it is, until its average use is no more than epsilon; then it drifts to the origin, unless revived.
    A codebook that is a parameter is moved by the optimizer, and has the averages N_i alone.

    A code with N_i < `revive_below` N / M takes the place of an output of the encoder drawn from this batch, and the average
    use N / M with its S_i, so that it has time to be used: with the defaults, 230 steps. What an optimizer knows of it is left.

    What was there before the step is read from the old parameters: neither weight decay nor momentum reach an average.

    Args:
      decay: of the averages.
      epsilon: of the smoothing, relative to uniform use.
      revive_below: share of uniform use below which a code counts as unused; None: never.
      frozen_from: step from which on the codebook stays as it is.

    Raises:
      ValueError: parameters without a codebook; statistics without candidates, where codes are to be revived.
    """

    def post_update(
        new: Params, old: Params, statistics: Metrics, key: Array, step: Array
    ) -> Params:
        if QUANTIZER not in new.get("codebook", {}):
            raise ValueError(
                "there is no codebook to update, as with finite scalar quantization; leave vq_post_update out"
            )
        before, after = _codebook(old), _codebook(new)
        book = before | ({} if "sums" in before else {"embedding": after["embedding"]})
        book = _averaged(book, statistics, decay, epsilon)
        if revive_below is not None:
            book = _revived(book, statistics, revive_below)
        if frozen_from is not None:
            book = jax.tree.map(lambda o, n: jnp.where(step >= frozen_from, o, n), before, book)
        return _with_codebook(new, book)

    return post_update


def _averaged(
    book: dict[str, Array], statistics: Metrics, decay: Scalar, epsilon: Scalar
) -> dict[str, Array]:
    counts = decay * book["counts"] + (1 - decay) * statistics["counts"]
    if "sums" not in book:
        return book | {"counts": counts}
    sums = decay * book["sums"] + (1 - decay) * statistics["sums"]
    smoothed = (counts + epsilon * counts.mean()) / (1 + epsilon)
    return {"counts": counts, "sums": sums, "embedding": sums / smoothed[:, None]}


def _revived(book: dict[str, Array], statistics: Metrics, revive_below: Scalar) -> dict[str, Array]:
    if "candidates" not in statistics:
        raise ValueError(
            "unused codes are revived from candidates, which `vq` draws with a key; give it one, or revive_below=None"
        )
    vectors, weights = statistics["candidates"]
    counts, candidates = book["counts"], vectors / weights[:, None]
    usual = counts.mean()
    dead = counts < revive_below * usual
    fresh = {
        "counts": jnp.full_like(counts, usual),
        "sums": usual * candidates,
        "embedding": candidates,
    }
    return {
        name: jnp.where(dead if old.ndim == 1 else dead[:, None], fresh[name], old)
        for name, old in book.items()
    }


def _codebook(params: Params) -> dict[str, Array]:
    """What there is of `counts, sums, embedding`, wherever it lies."""
    book = params["codebook"][QUANTIZER]
    return (
        dict(book)
        if "embedding" in book
        else {**book, "embedding": params["params"][QUANTIZER]["embedding"]}
    )


def _with_codebook(params: Params, book: dict[str, Array]) -> Params:
    if "sums" in book:
        return {**params, "codebook": {QUANTIZER: book}}
    quantizer = {**params["params"][QUANTIZER], "embedding": book["embedding"]}
    modules = {**params["params"], QUANTIZER: quantizer}
    return {**params, "params": modules, "codebook": {QUANTIZER: {"counts": book["counts"]}}}


def _only_prior(params: Params) -> Params:
    """The parameters, all but those of the prior held constant."""
    modules = {
        name: tree if name == "prior" else jax.lax.stop_gradient(tree)
        for name, tree in params["params"].items()
    }
    return {**params, "params": modules}


def _quantized(outputs: Outputs) -> Quantized:
    if not isinstance(outputs.posterior, Quantized):
        raise ValueError(
            f"the loss of codes needs a posterior that is Quantized, not a {type(outputs.posterior).__name__}"
        )
    return outputs.posterior


def _squared_distance(a: Array, b: Array) -> Array:
    """|a - b|^2 for a, b [B, D], summed over D, mean over B."""
    return jnp.square(a - b).sum(-1).mean()


def _metrics(loss: Array, outputs: Outputs, q: Quantized, key: Array | None) -> Metrics:
    q = jax.lax.stop_gradient(q)
    statistics = _statistics(q, key)
    shares, rate = statistics["counts"], -jax.lax.stop_gradient(outputs.log_pz).mean()
    return bound_metrics(loss, outputs) | {
        "quantization_error": _squared_distance(q.z_e, q.embedding),
        "perplexity": jnp.exp(-jax.scipy.special.xlogy(shares, shares).sum()),
        "codes_in_use": (shares > 0).mean(),
        "prior_bits_per_code": rate / (math.prod(q.codes.shape[1:]) * math.log(2)),
        "statistics": statistics,
    }


def _statistics(q: Quantized, key: Array | None) -> Metrics:
    """What the codebook moves by, as means: the same on one device and on many, whose means `pmap` takes.

    counts [M], shares of all codes; sums [M, d], of their z_e; candidates, M outputs of the encoder with a weight each,
    both times that weight. Weights are so unequal that the mean over devices, divided by that of the weights, is one of the
    vectors again, about.
    """
    vectors, codes = q.z_e.reshape(q.codes.size, -1), q.codes.reshape(-1)
    chosen = jax.nn.one_hot(codes, q.num_codes)
    sums = jnp.matmul(chosen.T, vectors, precision=jax.lax.Precision.HIGHEST) / len(codes)
    statistics = {"counts": chosen.mean(0), "sums": sums}
    if key is not None:
        key_index, key_weight = jax.random.split(key)
        index = jax.random.randint(key_index, (q.num_codes,), 0, len(codes))
        weights = jnp.exp(-SPREAD * jax.random.uniform(key_weight, (q.num_codes,)))
        statistics["candidates"] = (vectors[index] * weights[:, None], weights)
    return statistics
