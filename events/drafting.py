"""From what an author wants to the events that say it, under the lock of the heads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from events import log, versions
from events.envelope import Event, Fields, normal
from events.errors import AlreadyExists, InvalidValue, Parked, Stale, Unknown
from events.fold import CLOSING_GROUPS, Memo, State, fold, state_at
from events.heads import Head, etag
from events.registry import Kind
from events.stamp import Stamp, next_ts, uuid7
from events.versions import Step

# For each other registered location, the newest version it reads of each event type.
Readers = Sequence[Mapping[str, int]]
NOT_YET = "a value that a location of an older release can keep, until all are upgraded"


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: the member's uid, the location, the instant (µs) and the request."""

    actor: UUID | None
    origin: str
    now: int
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A wanted change of one entity.

    ``known`` is the ``{group: stamp}`` map of the form its author filled in, ``if_match`` the hash
    of that map; with neither, the author takes the record as it stands. ``is_new`` refuses an
    entity that has events already. ``subject_uid`` defaults to the entity itself. ``rests_on`` are
    groups that the author decided by without setting them: what is newer there makes the draft
    stale, too.
    """

    entity_uid: UUID
    type: str
    set: Mapping[str, Fields]
    kind: Kind
    subject_uid: UUID | None = None
    effective: int | None = None
    known: Mapping[str, Stamp] | None = None
    if_match: str | None = None
    is_new: bool = False
    voids: Sequence[UUID] = field(default=())
    resolves: Sequence[str] = field(default=())
    rests_on: Collection[str] = field(default=())
    reason: str | None = None


def events_of(
    drafts: Sequence[Draft],
    heads: Mapping[UUID, Head],
    author: Author,
    readers: Readers = (),
) -> list[Event]:
    """Return the events that ``drafts`` make, stamped; none for what is so already.

    Each is of the newest version that all ``readers`` read, or of the oldest this release writes.

    Raises ``Unknown``, ``AlreadyExists``, ``Parked``, ``Stale`` or ``InvalidValue``; then nothing
    may be written.
    """
    bases = {draft.entity_uid: _memo_without(draft, heads[draft.entity_uid]) for draft in drafts}
    ts = author.now
    for memo in bases.values():
        ts = next_ts(ts, memo.last_ts)
    changes = [
        (draft, changed)
        for draft in drafts
        for changed in [_changed(draft, heads[draft.entity_uid], bases[draft.entity_uid], ts)]
        if changed or draft.voids or draft.resolves
    ]
    tx = uuid7(ts)
    return [
        _event(draft, _written(draft, changed, bases[draft.entity_uid], readers), author, place)
        for index, (draft, changed) in enumerate(changes)
        for place in [(ts, tx, index, len(changes))]
    ]


def _memo_without(draft: Draft, head: Head) -> Memo:
    """Return what a draft rests on: the head's memo, without what the draft withdraws."""
    if not draft.voids or head.parked_reason is not None:
        return head.memo
    events = log.load([draft.entity_uid])[draft.entity_uid]
    kept = [event for event in events if event.event_id not in draft.voids or event.voids]
    return fold(kept, draft.kind.rows).memo


def _changed(draft: Draft, head: Head, base: Memo, ts: int) -> dict[str, Fields]:
    """Return the groups of a draft that are not so already, after checking that it may be made."""
    if head.parked_reason is not None:
        raise Parked(draft.entity_uid)
    if head.exists and (draft.is_new or head.kind_name != draft.kind.name):
        raise AlreadyExists(draft.entity_uid) if draft.is_new else Unknown(draft.entity_uid)
    if not head.exists and not draft.is_new:
        raise Unknown(draft.entity_uid)
    if draft.effective is not None and not 0 <= draft.effective <= ts:
        raise InvalidValue("effective", "expected a time since 1970, not in the future")
    wanted: dict[str, Fields] = {group: normal(fields) for group, fields in draft.set.items()}
    state = _state_at(draft, base)
    changed = {g: fields for g, fields in wanted.items() if not _is_so(state, g, fields)}
    # Two agents who mend one typo alike do not disagree: only what would change can be stale.
    refuse_stale(draft, changed, head)
    return changed


def _is_so(state: State, group: str, fields: Fields) -> bool:
    """Whether the group has these values already; a group never set is as good as empty."""
    known = state.get(group)
    return known == fields if known is not None else not any(v is not None for v in fields.values())


def _state_at(draft: Draft, base: Memo) -> State:
    """Return the state a change is compared with: that of the time it is to take effect."""
    if draft.effective is None or draft.is_new:
        return base.state
    events = log.load([draft.entity_uid])[draft.entity_uid]
    kept = [event for event in events if event.event_id not in draft.voids or event.voids]
    return state_at(kept, draft.effective)


def refuse_stale(draft: Draft, wanted: Mapping[str, Fields], head: Head) -> None:
    """Raise ``Stale`` when the head is newer than the author's map where it matters."""
    stamps = head.memo.stamps
    weighed = {*wanted, *draft.rests_on}
    if draft.known is not None:
        everything = stamps.keys() | draft.known.keys()
        closes = any(group in weighed for group in CLOSING_GROUPS)
        matters = everything if closes else {*weighed, *CLOSING_GROUPS}
        newer = {g for g in matters if stamps.get(g) != draft.known.get(g)}
    elif draft.if_match is not None and draft.if_match != etag(stamps):
        newer = weighed
    else:
        return
    if newer:
        state = head.memo.state
        groups = sorted(newer | wanted.keys())
        raise Stale(draft.entity_uid, {g: (wanted.get(g, {}), state.get(g, {})) for g in groups})


class _Written(NamedTuple):
    """What an event sets, and what its author knew, in the form of ``version``."""

    version: int
    set: State
    base: Mapping[str, Stamp | None]


def _written(draft: Draft, changed: State, memo: Memo, readers: Readers) -> _Written:
    """Return a change as it is written; ``InvalidValue`` if it would not be read as it is meant."""
    version = version_for(draft.kind, draft.type, readers)
    steps = draft.kind.steps[version - 1 :]
    said, stamps = _older(draft, changed, memo, steps) if steps else (changed, memo.stamps)
    view = memo.stamps if draft.known is None else draft.known
    last = _last_seen(view, _named(changed, memo.stamps))
    seen = {versions.older_name(group, steps): stamp for group, stamp in last.items()}
    return _Written(version, said, seen | {g: stamps.get(g) for g in _named(said, stamps)})


def _older(
    draft: Draft, changed: State, memo: Memo, steps: Sequence[Step]
) -> tuple[State, Mapping[str, Stamp]]:
    """Return a change and the stamps before it as they were called before ``steps``."""
    known = _state_at(draft, memo)
    said, stamps = versions.older(changed, known, memo.stamps, steps)
    meant = {**known, **changed}
    for group, fields in versions.newer(said, steps).items():
        if not _is_so(meant, group, fields):
            raise InvalidValue(group, NOT_YET)
    return said, stamps


def version_for(kind: Kind, event_type: str, readers: Readers) -> int:
    """Return the version to write: the newest that every reader reads, if it can be written."""
    oldest = kind.version
    while oldest > 1 and all(change.down is not None for change in kind.steps[oldest - 2]):
        oldest -= 1
    read = min((said.get(event_type, 0) for said in readers), default=kind.version)
    return max(oldest, min(kind.version, read))


def _event(
    draft: Draft, written: _Written, author: Author, place: tuple[int, UUID, int, int]
) -> Event:
    ts, tx, tx_index, tx_size = place
    personal = draft.reason is not None or any(draft.kind.is_personal(g) for g in written.set)
    return Event(
        event_id=uuid7(ts),
        origin=author.origin,
        entity_uid=draft.entity_uid,
        type=draft.type,
        schema_version=written.version,
        subject_uid=(draft.subject_uid or draft.entity_uid) if personal else None,
        ts=ts,
        effective=draft.effective,
        tx=tx,
        tx_index=tx_index,
        tx_size=tx_size,
        set=written.set,
        base=written.base,
        voids=tuple(draft.voids),
        resolves=tuple(draft.resolves),
        actor=author.actor,
        reason=draft.reason if draft.reason is None else normal(draft.reason),
        request_id=author.request_id,
    )


def _named(changed: State, stamps: Mapping[str, Stamp]) -> set[str]:
    """Return the groups whose base a change carries: a closing one, or reopening, all there are."""
    closes = any(group in changed for group in CLOSING_GROUPS)
    return {*changed, *CLOSING_GROUPS, *(stamps if closes else ())}


def _last_seen(view: Mapping[str, Stamp], named: Collection[str]) -> dict[str, Stamp]:
    """Return the base of the group that changed last, of those not named already.

    With it the greatest stamp in a base is that of the last change its author knew, of whatever
    group: what came before it was not made in parallel (``conflicts.parallel``).
    """
    others = [(stamp, group) for group, stamp in view.items() if group not in named]
    return {group: stamp for stamp, group in [max(others)]} if others else {}
