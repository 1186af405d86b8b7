"""FactorVAE: the total correlation by a critic that is trained beside the model."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.corruptions import Corruption
from vae_jax.objectives.loss import at_step, objective_key, one_pass
from vae_jax.objectives.requirements import check_density, check_flat
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Batch, LossFn, Metrics, Outputs, Params, Scalar, Schedule

Critic = Callable[
    [Array], Array
]  # z [N, D] -> logits [N, 2]: drawn from q(z), or from the product of its marginals


def permute_dimensions(key: Array, z: Array) -> Array:
    """Each dimension of z [..., B, D] shuffled over the batch on its own: draws from the product of the marginals."""
    return jax.random.permutation(key, z, axis=-2, independent=True)


def factor(
    outputs: Outputs, *, critic: Critic, frozen_critic: Critic, key: Array, tc_weight: Scalar = 6.0
) -> tuple[Array, Metrics]:
    """The negative ELBO plus the total correlation, with the loss of the critic that estimates it, as one scalar.

        loss = D + R + gamma TC + C
        TC = E_q(z)[D_0(z) - D_1(z)]                                               with the critic D held constant
        C  = -E[log softmax(D(z))_0] / 2 - E[log softmax(D(z'))_1] / 2             with z and z' held constant

    where z' are the z with each dimension permuted over the batch. The model has the gradient of the first three terms
    only, the critic that of the last only; gamma = 0 is the ELBO. Kim and Mnih, 2018, arXiv:1802.05983; the paper takes
    z' from a second batch.

    Args:
      outputs: the terms of one pass, [K, B].
      critic: z [N, D] -> logits [N, 2].
      frozen_critic: the same with its parameters held constant.
      key: of the permutations.
      tc_weight: gamma.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, tc, critic_loss, critic_accuracy`; `loss` includes the critic's,
      which is log 2 for one that can't tell.

    Raises:
      ValueError: a deterministic posterior, or that of a hierarchical model.
    """
    check_density("factor", outputs)
    check_flat("factor", outputs)
    rows = outputs.z.reshape(-1, outputs.z.shape[-1])
    logits = frozen_critic(rows)
    tc = (logits[:, 0] - logits[:, 1]).mean()
    held = jax.lax.stop_gradient(outputs.z)
    permuted = permute_dimensions(key, held).reshape(rows.shape)
    critic_loss, critic_accuracy = _discrimination(
        critic(held.reshape(rows.shape)), critic(permuted)
    )
    distortion, rate = (term.mean() for term in per_example_terms(outputs))
    loss = distortion + rate + tc_weight * tc + critic_loss
    metrics = {"tc": tc, "critic_loss": critic_loss, "critic_accuracy": critic_accuracy}
    return loss, bound_metrics(loss, outputs) | metrics


def _discrimination(joint: Array, product: Array) -> tuple[Array, Array]:
    """Cross-entropy and accuracy of the logits [N, 2] of draws from q(z) and from the product of its marginals."""
    loss = -(jax.nn.log_softmax(joint)[:, 0].mean() + jax.nn.log_softmax(product)[:, 1].mean()) / 2
    right = jnp.concatenate([joint[:, 0] > joint[:, 1], product[:, 1] > product[:, 0]])
    return loss, right.mean()


def make_factor_loss_fn(
    model: nn.Module,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    **hyper_parameters: Scalar | Schedule,
) -> LossFn:
    """(params, batch, key, step) -> (loss, metrics) of `factor` for a model with a `critic`.

    Arguments as in `make_loss_fn`. The paper gives each player an optimizer of its own, as `optax.partition` does.

    Raises:
      ValueError: a model without a critic.
    """
    if getattr(model, "critic", None) is None:
        raise ValueError(
            "factor needs a model with a critic, z [N, D] -> logits [N, 2], as `nets.Critic`; this one has none"
        )

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        def critic_with(params: Params) -> Critic:
            return lambda z: model.apply(params, z, method="criticise")

        outputs = one_pass(
            model, params, batch, key, num_samples=num_samples, corruption=corruption
        )
        return factor(
            outputs,
            critic=critic_with(params),
            frozen_critic=critic_with(jax.lax.stop_gradient(params)),
            key=objective_key(key),
            **at_step(hyper_parameters, step),
        )

    return loss_fn
