"""From a config to its optimizer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vae_jax import schedules
from vae_jax.config import Config
from vae_jax.experiment.builders.lookup import is_on, pick
from vae_jax.types import Params, Schedule

OPTIMIZERS = {"adam": optax.adam, "adamw": optax.adamw, "adamax": optax.adamax}
LEARNING_RATES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda peak, num_steps: schedules.constant(peak),
    "cosine": schedules.cosine,
    "linear": lambda peak, num_steps: schedules.linear(peak, 0.0, num_steps),
}


def build_optimizer(config: Config) -> optax.GradientTransformation:
    """Clipping, then the optimizer under its learning-rate schedule; players of an objective have one each."""
    if config.objective.name == "factor":
        critic = optax.adam(
            config.optimizer.critic_rate, b1=0.5, b2=0.9
        )  # Locatello et al., 2019, arXiv:1811.12359
        return optax.partition(
            {"critic": critic, "rest": _optimizer(config, config.train.num_steps)},
            _labels("critic"),
        )
    if config.codes.prior_steps:
        rest, prior = (
            _optimizer(config, num_steps)
            for num_steps in (prior_from(config), config.codes.prior_steps)
        )
        return optax.partition({"prior": at_rest(prior), "rest": at_rest(rest)}, _labels("prior"))
    return _optimizer(config, config.train.num_steps)


def prior_from(config: Config) -> int | None:
    """The first of the steps that fit the prior of codes, and nothing else; None where no steps do."""
    return config.train.num_steps - config.codes.prior_steps if config.codes.prior_steps else None


def at_rest(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """The optimizer, but at a gradient that is zero throughout it rests: no momentum, no decay, no step of its schedule."""

    def update(gradient: Any, state: Any, params: Params | None = None) -> tuple[Any, Any]:
        moved = optax.tree.norm(gradient) > 0
        updates, new_state = tx.update(gradient, state, params)
        return (
            jax.tree.map(lambda u: jnp.where(moved, u, 0), updates),
            jax.tree.map(lambda new, old: jnp.where(moved, new, old), new_state, state),
        )

    return optax.GradientTransformation(tx.init, update)


def _optimizer(config: Config, num_steps: int) -> optax.GradientTransformation:
    """The optimizer of so many steps."""
    c = config.optimizer
    make_rate = pick(LEARNING_RATES, "optimizer.schedule", c.schedule)
    rate = make_rate(c.learning_rate, num_steps - c.warmup_steps)
    if is_on(c.warmup_steps):
        rate = schedules.warmed_up(rate, c.learning_rate, c.warmup_steps)
    options = {"weight_decay": c.weight_decay} if c.name == "adamw" else {}
    tx = pick(OPTIMIZERS, "optimizer.name", c.name)(rate, **options)
    if not is_on(c.clip_norm):
        return optax.chain(
            optax.identity(), tx
        )  # a state of the same structure: of the trials of a sweep, some may clip
    max_norm = jnp.where(c.clip_norm > 0, c.clip_norm, jnp.inf)
    return optax.chain(optax.clip_by_global_norm(max_norm), tx)


def _labels(module: str) -> Callable[[Params], Any]:
    """Params to a tree of labels: that name for the parameters of the module, "rest" for all others."""

    def labels(params: Params) -> Any:
        def label(path: tuple[Any, ...], _: Any) -> str:
            return module if len(path) > 1 and getattr(path[1], "key", None) == module else "rest"

        return jax.tree_util.tree_map_with_path(label, params)

    return labels
