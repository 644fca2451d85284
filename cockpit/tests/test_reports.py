"""The report's page: its numbers are those of what was written, and it says what it cannot do."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from unittest import mock
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import access
from accounts.models import Access, Member
from cockpit.tests.reporting import (
    BERLIN,
    CHANGED,
    CLOSED,
    ENTERED,
    Writer,
    Written,
    at,
    figures,
    numbers,
    over_time,
    table,
)
from consumers.tests.origins import PEERS
from customers import commands
from customers.kinds import ENTITY
from customers.labels import EVENT_LABELS
from events import sql
from events.drafting import Author, Draft
from events.recorder import record
from events.reports import NOBODY
from events.stamp import to_micros, uuid7

pytestmark = [pytest.mark.django_db, pytest.mark.feature("R03")]

PAGE = "/reports/transactions"
ANN, BOB = UUID(int=(1 << 122) + 1, version=4), UUID(int=(2 << 122) + 2, version=4)
PERIOD = {"start": "2025-10-25", "end": "2025-10-27"}  # the clock goes back within it


@pytest.fixture(autouse=True)
def network(settings: Settings) -> None:
    """Three locations in Berlin's time."""
    settings.DISPLAY_TIME_ZONE = BERLIN
    settings.PEERS = PEERS


@pytest.fixture
def provider(client: Client) -> Member:
    """A provider who is signed in with ``client``."""
    member = Member.objects.create_user("provider", "not-used", roles=["provider"], name="Pam")
    client.force_login(member)
    return member


@pytest.fixture
def written(provider: Member) -> list[Written]:
    """Writes of three locations and uses of this one, many of them at the edge of a day."""
    writer, me = Writer(), provider.uid
    first, *_ = writer.enter(at("2025-10-25T00:00"), "loc1", me, count=3)
    writer.enter(at("2025-10-24T23:59:59.999999"), "loc1", me)
    (second,) = writer.enter(at("2025-10-25T23:59:59.999999"), "loc2", ANN)
    writer.change(first, at("2025-10-26T00:00"), "loc2", ANN)
    writer.change(first, at("2025-10-26T02:30"), "loc1", me)
    writer.change(first, at("2025-10-26T02:30", fold=1), "loc2", BOB)
    writer.close(second, at("2025-10-27T12:00"), "loc3")
    writer.enter(at("2025-10-27T23:59:59.999999"))
    writer.enter(at("2025-10-28T00:00"), "loc3")
    for hour in (1, 9, 23):
        writer.log(access.SEARCH, at(f"2025-10-26T{hour:02}:15"), me)
    writer.log(access.SEARCH, at("2025-10-28T00:00"), me)
    writer.log(access.REFUSAL, at("2025-10-25T00:00"), me, access.LACKS_ROLE)
    writer.log(access.REFUSAL, at("2025-10-27T10:00"), None, access.UNAUTHENTICATED)
    writer.log(access.SIGN_IN, at("2025-10-27T10:01"), None, access.WRONG_CREDENTIALS)
    writer.log(access.SIGN_IN, at("2025-10-27T10:02"), me)
    writer.log("self_check", at("2025-10-27T10:03"))
    return writer.written


def within(written: Iterable[Written], first: str = "2025-10-25", last: str = "2025-10-28"):
    """Return what was written from one midnight to another."""
    start, end = at(f"{first}T00:00"), at(f"{last}T00:00")
    return [each for each in written if start <= each.when < end]


def page(client: Client, **asked: str) -> str:
    answer = client.get(PAGE, {**PERIOD, **asked})
    assert answer.status_code == 200
    return answer.content.decode()


# What it counts


def test_totals_are_those_of_what_was_written(client: Client, written: list[Written]) -> None:
    assert figures(page(client)) == numbers(within(written)) == (7, 9, 3, 3, 2)
    assert len(written) > len(within(written)) + 2  # some lies right beyond either end


def test_each_location_has_its_own(client: Client, written: list[Written]) -> None:
    found = table(page(client), "location")
    for name in ("loc1", "loc2", "loc3"):
        counted = numbers(each for each in within(written) if each.where == name)
        expected = counted if name == "loc1" else (*counted[:2], None, None, None)
        assert found.pop(name) == expected, name
    assert found == {}


def test_each_member_has_their_own(
    client: Client, provider: Member, written: list[Written]
) -> None:
    labels = {
        provider.uid: "Pam",
        ANN: f"a member of loc2 {str(ANN)[:8]}",
        BOB: f"a member of loc2 {str(BOB)[:8]}",
        None: "SINS, or not signed in",
    }
    assert table(page(client), "member") == {
        label: numbers(each for each in within(written) if each.who == uid)
        for uid, label in labels.items()
    }


def test_each_kind_has_its_own(client: Client, written: list[Written]) -> None:
    labels = {
        ENTERED: f"Customer entered {ENTERED}", CHANGED: f"Customer changed {CHANGED}",
        CLOSED: f"Customer closed {CLOSED}", "search": "Search search",
        "refusal": "Refusal refusal", "sign_in": "Sign-in sign_in",
        "self_check": "self_check",
    }  # fmt: skip
    expected = {}
    for kind, label in labels.items():
        some = [each for each in within(written) if each.what == kind]
        transactions, events, *_ = numbers(some)
        expected[label] = (transactions, events, len(some) - events)
    assert table(page(client), "kind") == expected


def test_each_outcome_has_its_own(client: Client, written: list[Written]) -> None:
    found = table(page(client), "outcome")
    lines = Counter(each.outcome for each in within(written) if not each.transaction)
    assert found == {
        "Succeeded ok": (7, 9, lines["ok"]),
        "Role does not allow it lacks_role": (0, 0, 1),
        "Not signed in unauthenticated": (0, 0, 1),
        "Wrong name or password wrong_credentials": (0, 0, 1),
    }


@pytest.mark.parametrize(
    ("first", "last", "form", "count"),
    [
        ("2025-10-25", "2025-10-27", "%Y-%m-%d", 3),
        ("2025-10-26", "2025-10-26", "%Y-%m-%d %H:00 %Z", 25),
        ("2025-10-26", "2025-10-27", "%Y-%m-%d %H:00 %Z", 49),
    ],
)
def test_buckets_are_those_of_the_networks_clock(
    client: Client, written: list[Written], first: str, last: str, form: str, count: int
) -> None:
    text = page(client, start=first, end=last)
    found = over_time(text)
    locations = re.findall(r">(loc\d)<", text.partition('class="legend"')[2].partition("</ul>")[0])
    expected: dict[str, set[tuple[str, int]]] = {}
    day_after = {"2025-10-26": "2025-10-27", "2025-10-27": "2025-10-28"}[last]
    for each in within(written, first, day_after):
        if each.transaction:
            label = each.when.astimezone(BERLIN).strftime(form)
            expected.setdefault(label, set()).add((each.where, each.transaction))
    assert len(found) == count
    for label, (*by_location, total) in found.items():
        transactions = expected.pop(label, set())
        counted = Counter(where for where, _transaction in transactions)
        assert by_location == [counted[name] for name in locations], label
        assert total == len(transactions), label
    assert expected == {}


def test_a_transaction_counts_once_and_with_each_of_its_types(
    client: Client, provider: Member
) -> None:
    author = Author(ANN, "loc2", to_micros(at("2025-10-26T10:00")))
    old, new = uuid7(author.now - 60), uuid7(author.now)
    groups = commands.new_groups({"surname": "Ray"}, "PERSON", None)
    record([commands.new_draft(old, groups)], author)
    closing = Draft(entity_uid=old, type=CLOSED, set={"deleted": {"value": True}}, kind=ENTITY)
    record([commands.new_draft(new, groups), closing], author)
    text = page(client)
    assert figures(text)[:2] == (2, 3)
    kinds = table(text, "kind")
    assert kinds[f"Customer entered {ENTERED}"] == (2, 2, 0)
    assert kinds[f"Customer closed {CLOSED}"] == (1, 1, 0)


def test_what_is_built_in_was_done_by_nobody(client: Client, provider: Member) -> None:
    text = page(client, start="1970-01-01", end="1970-01-01")
    assert figures(text) == (0, 0, 0, 0, 0)


# Filters


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"location": "loc2"}, lambda each: each.where == "loc2"),
        ({"location": "loc1"}, lambda each: each.where == "loc1"),
        ({"actor": str(ANN)}, lambda each: each.who == ANN),
        ({"actor": str(NOBODY)}, lambda each: each.who is None),
        ({"kind": CHANGED}, lambda each: each.what == CHANGED),
        ({"kind": "search"}, lambda each: each.what == "search"),
        ({"outcome": "ok"}, lambda each: each.outcome == "ok"),
        ({"outcome": "refused"}, lambda each: each.outcome != "ok"),
        ({"outcome": "lacks_role"}, lambda each: each.outcome == "lacks_role"),
        (
            {"location": "loc1", "kind": "sign_in", "outcome": "refused"},
            lambda each: each.what == "sign_in" and each.outcome != "ok",
        ),
        ({"location": "loc2", "kind": "search"}, lambda each: False),
    ],
    ids=lambda each: ",".join(each) if isinstance(each, dict) else "",
)
def test_filters_narrow_all_of_it(client: Client, written: list[Written], asked, fits) -> None:
    some = [each for each in within(written) if fits(each)]
    text = page(client, **asked)
    assert figures(text) == numbers(some)
    rows = table(text, "kind").values()
    assert sum((events or 0) + (lines or 0) for _, events, lines in rows) == len(some)
    # Where no event can fit, the chart shows the lines.
    has_events = not {"search", "sign_in", "refused", "lacks_role"} & set(asked.values())
    counted = sum(row[-1] or 0 for row in over_time(text).values())
    assert counted == (numbers(some)[0] if has_events else len(some))
    assert ("Transactions by day" in text) == has_events
    assert f"{len(asked) + 2} set" in text


def test_every_row_leads_to_what_it_counts(client: Client, written: list[Written]) -> None:
    text = page(client)
    links = re.findall(r'<a class="link" href="(\?[^"]*)">(.*?)</a>', text)
    assert len(links) == 3 + 3 + 4 + 6 + 4  # days, locations, members, known kinds, outcomes
    for query, _label in links:
        answer = client.get(f"{PAGE}{html.unescape(query)}")
        assert answer.status_code == 200, query
        assert any(figures(answer.content.decode())), query


def test_a_member_of_another_location_can_be_chosen(client: Client, written: list[Written]) -> None:
    chosen = f'<option value="{ANN}" selected>'
    assert f'<option value="{ANN}">a member of loc2 {str(ANN)[:8]}<' in page(client)
    assert f"{chosen}a member of loc2" in page(client, actor=str(ANN))
    assert f"{chosen}a member of another location" in page(client, actor=str(ANN), kind="search")


@pytest.mark.parametrize(
    ("query", "name", "said"),
    [
        ("start=soon", "start", "“From” is a day"),
        ("end=2025-02-30", "end", "“To” is a day"),
        ("start=0099-01-01", "start", "“From” is a day"),
        ("end=9999-12-31", "end", "“To” is a day"),
        ("end=0001-01-01", "end", "“To” is a day"),
        ("start=01/02/2025", "start", "“From” is a day"),
        ("start=2025-02-01&end=2025-01-31", "end", "“To” lies before “From”"),
        ("start=1970-01-01&end=2030-01-01", "start", "“From” lies too far"),
        ("location=nowhere", "location", "“Where” names no location"),
        ("actor=nobody", "actor", "“Who” names no member"),
        ("kind=customers.eaten", "kind", "“What” is none"),
        ("outcome=fine", "outcome", "“Outcome” is none"),
        ("outcome=%00", "outcome", ""),
    ],
)
@pytest.mark.parametrize("path", [PAGE, "/reports/transactions.csv", "/reports/counts.csv"])
def test_what_cannot_be_is_told_with_its_field(
    client: Client, provider: Member, query: str, name: str, said: str, path: str
) -> None:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    text = answer.content.decode()
    errors = dict(re.findall(r'<span class="wrong" id="wrong-(\w+)">([^<]*)</span>', text))
    assert errors.keys() == {name}
    assert html.unescape(errors[name]).startswith(said)
    assert f'aria-describedby="wrong-{name}"' in text
    assert f'action="{PAGE}/"' in text


def test_without_a_filter_it_is_the_last_seven_days(client: Client, provider: Member) -> None:
    writer = Writer()
    with time_machine.travel(at("2025-10-28T00:30"), tick=True):  # in London still the 27th
        for text in ("2025-10-22T00:00", "2025-10-21T23:59:59.999999", "2025-10-28T00:10"):
            writer.enter(at(text))
        # The session of before: its end is not now's.
        client.force_login(provider)
        text = client.get(PAGE).content.decode()
    assert list(over_time(text)) == [f"2025-10-{day}" for day in range(22, 29)]
    assert figures(text)[0] == 2
    assert 'value="2025-10-22"' in text
    assert 'value="2025-10-28"' in text
    assert '<details class="sheet disclosure filter">' in text


def test_a_last_day_alone_means_the_seven_days_before(client: Client, provider: Member) -> None:
    text = client.get(PAGE, {"end": "2025-03-31"}).content.decode()
    assert 'value="2025-03-25"' in text
    assert "1970-01-01" in client.get(PAGE, {"end": "1970-01-01"}).content.decode()


# How it is shown


def test_nothing_is_said_to_be_nothing(client: Client, provider: Member) -> None:
    Access.objects.none()
    text = client.get(PAGE).content.decode()
    assert "Nobody entered, changed or closed a record" in text
    assert '<svg class="chart-bars"' not in text
    text = page(client, location="loc2")
    assert "Nothing in this period fits these filters." in text
    assert table(text, "location") == {"loc2": (0, 0, None, None, None)}


def test_the_chart_says_what_it_shows_and_needs_neither_script_nor_style(
    client: Client, written: list[Written]
) -> None:
    text = page(client)
    chart = re.search(r'<svg class="chart-bars" role="img" aria-label="([^"]*)">.*?</svg>',
                      text, re.DOTALL)  # fmt: skip
    assert chart
    assert html.unescape(chart[1]) == (
        "Transactions by day, 2025-10-25 – 2025-10-27. Most, 3: 2025-10-26."
    )
    assert "style=" not in chart[0]
    assert "<title>2025-10-26: 3 (loc1 1, loc2 2)</title>" in chart[0]
    assert chart[0].count('class="part') == 6
    assert "<a " not in chart[0]  # an image holds nothing to reach


def test_only_providers_and_admins_see_it(client: Client) -> None:
    paths = (PAGE, f"{PAGE}/", "/reports/transactions.csv", "/reports/counts.csv")
    for path in paths:
        assert client.get(path)["Location"].startswith("/accounts/login/")
    for role, status in (("agent", 403), ("customer", 403), ("provider", 200), ("admin", 200)):
        client.force_login(Member.objects.create_user(role, "not-used", roles=[role]))
        assert {client.get(path).status_code for path in paths} == {status}, role
        assert {client.post(path).status_code for path in paths} == {405}
    refused = Access.objects.filter(kind="refusal", outcome="lacks_role")
    assert refused.count() == 2 * len(paths)


def test_navigation_and_help_name_it_for_who_may_see_it(client: Client, provider: Member) -> None:
    text = page(client)
    assert f'<a href="{PAGE}/" aria-current="page">Reports</a>' in text
    assert "<dt>Reports</dt><dd>What happened in a period, counted</dd>" in text
    client.force_login(Member.objects.create_user("agent", "not-used", roles=["agent"]))
    text = client.get("/customers/").content.decode()
    assert "Reports" not in text
    assert "<dt>Customers</dt>" in text


def test_no_personal_value_is_on_it(client: Client, written: list[Written]) -> None:
    assert "Kanariella" not in page(client)


def test_every_event_of_customers_has_a_name() -> None:
    assert EVENT_LABELS.keys() == set(ENTITY.event_types)


# What it costs


def statements(client: Client, **asked: str) -> int:
    with (
        CaptureQueriesContext(connection) as captured,
        mock.patch("cockpit.templatetags.cockpit.open_count", return_value=0),  # the navigation's
        mock.patch("events.sql.execute", wraps=sql.execute) as prepared,
    ):
        page(client, **asked)
    return len(captured) + prepared.call_count


def test_statements_do_not_grow_with_what_there_is(
    client: Client, provider: Member, written: list[Written]
) -> None:
    few = statements(client, end="2025-10-25")
    writer = Writer()
    moment = at("2025-10-26T12:00")
    for number in range(20):
        Member.objects.create_user(f"member-{number}", "not-used", roles=["agent"])
        writer.enter(moment, "loc3", uuid4())
        writer.log(access.SEARCH, moment, uuid4())
    assert few == statements(client) <= 15
    assert len(table(page(client), "member")) == 44


def test_a_long_table_is_cut_and_says_so(
    client: Client, written: list[Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.report_page.ROWS_SHOWN", 2)
    text = page(client)
    assert len(table(text, "member")) == 2
    assert "The first 2 of 4" in text
