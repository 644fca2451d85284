"""What PostgreSQL itself refuses, whatever the code does.

The first half writes raw SQL with the recorder's mark set, so that nothing but the constraints is
in the way; the second half writes without it, by every road there is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.contrib.admin.sites import AdminSite
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from customers.models import DetailType, Entity, EntityDetail, EntityType, SearchKey
from events import guard, recorder
from events.models import Location, Versioned
from events.recorder import Author, Draft, record
from events.registry import kinds
from ops.databases import DatabaseUrls
from tests.sample.models import OFFER, Offer

pytestmark = [pytest.mark.django_db, pytest.mark.constraints, pytest.mark.feature("T02")]

VERSIONED = [model for kind in kinds() for model in kind.tables.values()]
DAY = timedelta(days=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UID = UUID(int=5)
VALUES: dict[type[Versioned], dict[str, Any]] = {
    Entity: {"entity_type": "PERSON", "display_name": "Ann"},
    EntityDetail: {"detail_code": "name", "value": '{"value": "Ann"}'},
    EntityType: {"code": "X", "label": "x"},
    DetailType: {
        "code": "x",
        "label": "x",
        "value_type": "text",
        "is_personal": True,
        "is_searchable": False,
        "position": 99,
    },
    Offer: {"title": "Lamp"},
    Location: {"location": "loc9", "url": "", "public_keys": "[]", "is_retired": False},
}


def row(model: type[Versioned], begins: datetime, ends: datetime | None) -> dict[str, Any]:
    common = {"entity_uid": UID, "valid_from": begins, "valid_to": ends, "event_id": uuid4()}
    return {**common, "hashdiff": b"", **VALUES[model]}


def insert(model: type[Versioned], begins: datetime, ends: datetime | None, **other: Any) -> None:
    values = row(model, begins, ends) | other
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join(values)})"
            f" VALUES ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )


@contextmanager
def recording() -> Iterator[None]:
    """Set the recorder's mark, as if ``record`` were at work."""
    with connection.cursor() as cursor:
        cursor.execute(guard.SET_MARK)
        yield
        cursor.execute("SELECT set_config('sins.recording', '', true)")


@contextmanager
def refused_by(model: type[Versioned], constraint: str) -> Iterator[None]:
    name = rf"{model._meta.db_table}_{constraint}"
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        yield


@pytest.fixture(params=VERSIONED, ids=lambda model: model._meta.db_table)
def model(request: pytest.FixtureRequest) -> type[Versioned]:
    return request.param


def test_a_second_current_row_is_refused(model: type[Versioned]) -> None:
    with recording():
        insert(model, NOON, None)
        with refused_by(model, "one_current"):
            insert(model, NOON + DAY, None)
        with refused_by(model, "one_current"):
            insert(model, NOON - DAY, None)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (NOON - DAY, NOON + DAY),
        (NOON + DAY, NOON + 2 * DAY),
        (NOON + DAY, NOON + 9 * DAY),
        (NOON - DAY, NOON + 9 * DAY),
        (NOON + 3 * DAY - timedelta(microseconds=1), None),
    ],
)
def test_overlapping_periods_are_refused(
    model: type[Versioned], begins: datetime, ends: datetime | None
) -> None:
    with recording():
        insert(model, NOON, NOON + 3 * DAY)
        with refused_by(model, "no_overlap"):
            insert(model, begins, ends)


def test_an_end_moved_into_the_next_period_is_refused(model: type[Versioned]) -> None:
    table = model._meta.db_table
    with recording():
        insert(model, NOON, NOON + DAY)
        insert(model, NOON + DAY, None)
        with refused_by(model, "no_overlap"), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {table} SET valid_to = %s WHERE valid_to IS NOT NULL", [NOON + 2 * DAY]
            )


@pytest.mark.parametrize("length", [timedelta(0), timedelta(microseconds=-1)])
def test_an_empty_or_backward_period_is_refused(model: type[Versioned], length: timedelta) -> None:
    with recording(), pytest.raises(DatabaseError), transaction.atomic():
        insert(model, NOON, NOON + length)


def test_two_rows_of_one_beginning_are_refused(model: type[Versioned]) -> None:
    with recording():
        insert(model, NOON, NOON + DAY)
        with pytest.raises(IntegrityError), transaction.atomic():
            insert(model, NOON, NOON + 2 * DAY)


def test_neighbours_and_other_keys_are_let_pass(model: type[Versioned]) -> None:
    with recording():
        insert(model, NOON, NOON + DAY)
        insert(model, NOON + DAY, NOON + 2 * DAY)
        insert(model, NOON + 2 * DAY, None)
        insert(model, NOON, None, entity_uid=uuid4())
    rows = model._default_manager.filter(entity_uid=UID).order_by("valid_from")
    assert [one.is_current for one in rows] == [False, False, True]


def test_details_of_other_codes_are_other_keys() -> None:
    with recording():
        insert(EntityDetail, NOON, None)
        insert(EntityDetail, NOON, None, detail_code="surname")


ONLY_RECORDED = "is written by record\\(\\) only|permission denied"


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(DatabaseError, match=ONLY_RECORDED), transaction.atomic():
        yield


@pytest.fixture
def stands(model: type[Versioned]) -> Versioned:
    """A row to be changed."""
    with recording():
        insert(model, NOON, None)
    return model._default_manager.get(entity_uid=UID)


def new(model: type[Versioned]) -> Versioned:
    values = row(model, NOON, None) | {"entity_uid": uuid4()}
    return model(**values)


def test_the_orm_cannot_insert(model: type[Versioned]) -> None:
    with refused():
        new(model).save(force_insert=True)
    with refused():
        model._default_manager.create(**row(model, NOON, None))
    with refused():
        model._default_manager.bulk_create([new(model)])


def test_the_orm_cannot_update(model: type[Versioned], stands: Versioned) -> None:
    stands.valid_to = NOON + DAY
    with refused():
        stands.save()
    with refused():
        model._default_manager.filter(entity_uid=UID).update(valid_to=NOON + DAY)
    with refused():
        model._default_manager.bulk_update([stands], ["valid_to"])


def test_the_orm_cannot_delete(model: type[Versioned], stands: Versioned) -> None:
    with refused():
        model._default_manager.filter(entity_uid=UID).delete()
    with refused():
        stands.delete()
    with refused():
        model._default_manager.all()._raw_delete("default")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {table} (entity_uid) VALUES (gen_random_uuid())",
        "UPDATE {table} SET valid_to = now()",
        "UPDATE {table} SET event_id = event_id WHERE false",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "TRUNCATE {table} CASCADE",
        "COPY {table} (entity_uid) FROM STDIN",
        "ALTER TABLE {table} DISABLE TRIGGER ALL",
        "DROP TRIGGER {table}_only_recorded ON {table}",
        "SET LOCAL session_replication_role = replica",
    ],
)
def test_sql_cannot(model: type[Versioned], statement: str) -> None:
    expected = rf"{ONLY_RECORDED}|must be owner"
    with pytest.raises(DatabaseError, match=expected), transaction.atomic():
        run(statement.format(table=model._meta.db_table))


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        if statement.startswith("COPY"):
            with connection.wrap_database_errors, cursor.copy(statement):
                pass
        else:
            cursor.execute(statement)


def test_truncate_is_refused_to_the_owner_too(fresh_database: DatabaseUrls) -> None:
    with psycopg.connect(fresh_database.owner, autocommit=True) as owner:
        for table in [model._meta.db_table for model in VERSIONED]:
            for statement in (f"TRUNCATE {table}", f"DELETE FROM {table}"):
                with pytest.raises(psycopg.Error, match=r"written by record\(\) only"):
                    owner.execute(statement)


def test_loaddata_is_refused_and_names_the_command_to_use(
    model: type[Versioned], tmp_path: Path
) -> None:
    fields = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row(model, NOON, None).items()
        if name != "hashdiff"
    } | {"hashdiff": ""}
    file = tmp_path / "rows.json"
    fixture = [{"model": model._meta.label_lower, "fields": fields}]
    file.write_text(json.dumps(fixture, default=str))
    with pytest.raises(Exception, match="load_entities_from_file"), transaction.atomic():
        call_command("loaddata", str(file), verbosity=0)
    assert not model._default_manager.filter(entity_uid=UID).exists()


def test_the_admin_cannot_even_register_it(model: type[Versioned]) -> None:
    with pytest.raises(ImproperlyConfigured, match="composite primary key"):
        AdminSite().register(model)


@pytest.mark.django_db(transaction=True)  # the mark ends with the transaction that record() holds
def test_the_mark_of_a_write_is_gone_when_it_returns() -> None:
    uid = uuid4()
    author = Author(None, "loc1", 1_800_000_000_000_000)
    draft = Draft(uid, "sample.offer_made", {"title": {"title": "x"}}, OFFER, is_new=True)
    record([draft], author)
    with refused():
        Offer.objects.filter(entity_uid=uid).update(title="y")


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_while_writing_is_said_to_be_lost() -> None:
    with pytest.raises(OperationalError, match="closed"), recorder.recording():
        connection.connection.close()
    connection.close()


def test_a_mark_made_up_or_left_behind_opens_nothing() -> None:
    for mark in ("1", "on", "", "0"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('sins.recording', %s, false)", [mark])
        with refused():
            run("DELETE FROM sample_offer")


@pytest.mark.django_db(transaction=True)
def test_the_mark_of_one_transaction_opens_no_other() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('sins.recording', pg_current_xact_id()::text, false)")
    with refused():
        run("DELETE FROM sample_offer")


def test_derived_rows_are_guarded_alike() -> None:
    with refused():
        SearchKey.objects.create(entity_uid=UID, detail_code="name", folded="ann")
    with refused():
        SearchKey.objects.all().delete()


def test_every_versioned_table_is_guarded() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgtype & 60 FROM pg_trigger"
            " WHERE tgname LIKE '%%_only_recorded' AND tgenabled <> 'D'"
        )
        guarded = dict(cursor.fetchall())
    insert_delete_update_truncate = 4 | 8 | 16 | 32
    for model in VERSIONED:
        assert guarded[model._meta.db_table] == insert_delete_update_truncate


@pytest.mark.feature("R08")
def test_trap_32_nothing_that_is_kept_is_a_number_of_the_server_s_own() -> None:
    """A transaction's number, a place in the file, a snapshot: a younger server knows others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, a.attname FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' AND a.attnum > 0"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
            " WHERE a.atttypid = ANY ('{xid,xid8,tid,cid,oid,pg_lsn,pg_snapshot}'::regtype[])"
        )
        assert cursor.fetchall() == []
