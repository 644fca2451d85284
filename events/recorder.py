"""The only transaction that writes: events, rows and outbox, for local and remote events alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import DataError, OperationalError, transaction

from events import comparing, contacts, cursors, guard, heads, items, keys, log, refold, sql
from events.comparing import Found, Repair
from events.drafting import Author, Draft, events_of
from events.envelope import Event, to_raw
from events.errors import Recovering, TooLarge, Unknown
from events.fold import Memo
from events.heads import Head
from events.keys import Subject
from events.log import Sealed
from events.registry import kind_of_type, versions
from events.stamp import clamped

MAX_EVENTS = 1000  # of one transaction
_LIMIT_EXCEEDED = "54"  # a class of SQLSTATE

__all__ = ["Author", "Draft", "Found", "Late", "Received", "rebuild", "receive", "recognise",
           "record", "recording"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Received:
    """A run of another location's events, whole transactions, verified against its head.

    ``advance`` moves this location's cursor in that stream; without it the events have no number
    (genesis). ``poison`` says why their entities are to be parked instead of folded.
    ``is_own`` are events of this location's own that came back from a branch of its stream that is
    given up: the sequencer numbers them anew (events.forks).
    """

    now: int
    advance: cursors.Advance | None = None
    poison: str | None = None
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """A number whose bytes were kept as no event and are ``sealed`` now; ``now`` in µs."""

    origin: str
    epoch: int
    seq: int
    sealed: Sealed
    now: int


def record(drafts: Sequence[Draft], author: Author) -> list[Event]:
    """Write what an author wants; return the events it made, none if all of it is so already.

    1. Lock the heads, in uid order.
    2. Refuse what is stale or settled; stamp; drop what is so already.
    3. Keep the events, in a form that all locations can read, their values sealed.
    4. Fold them as they will be read; make the rows equal to the result.
    5. Last, one outbox entry for the transaction: the sequencer numbers it after the commit.

    Raises a ``SinsError`` (``Recovering``: no writes here now); then nothing is written.
    """
    uids = {draft.entity_uid for draft in drafts}
    if len(drafts) > MAX_EVENTS:
        raise TooLarge
    if len(uids) < len(drafts):
        raise ValueError("one event per entity per transaction")
    subjects = {(draft.subject_uid or draft.entity_uid, author.origin) for draft in drafts}
    with recording() as mark:
        new = {draft.entity_uid: draft.kind.name for draft in drafts if draft.is_new}
        lock = heads.lock(uids, new)  # 1
        known_keys = keys.stored_keys(subjects)
        announced = contacts.announced() if any(draft.kind.steps for draft in drafts) else None
        locked = heads.locked(lock)
        [(_, is_recovering, ahead_ms)] = mark.rows()
        if is_recovering:
            raise Recovering
        if unknown := uids - locked.keys():
            raise Unknown(min(unknown))
        locked = _renewed(locked)
        items.refuse_settled(drafts)  # 2
        stamped = replace(author, now=clamped(author.now, ahead_ms))
        readers = contacts.readers(announced) if announced is not None else ()
        written = events_of(drafts, locked, stamped, readers)
        if not written:
            return []
        log.insert(_sealed(written, known_keys), author.now)  # 3
        events = [log.as_read(event) for event in written]
        refold.refold(locked, events)  # 4
        sql.execute("INSERT INTO events_outbox (tx) VALUES (%s)", [events[0].tx])  # 5
    return events


def receive(arrived: Sequence[Sealed], received: Received) -> list[Event]:
    """Apply events of another location; return those that are new here.

    1. Fence the cursor: whoever else applies this stream gives way.
    2. Keep events, and the keys of new ones; one that is here already changes nothing.
    3. Lock the heads, in uid order.
    4. Fold; make the rows equal to the result.
    5. Keep numbers and chain, in the same transaction as the rows.
    """
    with recording():
        if received.advance is not None:
            cursors.fence(received.advance)  # 1
        fresh = {row[0] for row in log.insert(arrived, received.now).rows()}  # 2
        new = [item for item in arrived if item.event.event_id in fresh]
        if new:
            keys.store_wrapped(_travelled(new))
            kinds = {item.event.entity_uid: _kind_name(item.event) for item in new}
            locked = heads.locked(heads.lock(kinds, kinds))  # 3
            if received.poison is None:
                locked = _renewed(locked)
            refold.refold_received(locked, new, received.poison)  # 4
        if received.advance is not None:
            cursors.number(received.advance)  # 5
        if received.is_own:
            txs = list(dict.fromkeys(item.event.tx for item in new))
            sql.execute("INSERT INTO events_outbox (tx) SELECT unnest(%s::uuid[])", [txs])
    return [item.event for item in new]


def rebuild(
    uids: Collection[UUID], *, is_dry_run: bool = False, poison: str | None = None
) -> Found:
    """Fold all events of entities again and make their rows say so; return what differed.

    1. Lock the heads, in uid order; a dry run reads one moment instead, and writes nothing.
    2. Fold; compare with all that stands.
    3. Make the rows right.

    With ``poison``, the reason, they are parked instead. Raises one of ``refold.POISON`` where an
    event's content is too much for code or tables; then nothing is written.
    """
    if is_dry_run:
        with sql.snapshot():
            unknown = {uid: Head(uid, "", Memo()) for uid in uids}
            return _repair(unknown | heads.standing(heads.ask(uids)), poison).found
    with recording():
        known = heads.standing(heads.lock(uids, dict.fromkeys(uids, "")))  # 1
        repair = _repair(known, poison)  # 2
        comparing.write(repair)  # 3
    return repair.found


def recognise(late: Late, poison: str | None = None) -> Found:
    """Let bytes that have a number, but were no event, be the event that this release reads.

    1. Keep the event, and its key.
    2. Lock the heads of its entity, and of what is parked with it, in uid order.
    3. Fold all their events; make the rows equal to the result.
    4. Give the number its event; the bytes are no dead letter any more.

    ``poison`` and what is raised are as in ``rebuild``; where other bytes than these were numbered,
    the database refuses.
    """
    with recording():
        event = late.sealed.event
        log.insert([late.sealed], late.now)  # 1
        keys.store_wrapped(_travelled([late.sealed]))
        uids = heads.parked_with({event.entity_uid})  # 2
        known = heads.standing(heads.lock(uids, dict.fromkeys(uids, "")))
        repair = _repair(known, poison, {event.entity_uid})  # 3
        comparing.write(repair)
        cursors.name_event(late.origin, late.epoch, late.seq, event.event_id)  # 4
    return repair.found


def _repair(
    known: Mapping[UUID, Head], poison: str | None, suspects: Collection[UUID] = ()
) -> Repair:
    if poison is not None:
        return comparing.parked(known, poison)
    return comparing.compare(known, suspects)


def _renewed(locked: dict[UUID, Head]) -> dict[UUID, Head]:
    """Fold again what a release of another version folded; return all heads as they are now.

    Such a memo holds groups in another form: nothing can go on from it.
    """
    known = versions()
    stale = {
        uid: head
        for uid, head in locked.items()
        if head.exists
        and head.parked_reason is None
        and head.version != known.get(head.kind_name, head.version)
    }
    if not stale:
        return locked
    repair = comparing.compare(stale)
    comparing.write(repair)
    return {**locked, **{head.entity_uid: head for head in repair.heads}}


@contextmanager
def recording() -> Iterator[sql.Answer]:
    """Hold the transaction whose writes the guard lets pass; the mark ends with it.

    ``DataError`` for what is too much for a table or an index: to the driver that is an
    operational error, but to try again is of no use.
    """
    try:
        with transaction.atomic(durable=True), sql.pipelined():
            yield sql.execute(guard.SET_MARK)
    except OperationalError as exc:
        sqlstate = getattr(exc.__cause__, "sqlstate", None) or ""  # None: the connection was lost
        if sqlstate.startswith(_LIMIT_EXCEEDED):
            raise DataError from exc
        raise


def _travelled(arrived: Sequence[Sealed]) -> dict[Subject, bytes]:
    return {
        (item.event.subject_uid, item.event.origin): item.wrapped
        for item in arrived
        if item.event.subject_uid is not None and item.wrapped is not None
    }


def _kind_name(event: Event) -> str:
    kind = kind_of_type(event.type)
    return "" if kind is None else kind.name


def _sealed(events: Sequence[Event], known_keys: sql.Answer) -> list[Sealed]:
    subjects = {(e.subject_uid, e.origin) for e in events if e.subject_uid is not None}
    by_subject = keys.keys_for(subjects, known_keys) if subjects else {}
    return [_seal(event, by_subject) for event in events]


def _seal(event: Event, by_subject: Mapping[Subject, bytes]) -> Sealed:
    kind = kind_of_type(event.type)
    assert kind is not None  # a draft names its kind
    if event.subject_uid is None:
        return Sealed(event, to_raw(event))
    key = by_subject[event.subject_uid, event.origin]
    raw, ct = keys.seal(event, kind.clear_groups, key)
    return Sealed(event, raw, ct)
