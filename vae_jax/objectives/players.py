"""Two-player losses: separate gradients for the inference network and the generative model."""

import jax

from vae_jax.models.base import Model
from vae_jax.nets.attributes import read_attribute
from vae_jax.objectives.loss import Arguments, Run
from vae_jax.types import Array, Batch, Outputs, Params

INFERENCE = frozenset({"encoder", "posterior"})  # names of the modules that make up q(z | x)


def two_player_pass(model: Model, run: Run) -> Arguments:
    """Two passes with equal values, for `dreg` and `piwae`: (inference, generative, ...).

    They differ in what is differentiated: `inference` in the parameters of encoder and posterior,
    `generative` in the rest. Compiled, the two forward passes are one. Parameters of a condition
    count as generative. The model's parameters must lie under the names of its modules.

    Raises:
      ValueError: a prior that contains the encoder and so belongs to both players; a model without
        a `posterior`.
    """
    if model.posterior is None:
        raise ValueError(
            f"{type(model).__name__} has no module `posterior`: its inference and its prior share "
            "parameters; use `iwae`"
        )
    if read_attribute(model.prior, "needs_encode"):
        raise ValueError(
            f"a {type(model.prior).__name__} contains the encoder and so belongs to both players; "
            "use another prior, or `iwae`"
        )

    def arguments(params: Params, batch: Batch, key: Array) -> tuple[tuple[Outputs, ...], dict]:
        inference = run(select_player(params, "inference"), batch, key)
        generative = run(select_player(params, "generative"), batch, key)
        return (inference, generative), {}

    return arguments


def select_player(params: Params, player: str) -> Params:
    """Freeze the parameters of the other player; `player` is "inference" or "generative"."""
    modules = {
        name: tree
        if (name in INFERENCE) == (player == "inference")
        else jax.lax.stop_gradient(tree)
        for name, tree in params["params"].items()
    }
    return {**params, "params": modules}
