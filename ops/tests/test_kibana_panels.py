"""Each panel's question, asked of a real Elasticsearch, returns what was counted beside it."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from consumers.models import Unshipped
from ops.elasticsearch_server import ElasticsearchServer
from ops.kibana.panels import INDICES
from ops.kibana.saved_objects import saved_objects
from ops.tests.kibana_questions import Question, conditions, of_lens, request_of, rows_of
from ops.tests.kibana_world import PERIOD, STANDING, Line, World, at
from tests.databases import TestDatabases
from tests.reported import Reported

pytestmark = [
    pytest.mark.elasticsearch,
    pytest.mark.django_db(transaction=True),
    pytest.mark.feature("R02"),
]

CREATED, CHANGED = "customers.entity_created", "customers.details_changed"
ENTITY = "customers.entity"
NOW = at("00:55")  # the last five minutes of the period begin
# These say themselves which documents have them; a transaction is the same wherever it is applied.
TELLING = {"sins.tx.id", "sins.lag_ms", "sins.status.state", *STANDING}

Rows = dict[tuple[str, ...], list[Any]]


@pytest.fixture
def node(real_elasticsearch: ElasticsearchServer) -> Iterator[Reported]:
    real_elasticsearch.start()
    node = Reported(real_elasticsearch)
    node.forget()
    yield node
    node.close()


@pytest.fixture
def world(
    node: Reported, settings: Settings, databases: TestDatabases, monkeypatch: pytest.MonkeyPatch
) -> World:
    world = World(node.url, settings, databases, monkeypatch)
    world.happen()
    node.ask("POST", f"/{INDICES}/_refresh")
    return world


def questions() -> dict[str, Question]:
    """Return what is asked, by dashboard and panel, read from what Kibana imports."""
    return {
        f"{found['id']}/{panel['panelIndex']}": of_lens(panel["embeddableConfig"]["attributes"])
        for found in saved_objects()
        if found["type"] == "dashboard"
        for panel in json.loads(found["attributes"]["panelsJSON"])
    }


def test_every_panel_returns_what_happened(node: Reported, world: World) -> None:
    """And each condition matters: without it the numbers are others."""
    found = {name: ask(node, question) for name, question in questions().items()}
    expected = expectations(world)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name] == rows, name
        assert any(any(numbers) for numbers in rows.values()), f"{name} shows nothing"
    idle = [
        (name, looser)
        for name, question in questions().items()
        for looser in without_a_condition(question)
        if ask(node, looser) == expected[name]
    ]
    assert idle == []


def ask(node: Reported, question: Question) -> Rows:
    return rows_of(question, node.ask("POST", f"/{INDICES}/_search", request_of(question, PERIOD)))


def without_a_condition(question: Question) -> Iterator[Question]:
    is_said = all(number.field in TELLING for number in question.numbers)
    if question.where and not is_said and not any(b.field in TELLING for b in question.buckets):
        yield replace(question, where="")
    numbers = question.numbers
    for position, number in enumerate(numbers):
        if number.where or number.within:
            other = number._replace(where="", within="")
            yield replace(question, numbers=[*numbers[:position], other, *numbers[position + 1 :]])


def expectations(world: World) -> dict[str, Rows]:
    return {**what_happened(world), **sync_health(world), **use(world)}


def what_happened(world: World) -> dict[str, Rows]:
    recorded, lines = world.recorded, world.lines
    refused = [line for line in lines if line.outcome != "ok"]
    # By hand, so that nothing is counted twice from the same mistake.
    assert len(recorded) == 3 + 4 + 2 + 2 + 6
    assert len({event.tx for event in recorded}) == len(recorded) - 1  # the import is one
    assert len(refused) == 6
    by_action = {(ENTITY, a): [e for e in recorded if e.action == a] for a in (CREATED, CHANGED)}
    wanted = [
        *((("success", "recorded"), event.actor) for event in recorded),
        *((("failure", "refusal"), line.actor) for line in refused if line.kind == "refusal"),
    ]
    return {
        "sins-transactions/transactions": {(): [16]},
        "sins-transactions/events": {(): [17]},
        "sins-transactions/actors": {(): [3]},
        "sins-transactions/refused": {(): [6]},
        "sins-transactions/over-time": counted((e.location, hour(e.at)) for e in recorded),
        "sins-transactions/actions": counted((e.action, hour(e.at)) for e in recorded),
        "sins-transactions/outcomes": counted(
            [("success", hour(e.at)) for e in recorded]
            + [("failure", hour(line.at)) for line in refused if line.kind == "refusal"]
        ),
        "sins-transactions/by-location": {
            (name,): [
                sum(e.location == name for e in recorded),
                len({e.tx for e in recorded if e.location == name}),
                sum(a.location == name for a in world.applied),
                sum(line.location == name for line in refused),
            ]
            for name in ("loc1", "loc2", "loc3")
        },
        "sins-transactions/by-actor": grouped(
            (((e.actor,), e.tx) for e in recorded if e.actor), distinct
        ),
        "sins-transactions/by-action": {
            key: distinct([e.tx for e in events]) for key, events in by_action.items()
        },
        "sins-transactions/by-outcome": grouped(wanted, distinct),
    }


def sync_health(world: World) -> dict[str, Rows]:
    lags = [applied.lag for applied in world.applied]
    assert Counter(lags) == {200: 7, 700: 6, 5000: 4}
    over_time = [((a.location, hour(a.at)), a.lag) for a in world.applied]
    statuses = world.statuses
    latest = {
        name: [s.numbers for s in statuses if s.location == name and s.at >= NOW]
        for name in ("loc1", "loc2", "loc3")
    }
    return {
        "sins-sync-health/applied": {(): [17]},
        "sins-sync-health/lag-p50": {(): [700.0]},
        "sins-sync-health/lag-p95": {(): [5000.0]},
        "sins-sync-health/reporting": {(): [2]},
        "sins-sync-health/standing": {
            (name,): [max((n[field] for n in numbers), default=None) for field in STANDING]
            for name, numbers in latest.items()
        },
        "sins-sync-health/lag-p50-over-time": grouped(over_time, lambda lags: [rank(lags, 50)]),
        "sins-sync-health/lag-p95-over-time": grouped(over_time, lambda lags: [rank(lags, 95)]),
        "sins-sync-health/lag-longest-over-time": grouped(over_time, lambda lags: [max(lags)]),
        "sins-sync-health/lag-by-origin": grouped(
            (((a.origin, a.location), a.lag) for a in world.applied),
            lambda lags: [rank(lags, 50), rank(lags, 95), max(lags), len(lags)],
        ),
        "sins-sync-health/states": counted((s.state, hour(s.at)) for s in statuses),
        **{
            f"sins-sync-health/{field.rpartition('.')[2]}": grouped(
                (((s.location, hour(s.at)), s.numbers[field]) for s in statuses),
                lambda numbers: [max(numbers)],
            )
            for field in STANDING
        },
    }


def use(world: World) -> dict[str, Rows]:
    lines = world.lines
    refused = [line for line in lines if line.outcome != "ok"]

    def of(kind: str) -> list[Line]:
        return [line for line in lines if line.kind == kind]

    return {
        "sins-use/searches": {(): [6]},
        "sins-use/self-checks": {(): [3]},
        "sins-use/sign-ins": {(): [3]},
        "sins-use/refused": {(): [6]},
        "sins-use/kinds": counted((line.kind, hour(line.at)) for line in lines),
        "sins-use/searches-over-time": counted((x.location, hour(x.at)) for x in of("search")),
        "sins-use/self-checks-over-time": counted(
            (outcome(x), hour(x.at)) for x in of("self_check")
        ),
        "sins-use/sign-ins-over-time": counted((outcome(x), hour(x.at)) for x in of("sign_in")),
        "sins-use/refused-over-time": counted((x.outcome, hour(x.at)) for x in refused),
        "sins-use/refused-by-reason": grouped(
            (((x.outcome, x.kind), x.actor) for x in refused), distinct
        ),
        "sins-use/refused-by-route": grouped(
            (((x.route, x.outcome), x.actor) for x in refused), distinct
        ),
        "sins-use/searches-by-actor": counted((x.actor, x.location) for x in of("search")),
        "sins-use/use-by-location": grouped(
            (((x.location, x.kind), x.actor) for x in lines), distinct
        ),
    }


def hour(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H}:00:00.000Z"


def outcome(line: Line) -> str:
    return "success" if line.outcome == "ok" else "failure"


def counted(keys: Iterable[tuple[str, ...]]) -> Rows:
    return {key: [count] for key, count in Counter(keys).items()}


def grouped(
    pairs: Iterable[tuple[tuple[str, ...], Any]], measure: Callable[[list[Any]], list[Any]]
) -> Rows:
    found: defaultdict[tuple[str, ...], list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: measure(values) for key, values in found.items()}


def distinct(values: list[str]) -> list[int]:
    """Return how many, and how many different ones that are not empty."""
    return [len(values), len({value for value in values if value})]


def rank(values: list[int], percent: int) -> int:
    """Return the smallest value that so many per cent do not exceed."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def test_search_lists_the_newest_first(node: Reported, world: World) -> None:
    [search] = [found["attributes"] for found in saved_objects() if found["type"] == "search"]
    source = json.loads(search["kibanaSavedObjectMeta"]["searchSourceJSON"])
    filters = [{"terms": found} for found in [conditions(source["query"]["query"])]]
    [[field, direction]] = search["sort"]
    body = {"size": 100, "query": {"bool": {"filter": filters}}, "sort": {field: direction}}
    hits = node.ask("POST", f"/{INDICES}/_search", body)["hits"]["hits"]
    times = [hit["_source"][field] for hit in hits]
    assert times == sorted(times, reverse=True)
    assert len(hits) == len(world.recorded) + 3  # refusals
    shown = {name for hit in hits for name in search["columns"] if name in hit["_source"]}
    assert shown == set(search["columns"])


def test_nothing_of_the_night_was_refused(node: Reported, world: World) -> None:
    assert not Unshipped.objects.exists()
    months = sorted(node.ask("GET", f"/{INDICES}"))
    assert months == ["sins-tx-2027.01", "sins-tx-2027.02"]
