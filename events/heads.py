"""Heads: the lock of an entity's writers, and the memo its fold resumes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag

from events import sql
from events.envelope import canonical
from events.fold import Memo, RowKey
from events.keys import open_state, seal_state
from events.registry import Kind, kind_named
from events.stamp import Stamp, known_stamp


@dataclass(frozen=True, slots=True)
class Head:
    """What this location knows of an entity while its row is locked (or when it was read).

    ``version`` is that of its kind's events in which the memo was folded.
    """

    entity_uid: UUID
    kind_name: str
    memo: Memo
    has_open_voids: bool = False
    has_closing_conflicts: bool = False
    parked_reason: str | None = None
    version: int = 1

    @property
    def exists(self) -> bool:
        """Whether the entity has an event that is not withdrawn."""
        return bool(self.memo.stamps)

    @property
    def kind(self) -> Kind:
        """The registered kind; ``KeyError`` if no module here knows it."""
        return kind_named(self.kind_name)


def etag(stamps: Mapping[str, Stamp]) -> str:
    """Return a hash of an entity's whole ``{group: stamp}`` map, in hex."""
    return sha256(canonical({g: s.to_json() for g, s in stamps.items()})).hexdigest()[:32]


_COLUMNS = (
    "entity_uid, kind, first_ts, last_ts, has_open_voids, has_closing_conflicts, parked_reason,"
    " memo, state, is_deleted"
)

# Missing heads first, then all locks; both in uid order, so that no two writers wait in a circle.
_ENSURE = """
INSERT INTO events_entityhead (entity_uid, kind, first_ts, last_ts, is_deleted, has_open_voids,
                               has_closing_conflicts, memo, state)
SELECT uid, kind, 0, 0, false, false, false, '{}', ''
FROM unnest(%s::uuid[], %s::text[]) AS wanted (uid, kind) ORDER BY uid
ON CONFLICT DO NOTHING
"""
_LOCK = f"""
SELECT {_COLUMNS} FROM events_entityhead WHERE entity_uid = ANY(%s)
ORDER BY entity_uid FOR UPDATE
"""
_READ = f"SELECT {_COLUMNS} FROM events_entityhead WHERE entity_uid = ANY(%s)"

_PARKED = """
SELECT entity_uid, kind, parked_reason FROM events_entityhead
WHERE parked_reason IS NOT NULL ORDER BY entity_uid LIMIT %s
"""

# Parked entities that have an event in a transaction of one of these.
_PARKED_WITH = """
SELECT DISTINCT mate.entity_uid
FROM events_event e JOIN events_event mate ON mate.tx = e.tx AND mate.origin = e.origin
JOIN events_entityhead h ON h.entity_uid = mate.entity_uid AND h.parked_reason IS NOT NULL
WHERE e.entity_uid = ANY(%s)
"""

_SAVE = """
UPDATE events_entityhead h SET kind = n.kind, first_ts = n.first_ts, last_ts = n.last_ts,
    is_deleted = n.is_deleted, has_open_voids = n.has_open_voids,
    has_closing_conflicts = n.has_closing_conflicts, parked_reason = n.parked_reason,
    memo = n.memo, state = n.state
FROM json_to_recordset(%s) AS n (entity_uid uuid, kind text, first_ts bigint, last_ts bigint,
    is_deleted boolean, has_open_voids boolean, has_closing_conflicts boolean,
    parked_reason text, memo jsonb, state bytea)
WHERE h.entity_uid = n.entity_uid
"""


def lock(uids: Iterable[UUID], kinds: Mapping[UUID, str]) -> sql.Answer:
    """Lock the heads of entities, after making those of ``kinds`` that are missing.

    ``locked`` reads the answer.
    """
    if kinds:
        sql.execute(_ENSURE, [list(kinds), list(kinds.values())])
    return sql.execute(_LOCK, [list(uids)])


def locked(answer: sql.Answer) -> dict[UUID, Head]:
    """Return the heads that ``lock`` locked."""
    return {row[0]: _head(row) for row in answer.rows()}


def read(uids: Iterable[UUID]) -> dict[UUID, Head]:
    """Return the heads of the entities that are known here, without locking them."""
    return {row[0]: _head(row) for row in ask(uids).rows()}


def standing(answer: sql.Answer) -> dict[UUID, Head]:
    """Return the heads that ``lock`` locked, or ``ask`` asked for, for whoever folds anew.

    One that was damaged has a memo that no fold gives.
    """
    return {row[0]: _as_it_stands(row) for row in answer.rows()}


def ask(uids: Iterable[UUID]) -> sql.Answer:
    """Ask for the heads of the entities that are known here, without locking them."""
    return sql.execute(_READ, [list(uids)])


def save(heads: Iterable[Head]) -> None:
    """Write back locked heads."""
    documents = [_document(head) for head in heads]
    if documents:
        sql.execute(_SAVE, [json.dumps(documents)])


def remove(uids: Iterable[UUID]) -> None:
    """Take away locked heads of what has no events."""
    sql.execute("DELETE FROM events_entityhead WHERE entity_uid = ANY(%s)", [list(uids)])


def parked_with(uids: Iterable[UUID]) -> set[UUID]:
    """Return these entities with all parked ones that share a transaction with one of them.

    What was parked together is folded together, or not at all.
    """
    found, new = set[UUID](), set(uids)
    while new:
        found |= new
        new = {uid for (uid,) in sql.execute(_PARKED_WITH, [list(new)]).rows()} - found
    return found


def parked(most: int) -> sql.Rows:
    """Return ``(entity_uid, kind, reason)`` of parked entities."""
    return sql.execute(_PARKED, [most]).rows()


def _head(row: tuple[Any, ...]) -> Head:
    (
        uid,
        kind,
        first_ts,
        last_ts,
        has_open_voids,
        has_closing_conflicts,
        parked_reason,
        memo,
        state,
        _,
    ) = row
    document = json.loads(memo) if isinstance(memo, str) else memo
    return Head(
        uid,
        kind,
        Memo(
            state=open_state(state),
            stamps={
                group: stamp
                for *parts, groups in document.get("stamps", ())
                for stamp in [known_stamp(parts)]
                for group in groups
            },
            first_ts=first_ts,
            last_ts=last_ts,
            open={
                RowKey(table, code): begun
                for table, codes in document.get("open", {}).items()
                for code, begun in codes.items()
            },
        ),
        has_open_voids,
        has_closing_conflicts,
        parked_reason,
        document.get("version", 1),
    )


def _as_it_stands(row: tuple[Any, ...]) -> Head:
    try:
        head = _head(row)
        is_whole = head.memo.is_deleted == row[-1]
    except (InvalidTag, LookupError, TypeError, ValueError, AttributeError):
        is_whole = False
    if is_whole:
        return head
    uid, kind, parked_reason = row[0], row[1], row[6]
    return Head(uid, kind, Memo(first_ts=-1), parked_reason=parked_reason)


def _document(head: Head) -> dict[str, object]:
    memo = head.memo
    # Most groups were set by few events: each stamp stands once, with the groups it is that of.
    groups: dict[int, tuple[Stamp, list[str]]] = {}
    for group, stamp in memo.stamps.items():
        groups.setdefault(stamp.event_id.int, (stamp, []))[1].append(group)
    codes: dict[str, dict[str, int]] = {}
    for key, begun in memo.open.items():
        codes.setdefault(key.table, {})[key.code] = begun
    return {
        "entity_uid": str(head.entity_uid),
        "kind": head.kind_name,
        "first_ts": memo.first_ts,
        "last_ts": memo.last_ts,
        "is_deleted": memo.is_deleted,
        "has_open_voids": head.has_open_voids,
        "has_closing_conflicts": head.has_closing_conflicts,
        "parked_reason": head.parked_reason,
        "memo": {
            "stamps": [[*stamp.to_json(), names] for stamp, names in groups.values()],
            "open": codes,
            "version": head.version,
        },
        "state": "\\x" + seal_state(memo.state).hex(),
    }
