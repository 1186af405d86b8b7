"""The marginal likelihood by annealed importance sampling, from below and, on simulated data, from above.

Chains go from the prior to the posterior through p_t(z) ~ p(z) p(x | z)^{t}, 0 <= t <= 1, and

    E[exp(sum_i (t_{i+1} - t_i) log p(x | z_i))] = p(x)                    (Neal, 2001),

so that the log of the mean over chains is below log p(x) in expectation. Run backward from an exact draw of the posterior, as
data simulated by the model come with, the same sum is one of 1 / p(x), and the estimate is above: the two enclose the truth
(Grosse, Ghahramani and Adams, 2015, arXiv:1511.02543; Wu et al., 2017, arXiv:1611.04273).
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.evaluation.hmc import transition
from vae_jax.types import Array, Params

TARGET_ACCEPTANCE = 0.65


@dataclasses.dataclass(frozen=True)
class Annealed:
    """An estimate of log p(x) for each example, and how it was made."""

    log_px: np.ndarray  # [B] nats: below log p(x) in expectation, above where it was run backward
    acceptance: float  # of the transitions, on average
    num_chains: int
    num_temperatures: int

    def summary(self) -> dict[str, float]:
        """The mean with its standard error over the examples."""
        n = len(self.log_px)
        return {
            "log_likelihood": float(self.log_px.mean(dtype=np.float64)),
            "log_likelihood_stderr": float(self.log_px.std(dtype=np.float64, ddof=1) / math.sqrt(n))
            if n > 1
            else math.nan,
            "acceptance": self.acceptance,
            "num_chains": self.num_chains,
            "num_temperatures": self.num_temperatures,
            "num_examples": n,
        }


def temperatures(num: int, *, steepness: float = 4.0) -> Array:
    """A sigmoid ladder 0 = t_0 < ... < t_{num - 1} = 1, dense at both ends, where the densities change fastest; [num]."""
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
    """Log p(x) for x [B, *E], from the prior on; or, with exact draws `posterior_z` [B, D], backward from them.

    Step sizes of each example and temperature are tuned on chains that are not used for the estimate.

    Args:
      model: continuous latents, with `log_joint` and `sample_prior`.
      params: its parameters.
      x: examples.
      key: of the chains.
      num_chains: chains for each example.
      num_temperatures: of the ladder; the more, the tighter.
      num_leapfrog: steps of a Hamiltonian trajectory.
      posterior_z: a draw of p(z | x) for each example: the z that a simulated x was made from.
      y: what the model conditions on.
    """
    run = jax.jit(
        _run, static_argnums=0, static_argnames=("num_chains", "num_temperatures", "num_leapfrog")
    )
    options = {
        "num_chains": num_chains,
        "num_temperatures": num_temperatures,
        "num_leapfrog": num_leapfrog,
    }
    log_px, acceptance = run(model, params, x, key, posterior_z, y, **options)
    return Annealed(np.asarray(log_px), float(acceptance), num_chains, num_temperatures)


def simulate(
    model: nn.Module, params: Params, key: Array, num_examples: int, *, y: Array | None = None
) -> tuple[Array, Array]:
    """Examples x [B, *E] drawn from the model, with the z [B, D] of each, which is an exact draw of p(z | x)."""
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
    sizes = _tuned(move, key_tune, draw(key_tune, 4), ladder[1:])  # [T - 1, B]
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
        if forward:  # the weight of the step up, then a move at its end
            total = total + (after - before) * log_joint(z)[1]
            z, rate = move(key, z, after, size)
        else:  # the same chain in reverse: the move comes first
            z, rate = move(key, z, before, size)
            total = total + (after - before) * log_joint(z)[1]
        return (z, total, number + 1), rate.mean()

    zeros = jnp.zeros(start.shape[:2])
    (_, total, _), rates = jax.lax.scan(rung, (start, zeros, jnp.zeros((), jnp.int32)), path)
    log_mean = jax.nn.logsumexp(total, axis=0) - math.log(num_chains)
    return (log_mean if posterior_z is None else -log_mean), rates.mean()


def _move(
    density: object, key: Array, z: Array, t: Array, size: Array, *, num_leapfrog: int
) -> tuple[Array, Array]:
    return transition(
        key,
        z,
        functools.partial(density, t),
        jnp.broadcast_to(size, z.shape[:2]),
        num_leapfrog=num_leapfrog,
    )


def _tuned(move: object, key: Array, z: Array, ladder: Array) -> Array:
    """Step sizes [T, B] that accept at the target rate, found by chains that climb the ladder while they adapt."""

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
