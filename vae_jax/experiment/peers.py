"""A watch over the processes of one run: all end when one is lost, and name it.

Each process keeps a TCP connection to the first. The system closes the connections of a process
that ends, however it ends. A machine that fails or cannot be reached no longer answers the probes
of TCP. Either way the first process tells the remaining ones, and all end with one line. JAX itself
notices through heartbeats, later, and with several lines.
"""

import atexit
import contextlib
import logging
import os
import secrets
import selectors
import socket
import threading
import time
from typing import NoReturn

from vae_jax.errors import InputError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 20.0  # to reach the first process
HELLO_SECONDS = 5.0  # from a connection to its first line
# Seconds until the first probe of a silent connection, between probes, and their number. Unanswered
# probes end a connection after half a minute.
PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
STATUS = 1  # the machine stopped the run, see `vae_jax.main`
KEY = "vae_jax/watch"
BYE = "bye"  # sent before an orderly end

_connections: list[socket.socket] = []
_watches = False


def watch() -> None:
    """Begin to watch the processes that `jax.distributed.initialize` has joined.

    A process that cannot reach the first is watched by the heartbeats of JAX alone.
    """
    # JAX has no public name for the store that its processes share.
    from jax._src.distributed import global_state

    global _watches
    client, index, count = global_state.client, global_state.process_id, global_state.num_processes
    try:
        if index == 0:
            token, server = secrets.token_hex(8), _listen()
            client.key_value_set(KEY, f"{server.getsockname()[1]} {token}")
            target, arguments = _serve, (server, token, count)
        else:
            address = client.blocking_key_value_get(KEY, int(CONNECT_SECONDS * 1000))
            port, token = address.split()
            host = global_state.coordinator_address.rpartition(":")[0].strip("[]")
            connection = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
            connection.settimeout(None)
            _probe(connection)
            connection.sendall(f"{token} {index}\n".encode())
            _connections.append(connection)
            target, arguments = _follow, (connection,)
    except Exception as error:  # whatever the store raises
        logger.warning("process %d cannot watch the first (%s): %s", index, type(error), error)
        return
    _watches = True
    atexit.register(_say_bye)
    threading.Thread(target=target, args=arguments, name="peers", daemon=True).start()


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
                _send_all(f"{key.data}\n")
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
        "all processes to resume\n"
    )
    os.write(2, text.encode())
    os._exit(STATUS)
