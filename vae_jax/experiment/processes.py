"""Several processes that train one model together: how they find each other, that one of them writes, how they end.

Every process runs the same program on its own devices. What is on disk is read by all and written by the first. What fails on
one of them alone ends the others too: where they wait for each other (`together`, `on_first`) with its message, elsewhere
because it leaves at once and takes their connections along.
"""

import os
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from vae_jax.errors import InputError, RunStopped

MESSAGE_BYTES = 8192
T = TypeVar("T")


class SharedError(RunStopped):
    """An error that is raised on all processes at once."""


def start(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_index: int | None = None,
    *,
    distributed: bool = False,
) -> None:
    """Joins the processes of this run, before anything touches a device; does nothing for a single one.

    All three are found out under Slurm and on TPU pods of GKE, and with `distributed` on every cluster that
    `jax.distributed.initialize` knows; elsewhere all three must be given.

    Raises:
      InputError: some of them are given but not all, or can't be meant; or the others can't be reached.
    """
    given = {
        "coordinator": coordinator,
        "num_processes": num_processes,
        "process_index": process_index,
    }
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        if distributed or _on_a_cluster():
            _initialize()
        return
    if missing:
        raise InputError(
            f"{missing[0]}: must be given with {', '.join(name for name in given if name not in missing)}"
        )
    if not 0 <= process_index < num_processes:
        raise InputError(f"process_index = {process_index}: must be from 0 to {num_processes - 1}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise InputError(
            f"coordinator = {coordinator!r}: must be an address and a port, as in 10.0.0.1:1234"
        )
    if num_processes > 1:
        _initialize(coordinator, num_processes, process_index)


def _initialize(*given: str | int) -> None:
    if hasattr(jax.config, "jax_enable_preemption_service"):  # not before jax 0.8
        # The service would take SIGTERM away from `Interruption`.
        jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(*given)
    except (RuntimeError, ValueError) as error:
        what = (
            f"coordinator = {given[0]!r}: can't be joined"
            if given
            else "distributed: this cluster isn't known to JAX"
        )
        raise InputError(f"{what} ({str(error).strip().splitlines()[0]})") from error


def _on_a_cluster() -> bool:
    """Whether the environment is that of one of several processes, under Slurm or on the hosts of a TPU pod."""
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "")
    return (tasks.isdigit() and int(tasks) > 1) or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")


def is_first() -> bool:
    """Whether this is the process that writes; asked of a process alone, it touches no device."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def together(action: Callable[[], T]) -> T:
    """Does something on every process; where it fails on any of them, all fail, the others with SharedError."""
    if jax.process_count() == 1:
        return action()
    result, failure = None, None
    try:
        result = action()
    except Exception as error:  # whatever it is, the others mustn't wait for this process
        failure = error
    text = "" if failure is None else str(failure) or type(failure).__name__
    message = text.encode(errors="backslashreplace")[:MESSAGE_BYTES]
    gathered = multihost_utils.process_allgather(
        np.frombuffer(message.ljust(MESSAGE_BYTES, b"\0"), np.uint8)
    )
    messages = [
        bytes(row).rstrip(b"\0").decode(errors="replace") for row in np.asarray(gathered, np.uint8)
    ]
    failed = [index for index, one in enumerate(messages) if one]
    if failed:
        where = "" if len(failed) == len(messages) else f"process {failed[0]}: "
        raise SharedError(where + messages[failed[0]]) from failure
    return result


def on_first(action: Callable[[], None]) -> None:
    """Does something on the first process while the others wait; an error there is raised on all of them."""
    together(action if is_first() else lambda: None)


def any_of(flag: bool) -> bool:
    """Whether the flag is set on any process; all must ask."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def leave(error: Exception, message: str) -> NoReturn:
    """Ends the program with a message; of several processes, at once where the others don't know that it fails."""
    if isinstance(error, SharedError) or not jax.distributed.is_initialized():
        sys.exit(message)
    print(message, file=sys.stderr, flush=True)
    os._exit(1)  # an orderly end would wait for the others, who wait for this one
