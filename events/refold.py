"""From new events of locked entities to their rows: the fast path, or all events again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError
from django.db.models import Model

from events import heads, log, projection, sql
from events.conflicts import Conflict, conflicts
from events.envelope import Event
from events.errors import MissingKey, SinsError, UndecodableEvent
from events.fold import CLOSING_GROUPS, Memo, State, Version, fold, is_deleted, resume
from events.heads import Head
from events.log import Sealed, Stored
from events.models import Versioned
from events.projection import Difference, Place
from events.registry import Derived, Kind, kind_of_type

# What an event's content can do to code and tables; a lost connection or lock is none of these.
POISON = (DataError, IntegrityError, ArithmeticError, LookupError, TypeError, ValueError,
          AttributeError, RecursionError)  # fmt: skip
# Entities that are folded and written at once; PostgreSQL writes them while the next are folded.
AT_ONCE = 200
INCOMPLETE = "incomplete transaction"  # why the entities of one that is not whole are parked


@dataclass(slots=True)
class Work:
    """What a refold writes, gathered over all entities so that each table is written once."""

    heads: list[Head] = field(default_factory=list)
    tables: dict[type[Versioned], Difference] = field(
        default_factory=lambda: defaultdict(Difference)
    )
    derived: dict[type[Model], dict[UUID, list[Mapping[str, Any]]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    conflicts: dict[UUID, list[Conflict]] = field(default_factory=dict)


@dataclass(slots=True)
class Wanted:
    """What should stand of some entities by all their events; heads in the order they came."""

    heads: list[Head] = field(default_factory=list)
    versions: dict[type[Versioned], dict[Place, tuple[UUID, Version]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    conflicts: dict[UUID, list[Conflict]] = field(default_factory=dict)


def refold(locked: Mapping[UUID, Head], events: Sequence[Event]) -> None:
    """Bring the rows of the entities of ``events`` up to date; the events are kept already."""
    by_entity: dict[UUID, list[Event]] = defaultdict(list)
    for event in events:
        by_entity[event.entity_uid].append(event)
    folding = [(locked[uid], new) for uid, new in by_entity.items()]
    for start in range(0, len(folding), AT_ONCE):
        _refold(folding[start : start + AT_ONCE])


def _refold(folding: Iterable[tuple[Head, list[Event]]]) -> None:
    work, slow = Work(), []
    for head, new in folding:
        if head.parked_reason is not None:
            continue
        new.sort(key=lambda event: event.stamp)
        if is_fast(head, new):
            _resume(head, new, work)
        else:
            slow.append(head)
    if slow:
        _start_over(slow, work)
    _write(work)


def refold_received(locked: Mapping[UUID, Head], new: Sequence[Sealed], poison: str | None) -> None:
    """Like ``refold``, for events as they arrived.

    The entities of a transaction that this release cannot read are parked: read-only and counted,
    until they can be folded. With ``poison``, the reason, all of them are.
    """
    events, reasons = [], {}
    for item in new:
        try:
            events.append(_readable(locked[item.event.entity_uid], item))
        except SinsError as exc:
            reasons[item.event.tx] = type(exc).__name__
        if poison is not None:
            reasons[item.event.tx] = poison
    parked = {i.event.entity_uid: reasons[i.event.tx] for i in new if i.event.tx in reasons}
    heads.save(
        replace(locked[uid], parked_reason=reason)
        for uid, reason in sorted(parked.items())
        if locked[uid].parked_reason is None
    )
    refold(locked, [event for event in events if event.entity_uid not in parked])


def _readable(head: Head, item: Sealed) -> Event:
    """Return the event if this release understands it; else it parks its transaction."""
    event = item.event
    if event.secret is not None and item.wrapped is None:
        raise MissingKey
    read = log.as_read(event)
    # Of an entity whose first event was of an unknown type nobody has said yet what it is.
    if head.kind_name and kind_of([read]).name != head.kind_name:
        raise UndecodableEvent
    return read


def is_fast(head: Head, new: Sequence[Event]) -> bool:
    """Whether ``new`` events only go on from the head's memo, and cannot make a conflict.

    Then nothing earlier needs reading: each takes effect after all before it, its author knew the
    greatest stamp on whatever it sets, and it neither closes, voids nor resolves anything. Nor can
    it end a conflict: only the later of two edits has the greatest stamp, so none but a closing
    item can be about what its author knew.
    """
    memo = head.memo
    if memo.is_deleted or head.has_open_voids or head.has_closing_conflicts:
        return False
    last, stamps = memo.last_ts, dict(memo.stamps)
    for event in new:
        if event.effective_at != event.ts or event.ts <= last or event.voids or event.resolves:
            return False
        if any(group in event.set for group in CLOSING_GROUPS):
            return False
        if any(event.base.get(g) != stamps.get(g) for g in (*event.set, *CLOSING_GROUPS)):
            return False
        last = event.ts
        stamps.update(dict.fromkeys(event.set, event.stamp))
    return True


def has_open_voids(events: Sequence[Event]) -> bool:
    """Whether a void names an event that is not here yet."""
    here = {event.event_id for event in events}
    return any(target not in here for event in events for target in event.voids)


def _resume(head: Head, new: Sequence[Event], work: Work) -> None:
    kind = head.kind
    folded = resume(head.memo, new, kind.rows)
    uid = head.entity_uid
    for version in folded.versions:
        difference = work.tables[kind.tables[version.key.table]]
        if version.event_id is None:  # it stood before; what stays as it was is no version here
            assert version.valid_to is not None
            difference.ended.append(((uid, version.key.code, version.valid_from), version.valid_to))
        else:
            difference.new.append((uid, version))
    work.heads.append(replace(head, memo=folded.memo, version=kind.version))
    _derive(head, folded.memo, work)


def _start_over(slow: Sequence[Head], work: Work) -> None:
    """Fold all events of each entity and compare the result with the rows that stand."""
    wanted = fold_anew(slow, log.stored(head.entity_uid for head in slow))
    touched: dict[type[Versioned], set[UUID]] = defaultdict(set)
    for head, folded in zip(slow, wanted.heads, strict=True):
        work.heads.append(folded)
        if folded.parked_reason is None:
            for model in folded.kind.tables.values():
                touched[model].add(folded.entity_uid)
            _derive(head, folded.memo, work)
    work.conflicts |= wanted.conflicts
    for model, uids in touched.items():
        have = projection.present(model, uids)
        difference = projection.difference(have, wanted.versions[model])
        work.tables[model] = _joined(work.tables[model], difference)


def fold_anew(known: Iterable[Head], stored: Mapping[UUID, Sequence[Stored]]) -> Wanted:
    """Fold all events of each entity; one that cannot be folded here is parked."""
    wanted = Wanted()
    for head in known:
        uid = head.entity_uid
        try:
            events = [log.opened(item) for item in stored[uid]]
            kind = kind_of(events)
        except (MissingKey, UndecodableEvent) as exc:
            wanted.heads.append(replace(head, parked_reason=type(exc).__name__))
            continue
        folded = fold(events, kind.rows)
        for version in folded.versions:
            place = (uid, version.key.code, version.valid_from)
            wanted.versions[kind.tables[version.key.table]][place] = (uid, version)
        found = wanted.conflicts[uid] = conflicts(events)
        wanted.heads.append(
            Head(
                uid,
                kind.name,
                folded.memo,
                has_open_voids(events),
                any(item.is_closing for item in found),
                version=kind.version,
            )
        )
    return wanted


def kind_of(events: Iterable[Event]) -> Kind:
    """Return the kind of an entity by its events; ``UndecodableEvent`` if they are of several."""
    found = {kind.name: kind for event in events if (kind := kind_of_type(event.type))}
    if len(found) != 1:
        raise UndecodableEvent
    return found.popitem()[1]


def _joined(first: Difference, second: Difference) -> Difference:
    return Difference(first.gone + second.gone, first.ended + second.ended, first.new + second.new)


def _derive(head: Head, memo: Memo, work: Work) -> None:
    for derived in head.kind.derived:
        if all(memo.state.get(group) == head.memo.state.get(group) for group in derived.groups):
            continue
        after = derived_rows(derived, memo.state)
        if after != derived_rows(derived, head.memo.state):
            work.derived[derived.model][head.entity_uid] = after


def derived_rows(derived: Derived, state: State) -> list[Mapping[str, Any]]:
    """Return the rows that follow an entity's present state."""
    return [] if is_deleted(state) else list(derived.rows(state))


def _write(work: Work) -> None:
    for model in sorted(work.tables, key=lambda model: model._meta.db_table):
        projection.apply(model, work.tables[model])
    for derived, rows in work.derived.items():
        projection.replace_rows(derived, rows)
    if work.conflicts:
        _replace_conflicts(work.conflicts)
    if work.heads:
        heads.save(work.heads)


def _replace_conflicts(found: Mapping[UUID, Iterable[Conflict]]) -> None:
    rows = [(uid, item) for uid, items in found.items() for item in items]
    sql.execute("DELETE FROM events_conflict WHERE entity_uid = ANY(%s)", [list(found)])
    if rows:
        sql.execute(
            _CONFLICTS,
            [
                [item.item_id for _, item in rows],
                [uid for uid, _ in rows],
                [item.group for _, item in rows],
                [item.earlier for _, item in rows],
                [item.later for _, item in rows],
                [item.is_closing for _, item in rows],
                [item.resolved_by for _, item in rows],
            ],
        )


_CONFLICTS = """
INSERT INTO events_conflict (item_id, entity_uid, "group", earlier, later, is_closing, resolved_by)
SELECT * FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::boolean[],
                     %s::uuid[])
"""
