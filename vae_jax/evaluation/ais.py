"""The marginal likelihood by annealed importance sampling.

The estimates are lower bounds and, on simulated data, upper bounds.

Chains go from the prior to the posterior through p_t(z) ~ p(z) p(x | z)^{t}, 0 <= t <= 1, and

    E[exp(sum_i (t_{i+1} - t_i) log p(x | z_i))] = p(x)                    (Neal, 2001),

so the log of the mean over chains is below log p(x) in expectation. Run backward from an exact draw
of the posterior, which is available for data simulated by the model, the same sum estimates 1 /
p(x), and the estimate is above. The two enclose the truth (Grosse, Ghahramani and Adams, 2015,
arXiv:1511.02543; Wu et al., 2017, arXiv:1611.04273).
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.evaluation.common import mean_estimate
from vae_jax.evaluation.hmc import transition
from vae_jax.evaluation.progress import Progress, split_steps
from vae_jax.evaluation.scan import full_float32
from vae_jax.models.base import LatentModel
from vae_jax.types import Array, Params, pytree_dataclass, static

TUNING_CHAINS = 4
TARGET_ACCEPTANCE = 0.65


@dataclasses.dataclass(frozen=True)
class Annealed:
    """An estimate of log p(x) for each example, and its settings."""

    log_px: np.ndarray  # [B] nats: below log p(x) in expectation; above if run backward
    acceptance: float  # mean acceptance rate of the transitions
    num_chains: int
    num_temperatures: int

    def summary(self) -> dict[str, float]:
        """The mean with its standard error over the examples."""
        log_px = mean_estimate(self.log_px)
        return {
            "log_likelihood": log_px.value,
            "log_likelihood_stderr": log_px.stderr,
            "acceptance": self.acceptance,
            "num_chains": self.num_chains,
            "num_temperatures": self.num_temperatures,
            "num_examples": len(self.log_px),
        }


def temperatures(num: int, *, steepness: float = 4.0) -> Array:
    """A sigmoid ladder [num], 0 = t_0 < ... < t_{num - 1} = 1.

    It is dense at both ends, where the densities change fastest.
    """
    ladder = jax.nn.sigmoid(steepness * jnp.linspace(-1, 1, num, dtype=jnp.float32))
    return (ladder - ladder[0]) / (ladder[-1] - ladder[0])


def run_ais(
    model: LatentModel,
    params: Params,
    x: Array,
    key: Array,
    *,
    num_chains: int = 16,
    num_temperatures: int = 500,
    num_leapfrog: int = 10,
    posterior_z: Array | None = None,
    y: Array | None = None,
    observed: Array | None = None,
) -> Annealed:
    """Estimate log p(x) for x [B, *E], from the prior; or backward, from exact draws `posterior_z`.

    Step sizes of each example and temperature are tuned on separate chains.

    Args:
      model: has continuous latents, `log_joint` and `sample_prior`.
      params: its parameters.
      x: examples.
      key: PRNG key of the chains.
      num_chains: chains for each example.
      num_temperatures: length of the ladder; the bound tightens with it.
      num_leapfrog: steps of a Hamiltonian trajectory.
      posterior_z: [B, D], a draw of p(z | x) for each example: the z of a simulated x, also if
        only a part of x is observed.
      y: condition of the model, if any.
      observed: [B, *E], False at missing values of x: the estimate is of the observed ones.
    """
    ladder = temperatures(num_temperatures)
    key_tune, key_tuning_start, key_start, key_chains = jax.random.split(key, 4)
    given = {} if observed is None else {"observed": observed}
    target = _Target(params, x, y, given, model, num_leapfrog)
    num_steps = num_temperatures - 1
    ranges = split_steps(num_steps)
    tuning = min(TUNING_CHAINS, num_chains)
    with Progress(2 * num_steps, "annealing", "temperatures") as progress:
        # Step sizes, from chains that adapt along the ladder.
        z = _prior(model, params, x, y, key_tuning_start, num=tuning)
        log_size, sizes = jnp.full(len(x), math.log(0.1), jnp.float32), []
        for part in ranges:
            steps = np.asarray(part)
            z, log_size, some = _tune(
                target, key_tune, z, log_size, ladder[steps + 1], jnp.asarray(steps)
            )
            sizes.append(jax.block_until_ready(some))
            progress.update(len(part))
        size = jnp.concatenate(sizes)  # [T - 1, B]
        is_forward = posterior_z is None
        if posterior_z is None:
            z = _prior(model, params, x, y, key_start, num=num_chains)
        else:
            z = jnp.broadcast_to(posterior_z, (num_chains, *posterior_z.shape))
        total, rates = jnp.zeros(z.shape[:2], z.dtype), []
        for part in ranges:
            steps = np.asarray(part)
            rungs = steps if is_forward else num_steps - 1 - steps  # rung i: t_i to t_{i+1}
            path = (ladder[rungs], ladder[rungs + 1], size[rungs], jnp.asarray(steps))
            z, total, rate = _anneal(target, key_chains, z, total, path, is_forward=is_forward)
            rates.append(np.asarray(rate))
            progress.update(len(part))
    log_mean = np.asarray(jax.nn.logsumexp(total, axis=0) - math.log(num_chains))
    acceptance = float(np.concatenate(rates).mean())
    log_px = log_mean if is_forward else -log_mean
    return Annealed(log_px, acceptance, num_chains, num_temperatures)


def simulate(
    model: LatentModel, params: Params, key: Array, num_examples: int, *, y: Array | None = None
) -> tuple[Array, Array]:
    """Sample examples x [B, *E] from the model, with their z [B, D]: exact draws of p(z | x)."""
    return _simulate(model, params, key, y, num_examples=num_examples)


@functools.partial(jax.jit, static_argnums=0, static_argnames="num_examples")
@full_float32
def _simulate(
    model: LatentModel, params: Params, key: Array, y: Array | None, *, num_examples: int
) -> tuple[Array, Array]:
    key_z, key_x = jax.random.split(key)
    z = model.apply(params, key_z, num_examples, y=y, method="sample_prior")
    return model.apply(params, z, y=y, method="decode").sample(key_x), z


@functools.partial(jax.jit, static_argnums=0, static_argnames="num")
@full_float32
def _prior(
    model: LatentModel, params: Params, x: Array, y: Array | None, key: Array, *, num: int
) -> Array:
    """Draws z [num, B, D] of the prior of each example."""
    sample = functools.partial(model.apply, params, num_samples=len(x), y=y, method="sample_prior")
    return jax.vmap(sample)(jax.random.split(key, num))


@pytree_dataclass
class _Target:
    """The densities p(z) p(x | z)^t of some examples, and the moves that leave them invariant."""

    params: Params
    x: Array
    y: Array | None
    given: dict[str, Array]  # "observed" if values are missing
    model: LatentModel = static()
    num_leapfrog: int = static()

    def log_joint(self, z: Array) -> tuple[Array, Array]:
        options: dict[str, Any] = {"y": self.y, "method": "log_joint", **self.given}
        return self.model.apply(self.params, self.x, z, **options)

    def move(self, key: Array, z: Array, t: Array, size: Array) -> tuple[Array, Array]:
        def log_density(z: Array) -> Array:
            log_pz, log_px_z = self.log_joint(z)
            return log_pz + t * log_px_z

        step_size = jnp.broadcast_to(size, z.shape[:2])
        return transition(key, z, log_density, step_size, num_leapfrog=self.num_leapfrog)


@functools.partial(jax.jit, static_argnames="is_forward")
@full_float32
def _anneal(
    target: _Target,
    key: Array,
    z: Array,
    total: Array,
    path: tuple[Array, Array, Array, Array],
    *,
    is_forward: bool,
) -> tuple[Array, Array, Array]:
    """Chains z [K, B, D] and sums of log weights [K, B] after some steps; acceptance rates."""

    def step(
        carry: tuple[Array, Array], step: tuple[Array, ...]
    ) -> tuple[tuple[Array, Array], Array]:
        z, total = carry
        low, high, size, number = step
        key_move = jax.random.fold_in(key, number)
        if is_forward:  # the weight of the step, then the move
            total = total + (high - low) * target.log_joint(z)[1]
            z, rate = target.move(key_move, z, high, size)
        else:  # the same chain in reverse
            z, rate = target.move(key_move, z, high, size)
            total = total + (low - high) * target.log_joint(z)[1]
        return (z, total), rate.mean()

    (z, total), rates = jax.lax.scan(step, (z, total), path)
    return z, total, rates


@jax.jit
@full_float32
def _tune(
    target: _Target, key: Array, z: Array, log_size: Array, ladder: Array, numbers: Array
) -> tuple[Array, Array, Array]:
    """Chains and log step sizes after some temperatures, and step sizes [T, B] at each of them.

    The step sizes approach the target acceptance rate.
    """

    def step(
        carry: tuple[Array, Array], step: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], Array]:
        z, log_size = carry
        t, number = step
        for repeat in range(2):
            key_move = jax.random.fold_in(key, 2 * number + repeat)
            z, rate = target.move(key_move, z, t, jnp.exp(log_size))
            log_size = jnp.clip(log_size + 0.2 * (rate.mean(0) - TARGET_ACCEPTANCE), -9.0, 1.0)
        return (z, log_size), jnp.exp(log_size)

    (z, log_size), sizes = jax.lax.scan(step, (z, log_size), (ladder, numbers))
    return z, log_size, sizes
