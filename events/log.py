"""Reading and keeping events: the log is inserted into and read, never changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events import keys, sql
from events.envelope import Event, from_raw
from events.errors import MissingKey, UndecodableEvent, UnknownEvent
from events.registry import kind_of_type
from events.stamp import to_datetime
from events.versions import upcast


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event as it is kept and sent: its raw bytes, its ciphertext, its wrapped key.

    ``event`` is opened, unless it has a ciphertext and no key that fits came with it.
    """

    event: Event
    raw: bytes
    ct: bytes | None = None
    wrapped: bytes | None = None


# Insert events that are new here. The event table is the inbox: a second copy changes nothing.
# Arrays go in binary (%b): as text, every element would be looked through for what needs quotes.
_INSERT = """
WITH fresh AS (
    INSERT INTO events_event (event_id, origin, entity_uid, type, subject_uid, actor, ts, tx,
                              tx_index, raw, recorded_at)
    SELECT e.*, %(recorded_at)s FROM unnest(
        %(event_id)b::uuid[], %(origin)b::text[], %(entity_uid)b::uuid[], %(type)b::text[],
        %(subject_uid)b::uuid[], %(actor)b::uuid[], %(ts)b::bigint[], %(tx)b::uuid[],
        %(tx_index)b::int[], %(raw)b::bytea[]) AS e
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
), secrets AS (
    INSERT INTO events_eventsecret (event_id, ct)
    SELECT s.event_id, s.ct
    FROM unnest(%(secret_id)b::uuid[], %(ct)b::bytea[]) AS s (event_id, ct)
    JOIN fresh USING (event_id)
)
SELECT event_id FROM fresh
"""

# All an entity's events with what opens them, and only those known here at a moment, if one given.
_LOAD = """
SELECT e.entity_uid, e.raw, s.ct, k.wrapped
FROM events_event e
LEFT JOIN events_eventsecret s USING (event_id)
LEFT JOIN events_subjectkey k ON k.subject_uid = e.subject_uid AND k.origin = e.origin
WHERE e.entity_uid = ANY(%(uids)s) AND (%(known_at)s::timestamptz IS NULL
      OR e.recorded_at <= %(known_at)s)
"""

_BY_ID = """
SELECT e.event_id, e.raw, s.ct, k.wrapped
FROM events_event e
LEFT JOIN events_eventsecret s USING (event_id)
LEFT JOIN events_subjectkey k ON k.subject_uid = e.subject_uid AND k.origin = e.origin
WHERE e.event_id = ANY(%s)
"""

_OF_TRANSACTIONS = """
SELECT e.origin, e.tx, e.raw, s.ct, k.wrapped
FROM events_event e
LEFT JOIN events_eventsecret s USING (event_id)
LEFT JOIN events_subjectkey k ON k.subject_uid = e.subject_uid AND k.origin = e.origin
WHERE e.tx = ANY(%s)
"""

_RAW = "SELECT event_id, raw FROM events_event WHERE event_id = ANY(%s)"


def insert(sealed: Sequence[Sealed], recorded_at: int) -> sql.Answer:
    """Keep events; the answer holds the ids of those that were not here before."""
    secret = [item for item in sealed if item.ct is not None]
    events = [item.event for item in sealed]
    return sql.execute(
        _INSERT,
        {
            "recorded_at": to_datetime(recorded_at),
            "event_id": [event.event_id for event in events],
            "origin": [event.origin for event in events],
            "entity_uid": [event.entity_uid for event in events],
            "type": [event.type for event in events],
            "subject_uid": [event.subject_uid for event in events],
            "actor": [event.actor for event in events],
            "ts": [event.ts for event in events],
            "tx": [event.tx for event in events],
            "tx_index": [event.tx_index for event in events],
            "raw": [item.raw for item in sealed],
            "secret_id": [item.event.event_id for item in secret],
            "ct": [item.ct for item in secret],
        },
    )


Stored = tuple[bytes, bytes | None, bytes | None]  # raw, ciphertext, wrapped key
Transaction = tuple[str, UUID]  # origin, tx


def stored(
    entity_uids: Iterable[UUID], known_at: datetime | None = None
) -> dict[UUID, list[Stored]]:
    """Return the events of each entity as they are kept; ``known_at`` leaves out later news."""
    found: dict[UUID, list[Stored]] = {uid: [] for uid in entity_uids}
    answer = sql.execute(_LOAD, {"uids": list(found), "known_at": known_at})
    for uid, raw, ct, wrapped in answer.rows():
        found[uid].append((raw, ct, wrapped))
    return found


def as_read(event: Event) -> Event:
    """Return an event, just decoded, in the form that this release folds and shows.

    Whatever is read passes here, once: from the log, from another location, or as it was written.
    ``UnknownEvent`` if no module here knows its type, or only an earlier version of it.
    """
    kind = kind_of_type(event.type)
    if kind is None or not 1 <= event.schema_version <= kind.version:
        raise UnknownEvent
    return upcast(event, kind.steps)


def opened(item: Stored) -> Event:
    """Return an event with all its values, in the form that this release folds.

    ``MissingKey`` or ``UndecodableEvent`` (``UnknownEvent``) if it cannot be.
    """
    return as_read(keys.open_event(*item))


def load(entity_uids: Iterable[UUID], known_at: datetime | None = None) -> dict[UUID, list[Event]]:
    """Return the events of each entity; raises what ``opened`` does."""
    return {
        uid: [opened(item) for item in items]
        for uid, items in stored(entity_uids, known_at).items()
    }


def of_transactions(wanted: Collection[Transaction]) -> dict[Transaction, list[Stored]]:
    """Return the events of whole transactions as they are kept, as far as they are here."""
    found: dict[Transaction, list[Stored]] = {each: [] for each in wanted}
    for origin, tx, *item in sql.execute(_OF_TRANSACTIONS, [[tx for _, tx in wanted]]).rows():
        if (origin, tx) in found:
            found[origin, tx].append((item[0], item[1], item[2]))
    return found


def readable(item: Stored) -> Event:
    """Return an event as far as it can be read here: pages show it, nothing is folded of it.

    Where they cannot be read, its personal groups have no field.
    """
    try:
        return as_shown(keys.open_event(*item))
    except MissingKey:
        return as_shown(from_raw(item[0]))


def as_shown(event: Event) -> Event:
    """Return an event as ``as_read`` does; as it was written if this release does not know it."""
    try:
        return as_read(event)
    except UndecodableEvent:
        return event


def raw_of(event_ids: Iterable[UUID]) -> dict[UUID, bytes]:
    """Return the bytes of those events that are here."""
    return dict(sql.execute(_RAW, [list(event_ids)]).rows())


def by_id(event_ids: Iterable[UUID]) -> Mapping[UUID, Stored]:
    """Return single events as they are kept."""
    answer = sql.execute(_BY_ID, [list(event_ids)])
    return {event_id: (raw, ct, wrapped) for event_id, raw, ct, wrapped in answer.rows()}
