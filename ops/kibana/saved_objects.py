"""Data view, search and dashboards as Kibana's saved objects, one in a line of a file.

The version fields say which Kibana wrote objects of this shape; a newer one brings them up to date,
an older one than 9.5 refuses them. Without these fields every migration since 7.x would run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from ops.kibana.dashboards import DASHBOARDS, NEWEST
from ops.kibana.lens import attributes_of
from ops.kibana.panels import INDICES, TIME, Dashboard, Number, Panel, Place, Search, kql

DATA_VIEW: Final = "sins-tx"
INDEX_PATTERN: Final = "index-pattern"  # what saved objects call a data view
SEARCH_SOURCE: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"

Object = dict[str, Any]


def saved_objects() -> Iterator[Object]:
    """Yield every object, those that others refer to first."""
    yield _data_view()
    yield _search(NEWEST)
    for dashboard in DASHBOARDS:
        yield _dashboard(dashboard)


def ndjson() -> bytes:
    """Return the file that Kibana imports."""
    return b"".join(_text(found).encode() + b"\n" for found in saved_objects())


def _data_view() -> Object:
    attributes = {"title": INDICES, "name": "SINS transactions", "timeFieldName": TIME}
    return _object(INDEX_PATTERN, DATA_VIEW, "8.0.0", attributes, [])


def _search(search: Search) -> Object:
    source = {
        "query": {"language": "kuery", "query": kql(search.where)},
        "filter": [],
        "indexRefName": SEARCH_SOURCE,
    }
    attributes = {
        "title": search.title,
        "description": search.description,
        "columns": list(search.columns),
        "sort": [[TIME, "desc"]],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "timeRestore": True,
        "timeRange": {"from": search.since, "to": "now"},
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }
    return _object("search", search.id, "10.5.0", attributes, [_reference(SEARCH_SOURCE)])


def _dashboard(dashboard: Dashboard) -> Object:
    panels = [_panel(panel, place) for panel, place in dashboard.placed()]
    options = {
        "useMargins": True,
        "hidePanelTitles": False,
        "syncColors": False,
        "syncCursor": True,
        "syncTooltips": False,
    }
    everything = {"query": {"language": "kuery", "query": ""}, "filter": []}
    attributes: dict[str, Any] = {
        "title": dashboard.title,
        "description": dashboard.description,
        "version": 1,
        "timeRestore": True,
        "timeFrom": dashboard.since,
        "timeTo": "now",
        "refreshInterval": {"pause": not dashboard.refresh, "value": dashboard.refresh * 1000},
        "optionsJSON": _text(options),
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(everything)},
        "panelsJSON": _text(panels),
    }
    references = [
        {**reference, "name": f"{panel['panelIndex']}:{reference['name']}"}
        for panel in panels
        for reference in panel["embeddableConfig"]["attributes"]["references"]
    ]
    return _object("dashboard", dashboard.id, "10.3.0", attributes, references)


def _panel(panel: Panel, place: Place) -> Object:
    attributes = attributes_of(panel)
    layers = attributes["state"]["datasourceStates"]["formBased"]["layers"]
    names = [f"indexpattern-datasource-layer-{layer}" for layer in layers]
    attributes["references"] = [_reference(name) for name in names]
    config: Object = {"attributes": attributes, "enhancements": {}}
    if isinstance(panel, Number):  # its label says it already
        config["hidePanelTitles"] = True
    return {
        "type": "lens",
        "title": panel.title,
        "panelIndex": panel.key,
        "gridData": {"x": place.x, "y": place.y, "w": place.w, "h": place.h, "i": panel.key},
        "embeddableConfig": config,
    }


def _object(
    kind: str, name: str, version: str, attributes: Object, references: list[Object]
) -> Object:
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": version,
        "managed": False,
    }


def _reference(name: str) -> Object:
    return {"type": INDEX_PATTERN, "id": DATA_VIEW, "name": name}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
