"""The dashboards as bodies of the Dashboards API: ``PUT /api/dashboards/ID`` (Kibana 9.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from ops.kibana.dashboards import DASHBOARDS
from ops.kibana.panels import (
    TIME,
    Dashboard,
    Measure,
    Number,
    Operation,
    Panel,
    Place,
    Series,
    Table,
    Values,
    Where,
    kql,
)
from ops.kibana.saved_objects import DATA_VIEW

SOURCE: Final = {"type": "data_view_reference", "ref_id": DATA_VIEW}

Body = dict[str, Any]


def bodies() -> dict[str, bytes]:
    """Return the body of each dashboard, by its id."""
    return {
        dashboard.id: json.dumps(_body(dashboard), ensure_ascii=False, indent=2).encode() + b"\n"
        for dashboard in DASHBOARDS
    }


def _body(dashboard: Dashboard) -> Body:
    refresh = {"pause": not dashboard.refresh, "value": dashboard.refresh * 1000}
    return {
        "title": dashboard.title,
        "description": dashboard.description,
        "time_range": {"from": dashboard.since, "to": "now"},
        "refresh_interval": refresh,
        "panels": [_panel(panel, place) for panel, place in dashboard.placed()],
    }


def _panel(panel: Panel, place: Place) -> Body:
    return {
        "type": "vis",
        "id": panel.key,
        "grid": {"x": place.x, "y": place.y, "w": place.w, "h": place.h},
        "config": _config(panel),
    }


def _config(panel: Panel) -> Body:
    shared = {"title": panel.title, "query": _query(panel.where)}
    measures = [_measure(measure) for measure in panel.measures]
    match panel:
        case Number():
            metrics = [{"type": "primary", **measure} for measure in measures]
            return {"type": "metric", **shared, "hide_title": True, "data_source": SOURCE,
                    "metrics": metrics}  # fmt: skip
        case Table(rows=rows):
            named = [{**_values(row), "label": row.label} for row in rows]
            return {"type": "data_table", **shared, "data_source": SOURCE, "metrics": measures,
                    "rows": named, "styling": {"paging": 10}}  # fmt: skip
        case Series():
            return {"type": "xy", **shared, **_chart(panel, measures)}
        case _:
            raise TypeError(panel)


def _chart(panel: Series, measures: Sequence[Body]) -> Body:
    layer: Body = {
        "type": "line" if panel.is_line else "bar_stacked",
        "data_source": SOURCE,
        "x": {"operation": "date_histogram", "field": TIME},
        "y": list(measures),
    }
    if panel.by is not None:
        layer["breakdown_by"] = _values(panel.by)
    legend = {"visibility": "visible", "placement": "outside", "position": "bottom"}
    return {
        "layers": [layer],
        "legend": {**legend, "layout": {"type": "list"}},
        "axis": {"x": {"title": {"visible": False}}},
    }


def _measure(measure: Measure) -> Body:
    body: Body = {"operation": str(measure.operation), "label": measure.label}
    if measure.of:
        body["field"] = measure.of
    if measure.operation == Operation.PERCENTILE:
        body["percentile"] = measure.percentile
    if measure.where:
        body["filter"] = _query(measure.where)
    if measure.within:
        body["reduced_time_range"] = measure.within
    return body


def _values(values: Values) -> Body:
    first = {"type": "metric", "metric_index": 0, "direction": "desc"}
    return {
        "operation": "terms",
        "fields": [values.field],
        "limit": values.most,
        "rank_by": {"type": "alphabetical", "direction": "asc"} if values.by_name else first,
    }


def _query(where: Where) -> dict[str, str]:
    return {"language": "kql", "expression": kql(where)}
