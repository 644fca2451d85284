"""Databases whose servers sort and show otherwise hold the same rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, LiteralString
from urllib.parse import unquote, urlsplit
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from customers.kinds import ENTITY as CUSTOMER
from events.digest import Digest, compared_tables, take
from events.envelope import Event
from events.log import Sealed
from events.recorder import Received, receive
from events.stamp import Stamp
from events.tests.histories import DETAIL, History, seeded
from ops.databases import EXTENSIONS, DatabaseUrls
from tests.databases import TestDatabases, name_of, renamed
from tests.replaying import assert_replay_is_live
from tests.sample.models import OFFER
from tests.test_recorder_laws import START, sealed

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.feature("S04"),
]

# In code points Z comes before a, and ä after z; in a language neither does.
ORIGINS = {"loc0": "Zurich", "loc1": "aarhus", "loc2": "\u00e4lvsborg", "loc3": "zagreb"}
TEXTS = {"a": "\u00c4ngel", "b": "Zorn", "c": "angel"}
BATCH = 20
SESSIONS = {"timezone": "Asia/Kathmandu", "bytea_output": "escape", "extra_float_digits": "-5"}
# A language's where the server has one; the last knows no letter but ASCII's, and is always there.
LOCALES: tuple[LiteralString, ...] = (
    "LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE'",
    "LOCALE_PROVIDER libc LOCALE 'sv_SE.utf8'",
    "LOCALE_PROVIDER libc LOCALE 'en_US.utf8'",
    "LOCALE_PROVIDER libc LOCALE 'C'",
)


@pytest.fixture
def elsewhere(databases: TestDatabases) -> Iterator[DatabaseUrls]:
    """A database of another locale, whose sessions show instants and bytes otherwise, too."""
    urls = databases.copy()
    databases.drop(urls)
    name = sql.Identifier(name_of(urls.owner))
    owner = sql.Identifier(unquote(urlsplit(urls.owner).username or ""))
    with psycopg.connect(databases._admin, autocommit=True) as admin:
        create_in_another_locale(admin, name, owner)
        for setting, value in SESSIONS.items():
            statement = sql.SQL("ALTER DATABASE {} SET {} TO {}")
            admin.execute(statement.format(name, sql.Identifier(setting), sql.Literal(value)))
    with psycopg.connect(renamed(databases._admin, name_of(urls.owner)), autocommit=True) as own:
        for extension in EXTENSIONS:
            own.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
    databases.connect_django(urls)
    call_command("migrate", verbosity=0, interactive=False)
    yield urls
    assert databases._in_use is not None
    databases.connect_django(databases._in_use)
    databases.drop(urls)


def create_in_another_locale(
    admin: psycopg.Connection[Any], name: sql.Identifier, owner: sql.Identifier
) -> None:
    """Create a database in the first locale of ``LOCALES`` that this server has."""
    for locale in LOCALES:
        statement = "CREATE DATABASE {} TEMPLATE template0 OWNER {} " + locale
        try:
            admin.execute(sql.SQL(statement).format(name, owner))
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.WrongObjectType):
            continue
        return
    pytest.fail("this server knows one locale only")


def renamed_history(history: History, uid: UUID, chance: random.Random) -> Iterator[Event]:
    """Yield the events of a history by authors and with values that sort differently."""
    ids = {made.event_id: UUID(int=chance.getrandbits(128)) for made in history.events}

    def moved(stamp: Stamp | None) -> Stamp | None:
        return stamp and Stamp(stamp.ts + START, ORIGINS[stamp.origin], ids[stamp.event_id])

    for made in history.events:
        yield replace(
            made,
            event_id=ids[made.event_id],
            tx=ids[made.event_id],
            origin=ORIGINS[made.origin],
            entity_uid=uid,
            ts=made.ts + START,
            effective=None if made.effective is None else made.effective + START,
            base={group: moved(stamp) for group, stamp in made.base.items()},
            voids=tuple(ids[target] for target in made.voids),
            set={
                group: {name: TEXTS.get(value, value) for name, value in fields.items()}
                for group, fields in made.set.items()
            },
        )


def arrivals() -> list[Sealed]:
    chance, found = random.Random(37), []
    for history in seeded(37, 60, length=18):
        kind = CUSTOMER if history.shape is DETAIL else OFFER
        uid = UUID(int=chance.getrandbits(128))
        found += [sealed(made, kind) for made in renamed_history(history, uid, chance)]
    return found


def found_after(arrived: list[Sealed], seed: int) -> tuple[dict[str, list[str]], Digest]:
    """Return all compared rows, in one order, and the digest, after events came in some order."""
    shuffled = random.Random(seed).sample(arrived, len(arrived))
    for start in range(0, len(shuffled), BATCH):
        receive(shuffled[start : start + BATCH], Received(START))
    assert_replay_is_live()
    rows = {}
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute("SET bytea_output TO hex")
        for table in compared_tables():
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            rows[table] = sorted(row[0] for row in cursor.fetchall())
    return rows, take()


def locale_here() -> tuple[Any, ...]:
    """Return what tells the locales of two databases apart."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'Zurich' < 'aarhus', upper('ä'), 'Z' ~* '[[:lower:]]'")
        return tuple(cursor.fetchone())


def test_trap_37_two_collations_and_locales_one_state(
    databases: TestDatabases, elsewhere: DatabaseUrls
) -> None:
    arrived = arrivals()
    ties = {(item.event.entity_uid, item.event.ts) for item in arrived}
    assert len(ties) < len(arrived) - 10, "some events are told apart by their origin alone"
    there, locale = found_after(arrived, 1), locale_here()
    assert databases._in_use is not None
    databases.connect_django(databases._in_use)
    assert locale_here() != locale
    here = found_after(arrived, 2)
    assert here[0] == there[0]
    assert here[1] == there[1]
    assert here[0]["events_conflict"]
    assert len(here[0]["sample_offer"]) > 50


def test_trap_37_origins_compare_by_code_point_wherever_they_stand() -> None:
    """A stamp's order is that of Python: no column of origins sorts as the database does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, l.collname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_collation l ON l.oid = a.attcollation"
            " WHERE a.attname = 'origin' AND c.relnamespace = 'public'::regnamespace"
        )
        found = set(cursor.fetchall())
    assert {collation for _, collation in found} == {"C"}
    tables = {name for name, _ in found}
    assert {"events_event", "events_eventnumber", "events_received", "events_streamhead"} <= tables
