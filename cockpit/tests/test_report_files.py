"""The report's files: every line, the same numbers, and nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts import access
from accounts.models import Access, Member
from cockpit import report_files
from cockpit.spreadsheets import lines_of, safe
from cockpit.tests.reporting import (
    BERLIN,
    CHANGED,
    ENTERED,
    Writer,
    at,
    cells,
    figures,
    over_time,
    rows_of,
    table,
)
from consumers import ship_documents
from consumers.tests.origins import PEERS
from events.models import Event

pytestmark = pytest.mark.feature("R03")

ANN = UUID(int=1 << 122, version=4)
LINES, COUNTS = "/reports/transactions.csv", "/reports/counts.csv"
PERIOD = {"start": "2025-10-25", "end": "2025-10-27"}


@pytest.fixture
def provider(client: Client, db: None, settings: Settings) -> Member:
    """A provider of three locations in Berlin's time, whose name is a formula."""
    settings.DISPLAY_TIME_ZONE = BERLIN
    settings.PEERS = PEERS
    member = Member.objects.create_user("provider", roles=["provider"], name='=1+"x",2')
    client.force_login(member)
    return member


@pytest.fixture
def writer(provider: Member) -> Writer:
    """What happened within the period and right beyond its ends."""
    writer = Writer()
    first, _ = writer.enter(at("2025-10-25T00:00"), who=provider.uid, count=2)
    writer.log(access.SEARCH, at("2025-10-25T12:00"), provider.uid)
    writer.change(first, at("2025-10-26T02:30"), "loc2", ANN)
    writer.change(first, at("2025-10-26T02:30", fold=1))
    writer.log(access.SIGN_IN, at("2025-10-27T23:59:59.999999"), None, access.LOCKED_OUT)
    writer.enter(at("2025-10-24T23:59:59.999999"))
    writer.log(access.SEARCH, at("2025-10-28T00:00"), provider.uid)
    return writer


def test_each_event_and_line_has_its_row_the_newest_first(
    client: Client, provider: Member, writer: Writer
) -> None:
    answer = client.get(LINES, PERIOD)
    assert answer["Content-Disposition"] == (
        'attachment; filename="sins-loc1-transactions-2025-10-25-2025-10-27.csv"'
    )
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    rows = rows_of(answer)
    entered = [("2025-10-25T00:00:00.000000+02:00", "recorded", ENTERED, "success", "loc1")] * 2
    assert cells(rows, "at", "kind", "action", "outcome", "location") == [
        ("2025-10-27T23:59:59.999999+01:00", "sign_in", "sign_in", "failure", "loc1"),
        ("2025-10-26T02:30:00.000000+01:00", "recorded", CHANGED, "success", "loc1"),
        ("2025-10-26T02:30:00.000000+02:00", "recorded", CHANGED, "success", "loc2"),
        ("2025-10-25T12:00:00.000000+02:00", "search", "search", "success", "loc1"),
        *entered,
    ]
    me, uid = '\'=1+"x",2', str(provider.uid)
    assert cells(rows, "what", "reason", "member", "member_uid") == [
        ("Sign-in", "locked_out", "", ""),
        ("Customer changed", "", "SINS", ""),
        ("Customer changed", "", "a member of loc2", str(ANN)),
        ("Search", "ok", me, uid),
        ("Customer entered", "", me, uid),
        ("Customer entered", "", me, uid),
    ]
    assert {row["request_id"] for row in rows} == {"request-1", "request-2", ""}
    assert {row["route"] for row in rows if row["kind"] == "search"} == {"customers/"}
    found = {row["id"]: (row["record_uid"], row["transaction"]) for row in rows}
    for event in Event.objects.exclude(origin="genesis").order_by("ts")[1:]:
        assert found.pop(str(event.event_id)) == (str(event.entity_uid), str(event.tx))
    assert found.keys() <= {str(uid) for uid in Access.objects.values_list("uid", flat=True)}
    assert len(found) == 2


def test_a_filter_narrows_the_file(client: Client, writer: Writer) -> None:
    rows = rows_of(client.get(LINES, {**PERIOD, "kind": CHANGED}))
    assert cells(rows, "location", "action") == [("loc1", CHANGED), ("loc2", CHANGED)]
    rows = rows_of(client.get(LINES, {**PERIOD, "outcome": "refused"}))
    assert cells(rows, "kind", "reason") == [("sign_in", "locked_out")]
    assert rows_of(client.get(LINES, {"start": "1999-01-01", "end": "1999-01-02"})) == []


def test_a_long_file_is_read_in_pages(
    client: Client, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a statement that begins where the last one ended, also among equal times."""
    whole = rows_of(client.get(LINES, PERIOD))
    for size in (1, 2, 3):
        monkeypatch.setattr("events.reports.LINES_A_PAGE", size)
        monkeypatch.setattr("accounts.reports.LINES_A_PAGE", size)
        with CaptureQueriesContext(connection) as captured:
            assert rows_of(client.get(LINES, PERIOD)) == whole
        pages = [each["sql"] for each in captured if "ORDER BY ts DESC" in each["sql"]]
        assert len(pages) == 4 // size + 1  # the last one is known by what it lacks
        assert all(f"LIMIT {size}" in page for page in pages)


def test_the_file_of_counts_has_the_numbers_of_the_page(client: Client, writer: Writer) -> None:
    text = client.get("/reports/transactions", PERIOD).content.decode()
    answer = client.get(COUNTS, PERIOD)
    assert 'filename="sins-loc1-counts-2025-10-25-2025-10-27.csv"' in answer["Content-Disposition"]
    rows = rows_of(answer)
    use = ("transactions", "events", "refused", "searches", "sign_ins")

    def of(by: str, names: Sequence[str] = use) -> list[tuple[int | None, ...]]:
        found = cells([row for row in rows if row["by"] == by], *names)
        return [tuple(int(cell) if cell else None for cell in row) for row in found]

    assert of("all") == [figures(text)]
    assert of("location") == list(table(text, "location").values())
    assert of("member") == list(table(text, "member").values())
    assert of("kind", (*use[:2], "lines")) == list(table(text, "kind").values())
    assert of("outcome", (*use[:2], "lines")) == list(table(text, "outcome").values())
    days = [row for row in rows if row["by"] == "day"]
    assert cells(days, "value", "name") == [
        ("2025-10-25T00:00:00+02:00", "2025-10-25"),
        ("2025-10-26T00:00:00+02:00", "2025-10-26"),
        ("2025-10-27T00:00:00+01:00", "2025-10-27"),
    ]
    assert of("day")[1] == (2, 2, 0, 0, 0)
    assert [row[0] for row in of("day")] == [row[-1] for row in over_time(text).values()]
    members = cells([row for row in rows if row["by"] == "member"], "value", "name")
    assert (str(ANN), f"a member of loc2 {str(ANN)[:8]}") in members


def test_no_file_holds_a_personal_value(client: Client, writer: Writer) -> None:
    for path in (LINES, COUNTS):
        assert b"Kanariella" not in client.get(path, PERIOD).getvalue()


def test_a_large_file_is_sent_as_it_is_read(client: Client, writer: Writer) -> None:
    with mock.patch("cockpit.report_files.recorded.lines") as lines:
        answer = client.get(LINES, PERIOD)
        assert answer.status_code == 200
        assert lines.call_count == 0  # nobody has asked for the first line
        assert answer.streaming


def test_the_words_are_those_that_elasticsearch_has() -> None:
    for name in ("RECORDED", "SUCCESS", "FAILURE"):
        assert getattr(report_files, name) == getattr(ship_documents, name)
    assert access.OK == ship_documents.OK


# Spreadsheets


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+49 30", "-1", "@SUM(A1)", "|calc", "%0A", "\t=1", "\r=1", "\n=1", "  =1",
     "＝1+1", "＠x", "\u00a0=1"],
)  # fmt: skip
def test_what_would_run_is_text(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "Ann", "2025-10-26", 5, -5, None])
def test_all_else_stays_as_it_is(cell: str | int | None) -> None:
    assert safe(cell) == cell


@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2), max_size=5)
)
def test_cells_come_back_as_they_were_sent(rows: list[list[str]]) -> None:
    text = "".join(lines_of(rows))
    assert text.startswith("\ufeff")
    read = list(csv.reader(io.StringIO(text[1:], newline="")))
    assert read == [[safe(cell) for cell in row] for row in rows]
    for cell in (cell for row in read for cell in row):
        assert cell.strip(" ")[:1] not in set("=+-@")


@pytest.mark.parametrize("path", [LINES, COUNTS])
def test_a_download_leaves_a_line_in_the_access_log(
    client: Client, provider: Member, path: str
) -> None:
    before = Access.objects.filter(kind=access.EXPORT)
    assert client.get(path, {"start": "no date"}).status_code == 400
    assert not before.exists()
    assert client.get(path, PERIOD).status_code == 200
    line = Access.objects.get(kind=access.EXPORT)
    assert (line.actor, line.outcome, line.route) == (provider.uid, "ok", path[1:])
