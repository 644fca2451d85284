"""What is imported holds together: names, places, fields and shapes, without a Kibana."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from accounts import access
from consumers.ship_documents import (
    ACCESS,
    APPLIED,
    FAILURE,
    FIELDS,
    INDEX_PREFIX,
    RECORDED,
    STATE,
    STATUS,
    SUCCESS,
    TRANSACTIONS,
)
from ops.kibana.__main__ import BODIES, COMMITTED, DONE, main
from ops.kibana.api_bodies import bodies
from ops.kibana.saved_objects import DATA_VIEW, ndjson
from ops.tests.kibana_questions import BY_TIME, TIME, Question, conditions, of_api, of_lens
from ops.tests.kibana_shapes import API_BODY, PANEL, SAVED_OBJECT

pytestmark = pytest.mark.feature("R02")

OBJECTS = [json.loads(line) for line in ndjson().splitlines()]
API = {name: json.loads(body) for name, body in bodies().items()}
DASHBOARDS = {found["id"]: found for found in OBJECTS if found["type"] == "dashboard"}
# What documents may say; kinds that come later are named by the contract of the documents.
SAID = {
    "sins.kind": {
        RECORDED, APPLIED, STATUS, access.SEARCH, access.REFUSAL, access.SIGN_IN,
        access.SIGN_OUT, access.TOKEN_ISSUED, "self_check",
    },
    "event.dataset": {TRANSACTIONS, ACCESS, STATE},
    "event.outcome": {SUCCESS, FAILURE},
}  # fmt: skip
NUMERIC = {"long", "integer"}
FITTING = {"count": {""}, "unique_count": {"keyword"}, "max": NUMERIC, "percentile": NUMERIC}


def panels_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return json.loads(found["attributes"]["panelsJSON"])


def lens_panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, found in DASHBOARDS.items():
        for panel in panels_of(found):
            yield f"{name}/{panel['panelIndex']}", panel


PANELS = dict(lens_panels())
QUESTIONS = {
    name: of_lens(panel["embeddableConfig"]["attributes"]) for name, panel in PANELS.items()
}
every_panel = pytest.mark.parametrize("name", PANELS)
every_object = pytest.mark.parametrize("found", OBJECTS, ids=lambda found: found["id"])


def decoded(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the texts in JSON as what they say."""
    found = copy.deepcopy(found)
    attributes = found["attributes"]
    for inside in (attributes, attributes.get("kibanaSavedObjectMeta", {})):
        for name in [name for name in inside if name.endswith("JSON")]:
            inside[name] = json.loads(inside[name])
    return found


def check(value: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(value)


def test_committed_files_are_what_the_code_says() -> None:
    """After a change: ``python -m ops.kibana export``."""
    assert COMMITTED.read_bytes() == ndjson()
    assert {path.stem: path.read_bytes() for path in BODIES.iterdir()} == bodies()


def test_export_to_a_file(tmp_path) -> None:
    assert main(["export", str(tmp_path / "out.ndjson")], {}) == DONE
    assert (tmp_path / "out.ndjson").read_bytes() == ndjson()


def test_there_are_a_view_a_search_and_three_dashboards() -> None:
    kinds = Counter(found["type"] for found in OBJECTS)
    assert kinds == {"index-pattern": 1, "search": 1, "dashboard": 3}
    [view] = [found["attributes"] for found in OBJECTS if found["type"] == "index-pattern"]
    assert (view["title"], view["timeFieldName"]) == (f"{INDEX_PREFIX}*", TIME)
    assert DASHBOARDS.keys() == API.keys()


@every_object
def test_saved_object_has_its_shape(found) -> None:
    check(decoded(found), SAVED_OBJECT)


@pytest.mark.parametrize("name", API)
def test_api_body_has_its_shape(name) -> None:
    check(API[name], API_BODY)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("formula", {"operationType": "formula"}),
        ("another time", {"sourceField": "event.created"}),
        ("script", {"script": "doc['x'].value"}),
    ],
)
def test_schema_refuses_what_is_no_plain_aggregation(name, change) -> None:
    panel = copy.deepcopy(PANELS["sins-transactions/over-time"])
    layers = panel["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"]
    check(panel, PANEL)
    layers["layers"]["over-time"]["columns"]["time"] |= change
    with pytest.raises(jsonschema.ValidationError):
        check(panel, PANEL)


def test_ids_are_unique() -> None:
    assert [n for n, count in Counter(found["id"] for found in OBJECTS).items() if count > 1] == []
    names = [
        f"{name}/{panel['panelIndex']}"
        for name, found in DASHBOARDS.items()
        for panel in panels_of(found)
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


@every_object
def test_references_lead_to_objects(found) -> None:
    known = {(each["type"], each["id"]) for each in OBJECTS}
    names = [reference["name"] for reference in found["references"]]
    assert len(names) == len(set(names))
    assert {(each["type"], each["id"]) for each in found["references"]} <= known
    if found["type"] == "search":
        source = decoded(found)["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]
        assert source["indexRefName"] in names


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_layer_has_its_reference_here_and_there(name) -> None:
    """Lens looks in the panel's own references, import follows those of the dashboard."""
    wanted = set()
    for panel in panels_of(DASHBOARDS[name]):
        attributes = panel["embeddableConfig"]["attributes"]
        layers = attributes["state"]["datasourceStates"]["formBased"]["layers"]
        inside = {f"indexpattern-datasource-layer-{layer}" for layer in layers}
        assert {each["name"] for each in attributes["references"]} == inside
        assert {each["id"] for each in attributes["references"]} == {DATA_VIEW}
        wanted |= {f"{panel['panelIndex']}:{each}" for each in inside}
    assert {each["name"] for each in DASHBOARDS[name]["references"]} == wanted


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_side_by_side(name) -> None:
    """On 48 columns, none upon another, no row with a hole."""
    taken: Counter[tuple[int, int]] = Counter()
    for panel in panels_of(DASHBOARDS[name]):
        place = panel["gridData"]
        assert place["i"] == panel["panelIndex"]
        columns = range(place["x"], place["x"] + place["w"])
        lines = range(place["y"], place["y"] + place["h"])
        taken.update((x, y) for x in columns for y in lines)
    assert set(taken.values()) == {1}
    height = max(y for _, y in taken) + 1
    assert taken.keys() == {(x, y) for x in range(48) for y in range(height)}


@every_panel
def test_fields_fit_what_is_done_with_them(name) -> None:
    question = QUESTIONS[name]
    for number in question.numbers:
        kind = FIELDS[number.field] if number.field else ""
        assert kind in FITTING[number.operation], number
    for buckets in question.buckets:
        assert FIELDS[buckets.field] == ("date" if buckets.order == BY_TIME else "keyword")
    check_conditions(question.where, *(number.where for number in question.numbers))


def check_conditions(*texts: str) -> None:
    for text in texts:
        for name, values in conditions(text).items():
            assert FIELDS[name] == "keyword"
            assert set(values) <= SAID[name]


@every_panel
def test_panel_has_a_question_that_can_be_put_in_order(name) -> None:
    """Values are ranked by the first number only if that is one of the whole bucket."""
    question = QUESTIONS[name]
    times = [buckets for buckets in question.buckets if buckets.order == BY_TIME]
    is_series = PANELS[name]["embeddableConfig"]["attributes"]["visualizationType"] == "lnsXY"
    assert len(times) == is_series
    first = question.numbers[0]
    is_plain = not first.where and not first.within and first.operation != "percentile"
    assert is_plain or not any("first" in buckets.order for buckets in question.buckets)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_both_formats_say_the_same(name) -> None:
    found, body = DASHBOARDS[name], API[name]
    attributes = found["attributes"]
    assert (body["title"], body["description"]) == (attributes["title"], attributes["description"])
    assert body["time_range"] == {"from": attributes["timeFrom"], "to": attributes["timeTo"]}
    assert body["refresh_interval"] == attributes["refreshInterval"]
    assert [read_lens(panel) for panel in panels_of(found)] == [
        (panel["id"], panel["config"]["title"], panel["grid"], of_api(panel["config"]))
        for panel in body["panels"]
    ]


def read_lens(panel: dict[str, Any]) -> tuple[str, str, dict[str, int], Question]:
    grid = {name: panel["gridData"][name] for name in "xywh"}
    question = of_lens(panel["embeddableConfig"]["attributes"])
    return panel["panelIndex"], panel["title"], grid, question


def test_search_shows_fields_there_are() -> None:
    [search] = [decoded(found)["attributes"] for found in OBJECTS if found["type"] == "search"]
    assert set(search["columns"]) <= FIELDS.keys()
    assert search["sort"] == [[TIME, "desc"]]
    check_conditions(search["kibanaSavedObjectMeta"]["searchSourceJSON"]["query"]["query"])


def test_dashboards_show_what_was_promised() -> None:
    """By which fields each dashboard takes documents apart, and what it measures."""
    by = {name: {b.field for b in q.buckets} for name, q in QUESTIONS.items()}
    shown = {
        dashboard: set().union(*(f for name, f in by.items() if name.startswith(f"{dashboard}/")))
        for dashboard in DASHBOARDS
    }
    assert shown["sins-transactions"] >= {
        "service.node.name",
        "user.id",
        "sins.entity.kind",
        "event.action",
        "event.outcome",
        TIME,
    }
    assert shown["sins-use"] >= {"sins.kind", "sins.reason", "sins.route", TIME}
    over_time = {
        (number.operation, number.percentile, number.field)
        for name, question in QUESTIONS.items()
        if name.startswith("sins-sync-health/") and TIME in by[name]
        for number in question.numbers
    }
    lag = {
        ("percentile", 50, "sins.lag_ms"),
        ("percentile", 95, "sins.lag_ms"),
        ("max", 0, "sins.lag_ms"),
    }
    statuses = [name for name, kind in FIELDS.items() if re.match(r"sins\.status\.", name)
                and kind == "long"]  # fmt: skip
    assert over_time >= lag | {("max", 0, name) for name in statuses}
    standing = QUESTIONS["sins-sync-health/standing"]
    assert {number.field for number in standing.numbers} == set(statuses)
