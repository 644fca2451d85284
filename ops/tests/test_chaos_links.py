"""A way that is spoilt loses, holds up, tears and doubles what it should, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ops.chaos.processes.links import Mode, SteeredLink, steer
from ops.demo.links import Network
from ops.ports import free_port
from tests.locations import wait_until

QUESTION, ANSWER = b"question", b"an answer of some length"
SECONDS, SILENCE_SECONDS = 30, 0.3


class Server:
    """Answers each question; ``heard`` are all questions, in their order."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while question := connection.recv(100):
                self.heard.append(question)
                connection.sendall(ANSWER)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def link(server: Server) -> SteeredLink:
    return SteeredLink("loc1", "loc2", free_port(), server.port)


@pytest.fixture
def network(link: SteeredLink) -> Iterator[Network]:
    network = Network([link])
    network.start()
    yield network
    network.stop()


def connect(link: SteeredLink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=SECONDS)


def ask(connection: socket.socket) -> bytes:
    """Return all that comes back; nothing for a connection that ended."""
    try:
        connection.sendall(QUESTION)
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_clear_way(network: Network, link: SteeredLink) -> None:
    with connect(link) as connection:
        assert [ask(connection), ask(connection)] == [ANSWER, ANSWER]


def test_refused_ends_what_is_open(network: Network, link: SteeredLink, server: Server) -> None:
    with connect(link) as opened:
        assert ask(opened) == ANSWER
        steer(network, link, Mode.REFUSED)
        assert ask(opened) == b""
    with connect(link) as another:
        assert ask(another) == b""
    assert len(server.heard) == 1


@pytest.mark.parametrize(("mode", "heard"), [(Mode.SILENT, 0), (Mode.DEAF, 1)])
@pytest.mark.parametrize("is_open", [False, True])
def test_what_is_held_back_arrives_afterwards(
    network: Network, link: SteeredLink, server: Server, mode: Mode, heard: int, is_open: bool
) -> None:
    with connect(link) as connection:
        if is_open:
            assert ask(connection) == ANSWER
            server.heard.clear()
        steer(network, link, mode)
        connection.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            ask(connection)
        wait_until(lambda: len(server.heard) == heard, SECONDS)
        steer(network, link, Mode.CLEAR)
        connection.settimeout(SECONDS)
        assert connection.recv(100) == ANSWER
        assert server.heard == [QUESTION]


def test_unheard_is_done_and_not_answered(
    network: Network, link: SteeredLink, server: Server
) -> None:
    steer(network, link, Mode.UNHEARD)
    with connect(link) as connection:
        assert ask(connection) == b""
    assert server.heard == [QUESTION]


def test_torn_ends_within_the_answer(network: Network, link: SteeredLink) -> None:
    steer(network, link, Mode.TORN)
    with connect(link) as connection:
        found = ask(connection)
        with suppress(ConnectionError):
            while rest := connection.recv(100):
                found += rest
    assert found == ANSWER[: len(ANSWER) // 2]


def test_slow_takes_its_time(network: Network, link: SteeredLink) -> None:
    steer(network, link, Mode.SLOW)
    begun = time.monotonic()
    with connect(link) as connection:
        assert ask(connection) == ANSWER
    assert time.monotonic() - begun > 0.1  # both ways


def test_lossy_ends_some_connections_only(network: Network, link: SteeredLink) -> None:
    steer(network, link, Mode.LOSSY)
    link.dice.seed(1)
    found = []
    for _ in range(20):
        with connect(link) as connection:
            found.append(ask(connection))
    assert set(found) == {ANSWER, b""}


def test_doubled_is_asked_twice_and_answered_once(
    network: Network, link: SteeredLink, server: Server
) -> None:
    steer(network, link, Mode.DOUBLED)
    with connect(link) as connection:
        assert [ask(connection), ask(connection)] == [ANSWER, ANSWER]
        wait_until(lambda: len(server.heard) == 4, SECONDS)
        connection.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(100)
    assert server.heard == [QUESTION] * 4
