"""JSON Schemas of what the dashboards use of Kibana 9.5, and of nothing else it knows.

Saved objects are checked with their texts in JSON read; what is not named here is refused.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
ID: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"}
FLAG: Schema = {"type": "boolean"}
NOTHING: Schema = {"type": "array", "maxItems": 0}
EMPTY: Schema = {"type": "object", "maxProperties": 0}
SINCE: Schema = {"type": "string", "pattern": "^now-[0-9]+[hd]$"}
PART: Schema = {"type": "string", "pattern": "^[0-9]+[smhd]$"}
PERCENT: Schema = {"type": "integer", "minimum": 1, "maximum": 99}
MOST: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}


def shape(optional: Schema | None = None, /, **required: Any) -> Schema:
    """Return the schema of an object that has these properties, perhaps those, and no others.

    A value that is no schema is the only one allowed.
    """
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "properties": {
            name: value if isinstance(value, dict) else {"const": value}
            for name, value in properties.items()
        },
        "required": list(required),
        "additionalProperties": False,
    }


def some(items: Schema, most: int = 100) -> Schema:
    """Return the schema of a list that is not empty."""
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def one_of(*schemas: Schema) -> Schema:
    return {"oneOf": list(schemas)}


def any_of(*values: str) -> Schema:
    return {"enum": list(values)}


GRID = {
    "x": {"type": "integer", "minimum": 0, "maximum": 47},
    "y": {"type": "integer", "minimum": 0},
    "w": {"type": "integer", "minimum": 1, "maximum": 48},
    "h": {"type": "integer", "minimum": 1},
}
REFRESH = shape(pause=FLAG, value={"type": "integer", "minimum": 0})

# Lens: columns of numbers and of buckets, by their operation.
KUERY = shape(language="kuery", query={"type": "string"})
NARROWED = {"filter": KUERY, "reducedTimeRange": PART, "customLabel": True}
NUMBER = {"label": TEXT, "dataType": "number", "isBucketed": False, "scale": "ratio"}
COUNTED = shape({"emptyAsNull": FLAG})
ORDER = one_of(shape(type="column", columnId=ID), shape({"fallback": FLAG}, type="alphabetical"))
TERMS = shape(
    {"include": NOTHING, "exclude": NOTHING, "includeIsRegex": False, "excludeIsRegex": False},
    size=MOST,
    orderBy=ORDER,
    orderDirection=any_of("asc", "desc"),
    otherBucket=False,
    missingBucket=False,
    parentFormat=shape(id="terms"),
)
COLUMN = one_of(
    shape(NARROWED, operationType="count", sourceField="___records___", params=COUNTED, **NUMBER),
    shape(NARROWED, operationType="unique_count", sourceField=TEXT, params=COUNTED, **NUMBER),
    shape(NARROWED, operationType="max", sourceField=TEXT, params=EMPTY, **NUMBER),
    shape(NARROWED, operationType="percentile", sourceField=TEXT,
          params=shape(percentile=PERCENT), **NUMBER),
    shape(
        operationType="date_histogram",
        sourceField="@timestamp",
        label=TEXT,
        dataType="date",
        isBucketed=True,
        scale="interval",
        params=shape({"includeEmptyRows": FLAG, "dropPartials": FLAG}, interval="auto"),
    ),
    shape(
        {"customLabel": True},
        operationType="terms",
        sourceField=TEXT,
        label=TEXT,
        dataType="string",
        isBucketed=True,
        scale="ordinal",
        params=TERMS,
    ),
)  # fmt: skip
LAYER = shape(
    {"sampling": {"const": 1}},
    columns={"type": "object", "minProperties": 1, "additionalProperties": COLUMN},
    columnOrder=some(ID),
    incompleteColumns=EMPTY,
)
ONE_LAYER = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": LAYER,
}

# Lens: the three charts.
METRIC = shape(layerId=ID, layerType="data", metricAccessor=ID)
TABLE = shape(
    {"paging": shape(enabled=True, size={"const": 10})},
    layerId=ID,
    layerType="data",
    columns=some(shape(columnId=ID, isTransposed=False, isMetric=FLAG)),
)
SERIES = any_of("line", "bar_stacked")
XY = shape(
    {
        "valueLabels": "hide",
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": shape(x=FLAG, yLeft=FLAG, yRight=FLAG),
    },
    preferredSeriesType=SERIES,
    legend=shape({"showSingleSeries": FLAG}, isVisible=FLAG, position=any_of("bottom", "right")),
    layers=some(
        shape(
            {"splitAccessor": ID},
            layerId=ID,
            layerType="data",
            seriesType=SERIES,
            xAccessor=ID,
            accessors=some(ID),
        ),
        most=1,
    ),
)
REFERENCE = shape(type="index-pattern", id=ID, name=TEXT)


def _lens(kind: str, visualization: Schema) -> Schema:
    state = shape(
        query=KUERY,
        filters=NOTHING,
        internalReferences=NOTHING,
        adHocDataViews=EMPTY,
        datasourceStates=shape(formBased=shape(layers=ONE_LAYER)),
        visualization=visualization,
    )
    return shape(
        title=TEXT,
        description={"type": "string"},
        type="lens",
        visualizationType=kind,
        references=some(REFERENCE, most=1),
        state=state,
    )


LENS = one_of(_lens("lnsMetric", METRIC), _lens("lnsDatatable", TABLE), _lens("lnsXY", XY))
PANEL = shape(
    type="lens",
    title=TEXT,
    panelIndex=ID,
    gridData=shape(**GRID, i=ID),
    embeddableConfig=shape({"hidePanelTitles": True}, attributes=LENS, enhancements=EMPTY),
)

# Saved objects.
SOURCE = shape(
    {"indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index"}, query=KUERY, filter=NOTHING
)
META = shape(searchSourceJSON=SOURCE)
DATA_VIEW = shape(title="sins-tx-*", name=TEXT, timeFieldName="@timestamp")
SEARCH = shape(
    title=TEXT,
    description=TEXT,
    columns=some(TEXT),
    sort={"const": [["@timestamp", "desc"]]},
    grid=EMPTY,
    hideChart=FLAG,
    isTextBasedQuery=False,
    timeRestore=True,
    timeRange=shape({"to": "now"}, **{"from": SINCE}),
    kibanaSavedObjectMeta=META,
)
OPTIONS = ("useMargins", "hidePanelTitles", "syncColors", "syncCursor", "syncTooltips")
DASHBOARD = shape(
    title=TEXT,
    description=TEXT,
    version={"const": 1},
    timeRestore=True,
    timeFrom=SINCE,
    timeTo="now",
    refreshInterval=REFRESH,
    optionsJSON=shape(dict.fromkeys(OPTIONS, FLAG)),
    kibanaSavedObjectMeta=META,
    panelsJSON=some(PANEL),
)


def _saved_object(kind: str, version: str, attributes: Schema) -> Schema:
    return shape(
        type=kind,
        id=ID,
        attributes=attributes,
        references={"type": "array", "items": REFERENCE},
        coreMigrationVersion="8.8.0",
        typeMigrationVersion=version,
        managed=False,
    )


SAVED_OBJECT = one_of(
    _saved_object("index-pattern", "8.0.0", DATA_VIEW),
    _saved_object("search", "10.5.0", SEARCH),
    _saved_object("dashboard", "10.3.0", DASHBOARD),
)

# The Dashboards API.
KQL = shape(language="kql", expression={"type": "string"})
VIEW = shape(type="data_view_reference", ref_id="sins-tx")
API_NARROWED = {"filter": KQL, "reduced_time_range": PART}
RANK = one_of(
    shape(type="alphabetical", direction=any_of("asc", "desc")),
    shape(type="metric", metric_index={"type": "integer"}, direction=any_of("asc", "desc")),
)


def _api_measure(**more: str) -> Schema:
    return one_of(
        shape(API_NARROWED, operation="count", label=TEXT, **more),
        shape(API_NARROWED, operation="unique_count", field=TEXT, label=TEXT, **more),
        shape(API_NARROWED, operation="max", field=TEXT, label=TEXT, **more),
        shape(API_NARROWED, operation="percentile", field=TEXT, percentile=PERCENT, label=TEXT,
              **more),
    )  # fmt: skip


API_TERMS = {"operation": "terms", "fields": some(TEXT, 4), "limit": MOST, "rank_by": RANK}
API_XY = shape(
    type="xy",
    title=TEXT,
    query=KQL,
    layers=some(
        shape(
            {"breakdown_by": shape(**API_TERMS)},
            type=SERIES,
            data_source=VIEW,
            x=shape(operation="date_histogram", field="@timestamp"),
            y=some(_api_measure()),
        )
    ),
    legend=shape(
        visibility=any_of("auto", "visible", "hidden"),
        placement="outside",
        position=any_of("top", "bottom"),
        layout=shape(type="list"),
    ),
    axis=shape(x=shape(title=shape(visible=FLAG))),
)
API_METRIC = shape(
    type="metric",
    title=TEXT,
    hide_title=True,
    query=KQL,
    data_source=VIEW,
    metrics=some(_api_measure(type="primary"), most=2),
)
API_TABLE = shape(
    type="data_table",
    title=TEXT,
    query=KQL,
    data_source=VIEW,
    metrics=some(_api_measure()),
    rows=some(shape(**API_TERMS, label=TEXT), most=50),
    styling=shape(paging={"enum": [10, 20, 30, 50, 100]}),
)
API_BODY = shape(
    title=TEXT,
    description=TEXT,
    time_range=shape({"to": "now"}, **{"from": SINCE}),
    refresh_interval=REFRESH,
    panels=some(
        shape(
            type="vis",
            id=ID,
            grid=shape(**GRID),
            config=one_of(API_METRIC, API_TABLE, API_XY),
        )
    ),
)
