"""Build the optimizer from a config."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vae_jax import schedules
from vae_jax.config import Config
from vae_jax.experiment.builders.lookup import is_on, pick, value_or_none
from vae_jax.types import Params, Schedule

OPTIMIZERS = {"adam": optax.adam, "adamw": optax.adamw, "adamax": optax.adamax}
LEARNING_RATES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda peak, num_steps: schedules.constant(peak),
    "cosine": schedules.cosine,
    "linear": lambda peak, num_steps: schedules.linear(peak, 0.0, num_steps),
}


def build_optimizer(config: Config) -> optax.GradientTransformation:
    """Clipping, then the optimizer with its schedule; one each for two players or two phases."""
    if config.objective.name == "factor":
        # b1 and b2 as in Locatello et al., 2019, arXiv:1811.12359
        critic = optax.adam(config.optimizer.critic_rate, b1=0.5, b2=0.9)
        rest = _optimizer(config, config.train.num_steps)
        return optax.partition({"critic": critic, "rest": rest}, _labels("critic"))
    start = prior_from(config)
    if start is not None:
        prior = skip_zero_gradients(_optimizer(config, config.codes.prior_steps))
        rest = skip_zero_gradients(_optimizer(config, start))
        return optax.partition({"prior": prior, "rest": rest}, _labels("prior"))
    return _optimizer(config, config.train.num_steps)


def prior_from(config: Config) -> int | None:
    """The first step that fits the prior of codes alone, or None if no step does."""
    return config.train.num_steps - config.codes.prior_steps if config.codes.prior_steps else None


def skip_zero_gradients(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Skip the update if the gradient is all zeros: no momentum, decay or step of the schedule."""

    def update(gradient: Any, state: Any, params: Params | None = None) -> tuple[Any, Any]:
        is_active = optax.tree.norm(gradient) > 0
        updates, new_state = tx.update(gradient, state, params)
        return (
            jax.tree.map(lambda u: jnp.where(is_active, u, 0), updates),
            jax.tree.map(lambda new, old: jnp.where(is_active, new, old), new_state, state),
        )

    return optax.GradientTransformation(tx.init, update)


def _optimizer(config: Config, num_steps: int) -> optax.GradientTransformation:
    """The optimizer for `num_steps` steps."""
    c = config.optimizer
    rate = _schedule(config, num_steps)
    options = {"eps": c.epsilon}
    if c.name == "adamw":
        options["weight_decay"] = c.weight_decay
    tx = pick(OPTIMIZERS, "optimizer.name", c.name)(rate, **options)
    # The state has one structure with clipping and without: some trials of a sweep may clip.
    clip = optax.identity()
    if value_or_none(c, "clip_norm") is not None:
        max_norm = jnp.where(c.clip_norm > 0, c.clip_norm, jnp.inf)
        clip = optax.clip_by_global_norm(max_norm)
    return optax.chain(clip, tx)


def _schedule(config: Config, num_steps: int) -> Schedule:
    """The learning rate by step."""
    c = config.optimizer
    make_rate = pick(LEARNING_RATES, "optimizer.schedule", c.schedule)
    rate = make_rate(c.learning_rate, num_steps - c.warmup_steps)
    if is_on(c.warmup_steps):
        rate = schedules.warmup(rate, c.learning_rate, c.warmup_steps)
    return rate


def final_learning_rate(config: Config, step: int) -> float:
    """The learning rate of the update that led to `step`; the prior's in its own phase."""
    start = prior_from(config)
    if start is None:
        return float(_schedule(config, config.train.num_steps)(step - 1))
    if step <= start:
        return float(_schedule(config, start)(step - 1))
    return float(_schedule(config, config.codes.prior_steps)(step - start - 1))


def _labels(module: str) -> Callable[[Params], Any]:
    """Params -> labels: the name of the module for its parameters, else "rest"."""

    def labels(params: Params) -> Any:
        def label(path: tuple[Any, ...], _: Any) -> str:
            return module if len(path) > 1 and getattr(path[1], "key", None) == module else "rest"

        return jax.tree_util.tree_map_with_path(label, params)

    return labels
