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
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.evaluation.common import mean_estimate
from vae_jax.evaluation.hmc import transition
from vae_jax.types import Array, Params

TARGET_ACCEPTANCE = 0.65


@dataclasses.dataclass(frozen=True)
class Annealed:
    """An estimate of log p(x) for each example, and the settings it was made with."""

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
    ladder = jax.nn.sigmoid(steepness * jnp.linspace(-1, 1, num))
    return (ladder - ladder[0]) / (ladder[-1] - ladder[0])


def run_ais(
    model: nn.Module,
    params: Params,
    x: Array,
    key: Array,
    *,
    num_chains: int = 16,
    num_temperatures: int = 500,
    num_leapfrog: int = 10,
    posterior_z: Array | None = None,
    y: Array | None = None,
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
      posterior_z: [B, D], a draw of p(z | x) for each example: the z of a simulated x.
      y: condition of the model, if any.
    """
    static_argnames = ("num_chains", "num_temperatures", "num_leapfrog")
    run = jax.jit(_run, static_argnums=0, static_argnames=static_argnames)
    log_px, acceptance = run(
        model,
        params,
        x,
        key,
        posterior_z,
        y,
        num_chains=num_chains,
        num_temperatures=num_temperatures,
        num_leapfrog=num_leapfrog,
    )
    return Annealed(np.asarray(log_px), float(acceptance), num_chains, num_temperatures)


def simulate(
    model: nn.Module, params: Params, key: Array, num_examples: int, *, y: Array | None = None
) -> tuple[Array, Array]:
    """Sample examples x [B, *E] from the model, with their z [B, D]: exact draws of p(z | x)."""
    key_z, key_x = jax.random.split(key)
    condition = {} if y is None else {"y": y}
    z = model.apply(params, key_z, num_examples, **condition, method="sample_prior")
    return model.apply(params, z, **condition, method="decode").sample(key_x), z


def _run(
    model: nn.Module,
    params: Params,
    x: Array,
    key: Array,
    posterior_z: Array | None,
    y: Array | None,
    *,
    num_chains: int,
    num_temperatures: int,
    num_leapfrog: int,
) -> tuple[Array, Array]:
    condition = {} if y is None else {"y": y}
    log_joint = functools.partial(model.apply, params, x, **condition, method="log_joint")
    ladder = temperatures(num_temperatures)

    def draw(key: Array, num: int) -> Array:
        keys = jax.random.split(key, num)
        sample = functools.partial(
            model.apply, params, num_samples=len(x), **condition, method="sample_prior"
        )
        return jax.vmap(sample)(keys)

    def density(t: Array, z: Array) -> Array:
        log_pz, log_px_z = log_joint(z)
        return log_pz + t * log_px_z

    move = functools.partial(_move, density, num_leapfrog=num_leapfrog)
    key_tune, key_start, key_chains = jax.random.split(key, 3)
    sizes = _tune_step_sizes(move, key_tune, draw(key_tune, 4), ladder[1:])  # [T - 1, B]
    if posterior_z is None:
        start, path = draw(key_start, num_chains), (ladder[:-1], ladder[1:], sizes)
    else:
        start = jnp.broadcast_to(posterior_z, (num_chains, *posterior_z.shape))
        path = (ladder[1:][::-1], ladder[:-1][::-1], sizes[::-1])

    def rung(
        carry: tuple[Array, Array, Array], rung: tuple[Array, ...]
    ) -> tuple[tuple[Array, Array, Array], Array]:
        z, total, number = carry
        before, after, size = rung
        forward = posterior_z is None
        key = jax.random.fold_in(key_chains, number)
        if forward:  # the weight of the step, then the move
            total = total + (after - before) * log_joint(z)[1]
            z, rate = move(key, z, after, size)
        else:  # the same chain in reverse
            z, rate = move(key, z, before, size)
            total = total + (after - before) * log_joint(z)[1]
        return (z, total, number + 1), rate.mean()

    zeros = jnp.zeros(start.shape[:2])
    (_, total, _), rates = jax.lax.scan(rung, (start, zeros, jnp.zeros((), jnp.int32)), path)
    log_mean = jax.nn.logsumexp(total, axis=0) - math.log(num_chains)
    return (log_mean if posterior_z is None else -log_mean), rates.mean()


def _move(
    density: Callable[..., Array], key: Array, z: Array, t: Array, size: Array, *, num_leapfrog: int
) -> tuple[Array, Array]:
    log_density = functools.partial(density, t)
    step_size = jnp.broadcast_to(size, z.shape[:2])
    return transition(key, z, log_density, step_size, num_leapfrog=num_leapfrog)


def _tune_step_sizes(
    move: Callable[..., tuple[Array, Array]], key: Array, z: Array, ladder: Array
) -> Array:
    """Step sizes [T, B] for the target acceptance rate, from chains that adapt along the ladder."""

    def rung(
        carry: tuple[Array, Array, Array], t: Array
    ) -> tuple[tuple[Array, Array, Array], Array]:
        z, log_size, number = carry
        for repeat in range(2):
            z, rate = move(jax.random.fold_in(key, 2 * number + repeat), z, t, jnp.exp(log_size))
            log_size = jnp.clip(log_size + 0.2 * (rate.mean(0) - TARGET_ACCEPTANCE), -9.0, 1.0)
        return (z, log_size, number + 1), jnp.exp(log_size)

    start = (z, jnp.full(z.shape[1], math.log(0.1)), jnp.zeros((), jnp.int32))
    return jax.lax.scan(rung, start, ladder)[1]
