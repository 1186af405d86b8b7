"""Gated recurrent units over sequences.

The variant is that of cuDNN, with the reset after the product, so that one product serves all
gates (Cho et al., 2014, arXiv:1406.1078v1; Chung et al., 2014, arXiv:1412.3555):

    r = sigmoid(i_r + h W_r)
    u = sigmoid(i_u + h W_u)
    c = tanh(i_c + r * (h W_c + b))
    h' = (1 - u) * c + u * h

The inputs i = (i_r, i_u, i_c) [N, 3 F] do not depend on the state. The state is float32; products
are computed in the dtype of the kernels.

A sequence is processed in chunks of some steps. A chunk that no sequence of the batch reaches costs
nothing. The gradient of W is one product per chunk, as in cuDNN, instead of one per step, and that
of the inputs is never stored for all steps at once. Forward mode (`jax.jvp`) is unavailable.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.types import Array

CHUNK = range(4, 9)  # steps of a chunk: more are skipped later, fewer are smaller products
MAX_ONE_HOT = 256  # rows of a table whose gradient is a product with one-hot vectors


class GRUParams(NamedTuple):
    """The parameters of a recurrence, and of what its inputs i have in common."""

    kernel: Array  # [F, 3 F], W_r, W_u, W_c side by side
    bias: Array  # [F], b
    matrix: Array  # [G, 3 F]; i = source @ matrix + shift
    shift: Array  # [N, 3 F]


class _Gates(NamedTuple):
    """Activations of a step, and g_c = h W_c + b; each [N, F]."""

    r: Array
    u: Array
    c: Array
    g_c: Array


def gru_step(params: GRUParams, source: Array, h: Array) -> Array:
    """The state [N, F] after the state h [N, F], for a source [N, G] or [N]."""
    return _next_state(_gates(params, _project(params.matrix, source), h), h)


def gru_sequence(
    params: GRUParams, source: Array, h: Array, mask: Array | None = None, *, reverse: bool = False
) -> tuple[Array, Array]:
    """The states of all steps, from the state before the first.

    Args:
      params: see `GRUParams`.
      source: [T, N, G], or indices [T, N] of rows of the matrix, in place of one-hot vectors. The
        steps are the first axis. An index of no row is NaN.
      h: [N, F].
      mask: [T, N] bool; a step without it leaves the state as it is, whatever its finite source.
      reverse: from the last step to the first.

    Returns:
      The final state [N, F] and the states after each step [T, N, F].
    """
    num_steps = source.shape[0]
    mask = jnp.ones(source.shape[:2], bool) if mask is None else mask
    size = chunk_size(num_steps)
    source, mask = (_split(pad_steps(x), size) for x in (source, mask))
    params = params._replace(shift=jnp.broadcast_to(params.shift, (h.shape[0], 3 * h.shape[1])))
    h, states = _scan_chunks(reverse, params, source, h, mask)
    return h, states.reshape(-1, *h.shape)[:num_steps]


def chunk_size(num_steps: int) -> int:
    """The number of steps of a chunk that leaves the fewest steps to pad."""
    if num_steps in range(CHUNK[-1] + 1):
        return num_steps
    return min(CHUNK, key=lambda size: (-num_steps % size, -size))


def pad_steps(x: Array) -> Array:
    """Arrays [T, ...] with zeros after them, up to a whole number of chunks."""
    rest = -x.shape[0] % chunk_size(x.shape[0])
    return jnp.pad(x, ((0, rest), *((0, 0),) * (x.ndim - 1))) if rest else x


def _split(x: Array, size: int) -> Array:
    return x.reshape(-1, size, *x.shape[1:])


def _dot(a: Array, b: Array, dtype: Any) -> Array:
    """The product of matrices, computed in `dtype` and summed in float32."""
    return jnp.matmul(a.astype(dtype), b.astype(dtype), preferred_element_type=jnp.float32)


def _sigmoid(x: Array) -> Array:
    return 0.5 * jnp.tanh(0.5 * x) + 0.5  # half the time of `jax.nn.sigmoid` on a CPU


@jax.custom_vjp
def _project(matrix: Array, source: Array) -> Array:
    """The source [..., G] or [...] times the matrix [G, 3 F], in float32."""
    if jnp.issubdtype(source.dtype, jnp.integer):
        return jnp.take(matrix, source, axis=0).astype(jnp.float32)
    return _dot(source, matrix, matrix.dtype)


def _project_forward(matrix: Array, source: Array) -> tuple[Array, tuple[Array, Array]]:
    return _project(matrix, source), (matrix, source)


def _project_backward(saved: tuple[Array, Array], d: Array) -> tuple[Array, Array | None]:
    matrix, source = saved
    size = matrix.shape[1]
    if not jnp.issubdtype(source.dtype, jnp.integer):
        flat = source.reshape(-1, source.shape[-1])
        d_matrix = _dot(flat.T, d.reshape(-1, size), matrix.dtype)
        d_source = _dot(d, matrix.T, matrix.dtype)
        return d_matrix.astype(matrix.dtype), d_source.astype(source.dtype)
    if matrix.shape[0] > MAX_ONE_HOT:
        d_matrix = jnp.zeros(matrix.shape, jnp.float32).at[source].add(d, mode="drop")
    else:
        one_hot = source.reshape(1, -1) == jnp.arange(matrix.shape[0])[:, None]
        d_matrix = _dot(one_hot, d.reshape(-1, size), matrix.dtype)
    return d_matrix.astype(matrix.dtype), None


_project.defvjp(_project_forward, _project_backward)


def _gates(params: GRUParams, inputs: Array, h: Array) -> _Gates:
    i_r, i_u, i_c = jnp.split(inputs + params.shift, 3, axis=-1)
    g_r, g_u, g_c = jnp.split(_dot(h, params.kernel, params.kernel.dtype), 3, axis=-1)
    r, u, g_c = _sigmoid(i_r + g_r), _sigmoid(i_u + g_u), g_c + params.bias[None]
    return _Gates(r, u, jnp.tanh(i_c + r * g_c), g_c)


def _next_state(gates: _Gates, h: Array) -> Array:
    return (1 - gates.u) * gates.c + gates.u * h


def _step_gradients(gates: _Gates, h: Array, d: Array) -> tuple[Array, Array, Array]:
    """The gradients in the inputs and in h W + b, [N, 3 F], and in h beside the product."""
    r, u, c, g_c = gates
    d_c = d * (1 - u) * (1 - c * c)
    d_r, d_u = d_c * g_c * r * (1 - r), d * (h - c) * u * (1 - u)
    return (
        jnp.concatenate([d_r, d_u, d_c], axis=-1),
        jnp.concatenate([d_r, d_u, d_c * r], axis=-1),
        d * u,
    )


def _run_chunk(
    reverse: bool, params: GRUParams, source: Array, h: Array, mask: Array
) -> tuple[Array, Array, _Gates]:
    """The final state, the states and the gates of the S steps of a chunk, [S, N, F]."""

    def body(h: Array, step: tuple[Array, Array]) -> tuple[Array, tuple[Array, _Gates]]:
        inputs, mask = step
        gates = _gates(params, inputs, h)
        h = jnp.where(mask[:, None], _next_state(gates, h), h)
        return h, (h, gates)

    inputs = _project(params.matrix, source)
    h, (states, gates) = jax.lax.scan(body, h, (inputs, mask), reverse=reverse, unroll=True)
    return h, states, gates


def _chunk_gradients(
    reverse: bool,
    params: GRUParams,
    source: Array,
    mask: Array,
    saved: tuple[Array, Array, _Gates],
    d: tuple[Array, Array],
) -> tuple[Array, GRUParams, Array | None]:
    """The gradients in the state before a chunk, the parameters and the source.

    Saved are the state before the chunk, its states and gates; `d` has the gradients in the state
    after the chunk, and in its states.
    """
    first, states, gates = saved
    if reverse:
        before = jnp.concatenate([states[1:], first[None]])
    else:
        before = jnp.concatenate([first[None], states[:-1]])
    dtype = params.kernel.dtype
    transposed = params.kernel.T

    def body(d: Array, step: Any) -> tuple[Array, tuple[Array, Array]]:
        d_state, mask, h, gates = step
        d = d + d_state
        here = jnp.where(mask[:, None], d, 0)
        d_inputs, d_products, d_direct = _step_gradients(gates, h, here)
        before = jnp.where(mask[:, None], _dot(d_products, transposed, dtype) + d_direct, d)
        return before, (d_inputs, d_products)

    steps = (d[1], mask, before, gates)
    d_first, (d_inputs, d_products) = jax.lax.scan(body, d[0], steps, reverse=not reverse)
    size = first.shape[1]
    d_products = d_products.reshape(-1, 3 * size)
    d_matrix, d_source = _project_backward((params.matrix, source), d_inputs)
    d_params = GRUParams(
        _dot(before.reshape(-1, size).T, d_products, dtype),
        d_products[:, 2 * size :].sum(0),
        d_matrix.astype(jnp.float32),
        d_inputs.sum(0),
    )
    return d_first, d_params, d_source


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan_chunks(
    reverse: bool, params: GRUParams, source: Array, h: Array, mask: Array
) -> tuple[Array, Array]:
    """The final state, and the states [n, S, N, F] of n chunks of S steps."""
    return _scan_forward(reverse, params, source, h, mask)[0]


def _scan_forward(
    reverse: bool, params: GRUParams, source: Array, h: Array, mask: Array
) -> tuple[tuple[Array, Array], Any]:
    num_steps = source.shape[1]

    def skip(h: Array, *_: Array) -> tuple[Array, Array, _Gates]:
        states = jnp.broadcast_to(h, (num_steps, *h.shape))
        return h, states, _Gates(*[jnp.zeros_like(states)] * 4)

    def body(h: Array, chunk: tuple[Array, Array]) -> tuple[Array, Any]:
        source, mask = chunk

        def run(h: Array) -> tuple[Array, Array, _Gates]:
            return _run_chunk(reverse, params, source, h, mask)

        new, states, gates = jax.lax.cond(mask.any(), run, skip, h)
        return new, (h, states, gates)

    final, saved = jax.lax.scan(body, h, (source, mask), reverse=reverse)
    return (final, saved[1]), (params, source, mask, saved)


def _scan_backward(reverse: bool, saved: Any, d: tuple[Array, Array]) -> tuple[Any, ...]:
    params, source, mask, steps = saved
    zeros = GRUParams(*(jnp.zeros(p.shape, jnp.float32) for p in params))

    def body(carry: Any, chunk: Any) -> tuple[Any, Any]:
        source, mask, saved, d_states = chunk

        def run(d: Array, sums: GRUParams) -> tuple[Array, GRUParams, Any]:
            d, d_params, d_source = _chunk_gradients(
                reverse, params, source, mask, saved, (d, d_states)
            )
            return d, jax.tree.map(jnp.add, sums, d_params), d_source

        def skip(d: Array, sums: GRUParams) -> tuple[Array, GRUParams, Any]:
            is_index = jnp.issubdtype(source.dtype, jnp.integer)
            return d + d_states.sum(0), sums, None if is_index else jnp.zeros_like(source)

        d, sums, d_source = jax.lax.cond(mask.any(), run, skip, *carry)
        return (d, sums), d_source

    chunks = (source, mask, steps, d[1])
    (d_h, sums), d_source = jax.lax.scan(body, (d[0], zeros), chunks, reverse=not reverse)
    d_params = jax.tree.map(lambda d, p: d.astype(p.dtype), sums, params)
    return d_params, d_source, d_h, None


_scan_chunks.defvjp(_scan_forward, _scan_backward)
