"""No two servers get one port."""

from __future__ import annotations

import socket

from ops.ports import RANGE, free_port, is_free


def test_a_port_is_not_handed_out_twice() -> None:
    handed_out = [free_port() for _ in range(200)]
    assert len(set(handed_out)) == 200


def test_a_taken_port_is_not_free_and_not_handed_out() -> None:
    with socket.socket() as server:
        following = free_port() + 1
        taken = following if following in RANGE and is_free(following) else free_port()
        server.bind(("127.0.0.1", taken))
        server.listen()
        assert not is_free(taken)
        assert taken not in {free_port() for _ in range(200)}
