"""Plain JAX: a dictionary of arrays, Adam by hand, `lax.scan`; no Flax, Optax, metrics or checks.

This is what a good JAX user writes for one model. The convolutions are XLA's, which are slow inside
a loop on the CPU. The variant "step" has no loop: each call is one step.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contestants import Unavailable
from benchmarks.contestants.memory import jax_peak
from benchmarks.tasks import TASKS, Task

Params = dict[str, dict[str, jax.Array]]
LAYOUT = ("NHWC", "HWIO", "NHWC")


class Network(NamedTuple):
    """Shapes of the kernels by name, input axes first, and encoder and decoder as functions."""

    shapes: dict[str, tuple[int, ...]]
    # x [B, H, W, C] -> mean, logvar [B, D]
    encode: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]]
    # z [B, D] -> logits, in any shape of the size of x
    decode: Callable[[Params, jax.Array], jax.Array]


def dense(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """The affine map, x w + b."""
    return x @ p["w"] + p["b"]


def conv(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """XLA's convolution with stride 2."""
    return (
        jax.lax.conv_general_dilated(x, p["w"], (2, 2), "SAME", dimension_numbers=LAYOUT) + p["b"]
    )


def conv_transpose(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """XLA's transposed convolution with stride 2."""
    return jax.lax.conv_transpose(x, p["w"], (2, 2), "SAME", dimension_numbers=LAYOUT) + p["b"]


def _mlp_encode(params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    h = jax.nn.relu(dense(params["hidden"], x.reshape(x.shape[0], -1)))
    return tuple(jnp.split(dense(params["posterior"], h), 2, -1))


def _mlp_decode(params: Params, z: jax.Array) -> jax.Array:
    return dense(params["out"], jax.nn.relu(dense(params["dhidden"], z)))


def _burgess_encode(params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    for name in ("conv0", "conv1", "conv2", "conv3"):
        x = jax.nn.relu(conv(params[name], x))
    h = jax.nn.relu(dense(params["hidden"], x.reshape(x.shape[0], -1)))
    return tuple(jnp.split(dense(params["posterior"], h), 2, -1))


def _burgess_decode(params: Params, z: jax.Array) -> jax.Array:
    h = jax.nn.relu(dense(params["grid"], jax.nn.relu(dense(params["dhidden"], z)))).reshape(
        -1, 4, 4, 64
    )
    for name in ("up0", "up1", "up2"):
        h = jax.nn.relu(conv_transpose(params[name], h))
    return conv_transpose(params["out"], h)


NETWORKS = {
    "mlp": Network(
        {"hidden": (784, 400), "posterior": (400, 40), "dhidden": (20, 400), "out": (400, 784)},
        _mlp_encode,
        _mlp_decode,
    ),
    "burgess": Network(
        {
            **{
                "conv0": (4, 4, 1, 32),
                "conv1": (4, 4, 32, 32),
                "conv2": (4, 4, 32, 64),
                "conv3": (4, 4, 64, 64),
            },
            **{
                "hidden": (1024, 256),
                "posterior": (256, 20),
                "dhidden": (10, 256),
                "grid": (256, 1024),
            },
            **{
                "up0": (4, 4, 64, 64),
                "up1": (4, 4, 64, 32),
                "up2": (4, 4, 32, 32),
                "out": (4, 4, 32, 1),
            },
        },
        _burgess_encode,
        _burgess_decode,
    ),
}


def init(network: Network, seed: int = 0) -> Params:
    """Gaussian kernels of variance 1 / fan-in, biases 0."""
    rng = np.random.default_rng(seed)
    return {
        name: {
            "w": jnp.asarray(
                rng.normal(0, 1 / math.sqrt(math.prod(shape[:-1])), shape), jnp.float32
            ),
            "b": jnp.zeros(shape[-1]),
        }
        for name, shape in network.shapes.items()
    }


def loss(
    network: Network, beta: float, params: Params, x: jax.Array, noise: jax.Array
) -> jax.Array:
    """Distortion + beta rate in nats per example, for a Bernoulli likelihood of x [B, H, W, C].

    The noise is standard normal.
    """
    mean, logvar = network.encode(params, x)
    logits = network.decode(params, mean + jnp.exp(0.5 * logvar) * noise).reshape(x.shape)
    distortion = (jax.nn.softplus(logits) - logits * x).sum()
    rate = 0.5 * (jnp.square(mean) + jnp.exp(logvar) - 1 - logvar).sum()
    return (distortion + beta * rate) / x.shape[0]


def adam(
    params: Any, grads: Any, moments: tuple[Any, Any], t: jax.Array, rate: float
) -> tuple[Any, tuple[Any, Any]]:
    """One step of Adam with its usual constants; t counts from 1."""
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
    scale, correction = rate / (1 - 0.9**t), 1 / (1 - 0.999**t)
    return jax.tree.map(
        lambda p, m, v: p - scale * m / (jnp.sqrt(v * correction) + 1e-8), params, m, v
    ), (m, v)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def epoch(task: Task, state: Any, images: jax.Array, index: jax.Array) -> tuple[Any, jax.Array]:
    """Steps on the examples at index [S, B]; returns state and losses, [S], or [] if S = 1."""
    network = NETWORKS[task.network]

    def step(state: Any, index: jax.Array) -> tuple[Any, jax.Array]:
        params, moments, t, key = state
        key, key_data, key_noise = jax.random.split(key, 3)
        x = images[index].astype(jnp.float32) / 255
        if task.dynamic:
            x = jax.random.bernoulli(key_data, x).astype(jnp.float32)
        noise = jax.random.normal(key_noise, (len(x), network.shapes["posterior"][-1] // 2))
        value, grads = jax.value_and_grad(functools.partial(loss, network, task.beta))(
            params, x, noise
        )
        params, moments = adam(params, grads, moments, t, task.learning_rate)
        return (params, moments, t + 1, key), value

    return step(state, index[0]) if len(index) == 1 else jax.lax.scan(step, state, index)


def batches(num: int, steps: int, batch_size: int) -> Iterator[np.ndarray]:
    """Endless indices [S, B]: permutations one after the other."""
    rng, rest = np.random.default_rng(0), np.zeros(0, np.int32)
    while True:
        while len(rest) < steps * batch_size:
            rest = np.concatenate([rest, rng.permutation(num).astype(np.int32)])
        index, rest = np.split(rest, [steps * batch_size])
        yield index.reshape(steps, batch_size)


class Bare:
    """`num_steps` steps a call."""

    def __init__(self, task: Task, images: jax.Array, num_steps: int) -> None:
        params = init(NETWORKS[task.network])
        zeros = (jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params))
        self._state = (params, zeros, jnp.ones(()), jax.random.key(0))
        self._epoch = functools.partial(epoch, task)
        self._images, self._losses = images, None
        self._batches = batches(len(images), num_steps, task.batch_size)
        self.units_per_call = num_steps * task.batch_size
        num_parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
        self.info = {
            "parameters": num_parameters,
            "device": jax.devices()[0].device_kind,
            "steps_per_call": num_steps,
        }

    def call(self) -> None:
        """The next steps."""
        self._state, self._losses = self._epoch(self._state, self._images, next(self._batches))

    def wait(self) -> None:
        """Reads the last losses."""
        if not np.isfinite(self._losses).all():
            raise FloatingPointError("the loss is not finite")

    def device_peak(self) -> int:
        """Most bytes on the accelerator so far."""
        return jax_peak()


def prepare(task_name: str, dtype: str, variant: str) -> Callable[[], Bare]:
    """The bare version of that task; Unavailable where there is none."""
    task = TASKS[task_name]
    if dtype != "float32" or task.network not in NETWORKS:
        raise Unavailable(f"no bare version of {task.network} in {dtype}")
    images = jax.device_put(task.examples(task.num_examples))
    return functools.partial(Bare, task, images, 1 if variant == "step" else task.bare_steps)
