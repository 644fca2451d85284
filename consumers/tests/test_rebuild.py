"""Folding again finds whatever was changed past the recorder, and makes it right from the log."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from consumers.tests.origins import (
    Elsewhere,
    number_all,
    person,
    signed,
    three_people_of,
)
from consumers.verify import Run
from customers import queries
from events import contacts, heads, rebuilding, recorder, streams
from events.digest import compared_tables, take
from events.envelope import Event, to_raw
from events.models import EntityHead
from events.rebuilding import Selection, rebuild_all
from events.registry import Kind
from events.streams import Item
from tests.by_hand import by_hand
from tests.releases import release
from tests.replaying import assert_replay_is_live
from tests.sample.models import OFFER, Offer
from tests.sample.next_release import SAME_OFFER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S06")]

LAMP, DESK, SOFA = UUID(int=101), UUID(int=102), UUID(int=103)
START = 1_800_000_000_000_000
REBUILT = ["events_entityhead", "customers_searchkey"]


def rebuild(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and what was found."""
    out, code = StringIO(), 0
    try:
        call_command("rebuild", "--json", *arguments, stdout=out)
    except SystemExit as exc:
        code = int(exc.code or 0)
    return code, json.loads(out.getvalue())


def standing() -> dict[str, Any]:
    """Return a hash of all rows that a fold makes; memos and sealed states are read."""
    found: dict[str, Any] = {}
    for table in [*compared_tables(), *REBUILT]:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT (to_jsonb(t) - 'state' - 'memo')::text FROM {table} t ORDER BY 1"
            )
            found[table] = hashlib.sha256(repr(cursor.fetchall()).encode()).hexdigest()
    known = heads.read(EntityHead.objects.values_list("entity_uid", flat=True))
    return {**found, "heads": known}


def places() -> dict[str, Any]:
    """Return which transaction wrote each row, and where it stands."""
    found = {}
    for table in [*compared_tables(), *REBUILT]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT ctid::text, xmin::text FROM {table} ORDER BY 1")
            found[table] = cursor.fetchall()
    return found


@pytest.fixture
def here(databases, applier):
    """People with a history, one closed, one in two minds; an offer."""
    applier.apply(three_people_of(databases)[0])
    pen = Elsewhere("loc1", begin=START + 10**9)
    pen.change(1, surname="Changed", phone="+49 30 2")
    offer = {"title": {"title": "Lamp"}, "price": {"amount": "12.50", "currency": "EUR"}}
    draft = recorder.Draft(LAMP, "sample.offer_made", offer, OFFER, is_new=True)
    recorder.record([draft], pen.author())
    parallel = Event(
        event_id=UUID(int=7),
        origin="loc3",
        entity_uid=LAMP,
        type="sample.offer_changed",
        schema_version=1,
        ts=pen.now + 5,
        tx=UUID(int=8),
        set={"price": {"amount": "9.99", "currency": "EUR"}},
        base=dict.fromkeys(("price", "deleted", "merged_into")),
    )
    applier.apply(signed("loc3", [Item(0, to_raw(parallel), b"")]))
    number_all("loc1", streams.own_key())
    assert_replay_is_live()


def test_nothing_differs_and_not_a_row_is_written(here):
    before = places()
    code, said = rebuild()
    assert code == 0
    assert said == {
        "dry_run": False, "entities": EntityHead.objects.count(), "differing": {},
        "entity_uids": [], "unparked": [], "parked": []}  # fmt: skip
    assert places() == before


EVE = '\'{"value": "Eve"}\''
A_NAME = "detail_code = 'name'"
ROGUE = "INSERT INTO sample_offer (entity_uid, valid_from, event_id, hashdiff, title)"
UPDATES = {
    "a value": f"customers_entitydetail SET value = {EVE} WHERE {A_NAME}",
    "a value and its hash": (
        f"customers_entitydetail SET hashdiff = 'x', value = {EVE} WHERE {A_NAME}"
    ),
    "the form of a value": "sample_offer SET title = title || ' '",
    "an end": (
        "customers_entitydetail SET valid_to = valid_to - interval '1 microsecond'"
        " WHERE valid_to IS NOT NULL"
    ),
    "a beginning": (
        "customers_entity SET valid_from = valid_from + interval '1 microsecond'"
        " WHERE valid_to IS NULL"
    ),
    "an author": "customers_entity SET event_id = gen_random_uuid()",
    "a resolution": "events_conflict SET resolved_by = gen_random_uuid()",
    "a search key": "customers_searchkey SET folded = 'eve'",
    "a memo": (
        "events_entityhead SET memo = jsonb_set(memo, '{open}', '{}') WHERE kind = 'sample.offer'"
    ),
    "a memo that is none": "events_entityhead SET memo = '[1]'",
    "a state": "events_entityhead SET state = state || 'x'",
    "a last stamp": "events_entityhead SET last_ts = last_ts + 1",
    "whether it is closed": "events_entityhead SET is_deleted = NOT is_deleted",
    "whether there are conflicts": (
        "events_entityhead SET has_closing_conflicts = NOT has_closing_conflicts"
    ),
    "a kind": "events_entityhead SET kind = '' WHERE kind = 'sample.offer'",
}
OTHERS = {
    "versions gone": ("sample_offer", "DELETE FROM sample_offer"),
    "versions of nothing": (
        "sample_offer",
        f"{ROGUE} VALUES (gen_random_uuid(), now(), gen_random_uuid(), '', 'Rogue')",
    ),
    "a version of another kind": (
        "sample_offer",
        f"{ROGUE} SELECT entity_uid, now(), event_id, '', 'Rogue' FROM customers_entity LIMIT 1",
    ),
    "conflicts gone": ("events_conflict", "DELETE FROM events_conflict"),
    "search keys gone": ("customers_searchkey", "DELETE FROM customers_searchkey"),
    "a search key of nobody": (
        "customers_searchkey",
        "INSERT INTO customers_searchkey VALUES (gen_random_uuid(), 'name', 'eve')",
    ),
    "heads gone": ("events_entityhead", "DELETE FROM events_entityhead"),
}
DAMAGE = {name: (text.split()[0], f"UPDATE {text}") for name, text in UPDATES.items()} | OTHERS


@pytest.mark.parametrize("what", DAMAGE)
def test_trap_40_manual_update_is_found_and_healed(here, what):
    before, digest = standing(), take()
    table, statement = DAMAGE[what]
    by_hand(table, statement)
    damaged = places()
    code, foreseen = rebuild("--dry-run")
    assert (code, foreseen["dry_run"]) == (1, True)
    assert places() == damaged, "a dry run writes nothing"
    code, said = rebuild()
    assert code == 1
    assert list(said["differing"]) == [table]
    assert said == {**foreseen, "dry_run": False}
    assert said["entity_uids"]
    assert (standing(), take()) == (before, digest)
    assert_replay_is_live()
    assert contacts.own_digest()[0] == digest.value, "peers compare with what stands now"
    assert rebuild()[0] == 0


def test_counts_and_names_in_words(here, capsys):
    by_hand("sample_offer", "UPDATE sample_offer SET title = 'Rogue'")
    rows = Offer.objects.count()
    for option, word in (
        ("--dry-run", "1 differ."),
        ("--entity", "1 differed and were made right"),
    ):
        arguments = [option, str(LAMP)] if option == "--entity" else [option]
        with pytest.raises(SystemExit):
            call_command("rebuild", *arguments)
        said = capsys.readouterr().out
        assert word in said
        assert f"sample_offer: {rows}" in said
        assert str(LAMP) in said
        assert "Rogue" not in said


def test_at_most_twenty_are_named(databases, capsys):
    pen = Elsewhere("loc1")
    for number in range(23):
        pen.create(number, name="Ann")
    by_hand("customers_searchkey", "DELETE FROM customers_searchkey")
    with pytest.raises(SystemExit):
        call_command("rebuild", "--dry-run")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 + 1 + 20 + 1
    assert said[-1] == "  and 3 more; --json names them all"
    assert len(rebuild("--dry-run")[1]["entity_uids"]) == 23


def test_only_the_records_named(here):
    by_hand("sample_offer", "DELETE FROM sample_offer")
    by_hand("customers_searchkey", "DELETE FROM customers_searchkey")
    code, said = rebuild("--entity", str(LAMP))
    assert code == 1
    assert (said["entities"], said["entity_uids"]) == (1, [str(LAMP)])
    assert list(rebuild("--dry-run")[1]["differing"]) == ["customers_searchkey"]
    with pytest.raises(CommandError, match="no such record here") as refused:
        call_command("rebuild", "--entity", str(UUID(int=1)))
    assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="invalid UUID"):
        call_command("rebuild", "--entity", "lamp")


def test_batches_are_right_by_themselves(here, monkeypatch):
    """Ended in the middle, a run is begun again: the first half is healed already."""
    monkeypatch.setattr(rebuilding, "BATCH", 1)
    by_hand("customers_searchkey", "DELETE FROM customers_searchkey")
    by_hand("customers_entity", "UPDATE customers_entity SET display_name = 'Rogue'")
    wrong = len(rebuild("--dry-run")[1]["entity_uids"])

    def ends(_: int) -> None:
        if len(rebuild("--dry-run")[1]["entity_uids"]) < wrong:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_all(Selection(), tell=ends)
    assert 0 < len(rebuild()[1]["entity_uids"]) < wrong
    assert rebuild()[0] == 0


def test_readers_of_the_dry_run_hold_up_no_writer_and_a_rebuild_no_truth(here):
    """Writers go on meanwhile; what is folded is never older than what stands."""
    errors: list[BaseException] = []

    def write() -> None:
        try:
            pen = Elsewhere("loc1", begin=START + 2 * 10**9)
            for number in range(60):
                pen.change(1 + number % 2, phone=f"+49 30 {number}")
        except BaseException as exc:  # noqa: BLE001 - told below
            errors.append(exc)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    found = []
    while thread.is_alive():
        found.append(rebuild()[1]["differing"])
        found.append(rebuild("--dry-run")[1]["differing"])
    thread.join()
    assert errors == []
    assert found
    assert all(each == {} for each in found)
    assert_replay_is_live()


def offer(number: int, uid: UUID, groups: dict[str, Any] | None = None, **other: Any) -> Event:
    """Return an event of loc2 about an offer, later than those of lower numbers."""
    values: dict[str, Any] = {
        "event_id": UUID(int=1000 + number),
        "origin": "loc2",
        "entity_uid": uid,
        "type": "sample.offer_made",
        "schema_version": 1,
        "ts": START + number,
        "tx": UUID(int=2000 + number),
        "set": groups or {"title": {"title": f"Offer {number}"}},
    }
    values |= other
    base = dict.fromkeys((*values["set"], "deleted", "merged_into"))
    return Event(**{"base": base, **values})


def stream(*events: Event) -> Run:
    return signed("loc2", [Item(0, to_raw(event), b"") for event in events])


def parked() -> dict[UUID, str | None]:
    found = EntityHead.objects.filter(parked_reason__isnull=False)
    return dict(found.values_list("entity_uid", "parked_reason"))


def untroubled(databases, applier, run: Run) -> tuple[Any, Any]:
    """Return what a location has that understood everything at once; then start anew."""
    databases.renew()
    applier._positions.clear()
    applier.apply(run)
    assert parked() == {}
    found = standing(), take()
    databases.renew()
    applier._positions.clear()
    return found


QUOTED_OFFER = replace(OFFER, event_types={**OFFER.event_types, "sample.offer_quoted": 1})
FIXES: dict[str, tuple[dict[str, Any], Kind]] = {
    "a schema version is understood": ({"schema_version": 2}, SAME_OFFER),
    "a type is registered": ({"type": "sample.offer_quoted"}, QUOTED_OFFER),
}


@pytest.mark.feature("S08")
@pytest.mark.parametrize("fix", FIXES)
def test_trap_28_poison_event_then_code_fix_then_unpark(databases, applier, fix):
    """What was parked equals, once it is understood, what never had the trouble."""
    strange, mended = FIXES[fix]
    together: dict[str, Any] = {"tx": UUID(int=3), "tx_size": 2}
    run = stream(
        offer(1, LAMP, **strange),
        offer(2, LAMP, {"note": {"note": None}}, type="sample.offer_changed"),
        offer(3, DESK, **together),
        offer(4, SOFA, **{**together, **strange, "tx_index": 1}),
        offer(5, UUID(int=104)),
    )
    with release(mended):
        wanted = untroubled(databases, applier, run)
    applier.apply(run)
    assert parked() == dict.fromkeys((LAMP, DESK, SOFA), "UnknownEvent")
    assert Offer.objects.count() == 1, "nothing else waits"

    code, said = rebuild("--parked")
    assert (code, said["unparked"]) == (1, [])
    assert said["parked"] == sorted(map(str, (LAMP, DESK, SOFA)))
    assert parked() == dict.fromkeys((LAMP, DESK, SOFA), "UnknownEvent")

    with release(mended):
        code, said = rebuild("--parked", "--dry-run")
        assert (code, said["unparked"], said["parked"]) == (
            1, sorted(map(str, (LAMP, DESK, SOFA))), [])  # fmt: skip
        assert len(parked()) == 3
        code, said = rebuild("--parked")
        assert said["unparked"] == sorted(map(str, (LAMP, DESK, SOFA)))
        assert parked() == {}
        rebuild_all(Selection(is_due_only=True))  # memos of what was folded before the release
        assert (standing(), take()) == wanted
        assert contacts.own_digest()[:2] == (wanted[1].value, {"loc2": [1, 5]})
        assert_replay_is_live()
        assert rebuild("--parked")[0] == 0
        recorder.record(
            [recorder.Draft(LAMP, "sample.offer_changed", {"title": {"title": "x"}}, mended)],
            Elsewhere("loc1", begin=START + 10**9).author(),
        )


@pytest.mark.feature("S08")
def test_rebuilding_everything_unparks_too(databases, applier):
    applier.apply(stream(offer(1, LAMP, schema_version=2)))
    with release(SAME_OFFER):
        assert rebuild()[1]["unparked"] == [str(LAMP)]
    assert Offer.objects.count() == 1


@pytest.mark.feature("S08")
def test_key_that_came_late(databases, applier):
    (run,) = three_people_of(databases)
    applier.apply(run)
    wanted = standing()
    databases.renew()
    applier._positions.clear()
    without = [replace(item, wrapped=None) for item in run.items[:2]]
    applier.apply(signed("loc2", [*without, *run.items[2:]]))
    assert parked() == {person(1): "MissingKey", person(2): "MissingKey"}
    # The key of person 2 came with a later event of his; that of person 1 did not.
    assert rebuild("--parked")[1]["unparked"] == [str(person(2))]
    assert queries.get(person(2)).values["surname"] == "Person 2"
    assert parked() == {person(1): "MissingKey"}
    by_hand(
        "events_subjectkey",
        "INSERT INTO events_subjectkey (subject_uid, origin, wrapped) VALUES (%s, 'loc2', %s)",
        [person(1), run.items[0].wrapped],
    )
    assert rebuild("--parked")[1]["unparked"] == [str(person(1))]
    assert standing() == wanted


@pytest.mark.feature("S08")
def test_transaction_that_is_not_whole_stays_parked(databases, applier):
    run = stream(offer(1, LAMP, tx_size=2), offer(2, DESK))
    applier.apply(run)
    assert parked() == {LAMP: "incomplete transaction"}
    assert rebuild("--parked")[1]["parked"] == [str(LAMP)]
    assert parked() == {LAMP: "incomplete transaction"}
    assert not Offer.objects.filter(entity_uid=LAMP).exists()


@pytest.mark.feature("S08")
def test_what_no_table_takes_stays_parked_with_its_transaction_and_holds_up_nobody(
    databases, applier
):
    bad = {"price": {"amount": "many", "currency": "EUR"}}
    together: dict[str, Any] = {"tx": UUID(int=3), "tx_size": 2}
    run = stream(
        offer(1, LAMP, bad, **together),
        offer(2, DESK, tx_index=1, **together),
        offer(3, SOFA, schema_version=2),
    )
    applier.apply(run)
    assert parked() == {LAMP: "DataError", DESK: "DataError", SOFA: "UnknownEvent"}
    for option in ("--dry-run", "--json"):
        with release(SAME_OFFER):
            code, said = rebuild("--parked", option)
        assert code == 1
        assert said["unparked"] == [str(SOFA)]
        assert said["parked"] == [str(LAMP), str(DESK)]
    assert parked() == {LAMP: "DataError", DESK: "DataError"}
    assert list(Offer.objects.values_list("entity_uid", flat=True)) == [SOFA]


def test_what_can_no_longer_be_folded_is_parked_and_keeps_its_rows(here):
    """A key that is lost parks a record; its values never become empty."""
    by_hand(
        "events_subjectkey", "DELETE FROM events_subjectkey WHERE subject_uid = %s", [person(2)]
    )
    digest = take().value
    code, said = rebuild()
    assert (code, said["parked"]) == (1, [str(person(2))])
    assert said["differing"] == {"events_entityhead": 1}
    assert parked() == {person(2): "MissingKey"}
    assert take().value == digest


def test_two_streams_at_random(databases, applier):
    """A history of parallel edits: nothing differs; all rows lost, all come back."""
    from tests.streams import two_streams

    for runs in two_streams(databases, 300).values():
        for run in runs:
            applier.apply(run)
    before, digest = standing(), take()
    assert rebuild()[0] == 0
    for table in [*compared_tables(), *REBUILT]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            (count,) = cursor.fetchone()
        if count:
            by_hand(table, f"DELETE FROM {table}")
    assert rebuild()[0] == 1
    assert (standing(), take()) == (before, digest)


def own(pen: Elsewhere, uids: Sequence[UUID]) -> None:
    for uid in uids:
        draft = recorder.Draft(uid, "sample.offer_made", {"title": {"title": "x"}}, OFFER,
                               is_new=True)  # fmt: skip
        recorder.record([draft], pen.author())


def test_buckets_narrow_the_search(databases):
    uids = [UUID(int=(n << 20) + n) for n in range(1, 6)]
    own(Elsewhere("loc1"), uids)
    by_hand("sample_offer", "DELETE FROM sample_offer")
    tally = rebuild_all(Selection(buckets=[2, 4]))
    assert tally.found.uids == {uids[1], uids[3]}
    assert set(Offer.objects.values_list("entity_uid", flat=True)) == {uids[1], uids[3]}
