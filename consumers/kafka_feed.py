"""From records to runs: what Kafka brings, verified, in number order; what it lacks is pulled."""

from __future__ import annotations

import time
from collections.abc import Callable

from consumers import dead_letters
from consumers.apply import Applier
from consumers.dead_letters import DeadLetter
from consumers.errors import NotVerified
from consumers.inbox import Inbox
from consumers.verify import decoded
from events import locations
from events.errors import MissingKey, UndecodableEvent
from events.kafka import Reader
from events.locations import Signers, is_signed, is_signed_by_present_key
from events.records import Record, is_head, read_head, read_item, topic_of
from events.streams import kafka_offsets

MOST_RECORDS = 500
WAIT_SECONDS = 0.05
MOST_EPOCHS = 8  # of one origin that wait at a time
LOOK_SECONDS = 1.0  # for peers that came or went
UNREADABLE, WRONG_HEAD, NOT_SIGNED = "unreadable record", "head not signed", "not as signed"


class KafkaFeed:
    """Reads the topics of all peers; ``poke`` asks for a pull from a location."""

    def __init__(self, bootstrap: str, applier: Applier, poke: Callable[[str], None]) -> None:
        self._bootstrap, self._applier, self._poke = bootstrap, applier, poke
        self._origins: dict[str, str] = {}
        self._look_at = 0.0
        self._signers: Signers = {}
        self._settled_with: Signers = {}
        self._inboxes: dict[tuple[str, int], Inbox] = {}
        self._reader: Reader | None = None

    @property
    def is_connected(self) -> bool:
        """Whether Kafka delivers, as far as is known."""
        return self._reader is not None and self._reader.is_connected

    def step(self) -> bool:
        """Read what has come, and apply what is whole; return whether there was anything."""
        self._follow_peers()
        if self._reader is None:
            offsets = kafka_offsets(list(self._origins.values()))
            topics = {topic_of(origin): offset for origin, offset in offsets.items()}
            self._reader = Reader(self._bootstrap, topics)
        records = self._reader.read(MOST_RECORDS, WAIT_SECONDS)
        if records:
            self._signers = locations.signers()  # there may be a head to every event
        for topic, record in records:
            self._take(self._origins[topic], record)
        applied = [self._apply(inbox) for inbox in self._inboxes.values()]
        return bool(records) or any(applied)

    def close(self) -> None:
        """Close the connection to Kafka; the next step opens another where the cursors stand."""
        reader, self._reader = self._reader, None
        self._inboxes.clear()
        if reader is not None:
            reader.close()

    def _follow_peers(self) -> None:
        """Read other topics once there are other peers; look at heads again once keys are known."""
        now = time.monotonic()
        if now < self._look_at:
            return
        origins = {topic_of(name): name for name in sorted(locations.peers())}
        if origins != self._origins:
            self.close()
        self._origins, self._look_at = origins, now + LOOK_SECONDS
        signers = locations.signers()
        if signers != self._settled_with:
            _settle_heads(signers)
            self._settled_with = signers

    def _take(self, origin: str, record: Record) -> None:
        if is_head(record):
            self._take_head(origin, record)
            return
        try:
            epoch, item = read_item(record)
        except ValueError:
            self._bury(origin, None, None, UNREADABLE, record.value)
            return
        # Nobody signed this header: a stream it alone names is not opened.
        inbox = self._inboxes.get((origin, epoch))
        if inbox is None and epoch == self._applier.latest_epoch(origin):
            inbox = self._inbox(origin, epoch)
        if inbox is None or item.seq <= self._applier.position(origin, epoch).seq:
            return
        try:
            decoded(item, origin)
        except (UndecodableEvent, MissingKey) as exc:
            self._bury(origin, epoch, item.seq, type(exc).__name__, record.value)
        else:
            inbox.add(item)

    def _take_head(self, origin: str, record: Record) -> None:
        try:
            head = read_head(record)
        except ValueError:
            self._bury(origin, None, None, UNREADABLE, record.value)
            return
        if head.origin != origin or not is_signed(head, self._signers):
            self._bury(origin, None, None, WRONG_HEAD, record.value)
            return
        inbox = self._inbox(origin, head.epoch)
        if inbox is None:
            return
        if head.seq <= self._applier.position(origin, head.epoch).seq:
            self._applier.hear(head)
        elif is_signed_by_present_key(head, self._signers):
            inbox.add_head(head, record.offset)
        # Else a later head covers it: anybody may have signed this one, and put events before it.

    def _inbox(self, origin: str, epoch: int) -> Inbox | None:
        known = self._inboxes.get((origin, epoch))
        if known is None and sum(o == origin for o, _ in self._inboxes) < MOST_EPOCHS:
            known = self._inboxes[origin, epoch] = Inbox(origin, epoch)
        return known

    def _apply(self, inbox: Inbox) -> bool:
        """Apply what of an inbox is whole; ask for what is missing."""
        has_applied = False
        position = self._applier.position(inbox.origin, inbox.epoch)
        while (run := inbox.run(position)) is not None:
            try:
                self._applier.apply(run)
            except NotVerified as exc:
                wrong = inbox.drop_from(exc.seq)
                raw = wrong.raw if wrong else run.head.signed_bytes()
                self._bury(inbox.origin, inbox.epoch, exc.seq, NOT_SIGNED, raw)
                break
            before, position = position, self._applier.position(inbox.origin, inbox.epoch)
            if position == before:
                break  # stopped
            has_applied = True
        if inbox.has_gap(position):
            self._poke(inbox.origin)
        return has_applied

    def _bury(
        self, origin: str, epoch: int | None, seq: int | None, reason: str, raw: bytes
    ) -> None:
        """Keep a copy of what is not received, and have its number pulled."""
        letter = DeadLetter(origin, epoch, seq, dead_letters.KAFKA, reason, raw)
        dead_letters.keep(letter, self._applier.clock())
        self._poke(origin)


def _settle_heads(signers: Signers) -> None:
    """Forget the heads of whom no key was known when they came, if one of those known now signed.

    What they cover is covered by later ones, or pulled. A new location hears of former keys only
    after Kafka has brought it what they signed.
    """
    for letter in dead_letters.kept():
        raw = dead_letters.raw_of(letter) if letter.reason == WRONG_HEAD else b""
        head = read_head(Record(b"", raw)) if raw else None
        if head is not None and head.origin == letter.origin and is_signed(head, signers):
            dead_letters.forget(letter)
