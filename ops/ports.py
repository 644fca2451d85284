"""Ports of this machine for the servers that tools and tests start."""

from __future__ import annotations

import os
import socket
from itertools import count
from typing import Final

# Below those that the system picks for outgoing connections, and those of demos under test.
RANGE: Final = range(10_000, 20_000)
_places = count(os.getpid() * 997)  # processes side by side begin apart


def free_port() -> int:
    """Return a port that nobody listens on; it is not handed out again for thousands of others.

    One that the system picks may be picked again before anybody listens on it: for another server,
    or for an outgoing connection. ``OSError`` if all are taken.
    """
    for _ in RANGE:
        port = RANGE[next(_places) % len(RANGE)]
        if is_free(port):
            return port
    raise OSError(f"All ports from {RANGE.start} to {RANGE.stop - 1} are taken.")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
