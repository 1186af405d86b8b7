"""A watch over the processes of one run: all end when one is lost, and name it.

Each process keeps a TCP connection to the first. The system closes the connections of a process
that ends, however it ends. A machine that fails or cannot be reached no longer answers the probes
of TCP. Either way the first process tells the remaining ones, and all end with one line. JAX itself
notices through heartbeats, later, and with several lines.
"""

import atexit
import contextlib
import functools
import logging
import os
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import jax

from vae_jax.errors import InputError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 20.0  # to reach the first process at one of its addresses
HELLO_SECONDS = 5.0  # from a connection to its first line
END_SECONDS = 2.0  # for the remaining processes to end before the first one does
# Seconds until the first probe of a silent connection, between probes, and their number. Unanswered
# probes end a connection after half a minute.
PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
STATUS = 1  # the machine stopped the run, see `vae_jax.main`
WELCOME = "welcome"  # the answer of the first process to one of its run
BYE = "bye"  # sent before an orderly end
WITHOUT = "if a process is lost, JAX ends the remaining ones within a minute"
# Addresses for documentation. Connecting to one by UDP sends nothing, but selects the address of
# this machine in other networks.
ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}

_connections: list[socket.socket] = []
_watches = False
_ending = threading.Lock()  # held by the thread that says why this process ends


def watch(gather: Callable[[str], list[str]], host: str | None = None) -> None:
    """Begin to watch the processes that `jax.distributed.initialize` has joined.

    The first process tells the remaining ones its port, a token and its addresses. A process that
    cannot reach it is watched by the heartbeats of JAX alone.

    Args:
      gather: returns the strings of all processes, by index; every process must call it.
      host: the first process as this one knows it, None if only JAX knows it.
    """
    global _watches
    task = _lead(gather) if jax.process_index() == 0 else _join(gather, host)
    if task is not None:
        _watches = True
        atexit.register(_say_bye)
        threading.Thread(target=task, name="peers", daemon=True).start()


def _lead(gather: Callable[[str], list[str]]) -> Callable[[], None] | None:
    """The task of the first process, None if it has no port."""
    try:
        server = _listen()
    except OSError as error:
        logger.warning("process 0 cannot listen (%s); %s", error, WITHOUT)
        gather("")
        return None
    token = secrets.token_hex(8)
    gather(" ".join([str(server.getsockname()[1]), token, *_own_addresses()]))
    return functools.partial(_serve, server, token, jax.process_count())


def _join(gather: Callable[[str], list[str]], host: str | None) -> Callable[[], None] | None:
    """The task of another process, None if it cannot reach the first."""
    invitation = gather("")[0]
    if not invitation:
        return None
    port, token, *addresses = invitation.split()
    problems = []
    for address in [host, *addresses] if host else addresses:
        try:
            connection = _connect(address, int(port), f"{token} {jax.process_index()}")
        except OSError as error:
            problems.append(f"{address}: {error}")
        else:
            _connections.append(connection)
            return functools.partial(_follow, connection)
    logger.warning(
        "process %d cannot reach port %s of process 0 (%s); %s",
        jax.process_index(),
        port,
        ", ".join(problems),
        WITHOUT,
    )
    return None


def wait_for_loss(seconds: float = 5.0) -> None:
    """Give the watch time to name a lost process, after an error that its loss may have caused.

    The watch ends this process; this returns if no process was lost.
    """
    if _watches:
        time.sleep(seconds)


def _listen() -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", 0))


def _own_addresses() -> list[str]:
    """Name and addresses under which other machines may reach this one."""
    addresses = [socket.gethostname()]
    for family, elsewhere in ELSEWHERE.items():
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            addresses.append(probe.getsockname()[0])
    return addresses


def _connect(address: str, port: int, hello: str) -> socket.socket:
    """Connect to the first process; raises OSError unless it answers."""
    connection = socket.create_connection((address, port), timeout=CONNECT_SECONDS)
    try:
        connection.sendall(f"{hello}\n".encode())
        if _read(connection) != WELCOME:
            connection.sendall(f"{BYE}\n".encode())  # it may answer later
            raise OSError("no answer")
    except OSError:
        connection.close()
        raise
    connection.settimeout(None)
    _probe(connection)
    return connection


def _probe(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _serve(server: socket.socket, token: str, count: int) -> None:
    """Watch all connections to the first process."""
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is server:
                with contextlib.suppress(OSError, InputError):
                    connection, index = _accept(server, token, count)
                    _connections.append(connection)
                    selector.register(connection, selectors.EVENT_READ, index)
                continue
            connection = key.fileobj
            if _read(connection) != BYE:
                _connections.remove(connection)
                _end(key.data)
            selector.unregister(connection)


def _accept(server: socket.socket, token: str, count: int) -> tuple[socket.socket, int]:
    """A connection of another process of this run, with its index."""
    connection, _ = server.accept()
    connection.settimeout(HELLO_SECONDS)
    words = _read(connection).split()
    if len(words) != 2 or words[0] != token or words[1] not in map(str, range(1, count)):
        connection.close()
        raise InputError("not a process of this run")
    connection.sendall(f"{WELCOME}\n".encode())
    connection.settimeout(None)
    _probe(connection)
    return connection, int(words[1])


def _follow(connection: socket.socket) -> None:
    """Watch the first process, which names any other that is lost."""
    message = _read(connection)
    if message != BYE:
        _end(int(message) if message.isdigit() else 0)


def _read(connection: socket.socket) -> str:
    """The next short line, "" if the connection has ended."""
    content = b""
    with contextlib.suppress(OSError):
        while not content.endswith(b"\n") and len(content) < 64:
            part = connection.recv(1)
            if not part:
                return ""
            content += part
    return content.decode(errors="replace").strip()


def _send_all(message: str) -> None:
    for connection in _connections:
        with contextlib.suppress(OSError):
            connection.sendall(message.encode())


def _say_bye() -> None:
    _send_all(f"{BYE}\n")


def _end(lost: int) -> NoReturn:
    """End this process at once: its main thread may wait for the lost one forever."""
    text = (
        f"error: process {lost} of this run ended or cannot be reached; run the same command in "
        "all processes to resume"
    )
    leave(text, STATUS, lost)


def leave(message: str, status: int, lost: int | None = None) -> NoReturn:
    """End this process with one message, the first process last.

    JAX keeps its connections to the first process, and aborts with several lines if they break.

    Args:
      message: printed unless another thread has already printed why this process ends.
      status: exit status.
      lost: the process to name to the remaining ones, None for this one.
    """
    _ending.acquire()  # and never released
    screen = 2
    with contextlib.suppress(OSError):
        screen = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # or JAX prints more lines
    with contextlib.suppress(OSError):
        os.write(screen, f"{message}\n".encode(errors="backslashreplace"))
    if _watches and jax.process_index() == 0:
        _dismiss(0 if lost is None else lost)
    os._exit(status)


def _dismiss(lost: int) -> None:
    """Tell the remaining processes which one is lost, and wait for their end."""
    _send_all(f"{lost}\n")
    deadline = time.monotonic() + END_SECONDS
    for connection in _connections:
        with contextlib.suppress(OSError):
            while (seconds := deadline - time.monotonic()) > 0:
                connection.settimeout(seconds)
                if not connection.recv(64):
                    break
