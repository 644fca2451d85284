"""Keeping in contact with one peer: heartbeats, and pulling what this location lacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from django.conf import settings

from consumers import pages, wire
from consumers.deliveries import Deliveries
from consumers.errors import PeerFailed
from consumers.pages import End, ends_of
from consumers.pull import Peer
from events import contacts, locations, recovery, streams
from events.chain import Head
from events.locations import is_signed

HEARTBEAT_SECONDS = 5.0
# Between heartbeats positions are asked while no broker delivers, or own events are not known to
# have arrived.
POLL_SECONDS = 1.0
# What a heartbeat shows is most often on its way through Kafka already.
GRACE_SECONDS = 0.5
PEER_LOST, PEER_BACK, PULLED = "peer_lost", "peer_back", "events_pulled"
RECOVERED, NOT_SHOWN = "location_recovered", "own_numbers_not_shown"
FORK_TOLD = "own_stream_forked"

_T = TypeVar("_T")

log = structlog.get_logger("consumers.contact")


@dataclass
class Network:
    """What the contacts share: who answers, and whether Kafka delivers."""

    deliveries: Deliveries
    hear: Callable[[Head], None]
    has_kafka: Callable[[], bool]
    stop: threading.Event
    answering: dict[str, bool] = field(default_factory=dict)
    # Who has given back, since this location recovers, all it has of this location's own stream.
    gave_back: set[str] = field(default_factory=set)
    # Held while it is decided which epoch is the present one.
    epochs: threading.Lock = field(default_factory=threading.Lock)


class Contact:
    """One peer, asked in a loop in its own thread: one that hangs holds up no other."""

    def __init__(self, peer: Peer, network: Network) -> None:
        self.wake, self.stop = threading.Event(), threading.Event()
        self._peer, self._network = peer, network
        self._is_urgent = False
        self._heartbeat_at = 0.0
        self._heads: Mapping[str, Mapping[str, Any]] = {}

    @property
    def url(self) -> str:
        """Where the peer answers."""
        return self._peer.url

    def poke(self) -> None:
        """Ask at once, for a number is missing; a peer out of reach no sooner than it is due."""
        self._is_urgent = True
        if self._network.answering.get(self._peer.location) is not False:
            self.wake.set()

    def step(self) -> bool:
        """Ask the peer if it is time; pull what it has and this location lacks.

        Returns False: between two steps there is always a pause, unless one is poked.
        """
        now = time.monotonic()
        is_due = now >= self._heartbeat_at
        is_urgent, self._is_urgent = self._is_urgent, False
        if self._network.has_kafka() and not (is_due or is_urgent or self._has_unacknowledged()):
            return False
        try:
            self._heads = self._heartbeat() if is_due else self._positions()
            self._pull_all(self._heads, is_urgent)
        except PeerFailed as exc:
            self._lost(exc.reason)
            return False
        if is_due:
            self._heartbeat_at = now + HEARTBEAT_SECONDS
        self._back()
        return False

    def _has_unacknowledged(self) -> bool:
        """Whether the peer, as far as is known, lacks events of this location."""
        own = streams.positions()[settings.LOCATION_ID]
        known = streams.epochs(self._heads.get(settings.LOCATION_ID))
        return own.seq > known.get(own.epoch, 0)

    def leave(self) -> None:
        """Ask no more, and let nobody think that the peer answers."""
        self.stop.set()
        self.wake.set()
        self._network.answering.pop(self._peer.location, None)
        self._network.gave_back.discard(self._peer.location)

    def close(self) -> None:
        """Close the connections to the peer."""
        self._peer.close()

    def _heartbeat(self) -> Mapping[str, Mapping[str, Any]]:
        answer, offset = self._peer.exchange()
        said = _checked(lambda: wire.said_from_json(answer))
        heads = _checked(lambda: wire.signed_heads(answer))
        contacts.note(self._peer.location, said, offset)
        self._hear(heads)
        return said.heads

    def _positions(self) -> Mapping[str, Mapping[str, Any]]:
        answer = self._peer.positions()
        heads = _checked(lambda: wire.heads_from_json(answer.get("heads")))
        signed = _checked(lambda: wire.signed_heads(answer))
        contacts.note_heads(self._peer.location, heads)
        self._hear(signed)
        return heads

    def _hear(self, heads: Iterable[Head]) -> None:
        for head in heads:
            if head.origin == self._peer.location:
                self._network.hear(head)
            elif head.origin == settings.LOCATION_ID:
                self._hear_of_fork(head)

    def _hear_of_fork(self, head: Head) -> None:
        """Begin to recover if this location signed what it does not know any more.

        The peer stopped its stream for that, and goes on in the next epoch.
        """
        if streams.chain_at(head.origin, head.epoch, head.seq) == head.chain:
            return
        with self._network.epochs:
            is_past = head.epoch < streams.positions()[head.origin].epoch
            if is_past or recovery.is_recovering() or not is_signed(head):
                return
            log.warning(FORK_TOLD, peer=self._peer.location, epoch=head.epoch, seq=head.seq)
            recovery.begin()

    def _pull_all(self, heads: Mapping[str, Mapping[str, Any]], is_urgent: bool) -> None:
        has_given_back = self._pull_back(heads.get(settings.LOCATION_ID))
        others = locations.signers().keys() - {settings.LOCATION_ID}
        answering = {name for name in locations.peers() if self._network.answering.get(name)}
        for origin, said in heads.items():
            is_own = origin == self._peer.location
            # Another's stream is asked for here only while that other does not answer itself.
            if origin in others and (is_own or origin not in answering):
                for end in ends_of(origin, said):
                    self._pull(end, is_urgent)
        if has_given_back and recovery.is_recovering():
            self._note_given_back()

    def _pull_back(self, said: Mapping[str, Any] | None) -> bool:
        """Pull what the peer has of this location's own stream and this location lost.

        Its own signature proves that it is its own. Return whether all of it is here.
        """
        is_complete = True
        for end in ends_of(settings.LOCATION_ID, said):
            if end.is_here():
                continue
            run = pages.towards(self._peer, end)
            if run is None or not is_signed(run.head):
                log.warning(NOT_SHOWN, peer=self._peer.location, epoch=end.epoch, seq=end.seq)
                is_complete = False
                continue
            with self._network.epochs:
                if end.epoch >= streams.positions()[end.origin].epoch:
                    recovery.begin()
            recovery.follow(end.epoch)
            self._pull(end, is_urgent=True)
            is_complete = is_complete and pages.is_complete(self._peer, end)
        return is_complete

    def _note_given_back(self) -> None:
        """Go on in a new epoch once each peer has given back all it has.

        What this peer has of other streams is here by now: so is who else is a peer.
        """
        self._network.gave_back.add(self._peer.location)
        if self._network.gave_back >= locations.peers().keys():
            with self._network.epochs:
                recovery.finish(streams.own_key())
            self._network.gave_back.clear()
            log.info(RECOVERED, epoch=streams.positions()[settings.LOCATION_ID].epoch)

    def _pull(self, end: End, is_urgent: bool) -> None:
        if not end.is_here() and self._network.has_kafka() and not is_urgent:
            self._network.stop.wait(GRACE_SECONDS)
        while not end.is_here() and not self._network.stop.is_set():
            before = streams.applied_seq(end.origin, end.epoch)
            run = pages.towards(self._peer, end)
            if run is None:
                return
            self._network.deliveries.deliver(run)
            here = streams.applied_seq(end.origin, end.epoch)
            log.info(PULLED, origin=end.origin, peer=self._peer.location, seq=here)
            if here == before:
                return  # not verified, stopped, or the database is away: the next step asks again

    def _lost(self, reason: str) -> None:
        if self._network.answering.get(self._peer.location) is not False:
            log.warning(PEER_LOST, peer=self._peer.location, reason=reason)
        contacts.note_failure(self._peer.location, reason)
        self._answers(False)
        self._heartbeat_at = 0.0  # the first word of a peer that is back is a heartbeat

    def _back(self) -> None:
        if self._network.answering.get(self._peer.location) is False:
            log.info(PEER_BACK, peer=self._peer.location)
        self._answers(True)

    def _answers(self, does: bool) -> None:
        if not self.stop.is_set():
            self._network.answering[self._peer.location] = does


def _checked(read: Callable[[], _T]) -> _T:
    """Return what a reader of an answer returns; what it cannot read is the peer's failure."""
    try:
        return read()
    except ValueError as exc:
        raise PeerFailed("malformed answer") from exc
