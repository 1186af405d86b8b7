"""Losses of two players: the inference network, and the generative model that it infers the latents of."""

from collections.abc import Callable

import jax
from flax import linen as nn

from vae_jax.corruptions import Corruption
from vae_jax.objectives.loss import at_step, one_pass
from vae_jax.priors import VampPrior
from vae_jax.types import Array, Batch, LossFn, Metrics, Params, Scalar, Schedule

INFERENCE = frozenset({"encoder", "posterior"})  # the names of the modules that are q(z | x)

TwoPlayerObjective = Callable[
    ..., tuple[Array, Metrics]
]  # (inference, generative, **hyper-parameters) -> (loss [], metrics)


def make_two_player_loss_fn(
    model: nn.Module,
    objective: TwoPlayerObjective,
    *,
    num_samples: int = 1,
    corruption: Corruption | None = None,
    **hyper_parameters: Scalar | Schedule,
) -> LossFn:
    """(params, batch, key, step) -> (loss, metrics) for an objective with a gradient of its own for encoder and posterior.

    The objective is given two `Outputs` of the same pass, which differ in what is differentiated: `inference` in the
    parameters of encoder and posterior, `generative` in all others. Compiled, the equal forward passes are one. Parameters
    of a condition count as generative.

    Args:
      model: yields `Outputs` from (x, key); its parameters lie under the names of its modules.
      objective: `dreg`, `piwae` or another function of two `Outputs`.
      num_samples: K, draws of z per example.
      corruption: what is done to the encoder's input in a denoising model.
      **hyper_parameters: of the objective; a number, a traced scalar, or a schedule called with the step.

    Raises:
      ValueError: a prior that is made of the encoder, and so belongs to both players; a model without a `posterior`.
    """
    if isinstance(getattr(model, "prior", None), VampPrior):
        raise ValueError(
            "a VampPrior is made of the encoder, and so belongs to both players; take another prior, or `iwae`"
        )
    if getattr(model, "posterior", None) is None:
        raise ValueError(
            f"{type(model).__name__} has no module `posterior`: its inference and its prior share parameters; take `iwae`"
        )

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        inference, generative = (
            one_pass(
                model,
                select_player(params, player),
                batch,
                key,
                num_samples=num_samples,
                corruption=corruption,
            )
            for player in ("inference", "generative")
        )
        return objective(inference, generative, **at_step(hyper_parameters, step))

    return loss_fn


def select_player(params: Params, player: str) -> Params:
    """The parameters, with those that aren't the player's held constant; "inference" or "generative"."""
    modules = {
        name: tree
        if (name in INFERENCE) == (player == "inference")
        else jax.lax.stop_gradient(tree)
        for name, tree in params["params"].items()
    }
    return {**params, "params": modules}
