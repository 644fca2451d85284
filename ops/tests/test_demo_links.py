"""A cut link lets nothing through and ends what is open; others go on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ops.demo.links import Link, Network
from ops.ports import free_port


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while received := connection.recv(100):
                connection.sendall(received)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def network(echo: int) -> Iterator[Network]:
    """Every way between three locations, all to the same server."""
    names = ("loc1", "loc2", "loc3")
    network = Network(
        Link(one, other, free_port(), echo) for one in names for other in names if one != other
    )
    network.start()
    yield network
    network.stop()


def connect(network: Network, sender: str, receiver: str) -> socket.socket:
    link = next(x for x in network.links if (x.sender, x.receiver) == (sender, receiver))
    return socket.create_connection(("127.0.0.1", link.port), timeout=5)


def answers(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"ping")
        return connection.recv(100) == b"ping"
    except OSError:
        return False


def test_link_relays_both_ways(network: Network) -> None:
    with connect(network, "loc1", "loc2") as connection:
        assert answers(connection)
        assert answers(connection)


def test_half_closed_connection_is_answered(network: Network) -> None:
    with connect(network, "loc1", "loc2") as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"last words"
        assert connection.recv(100) == b""


def test_cut_ends_live_connections_both_ways_and_no_others(network: Network) -> None:
    with (
        connect(network, "loc1", "loc3") as to_cut,
        connect(network, "loc3", "loc1") as from_cut,
        connect(network, "loc1", "loc2") as other,
    ):
        assert all(map(answers, (to_cut, from_cut, other)))
        network.set_cut("loc3", True)
        assert not answers(to_cut)
        assert not answers(from_cut)
        assert answers(other)


def test_cut_refuses_new_connections_until_healed(network: Network) -> None:
    network.set_cut("loc3", True)
    with connect(network, "loc2", "loc3") as connection:
        assert not answers(connection)
    network.set_cut("loc3", False)
    with connect(network, "loc2", "loc3") as connection:
        assert answers(connection)


def test_healing_one_leaves_the_other_cut(network: Network) -> None:
    network.set_cut("loc1", True)
    network.set_cut("loc3", True)
    network.set_cut("loc3", False)
    with connect(network, "loc3", "loc1") as connection:
        assert not answers(connection)
    with connect(network, "loc3", "loc2") as connection:
        assert answers(connection)


def test_peers_are_addressed_by_their_links(network: Network) -> None:
    ports = {link.receiver: link.port for link in network.links if link.sender == "loc2"}
    assert network.peers_of("loc2") == {
        name: f"http://127.0.0.1:{port}" for name, port in ports.items()
    }


def test_nobody_behind_a_link_is_like_nobody_there() -> None:
    network = Network([Link("loc1", "loc2", free_port(), free_port())])
    network.start()
    with connect(network, "loc1", "loc2") as connection:
        assert not answers(connection)
    network.stop()
