"""Two neighbouring releases side by side: what one does not know waits, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from uuid import UUID

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import migrations
from django.db.migrations.loader import MigrationLoader

from consumers.tests.origins import person, signed
from consumers.verify import Run
from customers import commands, queries
from customers.kinds import ENTITY as CUSTOMER
from events import audit, contacts, items, log, recorder
from events.digest import Digest, take
from events.envelope import canonical, from_raw, to_raw
from events.errors import InvalidValue, Parked
from events.fold import State
from events.models import Conflict, EntityHead, Outbox, PeerContact, SubjectKey
from events.models import Event as StoredEvent
from events.rebuilding import Selection, expected, rebuild_all
from events.recorder import Draft
from events.status import sync_status
from events.streams import Item
from events.tests.making import event
from tests.databases import TestDatabases
from tests.releases import Place, exchange, places
from tests.replaying import assert_replay_is_live
from tests.sample.models import OFFER, Offer
from tests.sample.next_release import NEXT_OFFER

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.feature("S09"),
]

EUR = {"amount": "1.00", "currency": "EUR"}
HOUR = 3_600_000_000
LAMP, CHAIR, TABLE, SHELF = (UUID(int=n) for n in (0xA, 0xB, 0xC, 0xD))


@pytest.fixture
def two(databases: TestDatabases) -> Iterator[list[Place]]:
    """loc2 and loc3, both of today's release."""
    with places(databases, loc2=OFFER, loc3=OFFER) as found:
        yield found


def price(place: Place, amount: str) -> dict[str, dict[str, str | None]]:
    """Say a price in the words of the place's release."""
    if place.kind is OFFER:
        return {"price": {"amount": amount, "currency": "EUR"}}
    return {"amount": {"amount": amount}}


def remark(place: Place, text: str) -> dict[str, dict[str, str | None]]:
    return {"note" if place.kind is OFFER else "remark": {"note": text}}


def state(place: Place) -> Digest:
    with place.here():
        assert_replay_is_live()
        return take()


def offered(place: Place, uid: UUID, title: str) -> None:
    groups: dict[str, dict[str, str | None]] = {"title": {"title": title}, **price(place, "1.00")}
    if place.kind is NEXT_OFFER:
        groups["currency"] = {"currency": "EUR"}
    place.write(uid, groups, type="sample.offer_made", is_new=True)


def test_trap_34_a_day_in_which_one_location_is_upgraded_before_the_other(two: list[Place]) -> None:
    new, old = two
    offered(new, LAMP, "Lamp")
    for hour in range(0, 24, 2):
        new.now = old.now = 1_800_000_000_000_000 + hour * HOUR
        if hour == 8:
            new.upgrade(NEXT_OFFER)
        if hour == 16:
            old.upgrade(NEXT_OFFER)
        exchange(new, old)
        if hour == 16:
            before = len(new.versions_sent()), len(old.versions_sent())
        # Both write what the other has not seen: some of it clashes.
        for place in two:
            place.write(LAMP, price(place, f"{hour + 2}.{'25' if place is new else '75'}"))
            place.write(LAMP, remark(place, f"{place.name} at {hour}"))
        offered(new if hour % 4 else old, person(hour), f"Offer {hour}")
        exchange(new, old)
        assert new.offers() == old.offers(), hour
        assert (new.parked(), old.parked()) == ({}, {})
    assert state(new) == state(old)
    assert state(new).is_settled
    for place, count in zip(two, before, strict=True):
        assert place.versions_sent()[:count] == [1] * count
        assert set(place.versions_sent()[count:]) == {2}
    columns = 'SELECT item_id, "group", resolved_by FROM events_conflict ORDER BY 1'
    assert new.rows(columns) == old.rows(columns)
    assert {group for _, group, _ in new.rows(columns)} == {"amount", "remark"}


def news_of_the_next_release(databases: TestDatabases) -> list[Item]:
    """Return what a location that has only peers of its own release sends."""
    with places(databases, loc2=NEXT_OFFER) as (ahead,):
        offered(ahead, LAMP, "Lamp")  # 1: a higher version
        renewed = {"title": {"title": "Chair"}, "remark": {"note": "for Ann Miller"}}
        ahead.write(CHAIR, renewed, type="sample.offer_renewed", is_new=True)  # 2: an unknown type
        with ahead.here():  # 3, 4: one that is known, in one transaction with one that is not
            recorder.record(
                [
                    Draft(CHAIR, "sample.offer_changed", price(ahead, "5.00"), NEXT_OFFER),
                    Draft(
                        person(1),
                        "customers.entity_created",
                        {"type": {"value": "PERSON"}, "surname": {"value": "Ek"}},
                        CUSTOMER,
                        is_new=True,
                    ),
                ],
                ahead.author(),
            )
        ahead.write(LAMP, {"remark": {"note": "dim"}})
        return [item for run in ahead.stream() for item in run.items]


def with_what_is_unknown(item: Item) -> Item:
    """Return an event of version 1 with a group, a field and a member that nobody here knows."""
    made = replace(
        from_raw(item.raw),
        event_id=person(70),
        tx=person(70),
        entity_uid=TABLE,
        type="sample.offer_made",
        schema_version=1,
        set={"price": {**EUR, "tax": "0.19"}, "colour": {"colour": "red"}},
        base=dict.fromkeys(("price", "colour", "deleted", "merged_into")),
    )
    document = json.loads(to_raw(made))
    return Item(0, canonical({**document, "urgency": {"level": 3}}), b"")


@pytest.fixture
def news(databases: TestDatabases) -> Run:
    found = news_of_the_next_release(databases)
    return signed("loc2", [*found, with_what_is_unknown(found[0])])


@pytest.fixture
def behind(two: list[Place], news: Run) -> Place:
    """loc3, of the older release, with an offer of its own and all that loc2 sent."""
    offered(two[1], SHELF, "Shelf")
    for known in (1, 2, 4, len(news.items)):  # whole transactions, in four parts
        two[1].take([signed("loc2", news.items[:known])])
    return two[1]


def test_trap_34_what_a_release_does_not_know_waits_and_nothing_else(behind: Place) -> None:
    # The customer waits with the chair: they changed in one transaction.
    assert behind.parked() == dict.fromkeys((LAMP, CHAIR, person(1)), "UnknownEvent")
    with behind.here():
        (table,) = log.load([TABLE])[TABLE]
        assert table.set["colour"] == {"colour": "red"}
        row = Offer.objects.get(entity_uid=TABLE)
        assert (str(row.amount), row.currency) == ("1.00", "EUR")
        assert [line.group for line in audit.page(audit.Filter(entity_uid=CHAIR), 10)[0]]
        assert not take().is_settled
    with pytest.raises(Parked):
        behind.write(LAMP, {"title": {"title": "x"}})
    assert behind.write(SHELF, {"note": {"note": "still here"}})


def test_trap_34_what_waited_is_folded_after_the_upgrade_as_if_it_never_had(
    databases: TestDatabases, behind: Place, news: Run
) -> None:
    assert behind.parked().keys() == {LAMP, CHAIR, person(1)}
    behind.upgrade(NEXT_OFFER)
    assert behind.parked() == {}
    found = state(behind)
    assert found.is_settled
    with behind.here():
        assert queries.get(person(1)).values == {"surname": "Ek"}
        assert EntityHead.objects.get(entity_uid=CHAIR).kind == OFFER.name
        notes = Offer.objects.filter(is_current=True).values_list("note", flat=True)
        assert set(notes) == {"for Ann Miller", "dim", None}
    stream = behind.stream()
    with places(databases, loc1=NEXT_OFFER) as (always,):
        always.peers = ("loc2", "loc3")
        always.take([*stream, news])
        assert always.offers() == behind.offers()
        assert (always.parked(), state(always).value) == ({}, found.value)


def test_trap_34_migrate_folds_what_waited_and_has_nothing_to_do_the_next_time(
    behind: Place,
) -> None:
    behind.kind = NEXT_OFFER
    said = []
    with behind.here():
        for _ in range(2):
            out = StringIO()
            call_command("migrate", interactive=False, stdout=out)
            said.append([line for line in out.getvalue().splitlines() if "folded" in line])
        assert contacts.own_digest()[0] == take().value
    assert said == [["5 records folded again; 0 are parked."], []]
    assert behind.parked() == {}


def test_trap_34_an_unknown_type_holds_up_its_record_and_no_other(two: list[Place]) -> None:
    _, old = two
    tx, bare = person(80), dict.fromkeys(("title", "deleted", "merged_into"))
    unknown = event(
        1_800_000_000_000_000, {"title": {"title": "Chair"}}, origin="loc2", entity_uid=CHAIR,
        type="sample.offer_renewed",
    )  # fmt: skip
    both = [
        event(
            1_800_000_001_000_000, {"title": {"title": "New"}}, origin="loc2", entity_uid=uid,
            type="sample.offer_changed", tx=tx, tx_index=n, tx_size=2, base=bare,
        )
        for n, uid in enumerate((CHAIR, TABLE))
    ]  # fmt: skip
    items = [Item(0, to_raw(made), b"") for made in (unknown, *both)]
    old.take([signed("loc2", items[:1]), signed("loc2", items)])
    assert old.parked() == {CHAIR: "UnknownEvent"}
    with old.here():
        assert Offer.objects.get(entity_uid=TABLE).title == "New"


def test_trap_34_an_upgrade_that_is_taken_back(two: list[Place]) -> None:
    new, back = two
    offered(new, LAMP, "Lamp")
    offered(new, TABLE, "Table")
    exchange(new, back)
    for place in two:
        place.upgrade(NEXT_OFFER)
    exchange(new, back)
    new.write(LAMP, price(new, "2.00"))
    back.write(CHAIR, {"title": {"title": "Chair"}}, is_new=True)
    exchange(new, back)
    back.upgrade(OFFER)
    # Not before the next heartbeat does the other know.
    new.write(TABLE, {"remark": {"note": "round"}})
    back.take(new.stream())
    assert back.parked() == dict.fromkeys((LAMP, CHAIR, TABLE), "UnknownEvent")
    exchange(new, back)
    new.write(SHELF, {"title": {"title": "Shelf"}, **price(new, "3.00")}, is_new=True)
    exchange(new, back)
    assert new.versions_sent() == [1, 1, 2, 2, 1]
    assert SHELF not in back.parked()
    back.write(SHELF, {"note": {"note": "of the older release"}})
    assert back.versions_sent() == [2, 1]
    exchange(new, back)
    shelves = "SELECT t::text FROM sample_offer t WHERE note LIKE 'of the%'"
    assert new.rows(shelves) == back.rows(shelves) != []
    back.upgrade(NEXT_OFFER)
    assert back.parked() == {}
    exchange(new, back)
    assert back.offers() == new.offers()
    assert state(new) == state(back)
    assert state(new).is_settled


def test_trap_34_a_release_taken_back_never_goes_on_from_what_the_newer_one_folded(
    two: list[Place],
) -> None:
    new, back = two
    offered(new, LAMP, "Lamp")
    back.take(new.stream())
    back.kind = NEXT_OFFER
    with back.here():
        due = Selection(is_due_only=True)
        assert (expected(due), rebuild_all(due).found.uids) == (1, {LAMP})
        assert (expected(due), rebuild_all(due).entities) == (0, 0)
    # Nobody ran migrate: whoever touches the record folds it again.
    back.kind = OFFER
    back.write(LAMP, price(back, "2.00"))
    state(back)
    back.kind = NEXT_OFFER
    new.write(LAMP, {"note": {"note": "from elsewhere"}})
    back.take(new.stream())
    state(back)
    assert back.parked() == {}
    new.kind = NEXT_OFFER
    new.beat(back)
    back.write(CHAIR, {"remark": {"note": "Ann"}}, is_new=True)
    back.kind = OFFER
    with pytest.raises(Parked):
        back.write(CHAIR, {"note": {"note": "Bob"}})


def test_a_value_that_an_older_release_cannot_keep_is_refused_not_lost(two: list[Place]) -> None:
    new, old = two
    offered(new, LAMP, "Lamp")
    exchange(new, old)
    lossy = replace(NEXT_OFFER.steps[0][0], down=lambda _: EUR)
    new.upgrade(replace(NEXT_OFFER, steps=((lossy, NEXT_OFFER.steps[0][1]),)))
    before = new.offers()
    with pytest.raises(InvalidValue, match="older release") as refused:
        new.write(LAMP, {"amount": {"amount": "2.00"}})
    assert refused.value.field == "amount"
    assert new.offers() == before


def test_a_conflict_resolved_by_one_release_is_resolved_in_the_next(two: list[Place]) -> None:
    new, old = two
    offered(new, LAMP, "Lamp")
    exchange(new, old)
    for place in two:
        place.write(LAMP, remark(place, place.name))
    exchange(new, old)
    with old.here():
        (item,) = Conflict.objects.all()
    (settles,) = old.write(LAMP, remark(old, "both"), resolves=[item.item_id])
    exchange(new, old)
    for place in two:
        place.upgrade(NEXT_OFFER)
        with place.here():
            (now,) = Conflict.objects.all()
        assert (now.group, now.resolved_by) == ("remark", settles.event_id)


def test_who_reads_sees_old_events_in_the_words_of_today(two: list[Place]) -> None:
    new, _ = two
    offered(new, LAMP, "Lamp")
    new.write(LAMP, {"note": {"note": "dim"}})
    new.upgrade(NEXT_OFFER)
    new.write(LAMP, {"remark": {"note": "bright"}})
    assert new.versions_sent() == [1, 1, 1]
    with new.here():
        assert {g for made in log.load([LAMP])[LAMP] for g in made.set} == NEXT_OFFER.groups.keys()
        lines, _ = audit.page(audit.Filter(entity_uid=LAMP), 10)
        bytes_kept = bytes(StoredEvent.objects.get(event_id=lines[0].event_id).raw)
    assert (lines[0].group, lines[0].before, lines[0].after) == (
        "remark", {"note": "dim"}, {"note": "bright"},
    )  # fmt: skip
    assert {line.group for line in lines} == NEXT_OFFER.groups.keys()
    with new.here():
        SubjectKey.objects.all().delete()
        closed, _ = audit.page(audit.Filter(entity_uid=LAMP), 10)
    assert [line.group for line in closed] == [line.group for line in lines]
    assert (closed[0].before, closed[0].after) == (None, None)
    assert b'"set":{"note":{}}' in bytes_kept, "what is kept is never rewritten"


def test_the_inbox_shows_a_conflict_of_a_release_that_was_taken_back(two: list[Place]) -> None:
    new, back = two
    offered(new, LAMP, "Lamp")
    exchange(new, back)
    for place in two:
        place.write(LAMP, price(place, "2.00" if place is new else "3.00"))
    exchange(new, back)
    for place in two:
        place.upgrade(NEXT_OFFER)
    exchange(new, back)
    new.write(LAMP, {"title": {"title": "Lantern"}})
    back.take(new.stream())
    back.upgrade(OFFER)
    assert back.parked() == {LAMP: "UnknownEvent"}
    with back.here():
        (item,) = items.page(items.Filter())
    assert [(side.group, side.fields) for side in item.sides] == [("amount", None)] * 2


def test_what_follows_from_the_same_events_may_change_with_a_version(two: list[Place]) -> None:
    new, other = two
    new.kind = other.kind = CUSTOMER
    with new.here():
        commands.create_customer({"surname": "Ek"}, new.author(), entity_uid=person(1))
    new.number()
    exchange(new, other)

    def backwards(state: State) -> Iterator[dict[str, str]]:
        yield {"detail_code": "surname", "folded": str(state["surname"]["value"])[::-1]}

    (derived,) = CUSTOMER.derived
    later = replace(
        CUSTOMER,
        event_types=dict.fromkeys(CUSTOMER.event_types, 2),
        derived=(replace(derived, rows=backwards),),
        steps=((),),
    )
    new.upgrade(later)
    assert new.rows("SELECT folded FROM customers_searchkey") == [("kE",)]
    with new.here():
        contacts.note_digest(Digest("a" * 32, {"loc2": [1, 1]}, is_settled=True, buckets=b""))
    other.beat(new)
    with new.here():
        contact = PeerContact.objects.get(location="loc3")
        contact.digest, contact.digest_heads = "b" * 32, {"loc2": [1, 1]}
        contact.save()
        (peer,) = sync_status()["peers"]
    assert peer["state"] != "unequal", "of another release other rows are no fault"
    new.upgrade(CUSTOMER)
    with new.here():
        assert_replay_is_live()
        (peer,) = sync_status()["peers"]
    assert peer["state"] == "unequal"


LOG = ("event", "eventsecret", "eventnumber", "streamhead", "received", "outbox", "published")


def test_trap_35_migration_emits_no_events(two: list[Place]) -> None:
    new, other = two
    for number in range(8):
        offered(new, person(number), f"Offer {number}")
    new.write(person(1), {"deleted": {"value": True}})
    exchange(new, other)

    def kept() -> dict[str, object]:
        return {
            table: new.rows(f"SELECT t::text FROM events_{table} t ORDER BY 1") for table in LOG
        }

    before, rows = kept(), new.offers()
    assert before["event"]
    assert before["eventnumber"]
    new.kind = NEXT_OFFER
    with new.here():
        call_command("migrate", verbosity=0, interactive=False)
        assert set(EntityHead.objects.filter(kind=OFFER.name).values_list("memo__version")) == {
            (2,)
        }
        assert not Outbox.objects.exists()
    assert kept() == before
    assert new.offers() == rows
    state(new)


def test_trap_35_an_empty_location_begins_without_events_of_its_own(two: list[Place]) -> None:
    new, _ = two
    origins = new.rows("SELECT DISTINCT origin FROM events_event")
    assert origins == [("genesis",)]
    assert new.rows("SELECT 1 FROM events_eventnumber UNION SELECT 1 FROM events_outbox") == []


def test_trap_35_no_migration_runs_code_or_writes_the_log() -> None:
    own = {config.label for config in apps.get_app_configs() if "site-packages" not in config.path}
    loader = MigrationLoader(None)
    ours = {key: m for key, m in loader.disk_migrations.items() if key[0] in own}
    assert len(ours) >= 5
    for key, migration in ours.items():
        for operation in migration.operations:
            assert not isinstance(operation, migrations.RunPython), key
            if isinstance(operation, migrations.RunSQL):
                assert "INSERT INTO" not in str(operation.sql).upper(), key
