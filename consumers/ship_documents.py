"""What Elasticsearch is told of each event, access line and minute: pure, and nothing personal.

A document is flat: its keys are ECS field names with dots, exactly those of ``FIELDS``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from events.stamp import to_datetime, to_micros
from events.tracing import trace_id_of

if TYPE_CHECKING:
    from accounts.lines import Line

INDEX_PREFIX: Final = "sins-tx-"
RECORDED, APPLIED, STATUS = "recorded", "applied", "status"
TRANSACTIONS, ACCESS, STATE = "sins.transactions", "sins.access", "sins.status"
SUCCESS, FAILURE = "success", "failure"
OK: Final = "ok"  # the one outcome of an access line that is no refusal
MINUTE: Final = 60_000_000  # µs

# The mapping of every index; it is strict, so nothing else can get in.
FIELDS: Final[Mapping[str, str]] = {
    "@timestamp": "date",
    "event.id": "keyword",
    "event.kind": "keyword",
    "event.dataset": "keyword",
    "event.action": "keyword",
    "event.outcome": "keyword",
    "event.created": "date",
    "event.sequence": "long",
    "event.hash": "keyword",
    "user.id": "keyword",
    "service.node.name": "keyword",
    "http.request.id": "keyword",
    "trace.id": "keyword",
    "sins.kind": "keyword",
    "sins.origin": "keyword",
    "sins.epoch": "integer",
    "sins.tx.id": "keyword",
    "sins.tx.index": "integer",
    "sins.tx.size": "integer",
    "sins.entity.uid": "keyword",
    "sins.entity.kind": "keyword",
    "sins.groups": "keyword",
    "sins.schema_version": "integer",
    "sins.effective": "date",
    "sins.lag_ms": "long",
    "sins.route": "keyword",
    "sins.reason": "keyword",
    "sins.status.state": "keyword",
    "sins.status.lag_events": "long",
    "sins.status.unreplicated": "long",
    "sins.status.dead_letters": "long",
    "sins.status.parked": "long",
    "sins.status.conflicts": "long",
    "sins.status.unshipped": "long",
}


@dataclass(frozen=True, slots=True)
class Document:
    """One document, the id under which it exists once, and the index of its own month."""

    id: str
    index: str
    fields: Mapping[str, Any]


class NumberedEvent(NamedTuple):
    """One number of a stream with its event, as the columns hold them; instants are µs.

    Uids are text: they come by the hundred thousand.
    """

    seq: int
    chain: bytes
    event_id: str
    entity_uid: str
    type: str
    actor: str | None
    ts: int
    tx: str
    tx_index: int
    raw: bytes
    recorded_at: int


def of_event(
    numbered: NumberedEvent, origin: str, epoch: int, here: str, entity_kind: str | None
) -> Document:
    """Return what ``here`` says of an event: recorded it if it is its own, else applied it.

    Of ``raw``, which names groups but holds no personal value, only names and numbers are read.
    """
    raw = json.loads(numbered.raw)
    is_own = origin == here
    event_id, instant = numbered.event_id, _instant(numbered.ts)
    fields = {
        "@timestamp": instant,
        "event.id": event_id,
        "event.kind": "event",
        "event.dataset": TRANSACTIONS,
        "event.action": numbered.type,
        "event.outcome": SUCCESS,
        "event.created": _instant(numbered.recorded_at),
        "event.sequence": numbered.seq,
        "event.hash": numbered.chain.hex(),
        "user.id": numbered.actor,
        "service.node.name": here,
        **_request(raw["request_id"]),
        "sins.kind": RECORDED if is_own else APPLIED,
        "sins.origin": origin,
        "sins.epoch": epoch,
        "sins.tx.id": numbered.tx,
        "sins.tx.index": numbered.tx_index,
        "sins.tx.size": raw["tx_size"],
        "sins.entity.uid": numbered.entity_uid,
        "sins.entity.kind": entity_kind,
        "sins.groups": sorted(raw["set"]),
        "sins.schema_version": raw["schema_version"],
        "sins.effective": _effective(raw.get("effective"), numbered.ts),
        "sins.lag_ms": None if is_own else (numbered.recorded_at - numbered.ts) // 1000,
    }
    document_id = event_id if is_own else f"{event_id}:{here}"
    return Document(document_id, index_of(instant), _without_none(fields))


def of_access(line: Line, here: str) -> Document:
    """Return what ``here`` says of a line of its access log; never from which address."""
    instant = _instant(to_micros(line.at))
    fields = {
        "@timestamp": instant,
        "event.id": str(line.uid),
        "event.kind": "event",
        "event.dataset": ACCESS,
        "event.action": line.kind,
        "event.outcome": SUCCESS if line.outcome == OK else FAILURE,
        "event.created": instant,
        "user.id": None if line.actor is None else str(line.actor),
        "service.node.name": here,
        **_request(line.request_id),
        "sins.kind": line.kind,
        "sins.origin": line.location,
        "sins.route": line.route or None,
        "sins.reason": line.outcome,
    }
    return Document(str(line.uid), index_of(instant), _without_none(fields))


def of_status(counts: Mapping[str, str | int], here: str, minute: int) -> Document:
    """Return how ``here`` stands in a minute, counted since 1970; ``counts`` as in ``FIELDS``."""
    instant = _instant(minute * MINUTE)
    document_id = f"status:{here}:{instant[:16]}Z"
    fields = {
        "@timestamp": instant,
        "event.id": document_id,
        "event.kind": "metric",
        "event.dataset": STATE,
        "event.action": STATUS,
        "event.outcome": SUCCESS,
        "event.created": instant,
        "service.node.name": here,
        "sins.kind": STATUS,
        "sins.origin": here,
        **{f"sins.status.{name}": value for name, value in counts.items()},
    }
    return Document(document_id, index_of(instant), fields)


def index_of(instant: str) -> str:
    """Return the index of the month (UTC) that an instant of a document is in."""
    return f"{INDEX_PREFIX}{instant[:4]}.{instant[5:7]}"


def lines_of(documents: Iterable[Document]) -> list[bytes]:
    """Return the lines of a bulk request that creates each document unless its id exists."""
    lines = []
    for document in documents:
        action = {"create": {"_index": document.index, "_id": document.id}}
        lines += [_encode(action), _encode(document.fields)]
    return lines


def _encode(value: Mapping[str, Any]) -> bytes:
    return _json(value).encode()


_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _instant(micros: int) -> str:
    return f"{to_datetime(micros).isoformat()[:-6]}Z"


def _request(request_id: str) -> dict[str, str]:
    if not request_id:
        return {}
    return {"http.request.id": request_id, "trace.id": trace_id_of(request_id)}


def _effective(effective: int | None, ts: int) -> str | None:
    return None if effective is None else _instant(min(effective, ts))


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
