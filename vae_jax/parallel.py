"""Meshes and placement: batches, or trials of a sweep, over devices.

>>> from vae_jax import parallel
>>> mesh = parallel.data_mesh()  # of all devices, None for one
>>> parallel.local_rows(128, mesh)  # the rows of a batch for this process
slice(0, 128, None)
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, Sharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh | None:
    """Return a mesh of one axis "data" over the devices (default: all); None for one device."""
    devices = jax.devices() if devices is None else list(devices)
    if len(devices) == 1:
        return None
    # Under the default, Explicit, merging the axes K and B is a sharding error.
    auto = (AxisType.Auto,)
    if jax.process_count() == 1:
        return jax.make_mesh((len(devices),), ("data",), axis_types=auto, devices=devices)
    # The devices of a process are neighbors, so that it reads neighboring rows of a batch.
    devices.sort(key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(devices), ("data",), axis_types=auto)


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """Place the tree on every device of the mesh, or on the first device without a mesh.

    Always committed: a function is compiled again for arrays that are bound to a device.
    """
    if mesh is None:
        return jax.device_put(tree, jax.local_devices()[0])
    sharding = NamedSharding(mesh, P())
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(functools.partial(_replicate_leaf, sharding), tree)


def replicated(mesh: Mesh | None) -> Sharding:
    """Return the sharding of what `replicate` places."""
    if mesh is None:
        return SingleDeviceSharding(jax.local_devices()[0])
    return NamedSharding(mesh, P())


def _replicate_leaf(sharding: NamedSharding, x: Any) -> jax.Array:
    """Place an array that every process has on the devices of all; `device_put` cannot."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _replicate_leaf(sharding, jax.random.key_data(x))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])


def local_rows(num_rows: int, mesh: Mesh | None) -> slice:
    """Return the neighboring rows of a batch, split over the mesh, that this process holds."""
    if mesh is None:
        return slice(0, num_rows)
    shares = NamedSharding(mesh, P("data")).addressable_devices_indices_map((num_rows,)).values()
    edges = [share[0].indices(num_rows)[:2] for share in shares if share is not None]
    return slice(min(start for start, _ in edges), max(stop for _, stop in edges))


def split_batches(tree: Any, mesh: Mesh | None) -> Any:
    """Split batches [S, B, ...] over the mesh, from the `local_rows` of each in this process."""
    if mesh is None:
        return jax.device_put(tree, jax.local_devices()[0])
    sharding = NamedSharding(mesh, P(None, "data"))
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), tree)


def trials_mesh(num_trials: int) -> Mesh | None:
    """Return `data_mesh` of the most devices that divide the trials evenly; None if that is one."""
    devices = jax.devices()
    size = max(n for n in range(1, min(len(devices), num_trials) + 1) if num_trials % n == 0)
    return data_mesh(devices[:size])


def map_trials(
    one_trial: Callable[[Any, Any, Any], Any],
    *,
    chunk: int,
    mesh: Mesh | None,
    compiler_options: dict[str, Any] | None = None,
) -> Callable[[Any, Any, Any], Any]:
    """(states, values, shared) -> ``one_trial(state, values, shared)`` for each trial, jitted.

    All but `shared` have a leading axis of trials; the states are donated.

    Args:
      one_trial: a pure function.
      chunk: the number of a device's trials under one `vmap`; chunks run one after another.
      mesh: its "data" axis splits the trials and must divide their number.
      compiler_options: see `jax.jit`.
    """

    def local(states: Any, values: Any, shared: Any) -> Any:
        def run_trial(trial: tuple[Any, Any]) -> Any:
            return one_trial(*trial, shared)

        trials = (states, values)
        if chunk >= jax.tree.leaves(trials)[0].shape[0]:
            return jax.vmap(run_trial)(trials)
        return jax.lax.map(run_trial, trials, batch_size=chunk if chunk > 1 else None)

    if mesh is not None:
        specs = (P("data"), P("data"), P())
        local = jax.shard_map(
            local, mesh=mesh, in_specs=specs, out_specs=P("data"), check_vma=False
        )
    return jax.jit(local, donate_argnums=0, compiler_options=compiler_options)
