"""M2: a conditional VAE whose y is known for some examples, and a latent variable for the others."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.corruptions import Corruption
from vae_jax.objectives.loss import at_step, one_pass
from vae_jax.objectives.requirements import check_density
from vae_jax.objectives.terms import per_example_terms
from vae_jax.types import Array, Batch, LossFn, Metrics, Outputs, Params, Scalar, Schedule


def semi_supervised(
    outputs: Outputs, *, logits: Array, y: Array, alpha: Scalar = 1.0
) -> tuple[Array, Metrics]:
    """The loss of M2 (Kingma et al., 2014, arXiv:1406.5298), with p(y) uniform over C classes.

        y known      -elbo(x, y) - log p(y) - alpha log q(y | x)
        unknown      sum_c q(c | x) (-elbo(x, c) - log p(c)) - H(q(y | x))

    Both bounds are one: E_pi[-elbo(x, c)] + KL(pi || p(y)), with pi = q(y | x), or all on y where it is known. So the KL of
    y counts as rate, and `elbo` bounds log p(x, y) where y is known, log p(x) elsewhere.

    Args:
      outputs: the terms of C passes, [K, C B]: all examples with class 0, then all with class 1, ...
      logits: of q(y | x), [B, C].
      y: [B], whole numbers; negative where unknown.
      alpha: weight, per example with a known y, of the classifier's loss on it; without it, q(y | x) learns from the others
        alone. 0 is the bound.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, label_rate, classification` (the classifier's loss on known y, as
      it enters, without alpha), `labelled` (their share) and `accuracy` on them, NaN where a batch has none.

    Raises:
      ValueError: a deterministic posterior; outputs that aren't of C B rows.
    """
    check_density("semi_supervised", outputs)
    batch_size, num_classes = logits.shape
    if outputs.log_px_z.shape[1] != num_classes * batch_size or y.shape != (batch_size,):
        raise ValueError(
            f"outputs of {outputs.log_px_z.shape[1]} rows and y of shape {y.shape}: must be {num_classes} classes times "
            f"{batch_size} examples, and [{batch_size}]"
        )
    labelled = y >= 0
    log_q = jax.nn.log_softmax(logits)
    classes = jnp.where(
        labelled[:, None], jax.nn.one_hot(y, num_classes), jnp.exp(log_q)
    )  # pi [B, C]
    distortion, rate = (
        (classes.T * term.reshape(num_classes, batch_size)).sum(0).mean()
        for term in per_example_terms(outputs)
    )
    negative_entropy = jnp.where(labelled, 0, (jnp.exp(log_q) * log_q).sum(-1))
    label_rate = (jnp.log(float(num_classes)) + negative_entropy).mean()
    classification = -jnp.where(
        labelled, (jax.nn.one_hot(y, num_classes) * log_q).sum(-1), 0
    ).mean()
    bound = -(distortion + rate + label_rate)
    loss = -bound + alpha * classification
    metrics = {
        "loss": loss,
        "elbo": bound,
        "distortion": distortion,
        "rate": rate + label_rate,
        "label_rate": label_rate,
    }
    right = (labelled & (logits.argmax(-1) == y)).sum()
    accuracy = jnp.where(labelled.any(), right / jnp.maximum(labelled.sum(), 1), jnp.nan)
    return loss, metrics | {
        "classification": classification,
        "labelled": labelled.mean(),
        "accuracy": accuracy,
    }


def make_semi_supervised_loss_fn(
    model: nn.Module,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    **hyper_parameters: Scalar | Schedule,
) -> LossFn:
    """(params, batch, key, step) -> (loss, metrics) of `semi_supervised`, for batches with "y" [B], -1 where it is unknown.

    The model is conditional on classes (`nets.OneHot`) and has a `classifier`. It is run with each class for each example,
    C B rows in one pass. Arguments as in `make_loss_fn`; the classifier sees x without corruption.

    Raises:
      ValueError: a model without a classifier, or that isn't conditional on classes.
    """
    num_classes = getattr(getattr(model, "conditioning", None), "num_classes", None)
    if num_classes is None or getattr(model, "classifier", None) is None:
        raise ValueError(
            "semi_supervised needs a model with a classifier, x [N, *E] -> logits, and conditional on classes, as `nets.OneHot`"
        )

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        x, batch_size = batch["x"], len(batch["x"])
        every = {
            "x": jnp.broadcast_to(x, (num_classes, *x.shape)).reshape(-1, *x.shape[1:]),
            "y": jnp.repeat(jnp.arange(num_classes), batch_size),
        }
        outputs = one_pass(
            model, params, every, key, num_samples=num_samples, corruption=corruption
        )
        logits = model.apply(params, x, method="classify")
        return semi_supervised(
            outputs, logits=logits, y=batch["y"], **at_step(hyper_parameters, step)
        )

    return loss_fn
