"""What has to hold when everything is mended and nobody writes; a name begins each sentence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from events import chain, heads, log
from events.digest import compared_tables
from events.envelope import Event
from events.fold import CLOSING_GROUPS, Memo
from events.genesis import ORIGIN
from events.heads import Head
from events.models import EntityHead
from events.stamp import Stamp
from events.status import EQUAL, sync_status
from events.tests.histories import DETAIL
from events.tests.histories import History as Known
from events.tests.test_conflicts import unseen_closings, unseen_losses
from ops.chaos.folding import wrong_rows
from ops.chaos.simulation.counts import CLOSING_CONFLICT, DIGESTS_DIFFER
from ops.chaos.simulation.history import ACKNOWLEDGED, REFUSED, BrokenPromise, Write
from ops.chaos.simulation.location import OBSERVER, Location
from ops.chaos.simulation.world import World
from tests.replaying import assert_replay_is_live

Rows = list[tuple[Any, ...]]

# Beside the compared tables: what is the same everywhere, too, without what is local to each.
_SAME = {
    "events_event": "SELECT (to_jsonb(t) - 'recorded_at')::text FROM events_event t ORDER BY 1",
    "events_eventsecret": "SELECT t::text FROM events_eventsecret t ORDER BY 1",
    "events_subjectkey": "SELECT t::text FROM events_subjectkey t WHERE EXISTS (SELECT FROM"
    " events_event e WHERE (e.subject_uid, e.origin) = (t.subject_uid, t.origin)) ORDER BY 1",
    "events_eventnumber": "SELECT t::text FROM events_eventnumber t ORDER BY 1",
    "customers_searchkey": "SELECT (to_jsonb(t) - 'id')::text FROM customers_searchkey t"
    " ORDER BY 1",
}
_NUMBERS = """
SELECT n.origin, n.epoch, n.seq, n.chain, n.event_id, e.raw FROM events_eventnumber n
LEFT JOIN events_event e USING (event_id) ORDER BY 1, 2, 3
"""
_VOIDED = "SELECT item_id, entity_uid FROM events_conflict WHERE is_closing"


def check(world: World) -> None:
    """Check everything; ``BrokenPromise`` names the first invariant that does not hold."""
    if world.counts[DIGESTS_DIFFER]:
        raise BrokenPromise("I1: digests differed at equal positions; it was mended meanwhile")
    standing(world)
    first, *others = world.locations.values()
    found = dump(first)
    for other in others:
        same(found, dump(other), f"{first.name} and {other.name}")
    numbers(first)
    events = opened(first, world)
    writes(world, [event for of_one in events.values() for event in of_one])
    rows(first, events)
    losers(world, first, events)
    world.counts[CLOSING_CONFLICT] += len(first.rows(_VOIDED))


def dump(at: Location) -> dict[str, Rows]:
    """Return the rows that are the same everywhere, as text."""
    found = {
        table: at.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in compared_tables()
    }
    with at.on(OBSERVER):
        uids = EntityHead.objects.order_by("entity_uid").values_list("entity_uid", flat=True)
        known = [_plain(head) for head in heads.read(list(uids)).values()]
    found["events_entityhead"] = sorted(known)
    return found | {table: at.rows(query) for table, query in _SAME.items()}


def _plain(head: Head) -> tuple[str]:
    """Return all that a head holds, in an order of its own, not that of its dictionaries."""
    memo = head.memo
    held = [sorted(each.items()) for each in (memo.stamps, memo.open, memo.state)]
    return (repr([replace(head, memo=Memo()), memo.first_ts, memo.last_ts, held]),)


def same(one: Mapping[str, Rows], other: Mapping[str, Rows], where: str, name: str = "I1") -> None:
    """I1: equal at all locations, byte for byte. I11: a restart changes no byte."""
    for table, rows_of_one in one.items():
        if rows_of_one != other[table]:
            only = len(set(rows_of_one) ^ set(other[table]))
            raise BrokenPromise(f"{name}: {table} differs between {where} in {only} rows")


def numbers(at: Location) -> None:
    """I6: numbers without gaps, chain values that follow from the bytes, one number an epoch."""
    streams: dict[tuple[str, int], list[tuple[int, bytes, UUID | None, bytes | None]]]
    streams = defaultdict(list)
    for origin, epoch, seq, value, event_id, raw in at.rows(_NUMBERS):
        streams[origin, epoch].append((seq, bytes(value), event_id, raw and bytes(raw)))
    seen: Counter[tuple[UUID | None, int]] = Counter()
    for (origin, epoch), lines in streams.items():
        before = chain.start(origin, epoch)
        for n, (seq, value, event_id, raw) in enumerate(lines, start=1):
            if seq != n or raw is None or chain.step(before, raw) != value:
                raise BrokenPromise(f"I6: {origin} {epoch} {seq} does not follow")
            before = value
            seen[event_id, epoch] += 1
    numbered = {event_id for event_id, _ in seen}
    ((events,),) = at.rows("SELECT count(*) FROM events_event WHERE origin <> %s", ORIGIN)
    if events != len(numbered) or any(count > 1 for count in seen.values()):
        raise BrokenPromise(f"I6: {events} events, {len(numbered)} have a number")


def opened(at: Location, world: World) -> dict[UUID, list[Event]]:
    """Return all events of customers, by entity."""
    with at.on(OBSERVER):
        return log.load(world.uids)


def writes(world: World, events: list[Event]) -> None:
    """I2, I3, I7: an event for each acknowledged write, none that nobody asked for, whole ones."""
    by_request: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_request[event.request_id].append(event)
    for write in world.history.writes:
        _check_write(write, by_request.pop(write.request_id, []))
    if by_request:
        raise BrokenPromise(f"I3: nobody asked for {sorted(by_request)}")


def _check_write(write: Write, made: list[Event]) -> None:
    name = f"{write.request_id} at {write.location}"
    uids = {event.entity_uid for event in made}
    if write.outcome == REFUSED and made:
        raise BrokenPromise(f"I3: {name} was refused, and it is there")
    if write.outcome == ACKNOWLEDGED and uids != write.made and not (write.is_lost and not made):
        raise BrokenPromise(f"I2: {name} was acknowledged: {len(write.made)}, but {len(made)}")
    if len(uids) < len(made) or any(event.tx_size != len(made) for event in made):
        raise BrokenPromise(f"I7: {name} is not whole: {len(made)}")
    if len({event.tx for event in made}) > 1:
        raise BrokenPromise(f"I2: {name} is there twice")
    for event in made:
        wanted = write.wanted[event.entity_uid]
        is_right = (
            event.origin == write.location
            and all(wanted.get(group) == fields for group, fields in event.set.items())
            and (event.voids, event.resolves) == (write.voids, write.resolves)
            and event.effective == write.effective
        )
        if not is_right:
            raise BrokenPromise(f"I3: {name} is there, but as something else")


def rows(at: Location, events: Mapping[UUID, list[Event]]) -> None:
    """I4, I5, I8: rows and conflicts are what the oracle makes of the events."""
    with at.on(OBSERVER):
        try:
            assert_replay_is_live()
        except AssertionError as exc:
            raise BrokenPromise("I5: rows are not what a fold from scratch makes") from exc
        if sentence := next(wrong_rows(events), None):
            raise BrokenPromise(sentence)


def losers(world: World, at: Location, events: Mapping[UUID, list[Event]]) -> None:
    """I8: every losing value that no later author had seen is in the inbox."""
    requests = {write.request_id: write for write in world.history.writes}
    for uid, of_one in events.items():
        here = {event.event_id for event in of_one}
        views = {event.event_id: requests[event.request_id].in_view[uid] & here for event in of_one}
        known = Known(DETAIL, of_one, views)
        found = at.rows(
            'SELECT "group", earlier, later FROM events_conflict WHERE entity_uid = %s', uid
        )
        inbox = {(group, event_id) for group, *pair in found for event_id in pair}
        for lost, group in unseen_losses(known):
            was_told = (group, lost.event_id) in inbox
            if not was_told and not _saw_gone(world, uid, of_one, {group}, lost.stamp):
                raise BrokenPromise(f"I8: nobody saw {lost.request_id} lose its {group}")
        for closing, edit, group in unseen_closings(known):
            one, other = sorted((closing, edit), key=lambda event: event.stamp)
            was_told = (group, one.event_id, other.event_id) in found
            groups = {group, *CLOSING_GROUPS}
            if not was_told and not _saw_gone(world, uid, of_one, groups, one.stamp):
                raise BrokenPromise(f"I8: {edit.request_id} was closed away unseen")


def _saw_gone(world: World, uid: UUID, events: list[Event], groups: set[str], since: Stamp) -> bool:
    """Whether an author knew of an event on one of the groups that was lost with its disk.

    What it had replaced conflicted with that one, not with what its author did then.
    """
    requests = {write.request_id: write for write in world.history.writes}
    gone = {
        event_id
        for event_id, each in world.history.gone.items()
        if each.entity_uid == uid and each.stamp >= since and each.groups & groups
    } - {event.event_id for event in events}
    authors = [event for event in events if groups & event.set.keys()]
    return any(gone & requests[event.request_id].in_view[uid] for event in authors)


def standing(world: World) -> None:
    """I10: every location says that nothing is missing, parked or stopped, and all are equal."""
    for location in world.locations.values():
        with location.on(OBSERVER):
            status = sync_status()
        found = {n: status[n] for n in ("lag_events", "unreplicated", "parked", "is_recovering")}
        peers = {peer["location"]: peer["state"] for peer in status["peers"]}
        if any(found.values()) or set(peers.values()) != {EQUAL}:
            raise BrokenPromise(f"I10: {location.name} is not done: {found}, {peers}")
        has_reason = world.counts["forged"] or world.counts["stream stopped"]
        if status["dead_letters"] and not has_reason:
            raise BrokenPromise(f"I10: {location.name} has dead letters, and nobody forged any")
