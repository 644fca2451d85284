"""What should stand by all events against every row that does, value by value: for a rebuild."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from uuid import UUID

from django.db.models import Model

from events import conflicts, heads, log, projection, refold
from events.envelope import Fields, from_raw
from events.errors import MissingKey, UndecodableEvent
from events.heads import Head
from events.log import Stored
from events.models import Conflict, EntityHead
from events.refold import INCOMPLETE, Wanted
from events.registry import kinds

Rows = defaultdict[UUID, list[Fields]]
HEADS = EntityHead._meta.db_table


@dataclass(slots=True)
class Found:
    """What differed: rows per table, and whose; ``parked`` are those that cannot be folded here.

    ``unparked`` were parked and can be folded again.
    """

    rows: Counter[str] = field(default_factory=Counter)
    uids: set[UUID] = field(default_factory=set)
    parked: set[UUID] = field(default_factory=set)
    unparked: set[UUID] = field(default_factory=set)

    def add(self, other: Found) -> None:
        """Take in what was found of other entities."""
        self.rows += other.rows
        self.uids |= other.uids
        self.parked |= other.parked
        self.unparked |= other.unparked


@dataclass(slots=True)
class Repair:
    """What makes the rows right, and what was found; ``gone`` are heads of what has no events."""

    rows: dict[type[Model], Mapping[UUID, Sequence[Fields]]] = field(default_factory=dict)
    heads: list[Head] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    found: Found = field(default_factory=Found)


def compare(known: Mapping[UUID, Head], suspects: Collection[UUID] = ()) -> Repair:
    """Fold all events of entities and compare the result with all that stands.

    1. Fold. What cannot be folded is parked; its rows stay as they are.
    2. What was parked stays so together with its transaction; ``suspects`` are treated alike.
    3. Compare the rows of every table, whatever kind they are of.
    4. Compare the heads, memo and state included.
    """
    repair = Repair()
    stored = log.stored(known)
    repair.gone = [uid for uid in known if not stored[uid]]
    before = [head for uid, head in known.items() if stored[uid]]
    wanted = refold.fold_anew(before, stored)  # 1
    uids = [head.entity_uid for head in before if head.parked_reason is not None]
    held = _held({uid: stored[uid] for uid in {*uids, *suspects}})  # 2
    free = []
    for head, folded in zip(before, wanted.heads, strict=True):
        reason = folded.parked_reason or held.get(head.entity_uid)
        if reason is None:
            free.append(folded)
        else:
            _park(head, reason, repair)
    _compare_rows(free, wanted, repair)  # 3
    for folded in free:  # 4
        _compare_head(known[folded.entity_uid], folded, repair)
    return repair


def parked(known: Mapping[UUID, Head], reason: str) -> Repair:
    """Park entities; what is parked already stays so for its own reason."""
    repair = Repair()
    for head in known.values():
        _park(head, head.parked_reason or reason, repair)
    return repair


def write(repair: Repair) -> None:
    """Make the rows right; their heads are locked."""
    for model in sorted(repair.rows, key=lambda model: model._meta.db_table):
        projection.replace_rows(model, repair.rows[model])
    heads.save(repair.heads)
    if repair.gone:
        heads.remove(repair.gone)


def _park(head: Head, reason: str, repair: Repair) -> None:
    repair.found.parked.add(head.entity_uid)
    if head.parked_reason is None:
        repair.found.rows[HEADS] += 1
        repair.found.uids.add(head.entity_uid)
    if head.parked_reason != reason:
        repair.heads.append(replace(head, parked_reason=reason))


def _compare_head(head: Head, folded: Head, repair: Repair) -> None:
    if head == folded:
        return
    repair.heads.append(folded)
    repair.found.rows[HEADS] += 1
    repair.found.uids.add(head.entity_uid)
    if head.parked_reason is not None:
        repair.found.unparked.add(head.entity_uid)


def _compare_rows(free: Sequence[Head], wanted: Wanted, repair: Repair) -> None:
    uids = [*(head.entity_uid for head in free), *repair.gone]
    for model, rows in _tables(free, wanted).items():
        differing = projection.differing(model, uids, rows)
        if differing:
            repair.rows[model] = {uid: rows[uid] for uid in differing}
            repair.found.rows[model._meta.db_table] += sum(differing.values())
            repair.found.uids |= differing.keys()


def _tables(free: Sequence[Head], wanted: Wanted) -> dict[type[Model], Rows]:
    """Return the rows that should stand of each entity in every table there is."""
    tables: dict[type[Model], Rows] = {Conflict: defaultdict(list)}
    for kind in kinds():
        for model in (*kind.tables.values(), *(derived.model for derived in kind.derived)):
            tables.setdefault(model, defaultdict(list))
    of_free = {head.entity_uid for head in free}
    for versioned, versions in wanted.versions.items():
        for uid, version in versions.values():
            if uid in of_free:
                tables[versioned][uid].append(projection.row_of(versioned, uid, version))
    for head in free:
        uid = head.entity_uid
        for derived in head.kind.derived:
            tables[derived.model][uid] += refold.derived_rows(derived, head.memo.state)
        tables[Conflict][uid] += [_conflict_row(item) for item in wanted.conflicts[uid]]
    return tables


def _conflict_row(item: conflicts.Conflict) -> Fields:
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in asdict(item).items()
    }


def _held(suspects: Mapping[UUID, Sequence[Stored]]) -> dict[UUID, str]:
    """Return why entities are held back: a transaction of theirs is not whole, or not readable."""
    whose: dict[log.Transaction, set[UUID]] = defaultdict(set)
    for uid, items in suspects.items():
        for tx in _transactions(items):
            whose[tx].add(uid)
    found: dict[UUID, str] = {}
    for tx, items in log.of_transactions(whose).items():
        reason = _wrong(items)
        if reason is not None:
            found |= dict.fromkeys(whose[tx], reason)
    return found


def _transactions(items: Iterable[Stored]) -> set[log.Transaction]:
    """Return the transactions of an entity's events that are about others, too."""
    try:
        events = [from_raw(raw) for raw, _, _ in items]
    except UndecodableEvent:
        return set()  # no fold of it was possible either
    return {(event.origin, event.tx) for event in events if event.tx_size > 1}


def _wrong(items: Iterable[Stored]) -> str | None:
    try:
        events = [log.opened(item) for item in items]
    except (MissingKey, UndecodableEvent) as exc:
        return type(exc).__name__
    indices = {event.tx_index for event in events}
    return None if indices == set(range(events[0].tx_size)) else INCOMPLETE
