"""Applying another location's events: numbers decide, whole transactions, nothing skipped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import connection

from consumers import dead_letters, ship_cursors
from consumers.dead_letters import DeadLetter
from consumers.errors import NotVerified
from consumers.verify import (
    Branch,
    Entry,
    Run,
    branch_of,
    contradicts,
    entries_of,
    is_complete,
    transactions,
    verified,
)
from events import chain, cursors, forks, measures, spans, streams
from events.cursors import Advance, Numbered
from events.envelope import Event
from events.errors import ForkedStream
from events.locations import is_signed, is_signed_by_present_key
from events.recorder import Received, receive
from events.refold import INCOMPLETE, POISON
from events.streams import Item, Position
from events.tracing import traceparent_of

MOST_EVENTS = 1000
WORK_SECONDS = 0.2
APPLIED, PARKED = "events_applied", "transaction_parked"
FORKED, GIVEN_UP = "stream_forked", "branch_given_up"
FORK, REFUSED = "fork", "refused by the database"

log = structlog.get_logger("consumers.apply")


@dataclass(slots=True)
class Pace:
    """How many events a transaction takes, so that it works for about 200 ms."""

    events: int = MOST_EVENTS

    def measured(self, events: int, seconds: float) -> None:
        """Learn from a transaction: less after one that took too long, else slowly more."""
        if seconds > WORK_SECONDS:
            self.events = max(1, int(events * WORK_SECONDS / seconds))
        else:
            self.events = min(MOST_EVENTS, self.events * 2)


@dataclass
class Applier:
    """Applies runs; ``clock`` says what time it is (µs), for ``recorded_at``."""

    clock: Callable[[], int]
    pace: Pace = field(default_factory=Pace)
    _positions: dict[tuple[str, int], Position] = field(default_factory=dict)

    def position(self, origin: str, epoch: int) -> Position:
        """Return up to where a stream is applied here."""
        known = self._positions.get((origin, epoch))
        if known is None:
            seq, value = cursors.position(origin, epoch, chain.start(origin, epoch))
            known = self._positions[origin, epoch] = Position(epoch, seq, value)
        return known

    def latest_epoch(self, origin: str) -> int:
        """Return the newest epoch of which anything is applied here; the first if nothing is."""
        known = streams.positions().get(origin)
        return streams.FIRST_EPOCH if known is None else known.epoch

    def apply(self, run: Run) -> int:
        """Apply a run; return how many of its events are new here.

        1. Check it against its head, up to which it is whole transactions.
        2. If it contradicts what is here, see which of the two branches stays (events.forks).
        3. Apply batch by batch, each with its step of the cursor; the last one keeps the head.

        ``NotVerified`` if it is not what its origin signed: then nothing is applied.
        ``WrongCursor`` if another process has applied meanwhile: the next call goes on from there.
        """
        if run.epoch <= streams.stopped().get(run.origin, 0):
            return 0
        try:
            position = self.position(run.origin, run.epoch)
            if run.items and run.items[0].seq > position.seq + 1:
                # Whoever pulls asks behind what is here: another process has applied meanwhile.
                self._positions.clear()
                position = self.position(run.origin, run.epoch)
            branch = branch_of(run, position)
            if branch is not None:
                return self._settle(run, branch, position)  # 2
            if run.head.seq <= position.seq:
                self.hear(run.head)
                return 0
            return self._go_on(run, verified(run, position))  # 1, 3
        except ForkedStream:
            self._stop(run)
            return 0
        except Exception:
            # Whether the last transaction was committed is known to the database alone.
            self._positions.clear()
            raise

    def hear(self, head: chain.Head) -> None:
        """Compare a head with what is here; a signed contradiction stops its stream.

        The empty head of a new epoch lets a stream go on that stopped before.
        """
        if head.seq and contradicts(head):
            self._stop(Run(head.origin, head.epoch, (), head, dead_letters.PULL))
        elif not head.seq and head.epoch > streams.stopped().get(head.origin, head.epoch):
            self._begin(head)

    def _begin(self, head: chain.Head) -> None:
        if is_signed(head):
            with connection.cursor() as cursor:
                streams.keep_head(cursor, head)

    def _go_on(self, run: Run, items: Sequence[Item]) -> int:
        entries = entries_of(items, run.origin)
        return sum(self._batch(run, batch) for batch in self._batches(entries))

    def _settle(self, run: Run, branch: Branch, position: Position) -> int:
        """Let the branch stay that has to; a shorter one of our own stream leaves its events."""
        if not forks.is_decided(run.origin, run.epoch):
            if not is_signed_by_present_key(run.head):
                raise NotVerified(branch.after + 1)
            raise ForkedStream
        if forks.stays(run.head, position):
            forks.give_up(run.origin, position, branch.after)
            ship_cursors.step_back(run.origin, run.epoch, branch.after)
            log.warning(GIVEN_UP, origin=run.origin, epoch=run.epoch, seq=branch.after + 1)
            self._positions.clear()
            return self._go_on(run, branch.items)
        if run.origin != settings.LOCATION_ID:
            return 0
        sealed = [entry.sealed for entry in entries_of(branch.items, run.origin) if entry.sealed]
        return len(receive(sealed, Received(self.clock(), is_own=True)))

    def _stop(self, run: Run) -> None:
        """Apply nothing more of a stream, unless its origin has settled already what happened."""
        known = run.epoch <= streams.stopped().get(run.origin, 0)
        if known or forks.is_decided(run.origin, run.epoch):
            return
        log.error(FORKED, origin=run.origin, epoch=run.epoch, seq=run.head.seq)
        self._bury(run, run.head.seq, FORK, run.head.signed_bytes(), run.source)
        forks.stop_at(run.head)

    def _batches(self, entries: Iterable[Entry]) -> Iterable[list[list[Entry]]]:
        """Yield transactions in batches; what is incomplete comes by itself."""
        batch: list[list[Entry]] = []
        size = 0
        for group in transactions(entries):
            is_alone = not is_complete(group)
            if batch and (is_alone or size + len(group) > self.pace.events):
                yield batch
                batch, size = [], 0
            batch.append(group)
            size += len(group)
            if is_alone:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _batch(self, run: Run, batch: Sequence[Sequence[Entry]]) -> int:
        """Apply a batch; if its content is too much for it, transaction by transaction."""
        entries = [entry for group in batch for entry in group]
        try:
            is_whole = all(is_complete(group) for group in batch)
            return self._receive(run, entries, None if is_whole else INCOMPLETE)
        except POISON as exc:
            if len(batch) > 1:
                return sum(self._batch(run, [group]) for group in batch)
            reason = type(exc).__name__
        log.error(PARKED, origin=run.origin, epoch=run.epoch, seq=entries[0].seq, reason=reason)
        try:
            return self._receive(run, entries, reason)
        except POISON:
            # Not even the log takes these bytes: they count, but they are no event.
            bare = [Entry(e.seq, e.chain, e.raw, None, reason=REFUSED) for e in entries]
            return self._receive(run, bare, None)

    def _receive(self, run: Run, entries: Sequence[Entry], poison: str | None) -> int:
        started = time.monotonic()
        for entry in entries:
            if entry.event is None:
                self._bury(run, entry.seq, entry.reason, entry.raw, dead_letters.STREAM)
        position = self.position(run.origin, run.epoch)
        last = entries[-1]
        advance = Advance(
            run.origin,
            run.epoch,
            position.seq,
            [
                Numbered(entry.seq, entry.event.event_id if entry.event else None, entry.chain)
                for entry in entries
            ],
            run.kafka_offset if last.seq == run.head.seq else None,
            run.head if last.seq == run.head.seq else None,
        )
        sealed = [entry.sealed for entry in entries if entry.sealed]
        fresh = receive(sealed, Received(self.clock(), advance, poison))
        self._positions[run.origin, run.epoch] = Position(run.epoch, last.seq, last.chain)
        self.pace.measured(len(entries), time.monotonic() - started)
        _tell(run, fresh, last.seq)
        return len(fresh)

    def _bury(self, run: Run, seq: int, reason: str, raw: bytes, source: str) -> None:
        letter = DeadLetter(run.origin, run.epoch, seq, source, reason, raw)
        dead_letters.keep(letter, self.clock())


def _tell(run: Run, fresh: Sequence[Event], seq: int) -> None:
    """Log what was applied: one line for each request at the origin, with its id."""
    measures.applied.labels(run.origin, run.source).inc(len(fresh))
    for request_id, count in Counter(event.request_id for event in fresh).items():
        with spans.span(APPLIED, traceparent_of(request_id)) as note:
            note({"sins.origin": run.origin, "sins.seq": seq, "sins.events": count})
        log.info(
            APPLIED,
            request_id=request_id,
            origin=run.origin,
            epoch=run.epoch,
            seq=seq,
            events=count,
            source=run.source,
        )
