"""What people at their desks do; every function says in a word what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from customers import commands, queries, resolving
from customers.commands import Basis, When
from customers.kinds import ENTITY
from customers.resolving import Choice
from events import heads, items, log, restamping
from events.drafting import Author, Draft
from events.envelope import Fields
from events.errors import InvalidValue
from events.fold import DELETED, MERGED_INTO, live
from events.heads import etag
from events.items import Filter, Item
from events.recorder import record
from ops.chaos.simulation.clocks import SECOND
from ops.chaos.simulation.history import Form, Write, known
from ops.chaos.simulation.location import OBSERVER, Location
from ops.chaos.simulation.stage import CHANGED, OLDER
from ops.chaos.simulation.world import World

TEXTS = ("Ann", "Bob", "Çelik", "Dvořák", "Ek", "Fé", None)
CODES = ("surname", "name", "company", "notes")
MOST_AT_ONCE = 6

_EXISTING = """
SELECT entity_uid FROM events_entityhead
WHERE kind = 'customers.entity' AND memo -> 'stamps' <> '[]' AND is_deleted = ANY(%s) ORDER BY 1
"""
_EVENTS = """
SELECT event_id, entity_uid FROM events_event
WHERE entity_uid = ANY(%s) ORDER BY ts DESC, event_id LIMIT 12
"""


def create(world: World, at: Location) -> str:
    """Enter a customer, perhaps one that was entered elsewhere already."""
    uid, values = world.dice.choice(world.uids), _values(world, is_new=True)

    def command(author: Author) -> Iterable[UUID]:
        return [uid] if commands.create_customer(values, author, entity_uid=uid)[1] else []

    wanted = {"type": {"value": "PERSON"}, **_groups(values)}
    return _send(world, at, _write(world, at, {uid: wanted}), command)


def change(world: World, at: Location) -> str:
    """Change some details as the record stands, perhaps with effect in the past."""
    uid, values = existing(world, at), _values(world)
    if uid is None:
        return create(world, at)
    effective = None
    if world.dice.random() < 0.25:
        effective = at.clock.now() - world.dice.choice((0, 1, SECOND, 30 * SECOND, 600 * SECOND))
    write = _write(world, at, {uid: _groups(values)}, effective=effective)
    return _send(world, at, write, _changing(uid, values, when=When(effective)))


def say_again(world: World, at: Location) -> str:
    """Say what is so already: that makes no event."""
    uid = existing(world, at)
    if uid is None:
        return "nobody is there"
    with at.on(OBSERVER):
        found = queries.get(uid).values
    values = {code: found[code] for code in CODES if code in found}
    if not values:
        return "there is nothing to say again"
    write = _write(world, at, {uid: {}})
    return _send(world, at, write, _changing(uid, values))


def open_form(world: World, at: Location) -> str:
    """Put a record on the screen, to be saved later or never."""
    uid = existing(world, at, is_deleted=(False,))
    if uid is None:
        return "nobody is there"
    with at.on(OBSERVER):
        stamps = heads.read([uid])[uid].memo.stamps
    form = Form(at.name, uid, stamps, etag(stamps), known(at, uid))
    world.history.forms.append(form)
    return world.label(uid)


def save_form(world: World, at: Location) -> str:
    """Save a form that was opened a while ago."""
    forms = [form for form in world.history.forms if form.location == at.name]
    if not forms:
        return open_form(world, at)
    form = world.dice.choice(forms)
    world.history.forms.remove(form)
    uid = form.entity_uid
    basis = Basis(known=form.known)
    if world.dice.random() < 0.3:
        basis = Basis(if_match=form.etag)
    if world.dice.random() < 0.2:
        write = _write(world, at, {uid: {DELETED: {"value": True}}})

        def command(author: Author) -> Iterable[UUID]:
            return [uid] if commands.delete_customer(uid, author, basis=basis) else []

        return _send(world, at, write, command, form)
    values = _values(world)
    write = _write(world, at, {uid: _groups(values)})
    return _send(world, at, write, _changing(uid, values, basis), form)


def delete(world: World, at: Location) -> str:
    """Close a record."""
    uid = existing(world, at, is_deleted=(False,))
    if uid is None:
        return "nobody is there"

    def command(author: Author) -> Iterable[UUID]:
        return [uid] if commands.delete_customer(uid, author) else []

    return _send(world, at, _write(world, at, {uid: {DELETED: {"value": True}}}), command)


def undelete(world: World, at: Location) -> str:
    """Open a closed record again."""
    uid = existing(world, at, is_deleted=(True,))
    if uid is None:
        return "nobody is there"

    def command(author: Author) -> Iterable[UUID]:
        return [uid] if commands.restore_customer(uid, author) else []

    return _send(world, at, _write(world, at, {uid: {DELETED: {"value": False}}}), command)


def void(world: World, at: Location) -> str:
    """Withdraw one of the latest events, made here or elsewhere, perhaps one that withdraws."""
    found = at.rows(_EVENTS, world.uids)
    if not found:
        return "there is nothing to withdraw"
    event_id, uid = world.dice.choice(found)
    wanted = _groups(_values(world)) if world.dice.random() < 0.3 else {}
    draft = Draft(uid, CHANGED, wanted, ENTITY, voids=[event_id])
    write = _write(world, at, {uid: wanted}, voids=(event_id,))
    return _send(world, at, write, _recording([draft]))


def resolve(world: World, at: Location) -> str:
    """Settle a conflict: let stand what is shown, take the other value, or enter a third."""
    if at.release == OLDER:
        return "this release cannot"
    with at.on(OBSERVER):
        found = items.page(Filter(items.OPEN, kind=ENTITY))
    if not found:
        return "there is no conflict"
    item = world.dice.choice(found)
    choice, wanted = _choice(world, item)
    uid, resolves = item.outline.entity_uid, tuple(item.outline.open_ids)

    def command(author: Author) -> Iterable[UUID]:
        (outcome,) = resolving.settle([choice], author)
        if isinstance(outcome.error, InvalidValue):
            return []  # it can no longer be swapped
        if outcome.error is not None:
            raise outcome.error
        return [uid]

    return _send(world, at, _write(world, at, {uid: wanted}, resolves=resolves), command)


def _choice(world: World, item: Item) -> tuple[Choice, dict[str, Fields]]:
    """Return how an item is to be settled, and what that makes of which groups."""
    item_id, draw = item.outline.item_id, world.dice.random()
    if draw < 0.4 or not resolving.may_swap(item):
        return Choice(item_id, resolving.KEEP), {}
    if item.group in CODES and draw < 0.6:
        text = world.dice.choice(TEXTS)
        return Choice(item_id, resolving.ENTER, text), {item.group: {"value": text}}
    swap = Choice(item_id, resolving.SWAP)
    if item.group is not None:
        (other,) = (side for side in item.sides if not side.is_kept)
        return swap, {item.group: other.fields or {}}
    state, closing = item.head.memo.state, item.sides[0]
    if not items.is_closed(state):
        return swap, {closing.group: closing.fields or {}}
    opened: dict[str, Fields] = {DELETED: {"value": False}, MERGED_INTO: {"value": None}}
    return swap, {g: fields for g, fields in opened.items() if state.get(g, {}).get("value")}


def restamp(world: World, at: Location) -> str:
    """Bring a record back that a wrong clock stamped in the far future."""
    now = at.clock.now()
    with at.on(OBSERVER):
        found = sorted(restamping.ahead(now))
        if not found:
            return "none is stamped in the far future"
        uid = world.dice.choice(found)
        head, events = heads.read([uid])[uid], live(log.load([uid])[uid])
    wrong = [e for e in events if e.ts > now + restamping.FAR_MICROS and not e.voids]
    voids = tuple(e.event_id for e in sorted(wrong, key=lambda e: e.stamp))
    wanted = {group: head.memo.state[group] for e in wrong for group in e.set}

    def command(author: Author) -> Iterable[UUID]:
        return [event.entity_uid for event in restamping.restamp(uid, author)]

    return _send(world, at, _write(world, at, {uid: wanted}, voids=voids), command)


def merge(world: World, at: Location) -> str:
    """Say that two records are one: one transaction of two events."""
    loser, survivor = existing(world, at), existing(world, at)
    if loser is None or survivor is None or loser == survivor:
        return "there are no two"
    wanted: dict[UUID, Mapping[str, Fields]] = {
        loser: {MERGED_INTO: {"value": str(survivor)}},
        survivor: _groups(_values(world)),
    }
    return _send(world, at, _write(world, at, wanted), _recording(_drafts(wanted, set())))


def change_many(world: World, at: Location) -> str:
    """Change and enter several customers in one transaction."""
    most = min(MOST_AT_ONCE, world.page, len(world.uids))
    uids = world.dice.sample(world.uids, world.dice.randint(2, most))
    there = {row[0] for row in at.rows(_EXISTING, [True, False])}
    new = set(uids) - there
    wanted = {uid: _groups(_values(world, is_new=uid in new)) for uid in uids}
    for uid in new:
        wanted[uid] = {"type": {"value": "PERSON"}, **wanted[uid]}
    return _send(world, at, _write(world, at, wanted), _recording(_drafts(wanted, new)))


def existing(world: World, at: Location, is_deleted: Sequence[bool] = (True, False)) -> UUID | None:
    """Return a customer that is known at a location."""
    found = [row[0] for row in at.rows(_EXISTING, list(is_deleted))]
    return world.dice.choice(found) if found else None


def _values(world: World, *, is_new: bool = False) -> dict[str, Any]:
    codes = world.dice.sample(CODES, world.dice.randint(1, 3))
    return {code: world.dice.choice(TEXTS[:-1] if is_new else TEXTS) for code in codes}


def _groups(values: Mapping[str, Any]) -> dict[str, Fields]:
    return {code: {"value": value} for code, value in values.items()}


def _changing(
    uid: UUID, values: Mapping[str, Any], basis: Basis = commands.NO_BASIS,
    when: When = commands.NOW,
) -> Callable[[Author], Iterable[UUID]]:  # fmt: skip
    def command(author: Author) -> Iterable[UUID]:
        changed = commands.change_customer(uid, values, author, basis=basis, when=when)
        return [uid] if changed else []

    return command


def _recording(drafts: Sequence[Draft]) -> Callable[[Author], Iterable[UUID]]:
    return lambda author: [event.entity_uid for event in record(drafts, author)]


def _drafts(wanted: Mapping[UUID, Mapping[str, Fields]], new: set[UUID]) -> list[Draft]:
    return [
        Draft(uid, "customers.entity_created" if uid in new else CHANGED, groups, ENTITY,
              is_new=uid in new)
        for uid, groups in wanted.items()
    ]  # fmt: skip


def _write(
    world: World, at: Location, wanted: Mapping[UUID, Mapping[str, Fields]], **given: Any
) -> Write:
    return Write(world.history.request_id(), at.name, wanted, **given)


def _send(
    world: World,
    at: Location,
    write: Write,
    command: Callable[[Author], Iterable[UUID]],
    form: Form | None = None,
) -> str:
    whom = ",".join(f"{world.label(uid)}[{' '.join(g)}]" for uid, g in write.wanted.items())
    said = world.history.send(at, write, command, form)
    return f"{write.request_id[-6:]} {whom}: {said}"
