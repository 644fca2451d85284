"""A panel in Lens's own terms: columns of numbers and buckets, and how a chart uses them.

Of the shapes Lens has had this is the one that exports of 2026 carry, without ``version``: Kibana
then brings it up to date itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.kibana.panels import (
    TIME,
    Measure,
    Number,
    Operation,
    Panel,
    Series,
    Table,
    Values,
    Where,
    kql,
)

RECORDS: Final = "___records___"  # what Lens counts where no field is named
WHEN: Final = "time"

Column = dict[str, Any]


def attributes_of(panel: Panel) -> dict[str, Any]:
    """Return what Lens keeps of a panel, but for its references; the one layer has its key."""
    measures = {f"measure-{n}": _measure(measure) for n, measure in enumerate(panel.measures)}
    buckets = _buckets(panel, next(iter(measures)))
    columns = {**buckets, **measures}  # buckets first, the outermost before the others
    layer = {
        "columns": columns,
        "columnOrder": list(columns),
        "incompleteColumns": {},
        "sampling": 1,
    }
    kind, visualization = _visualization(panel, list(buckets), list(measures))
    return {
        "title": panel.title,
        "description": "",
        "type": "lens",
        "visualizationType": kind,
        "state": {
            "visualization": visualization,
            "query": _query(panel.where),
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {panel.key: layer}}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _buckets(panel: Panel, first_measure: str) -> dict[str, Column]:
    match panel:
        case Series(by=by):
            split = {} if by is None else {"by-0": _values(by, first_measure)}
            return {**split, WHEN: _time()}  # the first values of the whole period, then by time
        case Table(rows=rows):
            return {f"by-{n}": _values(row, first_measure) for n, row in enumerate(rows)}
        case _:
            return {}


def _visualization(
    panel: Panel, buckets: Sequence[str], measures: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    layer = {"layerId": panel.key, "layerType": "data"}
    match panel:
        case Number():
            return "lnsMetric", {**layer, "metricAccessor": measures[0]}
        case Table():
            return "lnsDatatable", {**layer, **_table(buckets, measures)}
        case Series():
            return "lnsXY", _chart(panel, layer, measures)
        case _:
            raise TypeError(panel)


def _table(buckets: Sequence[str], measures: Sequence[str]) -> dict[str, Any]:
    columns = [
        {"columnId": column, "isTransposed": False, "isMetric": column in measures}
        for column in (*buckets, *measures)
    ]
    return {"columns": columns, "paging": {"enabled": True, "size": 10}}


def _chart(panel: Series, layer: Mapping[str, Any], measures: Sequence[str]) -> dict[str, Any]:
    kind = "line" if panel.is_line else "bar_stacked"
    split = {} if panel.by is None else {"splitAccessor": "by-0"}
    used = {"seriesType": kind, "xAccessor": WHEN, "accessors": list(measures), **split}
    return {
        "layers": [{**layer, **used}],
        "preferredSeriesType": kind,
        "legend": {"isVisible": True, "showSingleSeries": True, "position": "bottom"},
        "valueLabels": "hide",
        "fittingFunction": "None",  # where nothing happened there is no lag to draw
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": True, "yRight": True},
    }


def _measure(measure: Measure) -> Column:
    column: Column = {
        "label": measure.label,
        "customLabel": True,
        "dataType": "number",
        "operationType": str(measure.operation),
        "isBucketed": False,
        "scale": "ratio",
        "sourceField": measure.of or RECORDS,
        "params": {},
    }
    if measure.operation in {Operation.COUNT, Operation.UNIQUE}:
        column["params"] = {"emptyAsNull": False}
    if measure.operation == Operation.PERCENTILE:
        column["params"] = {"percentile": measure.percentile}
    if measure.where:
        column["filter"] = _query(measure.where)
    if measure.within:
        column["reducedTimeRange"] = measure.within
    return column


def _time() -> Column:
    return {
        "label": TIME,
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": TIME,
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }


def _values(values: Values, first_measure: str) -> Column:
    order: dict[str, Any] = {"type": "column", "columnId": first_measure}
    if values.by_name:
        order = {"type": "alphabetical", "fallback": False}
    return {
        "label": values.label,
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "sourceField": values.field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": values.most,
            "orderBy": order,
            "orderDirection": "asc" if values.by_name else "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
            "include": [],
            "exclude": [],
            "includeIsRegex": False,
            "excludeIsRegex": False,
        },
    }


def _query(where: Where) -> dict[str, str]:
    return {"language": "kuery", "query": kql(where)}
