"""What a panel asks Elasticsearch, as Kibana reads it: from Lens's state, or from an API body.

Reads what the dashboards use, in the way Kibana does, and refuses all else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

TIME: Final = "@timestamp"
BY_NAME, BY_FIRST, BY_TIME = "by name", "by the first number", "by time"
CONDITION: Final = re.compile(r'([\w.@]+): (?:"([^"]*)"|\(("[^"]*"(?: or "[^"]*")+)\))')
FIRST: Final = "n0"

Json = dict[str, Any]


class Period(NamedTuple):
    """The time a dashboard is about, and the width of a bucket of it."""

    start: str
    end: str
    interval: str


class Buckets(NamedTuple):
    """Documents apart by time or by values."""

    field: str
    order: str
    most: int = 0


class Number(NamedTuple):
    """A number of each bucket."""

    label: str
    operation: str
    field: str = ""
    percentile: float = 0
    where: str = ""
    within: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked: of which documents, apart by what, which numbers."""

    where: str
    numbers: Sequence[Number]
    buckets: Sequence[Buckets] = field(default=())


def of_lens(attributes: Json) -> Question:
    """Return what the state of a Lens panel asks; every column is one of its chart's."""
    state = attributes["state"]
    assert state["filters"] == []
    [(name, layer)] = state["datasourceStates"]["formBased"]["layers"].items()
    columns = layer["columns"]
    assert layer["columnOrder"] == list(columns)
    numbers = [key for key, column in columns.items() if not column["isBucketed"]]
    _check_chart(attributes["visualizationType"], state["visualization"], name, columns, numbers)
    return Question(
        _kuery(state["query"]),
        tuple(_lens_number(columns[key]) for key in numbers),
        tuple(_lens_buckets(c, numbers[0]) for c in columns.values() if c["isBucketed"]),
    )


def _check_chart(kind: str, chart: Json, layer: str, columns: Json, numbers: list[str]) -> None:
    buckets = [key for key in columns if key not in numbers]
    assert list(columns) == buckets + numbers
    if kind == "lnsXY":
        [chart] = chart["layers"]
        assert columns[chart["xAccessor"]]["operationType"] == "date_histogram"
        used = [chart[key] for key in ("splitAccessor", "xAccessor") if key in chart]
        assert (used, chart["accessors"]) == (buckets, numbers)
    elif kind == "lnsDatatable":
        assert [each["columnId"] for each in chart["columns"]] == list(columns)
        assert [each["columnId"] for each in chart["columns"] if each["isMetric"]] == numbers
    else:
        assert kind == "lnsMetric"
        assert [chart["metricAccessor"]] == list(columns)
    assert (chart["layerId"], chart["layerType"]) == (layer, "data")


def _lens_number(column: Json) -> Number:
    return Number(
        column["label"],
        column["operationType"],
        "" if column["sourceField"] == "___records___" else column["sourceField"],
        column["params"].get("percentile", 0),
        _kuery(column["filter"]) if "filter" in column else "",
        column.get("reducedTimeRange", ""),
    )


def _lens_buckets(column: Json, first: str) -> Buckets:
    params, source = column["params"], column["sourceField"]
    if column["operationType"] == "date_histogram":
        assert params["interval"] == "auto"
        return Buckets(source, BY_TIME)
    assert column["operationType"] == "terms"
    assert (params["otherBucket"], params["missingBucket"]) == (False, False)
    order, direction = params["orderBy"], params["orderDirection"]
    if (order["type"], direction) == ("alphabetical", "asc"):
        return Buckets(source, BY_NAME, params["size"])
    assert (order, direction) == ({"type": "column", "columnId": first}, "desc")
    return Buckets(source, BY_FIRST, params["size"])


def _kuery(query: Json) -> str:
    assert query["language"] == "kuery"
    return str(query["query"])


def of_api(config: Json) -> Question:
    """Return what a panel's ``config`` in a body of the Dashboards API asks."""
    where = _kql(config["query"])
    if config["type"] == "metric":
        return Question(where, tuple(map(_api_number, config["metrics"])))
    if config["type"] == "data_table":
        buckets = tuple(map(_api_buckets, config["rows"]))
        return Question(where, tuple(map(_api_number, config["metrics"])), buckets)
    assert config["type"] == "xy"
    [layer] = config["layers"]
    split = [layer["breakdown_by"]] if "breakdown_by" in layer else []
    buckets = tuple(map(_api_buckets, [*split, layer["x"]]))
    return Question(where, tuple(map(_api_number, layer["y"])), buckets)


def _api_number(metric: Json) -> Number:
    return Number(
        metric["label"],
        metric["operation"],
        metric.get("field", ""),
        metric.get("percentile", 0),
        _kql(metric["filter"]) if "filter" in metric else "",
        metric.get("reduced_time_range", ""),
    )


def _api_buckets(bucket: Json) -> Buckets:
    if bucket["operation"] == "date_histogram":
        return Buckets(bucket["field"], BY_TIME)
    [name] = bucket["fields"]
    orders = {("alphabetical", "asc", None): BY_NAME, ("metric", "desc", 0): BY_FIRST}
    rank = bucket["rank_by"]
    order = orders[rank["type"], rank["direction"], rank.get("metric_index")]
    return Buckets(name, order, bucket["limit"])


def _kql(query: Json) -> str:
    assert query["language"] == "kql"
    return str(query["expression"])


def conditions(kql: str) -> dict[str, list[str]]:
    """Return the values that a condition allows, by field."""
    found = {}
    for text in filter(None, kql.split(" and ")):
        match = CONDITION.fullmatch(text)
        assert match, text
        name, one, several = match.groups()
        found[name] = [one] if one is not None else re.findall(r'"([^"]*)"', several)
    return found


def request_of(question: Question, period: Period) -> Json:
    """Return the body of the search that Kibana sends for it."""
    time = {"range": {TIME: {"gte": period.start, "lte": period.end}}}
    aggregations = _numbers(question.numbers, period)
    for number, buckets in reversed(list(enumerate(question.buckets))):
        inner = {"aggs": aggregations} if aggregations else {}
        bucket = _bucket(buckets, question.numbers[0], period)
        aggregations = {f"b{number}": {**bucket, **inner}}
    filters = [time, *_filters(question.where)]
    return {
        "size": 0,
        "track_total_hits": True,
        "query": {"bool": {"filter": filters}},
        **({"aggs": aggregations} if aggregations else {}),
    }


def _filters(kql: str) -> list[Json]:
    return [{"terms": {name: values}} for name, values in conditions(kql).items()]


def _bucket(buckets: Buckets, first: Number, period: Period) -> Json:
    if buckets.order == BY_TIME:
        return {
            "date_histogram": {
                "field": buckets.field,
                "fixed_interval": period.interval,
                "min_doc_count": 0,
            }
        }
    order = {"_key": "asc"} if buckets.order == BY_NAME else {_rank(first): "desc"}
    return {"terms": {"field": buckets.field, "size": buckets.most, "order": order}}


def _rank(first: Number) -> str:
    """Return by which aggregation values are put in order."""
    assert not first.where
    assert not first.within
    return {"count": "_count", "unique_count": FIRST, "max": FIRST}[first.operation]


def _numbers(numbers: Sequence[Number], period: Period) -> Json:
    found = {}
    for position, number in enumerate(numbers):
        inner = _aggregation(number)
        filters = _filters(number.where)
        if number.within:
            latest = {"gte": f"{period.end}||-{number.within}", "lte": period.end}
            filters.append({"range": {TIME: latest}})
        if filters:
            nested = {"aggs": {"of": inner}} if inner else {}
            found[f"n{position}"] = {"filter": {"bool": {"filter": filters}}, **nested}
        elif inner:
            found[f"n{position}"] = inner
    return found


def _aggregation(number: Number) -> Json:
    match number.operation:
        case "count":
            return {}
        case "unique_count":
            return {"cardinality": {"field": number.field}}
        case "max":
            return {"max": {"field": number.field}}
        case "percentile":
            return {"percentiles": {"field": number.field, "percents": [number.percentile]}}
    raise AssertionError(number.operation)


def rows_of(question: Question, answer: Mapping[str, Any]) -> dict[tuple[str, ...], list[Any]]:
    """Return the numbers by the keys of their buckets; of time only buckets with documents."""
    everything = {"doc_count": answer["hits"]["total"]["value"], **answer.get("aggregations", {})}
    return dict(_rows(question, everything, ()))


def _rows(question: Question, found: Json, keys: tuple[str, ...]) -> Any:
    if len(keys) == len(question.buckets):
        yield keys, [_value(n, found, f"n{at}") for at, n in enumerate(question.numbers)]
        return
    inside = found[f"b{len(keys)}"]
    assert not inside.get("sum_other_doc_count"), "more values than the panel shows"
    for bucket in inside["buckets"]:
        if bucket["doc_count"]:
            key = bucket.get("key_as_string") or bucket["key"]
            yield from _rows(question, bucket, (*keys, key))


def _value(number: Number, bucket: Json, name: str) -> Any:
    found = bucket.get(name, bucket)
    if number.operation == "count":
        return found["doc_count"]
    found = found.get("of", found)
    if number.operation == "percentile":
        [value] = found["values"].values()
        return value
    return found["value"]
