"""Folding many entities again, batch by batch: after an upgrade, a repair of key or row.

Every batch is a transaction of its own and right by itself: a run that was ended is simply begun
again. Memory stays flat however many entities there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Model

from events import heads
from events.digest import BUCKET
from events.models import Conflict, EntityHead, Event
from events.recorder import Found, rebuild
from events.refold import POISON
from events.registry import kinds, versions

BATCH = 300  # entities
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
PARKED = "entities_parked"

log = structlog.get_logger("events.rebuilding")

Unit = Collection[UUID]  # what is folded together, or not at all


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entities: all that any table knows, unless something narrows them.

    ``uids`` names them; ``buckets`` are those of the state digest. Due is, after an upgrade, what
    a release of another version folded, and what is parked.
    """

    uids: Collection[UUID] | None = None
    buckets: Collection[int] | None = None
    is_parked_only: bool = False
    is_due_only: bool = False


@dataclass(slots=True)
class Tally:
    """How many entities were folded so far, and what was found."""

    entities: int = 0
    found: Found = field(default_factory=Found)


# The next entities of a table, by uid; every table has an index that begins with it.
_NEXT = """
(SELECT DISTINCT entity_uid FROM {table}
 WHERE entity_uid >= %(start)s {narrowed} ORDER BY entity_uid LIMIT %(most)s)
"""
_PAGE = "SELECT entity_uid FROM ({tables}) AS known ORDER BY entity_uid LIMIT %(most)s"
_NAMED = " AND entity_uid = ANY(%(uids)s)"
_IN_BUCKETS = f" AND {BUCKET} = ANY(%(buckets)s)"
_IS_PARKED = " AND parked_reason IS NOT NULL"
_IS_OTHER = "coalesce(memo -> 'version', '1') <> %(versions)s::jsonb -> kind"
_IS_STALE = f" AND parked_reason IS NULL AND {_IS_OTHER}"
_IS_DUE = f" AND (parked_reason IS NOT NULL OR {_IS_OTHER})"
_COUNT = "SELECT count(*) FROM events_entityhead WHERE true {narrowed}"

_PARKED_AMONG = """
SELECT entity_uid FROM events_entityhead
WHERE parked_reason IS NOT NULL AND entity_uid = ANY(%s)
"""


def rebuild_all(
    selection: Selection,
    *,
    is_dry_run: bool = False,
    tell: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Fold entities again and make their rows right; return what was found.

    1. What is not parked, each entity by itself; of what is due, what was folded otherwise.
    2. What is parked, together with what shares a transaction with it; what folds is parked no
       longer.

    A dry run says the same and writes nothing. ``tell`` is given how many are done.
    """
    tally = Tally()
    if not selection.is_parked_only:  # 1
        for page in _unparked_pages(selection):
            parked = _parked_among(page)
            _fold([[uid] for uid in page if uid not in parked], tally, is_dry_run)
            tell(tally.entities)
    for units in _batches(_parked_units(selection, set(tally.found.parked))):  # 2
        _fold(units, tally, is_dry_run)
        tell(tally.entities)
    return tally


def expected(selection: Selection) -> int:
    """Return about how many entities a selection is, for a progress bar."""
    if selection.uids is not None:
        return len(selection.uids)
    parked = _IS_PARKED if selection.is_parked_only else ""
    with connection.cursor() as cursor:
        query = _COUNT.format(narrowed=_IS_DUE if selection.is_due_only else parked)
        cursor.execute(query, {"versions": _versions()})
        return int(cursor.fetchone()[0])


def _fold(units: Sequence[Unit], tally: Tally, is_dry_run: bool) -> None:
    """Fold a batch; where its content is too much, unit by unit, and what that is is parked."""
    uids = [uid for unit in units for uid in unit]
    try:
        found = rebuild(uids, is_dry_run=is_dry_run)
    except POISON as exc:
        if len(units) > 1:
            for unit in units:
                _fold([unit], tally, is_dry_run)
            return
        reason = type(exc).__name__
    else:
        reason = ""
    if reason:
        log.error(PARKED, entity_uids=list(map(str, uids)), reason=reason)
        found = rebuild(uids, is_dry_run=is_dry_run, poison=reason)
    tally.entities += len(uids)
    tally.found.add(found)


def _unparked_pages(selection: Selection) -> Iterator[list[UUID]]:
    if selection.is_due_only:
        return _pages(selection, [EntityHead], _IS_STALE)
    return _pages(selection, [*_tables(), EntityHead])


def _parked_units(selection: Selection, seen: set[UUID]) -> Iterator[Unit]:
    """Yield what is parked, each with what is parked with it."""
    for page in _pages(selection, [EntityHead], _IS_PARKED):
        for uid in page:
            if uid not in seen:
                unit = heads.parked_with({uid}) - seen
                seen |= unit
                yield unit


def _batches(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    batch: list[Unit] = []
    for unit in units:
        batch.append(unit)
        if sum(map(len, batch)) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _tables() -> Iterable[type[Model]]:
    """Return all tables but the heads' that know entities, whether these have events or not."""
    versioned = [model for kind in kinds() for model in kind.tables.values()]
    derived = [each.model for kind in kinds() for each in kind.derived]
    return dict.fromkeys([Event, Conflict, *versioned, *derived])


def _pages(
    selection: Selection, models: Iterable[type[Model]], narrowed: str = ""
) -> Iterator[list[UUID]]:
    """Yield the uids of a selection that any of these tables has, in their order."""
    narrowed += _NAMED if selection.uids is not None else ""
    narrowed += _IN_BUCKETS if selection.buckets is not None else ""
    each = [_NEXT.format(table=model._meta.db_table, narrowed=narrowed) for model in models]
    query = _PAGE.format(tables=" UNION ".join(each))
    asked: dict[str, Any] = {
        "uids": list(selection.uids or ()),
        "buckets": list(selection.buckets or ()),
        "versions": _versions(),
    }
    start: UUID | None = FIRST
    while start is not None:
        with connection.cursor() as cursor:
            cursor.execute(query, {**asked, "start": start, "most": BATCH})
            page = [uid for (uid,) in cursor.fetchall()]
        if page:
            yield page
        is_end = len(page) < BATCH or page[-1] == LAST
        start = None if is_end else UUID(int=page[-1].int + 1)


def _versions() -> str:
    return json.dumps(versions())


def _parked_among(uids: Sequence[UUID]) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_PARKED_AMONG, [list(uids)])
        return {uid for (uid,) in cursor.fetchall()}
