"""The write path, through a module the core has never heard of, and through the customers."""

from __future__ import annotations

import base64
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count, permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from django.conf import settings
from django.db import connection, models

from customers.kinds import ENTITY as CUSTOMER
from events import heads, keys, log
from events.envelope import Event, from_raw, to_raw
from events.errors import AlreadyExists, Stale
from events.heads import etag
from events.log import Sealed
from events.models import Conflict, EntityHead, EventSecret, Outbox
from events.models import Event as StoredEvent
from events.recorder import Author, Draft, Received, receive, record
from events.registry import Kind
from events.stamp import to_micros
from events.tests.histories import DETAIL, seeded
from events.tests.making import event
from tests import oracle
from tests.replaying import assert_replay_is_live
from tests.sample.models import OFFER, Offer

pytestmark = pytest.mark.django_db

START = 1_800_000_000_000_000
KEY = b"k" * 32
TYPES = {OFFER.name: "sample.offer_changed", CUSTOMER.name: "customers.details_changed"}
_ticks = count(1)


def author() -> Author:
    return Author(UUID(int=7), "loc1", START + next(_ticks) * 1_000_000, "request-1")


def offer(uid: UUID, groups: Mapping[str, Any], **given: Any) -> Draft:
    return Draft(uid, "sample.offer_changed", groups, OFFER, **given)


def priced(amount: str | None, currency: str = "EUR") -> dict[str, dict[str, str | None]]:
    return {"price": {"amount": amount, "currency": currency}}


@pytest.fixture
def lamp() -> UUID:
    uid = uuid4()
    titled = {"title": {"title": "Lamp"}, **priced("12.50"), "note": {"note": "for Ann Miller"}}
    record([offer(uid, titled, is_new=True)], author())
    return uid


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables that writing touches."""
    tables = ("event", "eventsecret", "entityhead", "outbox", "conflict", "eventnumber", "received")
    names = [f"events_{table}" for table in tables] + [
        model._meta.db_table for kind in (OFFER, CUSTOMER) for model in kind.tables.values()
    ]
    found = {}
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"SELECT t::text FROM {name} t ORDER BY 1")
            found[name] = cursor.fetchall()
    return found


def sealed(made: Event, kind: Kind, key: bytes = KEY) -> Sealed:
    """Return an event as another location would send it."""
    made = replace(made, type=TYPES[kind.name])
    if not any(kind.is_personal(group) for group in made.set):
        return Sealed(made, to_raw(made))
    made = replace(made, subject_uid=made.entity_uid)
    raw, ct = keys.seal(made, kind.clear_groups, key)
    wrapped = aes_key_wrap(base64.b64decode(settings.WRAPPING_KEY), key)
    return Sealed(keys.open_event(raw, ct, wrapped), raw, ct, wrapped)


@pytest.mark.feature("M01")
def test_a_module_gets_versions_heads_and_log(lamp: UUID) -> None:
    record([offer(lamp, priced("9.99"))], author())
    first, second = Offer.objects.filter(entity_uid=lamp).order_by("valid_from")
    assert (str(first.amount), first.title, first.note) == ("12.50", "Lamp", "for Ann Miller")
    assert (str(second.amount), second.currency, second.title) == ("9.99", "EUR", "Lamp")
    assert first.valid_to == second.valid_from
    assert (first.is_current, second.is_current) == (False, True)
    assert [e.type for e in log.load([lamp])[lamp]] == ["sample.offer_changed"] * 2
    assert Outbox.objects.count() == 2
    assert_replay_is_live()


@pytest.mark.feature("M01")
def test_only_personal_groups_of_a_module_are_sealed(lamp: UUID) -> None:
    (raw,) = StoredEvent.objects.filter(entity_uid=lamp).values_list("raw", flat=True)
    document = json.loads(bytes(raw))
    assert document["set"]["title"] == {"title": "Lamp"}
    assert document["set"]["note"] == {}
    assert b"Miller" not in bytes(raw)
    assert EventSecret.objects.count() >= 1


@pytest.mark.feature("M01")
@pytest.mark.feature("C02")
def test_closing_and_opening_a_module_s_record(lamp: UUID) -> None:
    for value in (True, False):
        record([offer(lamp, {"deleted": {"value": value}})], author())
        assert Offer.objects.filter(entity_uid=lamp, is_current=True).count() == (not value)
    assert_replay_is_live()


@pytest.mark.feature("T03")
def test_the_same_again_writes_nothing(lamp: UUID) -> None:
    before = everything()
    assert record([offer(lamp, priced("12.50"))], author()) == []
    assert everything() == before


@pytest.mark.feature("S05")
@pytest.mark.parametrize("by", ["known", "if_match"])
def test_a_stale_form_writes_nothing(lamp: UUID, by: str) -> None:
    stamps = heads.read([lamp])[lamp].memo.stamps
    basis: dict[str, Any] = {"known": stamps} if by == "known" else {"if_match": etag(stamps)}
    record([offer(lamp, priced("9.99"))], author())
    before = everything()
    with pytest.raises(Stale) as refused:
        record([offer(lamp, priced("5.00"), **basis)], author())
    assert refused.value.groups["price"] == (
        {"amount": "5.00", "currency": "EUR"},
        {"amount": "9.99", "currency": "EUR"},
    )
    assert everything() == before


def test_one_refused_draft_refuses_the_transaction(lamp: UUID) -> None:
    before = everything()
    drafts = [
        offer(uuid4(), priced("1.00"), is_new=True),
        offer(lamp, priced("1.00"), is_new=True),
    ]
    with pytest.raises(AlreadyExists):
        record(drafts, author())
    assert everything() == before


def test_one_event_per_entity_per_transaction(lamp: UUID) -> None:
    before = everything()
    with pytest.raises(ValueError, match="one event per entity"):
        record([offer(lamp, priced("1.00")), offer(lamp, {"note": {"note": "x"}})], author())
    assert everything() == before


@pytest.mark.feature("T09")
def test_a_backdated_change_is_cut_at_its_effect(lamp: UUID) -> None:
    (made,) = log.load([lamp])[lamp]
    between = made.ts + 500
    record([offer(lamp, priced("9.99"))], author())
    record([offer(lamp, priced("11.00"), effective=between)], author())
    rows = Offer.objects.filter(entity_uid=lamp).order_by("valid_from")
    assert [str(row.amount) for row in rows] == ["12.50", "11.00", "9.99"]
    assert to_micros(rows[1].valid_from) == between
    assert_replay_is_live()


@pytest.mark.feature("T09")
@pytest.mark.feature("T03")
def test_what_was_so_already_at_that_time_makes_no_event(lamp: UUID) -> None:
    (made,) = log.load([lamp])[lamp]
    record([offer(lamp, priced("9.99"))], author())
    for effective in (made.ts + 500, made.ts - 500, 0):
        assert record([offer(lamp, priced("12.50"), effective=effective)], author()) == []


@pytest.mark.feature("T09")
def test_a_removal_before_the_record_began_is_not_lost(lamp: UUID) -> None:
    record([offer(lamp, {"note": {"note": None}}, effective=1)], author())
    (row,) = Offer.objects.filter(entity_uid=lamp)
    assert row.note is None
    assert_replay_is_live()


@pytest.mark.feature("T09")
def test_what_was_withdrawn_does_not_make_a_backdated_change_superfluous(lamp: UUID) -> None:
    (wrong,) = record([offer(lamp, priced("9.99"))], author())
    record([offer(lamp, {}, voids=(wrong.event_id,))], author())
    assert record([offer(lamp, priced("9.99"), effective=wrong.ts + 500)], author())
    assert [str(o.amount) for o in Offer.objects.order_by("valid_from")] == ["12.50", "9.99"]
    assert_replay_is_live()


def test_a_far_future_is_repaired_by_withdrawing_it(lamp: UUID) -> None:
    ahead = START * 2
    (far,) = record([offer(lamp, priced("9.99"))], replace(author(), now=ahead))
    assert far.ts == ahead
    (repair,) = record([offer(lamp, priced("9.99"), voids=(far.event_id,))], author())
    # What rested on it is said again, now; and the clock is let go.
    assert repair.set == priced("9.99")
    (later,) = record([offer(lamp, priced("8.00"))], author())
    assert repair.ts < later.ts < ahead
    assert [str(o.amount) for o in Offer.objects.order_by("valid_from")] == [
        "12.50", "9.99", "8.00",
    ]  # fmt: skip
    assert_replay_is_live()


def arrivals(seed: int, histories: int) -> list[Sealed]:
    """Return the events of many entities of both kinds, in any order, some twice."""
    chance, arrived = random.Random(seed), []
    for history in seeded(seed, histories, length=16):
        uid = UUID(int=chance.getrandbits(128))
        kind = CUSTOMER if history.shape is DETAIL else OFFER
        ids = {e.event_id: UUID(int=chance.getrandbits(128)) for e in history.events}
        for made in history.events:
            base = {
                g: s and s._replace(event_id=ids[s.event_id], ts=s.ts + START)
                for g, s in made.base.items()
            }
            moved = replace(
                made,
                event_id=ids[made.event_id],
                entity_uid=uid,
                ts=made.ts + START,
                effective=None if made.effective is None else made.effective + START,
                base=base,
                voids=tuple(ids[target] for target in made.voids),
                tx=ids[made.event_id],
            )
            arrived.append(sealed(moved, kind))
    chance.shuffle(arrived)
    return arrived + chance.sample(arrived, len(arrived) // 5)


def in_batches(arrived: Sequence[Sealed], seed: int) -> None:
    chance, place = random.Random(seed), 0
    while place < len(arrived):
        size = chance.randint(1, 12)
        batch = {item.event.event_id: item for item in arrived[place : place + size]}
        receive(list(batch.values()), Received(START))
        place += size


@pytest.mark.feature("S03")
@pytest.mark.feature("S04")
def test_trap_12_rows_are_what_the_oracle_says_in_whatever_order_events_arrive() -> None:
    arrived = arrivals(11, 40)
    in_batches(arrived, 11)
    assert_replay_is_live()
    by_entity: dict[UUID, list[Event]] = defaultdict(list)
    for item in arrived:
        opened = keys.open_event(item.raw, item.ct, item.wrapped)
        by_entity[item.event.entity_uid].append(opened)
    uids = list(by_entity)
    kinds = {head.entity_uid: head.kind for head in EntityHead.objects.filter(entity_uid__in=uids)}
    histories = [
        (oracle.CUSTOMER if kinds[uid] == CUSTOMER.name else oracle.OFFER, by_entity[uid])
        for uid in uids
    ]
    for uid, verdict in zip(uids, oracle.verdicts(histories), strict=True):
        kind = CUSTOMER if kinds[uid] == CUSTOMER.name else OFFER
        assert rows_of(kind, uid) == {as_stored(version) for version in verdict.versions}
        columns = ("item_id", "group", "earlier", "later", "is_closing", "resolved_by")
        items = Conflict.objects.filter(entity_uid=uid).values_list(*columns)
        assert set(items) == set(map(tuple, verdict.items))


def rows_of(kind: Kind, uid: UUID) -> set[tuple[Any, ...]]:
    found = set()
    for label, model in kind.tables.items():
        for row in model._default_manager.filter(entity_uid=uid):
            assert row.is_current == (row.valid_to is None)
            values = {f.column: getattr(row, str(f.column)) for f in own_columns(model)}
            if "amount" in values and values["amount"] is not None:
                values["amount"] = str(values["amount"])
            if values.get("merged_into") is not None:
                values["merged_into"] = str(values["merged_into"])
            found.add(
                (
                    label,
                    getattr(row, model.code_column) if model.code_column else "",
                    to_micros(row.valid_from),
                    row.valid_to and to_micros(row.valid_to),
                    oracle.plain(values),
                    row.event_id,
                )
            )
    return found


def own_columns(model: Any) -> list[models.Field[Any, Any]]:
    common = {"entity_uid", "valid_from", "valid_to", "is_current", "event_id", "hashdiff"}
    return [f for f in model._meta.concrete_fields if f.column not in {*common, model.code_column}]


def as_stored(version: oracle.VersionRow) -> tuple[Any, ...]:
    return tuple(version)


@pytest.mark.feature("S03")
def test_a_replay_changes_nothing() -> None:
    arrived = arrivals(12, 12)
    in_batches(arrived, 12)
    before = everything()
    assert receive(list({i.event.event_id: i for i in arrived}.values()), Received(START + 9)) == []
    in_batches(arrived, 13)
    assert everything() == before


@pytest.mark.feature("S03")
def test_own_events_that_come_back_change_nothing(lamp: UUID) -> None:
    record([offer(lamp, priced("9.99"))], author())
    stored = log.by_id(StoredEvent.objects.values_list("event_id", flat=True))
    back = [Sealed(from_raw(item[0]), *item) for item in stored.values()]
    before = everything()
    assert receive(back, Received(START)) == []
    assert everything() == before


@pytest.mark.feature("S04")
def test_trap_19_an_equal_value_from_elsewhere_is_kept(lamp: UUID) -> None:
    (here,) = log.load([lamp])[lamp]
    again = event(
        here.ts + 2_000_000, priced("12.50"), origin="loc2", entity_uid=lamp,
        knowing={"price": here}, event_id=uuid4(), tx=uuid4(),
    )  # fmt: skip
    between = event(
        here.ts + 1_000_000, priced("9.99"), origin="loc3", entity_uid=lamp,
        knowing={"price": here}, event_id=uuid4(), tx=uuid4(),
    )  # fmt: skip
    receive([sealed(again, OFFER)], Received(START))
    assert Offer.objects.count() == 1
    receive([sealed(between, OFFER)], Received(START))
    rows = Offer.objects.order_by("valid_from")
    assert [str(row.amount) for row in rows] == ["12.50", "9.99", "12.50"]
    assert_replay_is_live()


def arrives(ts: int, groups: Mapping[str, Any], uid: UUID, **given: Any) -> Sealed:
    """Return an event of an offer as another location sends it; ``ts`` from ``START`` on."""
    number = next(_ticks)
    made = event(START + ts, groups, entity_uid=uid, tx=UUID(int=number), **given)
    return sealed(made, OFFER)


def prices(uid: UUID) -> list[tuple[int, int | None, str]]:
    """Return since when, until when (from ``START`` on) and what an offer cost."""
    rows = Offer.objects.filter(entity_uid=uid).order_by("valid_from")
    return [
        (to_micros(row.valid_from) - START,
         None if row.valid_to is None else to_micros(row.valid_to) - START,
         str(row.amount))
        for row in rows
    ]  # fmt: skip


@pytest.mark.feature("S04")
def test_trap_17_one_instant_at_three_locations_with_neighbours_and_something_older() -> None:
    told = [
        (10, "loc2", "1.00"), (10, "loc1", "2.00"), (10, "loc3", "3.00"),
        (9, "loc3", "4.00"), (11, "loc1", "5.00"), (1, "loc2", "6.00"),
    ]  # fmt: skip
    wanted = [(1, 9, "6.00"), (9, 10, "4.00"), (10, 11, "3.00"), (11, None, "5.00")]
    for order in random.Random(17).sample(list(permutations(told)), 12):
        uid = uuid4()
        for ts, origin, amount in order:
            own = uuid4()
            receive(
                [arrives(ts, priced(amount), uid, origin=origin, event_id=own)], Received(START)
            )
        assert prices(uid) == wanted, order
    assert_replay_is_live()


@pytest.mark.feature("S04")
def test_trap_18_late_events_make_a_version_vanish_and_stand_again() -> None:
    uid = uuid4()
    first, change = (
        arrives(10, priced("1.00"), uid, event_id=uuid4()),
        arrives(20, priced("2.00"), uid, event_id=uuid4()),
    )
    receive([first, change], Received(START))
    assert prices(uid) == [(10, 20, "1.00"), (20, None, "2.00")]
    # The same from elsewhere, earlier: at 20 nothing changes any more.
    earlier = arrives(15, priced("2.00"), uid, origin="loc2", event_id=uuid4())
    receive([earlier], Received(START))
    assert prices(uid) == [(10, 15, "1.00"), (15, None, "2.00")]
    # And back in between: it does again.
    between = arrives(17, priced("1.00"), uid, origin="loc3", event_id=uuid4())
    receive([between], Received(START))
    assert prices(uid) == [(10, 15, "1.00"), (15, 17, "2.00"), (17, 20, "1.00"), (20, None, "2.00")]
    # Without both changes in the middle A, B, A, B is A, B.
    undone = arrives(
        30, {}, uid, event_id=uuid4(), voids=(earlier.event.event_id, between.event.event_id)
    )
    receive([undone], Received(START))
    assert prices(uid) == [(10, 20, "1.00"), (20, None, "2.00")]
    # Without the last A, B is A.
    receive(
        [arrives(40, {}, uid, event_id=uuid4(), voids=(change.event.event_id,))], Received(START)
    )
    assert prices(uid) == [(10, None, "1.00")]
    assert_replay_is_live()


@pytest.mark.feature("S04")
def test_trap_24_void_before_its_target_and_void_of_a_void() -> None:
    ids = [uuid4() for _ in range(3)]
    told: list[tuple[int, dict[str, Any], dict[str, Any]]] = [
        (10, priced("1.00"), {}),
        (20, priced("2.00"), {"event_id": ids[0]}),
        (30, {}, {"event_id": ids[1], "voids": (ids[0],)}),
        (40, {}, {"event_id": ids[2], "voids": (ids[1],), "origin": "loc2"}),
    ]
    for order in permutations(told):
        uid, anew = uuid4(), {old: uuid4() for old in ids}
        for ts, groups, given in order:
            own = {
                **given,
                "event_id": anew[given["event_id"]] if given else uuid4(),
                "voids": tuple(anew[target] for target in given.get("voids", ())),
            }
            receive([arrives(ts, groups, uid, **own)], Received(START))
        assert prices(uid) == [(10, None, "1.00")], order
    assert_replay_is_live()


@pytest.mark.feature("S04")
def test_trap_27_change_and_deletion_before_the_record_is_there() -> None:
    uid = uuid4()
    receive([arrives(30, {"deleted": True}, uid, origin="loc3", event_id=uuid4())], Received(START))
    receive([arrives(20, priced("2.00"), uid, origin="loc2", event_id=uuid4())], Received(START))
    assert prices(uid) == [(20, 30, "2.00")]
    made = arrives(10, {"title": {"title": "Lamp"}, **priced("1.00")}, uid, event_id=uuid4())
    receive([made], Received(START))
    assert prices(uid) == [(10, 20, "1.00"), (20, 30, "2.00")]
    assert {row.title for row in Offer.objects.filter(entity_uid=uid)} == {"Lamp"}
    assert EntityHead.objects.get(entity_uid=uid).parked_reason is None
    assert_replay_is_live()


@pytest.mark.feature("S03")
def test_trap_39_ten_thousand_changes_of_one_record() -> None:
    """What arrives in order never reads what is here; a late one reads it once."""
    uid, arrived = uuid4(), list[Sealed]()
    for n in range(10_000):
        known = {"price": arrived[-1].event if arrived else None}
        arrived.append(arrives(10 * n, priced(f"{n}.00"), uid, event_id=uuid4(), knowing=known))
    reads: list[int] = []
    stored = log.stored

    def noted(uids: Iterable[UUID]) -> Any:
        reads.append(1)
        return stored(uids)

    with pytest.MonkeyPatch.context() as watched:
        watched.setattr("events.log.stored", noted)
        for first in range(0, len(arrived), 1000):
            receive(arrived[first : first + 1000], Received(START))
        assert not reads
        receive(
            [arrives(15, priced("0.50"), uid, event_id=uuid4(), origin="loc2")], Received(START)
        )
        assert len(reads) == 1
    assert len(prices(uid)) == 10_001
    assert prices(uid)[:4] == [
        (0, 10, "0.00"),
        (10, 15, "1.00"),
        (15, 20, "0.50"),
        (20, 30, "2.00"),
    ]


@pytest.mark.feature("S08")
def test_values_without_their_key_park_their_record_alone(lamp: UUID) -> None:
    other = uuid4()
    hidden = event(
        START, {"note": {"note": "secret"}}, origin="loc2", entity_uid=other, event_id=uuid4()
    )
    item = replace(sealed(hidden, OFFER), wrapped=None)
    receive([item], Received(START))
    parked = EntityHead.objects.get(entity_uid=other)
    assert parked.parked_reason == "MissingKey"
    assert not Offer.objects.filter(entity_uid=other).exists()
    assert EntityHead.objects.get(entity_uid=lamp).parked_reason is None
