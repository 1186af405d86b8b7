"""FactorVAE: the total correlation, estimated by a critic that is trained along with the model."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from vae_jax.models.base import CriticModel
from vae_jax.objectives.loss import Arguments, Run
from vae_jax.objectives.requirements import check_density, check_flat
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Batch, Metrics, Outputs, Params, Scalar

Critic: TypeAlias = Callable[[Array], Array]
"""z [N, D] -> logits [N, 2]: z is from q(z), or from the product of its marginals."""


def permute_dimensions(key: Array, z: Array) -> Array:
    """Shuffle each dimension of z [..., B, D] over the batch: draws of the product of marginals."""
    return jax.random.permutation(key, z, axis=-2, independent=True)


def factor(
    outputs: Outputs, *, critic: Critic, frozen_critic: Critic, key: Array, tc_weight: Scalar = 6.0
) -> tuple[Array, Metrics]:
    """The negative ELBO plus total correlation plus the critic's loss, as one scalar.

        loss = D + R + gamma TC + C
        TC = E_q(z)[D_0(z) - D_1(z)]                                        the critic D is frozen
        C  = -E[log softmax(D(z))_0] / 2 - E[log softmax(D(z'))_1] / 2      z and z' are constant

    where z' are the z with each dimension permuted over the batch. The first three terms train the
    model only, the last term the critic only. gamma = 0 is the ELBO. Kim and Mnih, 2018,
    arXiv:1802.05983; the paper uses z' from a second batch.

    Args:
      outputs: the terms of one pass, [K, B].
      critic: z [N, D] -> logits [N, 2].
      frozen_critic: the same with constant parameters.
      key: PRNG key for the permutations.
      tc_weight: gamma.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, tc, critic_loss, critic_accuracy`;
      `loss` includes the critic's, which is log 2 at chance level.

    Raises:
      ValueError: a deterministic posterior, or the posterior of a hierarchical model.
    """
    check_density("factor", outputs)
    check_flat("factor", outputs)
    rows = outputs.z.reshape(-1, outputs.z.shape[-1])
    logits = frozen_critic(rows)
    tc = (logits[:, 0] - logits[:, 1]).mean()
    z = jax.lax.stop_gradient(outputs.z)
    permuted = permute_dimensions(key, z).reshape(rows.shape)
    critic_loss, critic_accuracy = _discrimination(critic(z.reshape(rows.shape)), critic(permuted))
    distortion, rate = (term.mean() for term in per_example_terms(outputs))
    loss = distortion + rate + tc_weight * tc + critic_loss
    metrics = {"tc": tc, "critic_loss": critic_loss, "critic_accuracy": critic_accuracy}
    return loss, bound_metrics(loss, outputs) | metrics


def _discrimination(joint: Array, product: Array) -> tuple[Array, Array]:
    """Cross-entropy and accuracy of logits [N, 2] of draws from q(z) and from its marginals."""
    loss = -(jax.nn.log_softmax(joint)[:, 0].mean() + jax.nn.log_softmax(product)[:, 1].mean()) / 2
    correct = jnp.concatenate([joint[:, 0] > joint[:, 1], product[:, 1] > product[:, 0]])
    return loss, correct.mean()


def critic_pass(model: CriticModel, run: Run) -> Arguments:
    """One pass and the critic, twice: trainable and frozen.

    The paper gives each player its own optimizer, as `optax.partition` does.

    Raises:
      ValueError: a model without a critic.
    """
    if model.critic is None:
        raise ValueError(
            "factor needs a model with a critic, z [N, D] -> logits [N, 2], such as `nets.Critic`; "
            "the model has none"
        )

    def critic_with(params: Params) -> Critic:
        return lambda z: model.apply(params, z, method="criticize")

    def arguments(params: Params, batch: Batch, key: Array) -> tuple[tuple[Outputs, ...], dict]:
        frozen = jax.lax.stop_gradient(params)
        critics = {"critic": critic_with(params), "frozen_critic": critic_with(frozen)}
        return (run(params, batch, key),), critics

    return arguments
