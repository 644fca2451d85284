"""Files: what they may look like, what becomes of their rows, and that twice is once."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TextIO, cast
from unittest import mock
from uuid import UUID, uuid4, uuid5

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.test import Client

from accounts.authors import now_us
from accounts.models import Member
from accounts.tokens import issue
from customers import commands, queries
from customers.files import UnreadableFile, read
from customers.imports import source_namespace
from customers.kinds import ENTITY as ENTITY_KIND
from customers.models import Entity
from events import log
from events.console import Meter
from events.drafting import Author
from events.envelope import Event, to_raw
from events.keys import seal
from events.log import Sealed
from events.recorder import Received, receive

pytestmark = pytest.mark.feature("C11")


def run(command: str, *arguments: object) -> str:
    out = StringIO()
    call_command(command, *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue()


def write(folder: Path, text: str, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def uid_of(source: str, record: str) -> UUID:
    return uuid5(source_namespace(UUID(str(settings.NETWORK_ID)), source), record)


def events() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_event WHERE origin <> 'genesis'")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_rows_become_customers(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname,name,dob\n7, Lovelace ,Ada,18151210\n8,Hopper,,\n")
    out = run("load_customers", path, "--source", "archive")
    assert "2 rows: 2 entered, 0 already there, 0 values left out, 0 rows skipped." in out
    ada = queries.get(uid_of("archive", "7"))
    assert ada.values == {"surname": "Lovelace", "name": "Ada", "dob": "1815-12-10"}
    assert ada.entity_type == "PERSON"
    assert queries.get(uid_of("archive", "8")).values == {"surname": "Hopper"}


@pytest.mark.django_db
def test_twice_is_once(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname\n7,Lovelace\n8,Hopper\n")
    run("load_customers", path)
    before = events()
    assert "0 entered, 2 already there" in run("load_customers", path)
    assert events() == before


@pytest.mark.django_db
def test_what_is_there_is_left_unless_update(tmp_path: Path) -> None:
    write(tmp_path, "id,surname,name\n7,Lovelace,Ada\n")
    run("load_customers", tmp_path / "people.csv")
    path = write(tmp_path, "id,surname,name\n7,Byron,\n9,Noether,Emmy\n")
    out = run("load_customers", path)
    assert "1 entered, 1 already there" in out
    assert "1 of those already there say something else" in out
    ada = uid_of("people.csv", "7")
    assert queries.get(ada).values["surname"] == "Lovelace"
    assert "0 entered, 1 updated, 1 already there" in run("load_customers", path, "--update")
    assert queries.get(ada).values == {"surname": "Byron", "name": "Ada"}
    assert "0 updated, 2 already there" in run("load_customers", path, "--update")


@pytest.mark.django_db
def test_bad_value_is_named_and_left_out(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "id,surname,born,email\n"
        "1,Impossible,19371233,a@example.org\n"
        '2,"Two\nlines",31.01.1990,nonsense\n'
        "3,Wordy,last spring,\n",
    )
    out = run("load_customers", path, "--map", "dob=born")
    assert "line 2, column born: no such day; expected a date as YYYY-MM-DD" in out
    assert "line 3, column email: expected an e-mail address; left out" in out
    assert "line 5, column born: expected a date as" in out
    assert "19371233" not in out  # a value is personal: its place is enough
    assert "3 rows: 3 entered, 0 already there, 3 values left out, 0 rows skipped." in out
    assert queries.get(uid_of("people.csv", "1")).values == {
        "surname": "Impossible",
        "email": "a@example.org",
    }
    assert queries.get(uid_of("people.csv", "2")).values["dob"] == "1990-01-31"


@pytest.mark.django_db
def test_row_without_value_is_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname,dob\n1,,\n2, ,00000000\n3,Noether,\n")
    out = run("load_customers", path)
    assert "line 2: at least one value is needed, such as a surname; row skipped" in out
    assert "3 rows: 1 entered, 0 already there, 1 values left out, 2 rows skipped." in out


@pytest.mark.django_db
def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname,dob\n1,Noether,nonsense\n")
    before = events()
    out = run("load_customers", path, "--dry-run")
    assert "Dry run, nothing is written: 1 rows: 1 entered" in out
    assert "line 2, column dob" in out
    assert events() == before
    assert not Entity.objects.exists()


@pytest.mark.django_db
def test_parts_are_the_whole(tmp_path: Path) -> None:
    rows = "".join(f"Surname {n}\n" for n in range(1, 11))
    path = write(tmp_path, "surname\n" + rows)
    entered = [run("load_customers", path, "--part", f"{k}/3") for k in (1, 2, 3)]
    assert ["4 entered" in entered[0], "3 entered" in entered[1], "3 entered" in entered[2]]
    assert "10 already there" in run("load_customers", path)
    assert queries.get(uid_of("people.csv", "row 2")).values == {"surname": "Surname 2"}


@pytest.mark.django_db
def test_transactions_hold_500(tmp_path: Path) -> None:
    path = write(tmp_path, "surname\n" + "".join(f"Surname {n}\n" for n in range(1001)))
    run("load_customers", path)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM events_event WHERE origin <> 'genesis' GROUP BY tx ORDER BY 1"
        )
        assert cursor.fetchall() == [(1,), (500,), (500,)]


@pytest.mark.django_db
def test_one_id_twice_in_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname\n1,Noether\n1,Hopper\n")
    assert "1 entered, 1 already there" in run("load_customers", path)
    assert queries.get(uid_of("people.csv", "1")).values == {"surname": "Noether"}
    assert "1 updated" in run("load_customers", path, "--update")


@pytest.mark.django_db
def test_closed_record_stays_closed(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname\n1,Noether\n")
    run("load_customers", path)
    uid = uid_of("people.csv", "1")
    commands.delete_customer(uid, Author(None, "loc1", 2_000_000_000_000_000))
    assert "0 entered, 1 already there" in run("load_customers", path)
    assert queries.get(uid).is_deleted


@pytest.mark.django_db
def test_parked_record_is_skipped_alone(tmp_path: Path) -> None:
    uid = uid_of("people.csv", "1")
    event = Event(
        event_id=uuid4(),
        origin="loc2",
        entity_uid=uid,
        type="customers.entity_created",
        schema_version=1,
        ts=1,
        tx=uuid4(),
        set={"type": {"value": "PERSON"}},
    )
    receive([Sealed(event, to_raw(event))], Received(now=1, poison="broken"))
    path = write(tmp_path, "id,surname\n1,Noether\n2,Hopper\n")
    out = run("load_customers", path)
    assert "1 entered" in out
    assert "1 rows skipped" in out
    assert "line 2: This record waits" in out


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("\ufeffsurname;name\r\nO'Brien;Seán\r\n", ["surname", "name"]),
        ("surname\tname\nO'Brien\tSeán\n", ["surname", "name"]),
        ('surname, name\n"O\'Brien", Seán\n\n', ["surname", "name"]),
        ("surname|name\rO'Brien|Seán\r", ["surname", "name"]),
        ('[{"surname": "O\'Brien", "name": "Seán"}]', ["surname", "name"]),
    ],
)
def test_forms_of_a_table(tmp_path: Path, text: str, columns: list[str]) -> None:
    path = tmp_path / "table"
    path.write_bytes(text.encode())
    table = read(path)
    assert list(table.columns) == columns
    assert [dict(row.cells) for row in table.rows] == [{"surname": "O'Brien", "name": "Seán"}]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file"),
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"PK\x03\x04\x00\x00surname", "is not a text file"),
        ("surname\nMüller\n".encode("latin-1"), r"is not text in UTF-8 \(line 2\)"),
        (b"surname,surname\na,b\n", "has two columns named surname"),
        (b'[{"surname": ', r"is not JSON \(line 1\)"),
        (b'{"surname": "x"}', "is not a JSON list"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"detail_code,value\nNAME,x\n", "no column entity_uid or id"),
    ],
)
def test_unreadable_file_is_a_sentence(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "people.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=sentence):
        read(path)
    with pytest.raises(CommandError, match=sentence) as caught:
        call_command("load_customers", str(path))
    assert caught.value.returncode == 2


def test_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="is a directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--map", "surname=nothing"], "no such column; there are id, surname"),
        (["--map", "shoe_size=surname"], "unknown field"),
        (["--map", "surname"], "expected FIELD=COLUMN"),
        (["--id-column", "nothing"], "no such column"),
        (["--part", "4/3"], "expected K/N"),
        (["--part", "1"], "expected K/N"),
    ],
)
def test_bad_option_is_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    path = write(tmp_path, "id,surname\n1,Noether\n")
    with pytest.raises(CommandError, match=sentence):
        call_command("load_customers", str(path), *arguments)


@pytest.mark.django_db
def test_unknown_member_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname\n1,Noether\n")
    with pytest.raises(CommandError, match="no active member nobody"):
        call_command("load_customers", str(path), "--as", "nobody")


ENTITY = {
    "entity_type": "PERSON",
    "display_name": "Alice",
    "details": [
        {"detail_code": "EMAIL", "value": {"value": "alice@example.com"}},
        {"detail_code": "SURNAME", "value": {"value": "Liddell"}},
    ],
}


def same_lines(uids: list[UUID]) -> bool:
    """Whether the histories of entities say the same, but for when."""
    lines = [
        [(line.detail_code, dict(line.value), line.valid_to) for line in queries.history(uid)]
        for uid in uids
    ]
    assert len(lines[0]) == 3
    return all(each == lines[0] for each in lines)


@pytest.mark.django_db
@pytest.mark.feature("T07")
def test_every_form_of_file_gives_the_same(tmp_path: Path) -> None:
    uids = [uuid4() for _ in range(3)]
    long_form = "".join(
        f"{uids[1]},PERSON,Alice,{code},{value}\n"
        for code, value in (("EMAIL", "alice@example.com"), ("SURNAME", "Liddell"))
    )
    files = [
        write(tmp_path, json.dumps([{"entity_uid": str(uids[0]), **ENTITY}]), "entities.json"),
        write(
            tmp_path, "entity_uid,entity_type,display_name,detail_code,value\n" + long_form, "b.csv"
        ),
        write(
            tmp_path,
            "entity_uid,entity_type,display_name,email,surname\n"
            f"{uids[2]},person,Alice,alice@example.com,Liddell\n",
            "c.csv",
        ),
    ]
    for path in files:
        assert "1 rows: 1 entered" in run("load_entities_from_file", path)
        assert "1 already there" in run("load_entities_from_file", path)
    assert same_lines(uids)


@pytest.mark.django_db
@pytest.mark.feature("T07")
def test_file_api_and_remote_event_give_the_same(tmp_path: Path, client: Client) -> None:
    by_file, by_api, remote = (uuid4() for _ in range(3))
    path = write(tmp_path, json.dumps([{"entity_uid": str(by_file), **ENTITY}]))
    run("load_entities_from_file", path)
    agent = Member.objects.create_user("agent", "correct horse", roles=["agent"])
    answer = client.post(
        "/api/v1/entities",
        {"entity_uid": str(by_api), **ENTITY},
        content_type="application/json",
        headers={"Authorization": f"Token {issue(agent, 'test', now_us())}"},
    )
    assert answer.status_code == 201
    event = replace(
        log.load([by_file])[by_file][0],
        event_id=uuid4(),
        origin="loc2",
        entity_uid=remote,
        subject_uid=remote,
        tx=uuid4(),
        secret=None,
    )
    key = bytes(range(32))
    raw, ct = seal(event, ENTITY_KIND.clear_groups, key)
    wrapped = aes_key_wrap(base64.b64decode(settings.WRAPPING_KEY), key)
    receive([Sealed(event, raw, ct, wrapped)], Received(now=now_us()))
    assert same_lines([by_file, by_api, remote])


@pytest.mark.django_db
def test_malformed_entities_are_named(tmp_path: Path) -> None:
    items = [
        {"id": "1", "details": [{"detail_code": "EMAIL", "value": "bare"}]},
        {"id": "2", "surname": 5, "name": "Emmy"},
        "text",
        {"entity_uid": "no uid", "surname": "Noether"},
    ]
    out = run("load_entities_from_file", write(tmp_path, json.dumps(items)))
    assert "item 1, column details: expected" in out
    assert "item 2, column surname: expected text; left out" in out
    assert "item 3: expected an object" in out
    assert "item 4, column entity_uid: expected a uid; row skipped" in out
    assert "4 rows: 1 entered, 0 already there" in out


@pytest.mark.django_db
@pytest.mark.feature("C10")
def test_sample_data_makes_no_doubles() -> None:
    run("load_sample_data", "--extras", "5")
    people = set(Entity.objects.values_list("entity_uid", flat=True))
    before = events()
    assert run("load_sample_data", "--extras", "5").count("0 entered") == 3
    assert events() == before
    run("load_sample_data", "--extras", "8")
    assert events() == before + 3
    assert people < set(Entity.objects.values_list("entity_uid", flat=True))
    # The file on its own is the same people.
    run("load_entities_from_file", settings.BASE_DIR / "data" / "sample-people.csv")
    assert events() == before + 3


@pytest.mark.django_db
def test_sample_files_have_no_mistakes() -> None:
    out = run("load_sample_data", "--extras", "50")
    assert out.count("0 values left out, 0 rows skipped.") == 3
    assert "Columns not used" not in out


class Terminal(StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_only_of_what_takes_long(is_terminal: bool) -> None:
    out = Terminal() if is_terminal else StringIO()
    meter = Meter(BaseCommand(stdout=cast("TextIO", out)).stdout, 2000, "rows")
    meter.show(500)
    assert out.getvalue() == ""
    meter._due = 0
    meter.show(1000)
    assert ("█" in out.getvalue()) == is_terminal
    assert ("1000/2000" if is_terminal else "1000 of 2000 rows …\n") in out.getvalue()
    meter.clear()
    assert out.getvalue().endswith("\r\x1b[K" if is_terminal else "rows …\n")


def test_lost_database_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "id,surname\n1,Noether\n")
    lost = OperationalError("server closed the connection")
    with (
        mock.patch("customers.imports.heads.read", side_effect=lost),
        pytest.raises(CommandError, match="cannot be reached; 0 people are entered"),
    ):
        run("load_customers", path)
