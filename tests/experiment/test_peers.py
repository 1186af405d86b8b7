"""Connections between the processes of a run, without JAX."""

import concurrent.futures
import socket

import pytest

from vae_jax.errors import InputError
from vae_jax.experiment import peers


@pytest.fixture
def server():
    with peers._listen() as server:
        yield server


def connect(server, address, hello):
    """Both ends of a connection to the server, or the error at each."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        accepted = pool.submit(peers._accept, server, "token", 2)
        connected = pool.submit(peers._connect, address, server.getsockname()[1], hello)
        return accepted, connected


def test_each_own_address_reaches_this_machine(server):
    addresses = peers._own_addresses()
    assert addresses[0] == socket.gethostname()
    for address in addresses:
        accepted, connected = connect(server, address, "token 1")
        theirs, index = accepted.result()
        assert index == 1
        with theirs, connected.result() as ours:
            theirs.sendall(b"0\n")
            assert peers._read(ours) == "0"
            assert ours.gettimeout() is None


@pytest.mark.parametrize("hello", ["other 1", "token 0", "token 2", "token", "token 1 1"])
def test_a_stranger_is_refused(server, hello):
    accepted, connected = connect(server, "localhost", hello)
    with pytest.raises(InputError, match="not a process of this run"):
        accepted.result()
    with pytest.raises(OSError, match=r"no answer|reset|Broken pipe"):
        connected.result()


def test_a_process_that_gives_up_on_an_answer_is_not_lost(server, monkeypatch):
    """The first process may be slow to accept it."""
    monkeypatch.setattr(peers, "CONNECT_SECONDS", 0.1)
    with pytest.raises(OSError, match="no answer"):
        peers._connect("localhost", server.getsockname()[1], "token 1")
    theirs, _ = peers._accept(server, "token", 2)
    with theirs:
        assert peers._read(theirs) == peers.BYE


def test_the_first_process_tells_its_port_a_token_and_its_addresses(monkeypatch):
    messages = []
    task = peers._lead(messages.append)
    server, token, _ = task.args
    with server:
        port = str(server.getsockname()[1])
        assert messages[0].split() == [port, token, *peers._own_addresses()]


def test_the_address_that_this_process_knows_comes_first(server, monkeypatch):
    tried = []
    monkeypatch.setattr(peers.jax, "process_index", lambda: 1)
    monkeypatch.setattr(peers, "_connect", lambda *args: tried.append(args) or server)
    monkeypatch.setattr(peers, "_connections", [])
    task = peers._join(lambda _: ["1234 token host-0 10.0.0.1", ""], "10.0.0.9")
    assert task.args == (server,)
    assert peers._connections == [server]
    assert tried == [("10.0.0.9", 1234, "token 1")]


def test_a_first_process_that_cannot_be_reached_is_a_warning(monkeypatch, caplog):
    def refuse(address, *_):
        raise OSError("refused")

    monkeypatch.setattr(peers.jax, "process_index", lambda: 1)
    monkeypatch.setattr(peers, "_connect", refuse)
    assert peers._join(lambda _: ["1234 token host-0 10.0.0.1", ""], None) is None
    (line,) = caplog.messages
    assert line.startswith(
        "process 1 cannot reach port 1234 of process 0 (host-0: refused, 10.0.0.1: refused); "
    )


def test_without_a_port_all_go_on(monkeypatch, caplog):
    def refuse():
        raise OSError("no socket")

    messages = []
    monkeypatch.setattr(peers, "_listen", refuse)
    assert peers._lead(messages.append) is None
    assert messages == [""]
    assert peers._join(lambda _: ["", ""], "host-0") is None
    (line,) = caplog.messages
    assert line.startswith("process 0 cannot listen (no socket); ")
