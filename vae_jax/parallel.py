"""Meshes and placement for data parallelism."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh | None:
    """A mesh with the one axis "data" over the devices (by default all), or None when there is just one."""
    devices = jax.devices() if devices is None else list(devices)
    if len(devices) == 1:
        return None
    # Auto, not the default Explicit, under which merging the axes K and B is a sharding error.
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """The tree on every device of the mesh; unchanged where there is none."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, P()))
