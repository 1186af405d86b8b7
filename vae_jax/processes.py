"""Several processes that train one model together: how they find each other, and that one of them writes.

Every process runs the same program on its own devices. What is on disk is read by all and written by the first.
"""

import os
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from vae_jax.errors import InputError

MESSAGE_BYTES = 8192


def start(coordinator: str | None = None, num_processes: int | None = None, process_index: int | None = None) -> None:
    """Joins the processes of this run, before anything touches a device; does nothing for a single one.

    On Slurm and on a TPU pod all three are found out; elsewhere all three must be given.

    Raises:
      InputError: some of them are given but not all, or they contradict each other.
    """
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_index": process_index}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        if _on_a_cluster():
            jax.distributed.initialize()
        return
    if missing:
        raise InputError(f"{missing[0]}: must be given with {', '.join(name for name in given if name not in missing)}")
    if not 0 <= process_index < num_processes:
        raise InputError(f"process_index = {process_index}: must be from 0 to {num_processes - 1}")
    if not coordinator.rpartition(":")[2].isdigit():
        raise InputError(f"coordinator = {coordinator!r}: must be an address and a port, as in 10.0.0.1:1234")
    if num_processes > 1:
        jax.distributed.initialize(coordinator, num_processes, process_index)


def _on_a_cluster() -> bool:
    """Whether the environment is that of one of several processes, under Slurm or on the hosts of a TPU pod."""
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    return int(tasks) > 1 or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def is_first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def on_first(action: Callable[[], None]) -> None:
    """Does something on the first process while the others wait; an InputError there is raised on all of them."""
    if jax.process_count() == 1:
        action()
        return
    message = b""
    if is_first():
        try:
            action()
        except InputError as error:
            message = str(error).encode()[:MESSAGE_BYTES]
    padded = np.frombuffer(message.ljust(MESSAGE_BYTES, b"\0"), np.uint8)
    message = bytes(np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8)).rstrip(b"\0")
    if message:
        raise InputError(message.decode(errors="replace"))


def any_of(flag: bool) -> bool:
    """Whether the flag is set on any process; all must ask."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))
