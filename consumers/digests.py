"""Comparing this location's state with its peers': digests at rest, buckets where they differ.

Nothing is copied from a peer. What differs is folded again here from this location's own log, and
the peer does the same with its own: whichever was wrong is right afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from consumers.errors import PeerFailed
from consumers.pull import Peer
from events import contacts, digest, status, streams
from events.rebuilding import Selection, rebuild_all

DIGEST_AGE_SECONDS = 3600.0
# Of all its time, a location spends at most a twentieth on digests, and on what they make it do.
DIGEST_REST = 20
ASK_AGAIN_SECONDS = 60.0
DIFFER, NOT_COMPARED, REBUILT = "digests_differ", "digests_not_compared", "buckets_rebuilt"

log = structlog.get_logger("consumers.digests")

Heads = dict[str, list[int]]


class DigestKeeper:
    """Takes the state digest when the streams have come to rest, and once an hour.

    Where a peer has another one of the same positions, it finds out in which buckets, says so, and
    folds what is in them again. ``peer_of`` returns the peer of that name, to be asked once.
    """

    def __init__(self, peer_of: Callable[[str], Peer]) -> None:
        self._peer_of = peer_of
        self._seen: tuple[Heads, bool] | None = None
        self._taken: tuple[Heads, bool] | None = None
        self._taken_at = self._not_before = 0.0
        self._compared: dict[str, tuple[str, str]] = {}  # with whom last: its digest, ours
        self._ask_at: dict[str, float] = {}

    def step(self) -> bool:
        """Take the digest if it is time, and compare it; never busy."""
        found, now = (digest.comparable(streams.positions()), digest.is_settled()), time.monotonic()
        is_at_rest, self._seen = found == self._seen, found
        is_old = found != self._taken or now - self._taken_at > DIGEST_AGE_SECONDS
        if is_at_rest and is_old and now >= self._not_before:
            self._take()
        for name, digests in status.differing_digests().items():
            if digests != self._compared.get(name) and now >= self._ask_at.get(name, 0.0):
                self._compare(name, digests)
        return False

    def _take(self) -> None:
        began = time.monotonic()
        taken = digest.take()
        contacts.note_digest(taken)
        self._taken, self._taken_at = (taken.heads, taken.is_settled), time.monotonic()
        self._rest(began)

    def _rest(self, began: float) -> None:
        now = time.monotonic()
        self._not_before = max(self._not_before, now + DIGEST_REST * (now - began))

    def _compare(self, name: str, digests: tuple[str, str]) -> None:
        """Find where a peer's state and this one differ, and fold that again.

        1. Ask for its buckets; one of two digests may have been taken anew meanwhile.
        2. Raise the alarm, once for these digests.
        3. Fold the entities of those buckets from the log; if rows change, so does the digest.
        """
        peer = self._peer_of(name)
        try:
            heads, theirs = peer.buckets()  # 1
        except PeerFailed as exc:
            log.warning(NOT_COMPARED, peer=name, reason=exc.reason)
            self._ask_at[name] = time.monotonic() + ASK_AGAIN_SECONDS
            return
        finally:
            peer.close()
        own_heads, ours = contacts.own_buckets()
        if (heads, len(theirs)) != (own_heads, len(ours)):
            return
        self._compared[name] = digests
        buckets = digest.differing_buckets(ours, theirs)
        log.error(DIFFER, peer=name, buckets=buckets)  # 2
        began = time.monotonic()
        tally = rebuild_all(Selection(buckets=buckets))  # 3
        found = tally.found
        log.info(REBUILT, entities=tally.entities, differing=len(found.uids), rows=dict(found.rows))
        self._ask_at[name] = time.monotonic() + DIGEST_REST * (time.monotonic() - began)
        if found.rows:
            self._take()
