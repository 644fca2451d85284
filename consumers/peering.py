"""Who is asked: a contact with every peer and with nobody else, as the registry changes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from consumers.contact import POLL_SECONDS, Contact, Network
from consumers.pull import Peer
from events import locations, recovery, streams
from events.loops import Loop

LOOK_SECONDS = 1.0
TAKEN_UP, DROPPED = "peer_taken_up", "peer_dropped"

log = structlog.get_logger("consumers.peering")


class Peering:
    """Keeps the contacts, each in a thread of its own; ``clock`` says what time it is (µs)."""

    def __init__(self, network: Network, clock: Callable[[], int]) -> None:
        self._network, self._clock = network, clock
        self._threads: dict[str, threading.Thread] = {}
        self.contacts: dict[str, Contact] = {}

    def step(self) -> bool:
        """Take up who is a peer now; drop who is none any more, or answers elsewhere.

        Never busy: it looks again after a while.
        """
        peers = locations.peers()
        for name, contact in list(self.contacts.items()):
            if name not in peers or peers[name].url != contact.url:
                self._drop(name)
        for name in sorted(peers.keys() - self.contacts.keys()):
            peer = Peer(name, peers[name].url, self._clock)
            self.contacts[name] = Contact(peer, self._network)
            self._begin(name)
            log.info(TAKEN_UP, peer=name)
        if not peers and recovery.is_recovering():
            recovery.finish(streams.own_key())  # nobody else can know more
        return False

    def poke(self, name: str) -> None:
        """Ask a peer at once, for a number is missing."""
        contact = self.contacts.get(name)
        if contact is not None:
            contact.poke()

    def close(self) -> None:
        """End all contacts."""
        threads = list(self._threads.values())
        for name in list(self.contacts):
            self._drop(name)
        for thread in threads:
            thread.join(3)

    def _begin(self, name: str) -> None:
        contact = self.contacts[name]
        step, stop, wake = contact.step, contact.stop, contact.wake
        loop = Loop(f"contact {name}", step, lambda: POLL_SECONDS, stop, wake)

        def keep() -> None:
            loop.run()
            contact.close()

        thread = threading.Thread(target=keep, name=loop.name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def _drop(self, name: str) -> None:
        self.contacts.pop(name).leave()
        self._threads.pop(name, None)
        log.info(DROPPED, peer=name)
