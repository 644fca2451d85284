"""What ``/metrics`` shows: what the processes counted, and how the location stands right now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog
from django.db import DatabaseError, connection
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from consumers import ship_status
from events.measures import DIRECTORY
from events.status import UNEQUAL, sync_status

UNREADABLE: Final = "metrics_without_database"

# Own writes that wait for their number, and for how many seconds the oldest has.
_OUTBOX = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(e.recorded_at)), 0)::float8
FROM events_outbox o JOIN events_event e ON e.tx = o.tx AND e.tx_index = 0
"""

_OF_PEERS: Final = {
    "lag_events": ("lag_events", "Its events that are not here"),
    "reachable": ("reachable", "Whether it answers"),
    "last_contact_seconds": ("silence_seconds", "Time since its last word"),
    "clock_offset_ms": ("clock_offset_ms", "By how much its clock is ahead"),
}

log = structlog.get_logger("consumers.metrics")


class Standing(Collector):
    """How the location stands, asked of its database at each scrape."""

    def collect(self) -> Iterable[Metric]:
        """Return the gauges; without a database only that there is none."""
        try:
            status = sync_status()
            found = [*_own(status), *_peers(status["peers"])]
        except DatabaseError:
            log.warning(UNREADABLE)
            found = []
        finally:
            connection.close()
        is_up = GaugeMetricFamily("sins_database_up", "Whether the database answers")
        is_up.add_metric([], bool(found))
        return [is_up, *found]

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not ask the database."""
        return []


def registry() -> CollectorRegistry:
    """Return what a scrape reads."""
    found = CollectorRegistry() if DIRECTORY else REGISTRY
    if DIRECTORY:
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    found.register(Standing())
    return found


def _own(status: Mapping[str, Any]) -> Iterable[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(_OUTBOX)
        waiting, oldest = cursor.fetchone()
    figures: dict[str, tuple[str, Any]] = {
        "outbox_events": ("Own writes that wait for their number", waiting),
        "outbox_oldest_seconds": ("Since when the oldest of them waits", oldest),
        "unreplicated_events": ("Own events that no peer has", status["unreplicated"]),
        "unreplicated_oldest_seconds": (
            "Age of the oldest of them", status["oldest_unreplicated_seconds"],
        ),
        "dead_letters": ("Bytes that were not received as events", status["dead_letters"]),
        "parked_records": ("Records that wait for an event", status["parked"]),
        "conflicts_open": ("Conflicts nobody has resolved", status["conflicts"]),
        "stuck_streams": ("Streams that do not arrive", len(status["stuck"])),
        "recovering": ("Whether own writes are refused", status["is_recovering"]),
    }  # fmt: skip
    if (lag := ship_status.lag()) is not None:
        figures["shipping_lag_seconds"] = ("Age of the oldest that Elasticsearch lacks", lag)
        figures["unshipped_documents"] = ("Refused by Elasticsearch", ship_status.unshipped())
    for name, (text, value) in figures.items():
        yield GaugeMetricFamily(f"sins_{name}", text, value=float(value or 0))


def _peers(peers: Sequence[Mapping[str, Any]]) -> Iterable[Metric]:
    for key, (name, text) in _OF_PEERS.items():
        family = GaugeMetricFamily(f"sins_peer_{name}", text, labels=["peer"])
        for peer in peers:
            if peer[key] is not None:
                family.add_metric([peer["location"]], float(peer[key]))
        yield family
    unequal = GaugeMetricFamily("sins_peer_unequal", "Whether its records differ", labels=["peer"])
    for peer in peers:
        unequal.add_metric([peer["location"]], peer["state"] == UNEQUAL)
    yield unequal
