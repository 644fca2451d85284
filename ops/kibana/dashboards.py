"""The dashboards: what happened, how locations keep up with each other, how SINS is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consumers.ship_documents import ACCESS, APPLIED, FAILURE, RECORDED, STATUS
from ops.kibana.panels import (
    Dashboard,
    Measure,
    Number,
    Operation,
    Panel,
    Row,
    Search,
    Series,
    Table,
    Values,
    Where,
)

NUMBER, CHART, SMALL, TABLE = 5, 12, 10, 14  # heights
NOW: Final = "5m"  # a location says once a minute how it stands

LOCATION = Values("service.node.name", "Location", by_name=True)
ORIGIN = Values("sins.origin", "Recorded at", by_name=True)
ACTOR = Values("user.id", "Actor")
ACTION = Values("event.action", "Action")
ENTITY = Values("sins.entity.kind", "Of")
OUTCOME = Values("event.outcome", "Outcome", by_name=True)
KIND = Values("sins.kind", "Kind", by_name=True)
REASON = Values("sins.reason", "Reason")
ROUTE = Values("sins.route", "Route")
STATE = Values("sins.status.state", "State", by_name=True)

IS_RECORDED: Where = {"sins.kind": [RECORDED]}
IS_APPLIED: Where = {"sins.kind": [APPLIED]}
IS_STATUS: Where = {"sins.kind": [STATUS]}
IS_USE: Where = {"event.dataset": [ACCESS]}
IS_REFUSED: Where = {**IS_USE, "event.outcome": [FAILURE]}
IS_SEARCH: Where = {"sins.kind": ["search"]}
IS_SELF_CHECK: Where = {"sins.kind": ["self_check"]}
IS_SIGN_IN: Where = {"sins.kind": ["sign_in"]}
# What somebody wanted to happen, and whether it did.
IS_WANTED: Where = {"sins.kind": [RECORDED, "refusal"]}

EVENTS = Measure("Events")
TRANSACTIONS = Measure("Transactions", Operation.UNIQUE, "sins.tx.id")
ACTORS = Measure("Actors", Operation.UNIQUE, "user.id")
TIMES = Measure("Times")
LAG = "sins.lag_ms"
P50 = Measure("p50 (ms)", Operation.PERCENTILE, LAG, percentile=50)
P95 = Measure("p95 (ms)", Operation.PERCENTILE, LAG, percentile=95)
LONGEST = Measure("Longest (ms)", Operation.MAXIMUM, LAG)
# What a location says of itself, by the field's last word.
STANDING: Final = {
    "lag_events": "Not applied yet",
    "unreplicated": "Not at any peer yet",
    "dead_letters": "Dead letters",
    "parked": "Parked records",
    "conflicts": "Open conflicts",
    "unshipped": "Refused by Elasticsearch",
}


def _number(key: str, title: str, measure: Measure, where: Where) -> Number:
    return Number(key, title, [measure], where)


def _lag_over_time(key: str, title: str, measure: Measure) -> Series:
    return Series(key, title, [measure], IS_APPLIED, LOCATION, is_line=True)


def _standing(name: str, within: str = "") -> Measure:
    return Measure(STANDING[name], Operation.MAXIMUM, f"sins.status.{name}", within=within)


def _standing_over_time(*names: str) -> Sequence[Panel]:
    return [
        Series(name, STANDING[name], [_standing(name)], IS_STATUS, LOCATION, is_line=True)
        for name in names
    ]


WHAT_HAPPENED = Dashboard(
    "sins-transactions",
    "SINS: Transactions",
    "What was recorded, where, by whom, and what was refused. Events that no member wrote, such as"
    " those of an import, have no actor.",
    "now-7d",
    [
        Row(NUMBER, [
            _number("transactions", "Transactions", TRANSACTIONS, IS_RECORDED),
            _number("events", "Events", EVENTS, IS_RECORDED),
            _number("actors", "Actors", ACTORS, IS_RECORDED),
            _number("refused", "Refused", Measure("Refused"), IS_REFUSED),
        ]),
        Row(CHART, [
            Series("over-time", "Events over time, by location", [EVENTS], IS_RECORDED, LOCATION),
        ]),
        Row(CHART, [
            Series("actions", "Events over time, by action", [EVENTS], IS_RECORDED, ACTION),
            Series("outcomes", "Recorded and refused, over time", [TIMES], IS_WANTED, OUTCOME),
        ]),
        Row(TABLE, [
            Table("by-location", "By location", [
                Measure("Events", where=IS_RECORDED),
                Measure("Transactions", Operation.UNIQUE, "sins.tx.id", where=IS_RECORDED),
                Measure("Applied from others", where=IS_APPLIED),
                Measure("Refused", where=IS_REFUSED),
            ], rows=[LOCATION]),
            Table("by-actor", "By actor", [EVENTS, TRANSACTIONS], IS_RECORDED, [ACTOR]),
        ]),
        Row(TABLE, [
            Table("by-action", "By kind and action", [EVENTS, TRANSACTIONS], IS_RECORDED,
                  [ENTITY, ACTION]),
            Table("by-outcome", "By outcome", [TIMES, ACTORS], IS_WANTED, [OUTCOME, KIND]),
        ]),
    ],
)  # fmt: skip

SYNC_HEALTH = Dashboard(
    "sins-sync-health",
    "SINS: Sync health",
    "How long events take to the other locations, and how each location says it stands. What is"
    " said of the last five minutes is empty for a location that does not report.",
    "now-24h",
    [
        Row(NUMBER, [
            _number("applied", "Applied from others", Measure("Applied from others"), IS_APPLIED),
            _number("lag-p50", "Lag, p50 (ms)", P50, IS_APPLIED),
            _number("lag-p95", "Lag, p95 (ms)", P95, IS_APPLIED),
            _number(
                "reporting",
                "Locations that reported in the last 5 minutes",
                Measure("Reporting now", Operation.UNIQUE, "service.node.name", within=NOW),
                IS_STATUS,
            ),
        ]),
        Row(TABLE, [
            Table("standing", "In the last 5 minutes", [_standing(n, NOW) for n in STANDING],
                  IS_STATUS, [LOCATION]),
        ]),
        Row(CHART, [
            _lag_over_time("lag-p50-over-time", "Lag over time, p50 (ms)", P50),
            _lag_over_time("lag-p95-over-time", "Lag over time, p95 (ms)", P95),
            _lag_over_time("lag-longest-over-time", "Lag over time, longest (ms)", LONGEST),
        ]),
        Row(TABLE, [
            Table("lag-by-origin", "Lag, from where to where", [P50, P95, LONGEST, EVENTS],
                  IS_APPLIED, [ORIGIN, LOCATION]),
            Series("states", "State over time", [Measure("Minutes")], IS_STATUS, STATE),
        ]),
        Row(SMALL, _standing_over_time("lag_events", "unreplicated", "dead_letters")),
        Row(SMALL, _standing_over_time("parked", "conflicts", "unshipped")),
    ],
    refresh=60,
)  # fmt: skip

USE = Dashboard(
    "sins-use",
    "SINS: Use",
    "Searches, self-checks and sign-ins, and what was refused, with the reason and the route.",
    "now-7d",
    [
        Row(NUMBER, [
            _number("searches", "Searches", Measure("Searches"), IS_SEARCH),
            _number("self-checks", "Self-checks", Measure("Self-checks"), IS_SELF_CHECK),
            _number("sign-ins", "Sign-ins", Measure("Sign-ins"), IS_SIGN_IN),
            _number("refused", "Refused", Measure("Refused"), IS_REFUSED),
        ]),
        Row(CHART, [
            Series("kinds", "Use over time", [TIMES], IS_USE, KIND),
        ]),
        Row(CHART, [
            Series("searches-over-time", "Searches over time, by location", [TIMES], IS_SEARCH,
                   LOCATION),
            Series("self-checks-over-time", "Self-checks over time, by outcome", [TIMES],
                   IS_SELF_CHECK, OUTCOME),
        ]),
        Row(CHART, [
            Series("sign-ins-over-time", "Sign-ins over time, by outcome", [TIMES], IS_SIGN_IN,
                   OUTCOME),
            Series("refused-over-time", "Refused over time, by reason", [TIMES], IS_REFUSED,
                   REASON),
        ]),
        Row(TABLE, [
            Table("refused-by-reason", "Refused, by reason", [TIMES, ACTORS], IS_REFUSED,
                  [REASON, KIND]),
            Table("refused-by-route", "Refused, by route", [TIMES, ACTORS], IS_REFUSED,
                  [ROUTE, REASON]),
        ]),
        Row(TABLE, [
            Table("searches-by-actor", "Who searches most", [TIMES], IS_SEARCH, [ACTOR, LOCATION]),
            Table("use-by-location", "By location", [TIMES, ACTORS], IS_USE, [LOCATION, KIND]),
        ]),
    ],
)  # fmt: skip

DASHBOARDS: Final = (WHAT_HAPPENED, SYNC_HEALTH, USE)

NEWEST = Search(
    "sins-newest",
    "SINS: Newest transactions",
    "What was recorded and what was refused, the newest first.",
    "now-7d",
    [
        "service.node.name",
        "event.action",
        "event.outcome",
        "user.id",
        "sins.entity.kind",
        "sins.entity.uid",
        "sins.groups",
        "sins.reason",
        "sins.route",
        "sins.tx.id",
        "event.sequence",
    ],
    IS_WANTED,
)
