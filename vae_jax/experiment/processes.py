"""Several processes of one run: their start, agreements, errors and exit.

Every process runs the same program on its own devices. All read from disk; the first writes.
An error of one process ends all. At points of synchronization (`together`, `on_first`), the
remaining processes raise it too. Elsewhere the process exits at once, which breaks all connections
to it. A process that is killed takes the remaining ones along, see `peers`.
"""

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vae_jax.errors import InputError, RunDiverged, RunStopped
from vae_jax.experiment import peers
from vae_jax.experiment.launch import clusters, devices

MESSAGE_BYTES = 8192
HEARTBEAT_TIMEOUT = 40  # seconds until JAX ends a process whose peer is lost, if `peers` does not
MAX_CALLS = 1000  # calls of `SharedFlag.exchange` between two combinations
ADVICE = (
    "give --coordinator, --num_processes and --process_index, --trials=K/N to give each process "
    "its own trials of a sweep, or --nodistributed to run this process alone"
)
# Begin the errors of a broken connection. JAX raises some of them as ValueError.
STATUSES = ("UNKNOWN:", "INTERNAL:", "UNAVAILABLE:", "ABORTED:", "CANCELLED:", "DEADLINE_EXCEEDED:")
T = TypeVar("T")


class SharedError(RunStopped):
    """An error that all processes raise together.

    Attributes:
      kind: the class of the error on the process that it comes from, one of `KINDS`.
    """

    def __init__(self, message: str, kind: type[Exception]) -> None:
        super().__init__(message)
        self.kind = kind


KINDS: tuple[type[Exception], ...] = (InputError, RunDiverged, RunStopped)


def start(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_index: int | None = None,
    *,
    distributed: bool | None = None,
) -> None:
    """Join the processes of this run before anything touches a device; no-op for a single one.

    Then each begins to watch the rest, for which JAX compiles its first program: settings of its
    compiler and of its cache come earlier.

    All three are detected on the clusters in `clusters`, for which JAX has to find the coordinator.

    Args:
      coordinator: address and port of the first process.
      num_processes: the number of processes.
      process_index: the index of this process.
      distributed: True to join other processes on any cluster that
        `jax.distributed.initialize` supports, False to detect none: this process runs alone.

    Raises:
      InputError: only some are given, or they are invalid, or the coordinator cannot be reached, or
        there are other processes, but JAX does not find them.
      RunStopped: there are other processes, but the devices of this one cannot be used.
    """
    options = {
        "coordinator": coordinator,
        "num_processes": num_processes,
        "process_index": process_index,
    }
    missing = [name for name, value in options.items() if value is None]
    if len(missing) == len(options):
        cluster = clusters.detect() if distributed is None else None
        if distributed or cluster is not None:
            _initialize(cluster=cluster)
        return
    if distributed is False:
        option = next(name for name, value in options.items() if value is not None)
        raise InputError(f"{option}: does nothing with --nodistributed; use only one")
    if missing:
        others = ", ".join(name for name in options if name not in missing)
        raise InputError(f"{missing[0]}: must be given with {others}")
    if not 0 <= process_index < num_processes:
        raise InputError(f"process_index = {process_index}: must be from 0 to {num_processes - 1}")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise InputError(
            f"coordinator = {coordinator!r}: must be an address and a port, such as 10.0.0.1:1234"
        )
    if num_processes > 1:
        _initialize(coordinator, num_processes, process_index)


def _initialize(*options: str | int, cluster: clusters.Cluster | None = None) -> None:
    if hasattr(jax.config, "jax_enable_preemption_service"):  # not before jax 0.8
        # The service would take SIGTERM away from `Interruption`.
        jax.config.update("jax_enable_preemption_service", False)
    method = (
        {}
        if cluster is None or not cluster.method
        else {"cluster_detection_method": cluster.method}
    )
    try:
        jax.distributed.initialize(*options, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT, **method)
    except Exception as error:  # whatever the client of a cluster raises
        if options:
            problem = f"coordinator = {options[0]!r}: cannot be reached"
        elif cluster is None:
            problem = "distributed: JAX does not support this cluster"
        else:
            problem = (
                f"this is one of several processes ({cluster.evidence}), but JAX cannot join them"
            )
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        advice = "" if options else f"; {ADVICE}"
        raise InputError(f"{problem} ({reason}){advice}") from error
    if jax.distributed.is_initialized():  # not with a cluster of one process
        devices.check_devices()
        coordinator = str(options[0]) if options else os.environ.get("JAX_COORDINATOR_ADDRESS", "")
        peers.watch(_gather, coordinator.rpartition(":")[0].strip("[]") or None)


def is_first() -> bool:
    """True for the process that writes; touches no device in a single process."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def together(action: Callable[[], T]) -> T:
    """Run the action on every process; if it fails on any of several, all raise SharedError."""
    if jax.process_count() == 1:
        return action()
    result, failure, message = None, None, ""
    try:
        result = action()
    except Exception as error:  # whatever its type, no process must wait forever
        failure = error
        kind = next((number for number, kind in enumerate(KINDS) if isinstance(error, kind)), -1)
        message = f"{kind} {str(error) or type(error).__name__}"
    messages = _gather(message)
    failing = [index for index, text in enumerate(messages) if text]
    if failing:
        where = "" if len(failing) == len(messages) else f"process {failing[0]}: "
        kind, _, message = messages[failing[0]].partition(" ")
        raise SharedError(where + message, KINDS[int(kind)]) from failure
    return result


def _gather(message: str) -> list[str]:
    """Return the messages of all processes."""
    content = message.encode(errors="backslashreplace")[:MESSAGE_BYTES].ljust(MESSAGE_BYTES, b"\0")
    rows = multihost_utils.process_allgather(np.frombuffer(content, np.uint8))
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in np.asarray(rows, np.uint8)]


def on_first(action: Callable[[], None]) -> None:
    """Run the action on the first process while the rest wait; all raise its error."""
    together(action if is_first() else lambda: None)


def any_of(flag: bool) -> bool:
    """True if the flag is set on any process; every process must call this."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


class SharedFlag:
    """A flag that any process can set during training; all see it at the same later call.

    Processes combine their flags about once in `seconds`, which on CPU they have to wait for: at
    every N-th call of `exchange`, where N follows from the slowest process, and is exchanged with
    the flags, so that all agree. Each combination starts at one of these calls, and its result is
    read at the next one: on GPU and TPU, which run collectives in the background, the host waits
    for nothing. A single process gets its flag at once.

    Args:
      seconds: between two combinations; 0 for one at every call.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._is_set = False
        self._wait = 1  # calls until the next combination
        self._calls, self._start = 0, time.monotonic()
        self._pending: jax.Array | None = None
        if jax.process_count() > 1:
            mesh = Mesh(np.asarray(jax.devices()), ("devices",))
            self._sharding = NamedSharding(mesh, P("devices"))
            combine = functools.partial(jnp.max, axis=0)
            self._combine = jax.jit(combine, out_shardings=NamedSharding(mesh, P()))

    def exchange(self, flag: bool) -> bool:
        """True once the flag was set on any process; every process must call.

        The answer is the same on all processes, and stays True.
        """
        if jax.process_count() == 1:
            return flag
        self._is_set |= flag
        self._calls += 1
        if self._calls < self._wait:
            return False
        before = self._pending
        values = np.array([self._is_set, self._seconds_of_a_call()], np.float32)
        rows = jax.make_array_from_callback(
            (jax.device_count(), 2), self._sharding, lambda index: values[None]
        )
        self._pending = self._combine(rows)  # not awaited
        if before is None:
            return False
        is_set, slowest = np.asarray(before.addressable_data(0))
        self._wait = calls_between(self._seconds, float(slowest))
        return bool(is_set)

    def _seconds_of_a_call(self) -> float:
        """The mean since the last combination; the count restarts."""
        now = time.monotonic()
        mean = (now - self._start) / self._calls
        self._calls, self._start = 0, now
        return mean


def calls_between(seconds: float, seconds_of_a_call: float) -> int:
    """The number of calls that take about the given seconds, from 1 to `MAX_CALLS`."""
    return int(min(max(seconds / max(seconds_of_a_call, 1e-9), 1), MAX_CALLS))


def is_of_connection(error: Exception) -> bool:
    """True for an error that the loss of another process may have caused."""
    if not jax.distributed.is_initialized():
        return False
    return isinstance(error, jax.errors.JaxRuntimeError) or str(error).startswith(STATUSES)


def leave_if_alone(error: Exception, message: str, status: int) -> None:
    """End the program at once if other processes do not know of the error; else return."""
    if isinstance(error, SharedError) or not jax.distributed.is_initialized():
        return
    sys.stderr.flush()
    peers.leave(message, status)  # an orderly exit would wait for processes that wait for this one
