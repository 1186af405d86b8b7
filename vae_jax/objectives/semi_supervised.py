"""M2: a conditional VAE whose y is known for some examples and latent for the rest."""

import jax
import jax.numpy as jnp

from vae_jax.models.base import ClassifierModel
from vae_jax.nets.attributes import read_attribute
from vae_jax.objectives.loss import Arguments, Run
from vae_jax.objectives.requirements import check_density
from vae_jax.objectives.terms import per_example_terms
from vae_jax.types import Array, Batch, Metrics, Outputs, Params, Scalar


def semi_supervised(
    outputs: Outputs, *, logits: Array, y: Array, alpha: Scalar = 1.0
) -> tuple[Array, Metrics]:
    """The loss of M2 (Kingma et al., 2014, arXiv:1406.5298), with p(y) uniform over C classes.

        y known      -elbo(x, y) - log p(y) - alpha log q(y | x)
        unknown      sum_c q(c | x) (-elbo(x, c) - log p(c)) - H(q(y | x))

    Both bounds are E_pi[-elbo(x, c)] + KL(pi || p(y)), with pi = q(y | x), or one-hot at a known y.
    So the KL of y counts as rate. `elbo` bounds log p(x, y) if y is known, else log p(x).

    Args:
      outputs: the terms of C passes, [K, C B]: all examples with class 0, then with class 1, ...
      logits: q(y | x), [B, C].
      y: [B], integers; negative if unknown.
      alpha: weight, per example with a known y, of the classifier's loss on it. At 0, the bound,
        q(y | x) learns from examples with unknown y alone.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, label_rate, classification` (the
      classifier's loss on known y, without alpha), `labeled` (their share) and `accuracy` on them,
      NaN for a batch without any.

    Raises:
      ValueError: a deterministic posterior; outputs that don't have C B rows.
    """
    check_density("semi_supervised", outputs)
    batch_size, num_classes = logits.shape
    if outputs.log_px_z.shape[1] != num_classes * batch_size or y.shape != (batch_size,):
        raise ValueError(
            f"outputs of {outputs.log_px_z.shape[1]} rows and y of shape {y.shape}: must be "
            f"{num_classes} classes times {batch_size} examples, and [{batch_size}]"
        )
    labeled = y >= 0
    log_q = jax.nn.log_softmax(logits)
    observed = jax.nn.one_hot(y, num_classes, dtype=log_q.dtype)
    classes = jnp.where(labeled[:, None], observed, jnp.exp(log_q))  # pi [B, C]
    distortion, rate = (
        (classes.T * term.reshape(num_classes, batch_size)).sum(0).mean()
        for term in per_example_terms(outputs)
    )
    negative_entropy = jnp.where(labeled, 0, (jnp.exp(log_q) * log_q).sum(-1))
    label_rate = (jnp.log(float(num_classes)) + negative_entropy).mean()
    classification = -jnp.where(labeled, (observed * log_q).sum(-1), 0).mean()
    bound = -(distortion + rate + label_rate)
    loss = -bound + alpha * classification
    metrics = {
        "loss": loss,
        "elbo": bound,
        "distortion": distortion,
        "rate": rate + label_rate,
        "label_rate": label_rate,
    }
    correct = (labeled & (logits.argmax(-1) == y)).sum(dtype=log_q.dtype)
    accuracy = jnp.where(
        labeled.any(), correct / jnp.maximum(labeled.sum(dtype=log_q.dtype), 1), jnp.nan
    )
    return loss, metrics | {
        "classification": classification,
        "labeled": labeled.mean(dtype=log_q.dtype),
        "accuracy": accuracy,
    }


def all_classes_pass(model: ClassifierModel, run: Run) -> Arguments:
    """One pass of C B rows with each class for each example, and the classifier's logits.

    Batches have "y" [B], -1 if unknown. The model is conditional on classes (`nets.OneHot`) and has
    a `classifier`, which sees x without corruption.

    Raises:
      ValueError: a model without a classifier, or one that isn't conditional on classes.
    """
    num_classes = read_attribute(model.conditioning, "num_classes")
    if model.classifier is None or num_classes is None:
        raise ValueError(
            "semi_supervised needs a model with a classifier, x [N, *E] -> logits, and conditional "
            "on classes, as by `nets.OneHot`"
        )

    def arguments(params: Params, batch: Batch, key: Array) -> tuple[tuple[Outputs, ...], dict]:
        x, observed = batch["x"], batch.get("observed")
        rows = {
            "x": jnp.concatenate([x] * num_classes),
            "y": jnp.repeat(jnp.arange(num_classes), len(x)),
        }
        if observed is not None:
            rows["observed"] = jnp.concatenate([observed] * num_classes)
        outputs = run(params, rows, key)
        logits = model.apply(params, x, observed=observed, method="classify")
        return (outputs,), {"logits": logits, "y": batch["y"]}

    return arguments
