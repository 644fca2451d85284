"""What Prometheus reads is what stands in the tables and what was counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import promql_parser
import pytest
import yaml
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from consumers import metrics
from consumers.metrics import Standing
from consumers.tests.origins import Elsewhere, number_all, three_people_of
from customers.search import search
from events import contacts, recovery, streams
from events.contacts import Said
from ops.databases import DatabaseUrls
from ops.ports import free_port
from tests.environment import ENVIRONMENT, test_key
from tests.locations import CHECKOUT, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("R05")]

ALERTS = CHECKOUT / "ops" / "prometheus" / "alerts.yml"


def scraped(registry: CollectorRegistry | None = None) -> dict[str, float]:
    """Return ``{"name label …": value}`` of what a scrape shows."""
    if registry is None:
        registry = CollectorRegistry()
        registry.register(Standing())
    return parsed(generate_latest(registry).decode())


def parsed(text: str) -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_gauges_are_the_figures_of_the_tables(databases, applier):
    applier.apply(three_people_of(databases)[0])
    pen = Elsewhere("loc1", time.time_ns() // 1000 - 60_000_000)
    pen.create(11, surname="Own")
    number_all("loc1", streams.own_key())
    pen.create(12, surname="Waiting")
    heads = {"loc2": {"epoch": 1, "seq": 9, "chain": "00"}}
    contacts.note("loc2", Said(heads, "", {}, 0), 17)
    found = scraped()
    assert found["sins_database_up"] == 1
    assert found["sins_outbox_events"] == 1
    assert found["sins_outbox_oldest_seconds"] > 0
    assert found["sins_unreplicated_events"] == 2
    assert found["sins_peer_lag_events loc2"] == 4
    assert found["sins_peer_reachable loc2"] == 1
    assert found["sins_peer_reachable loc3"] == 0
    assert found["sins_peer_clock_offset_ms loc2"] == 17
    assert "sins_peer_clock_offset_ms loc3" not in found
    assert found["sins_recovering"] == 0
    assert "sins_shipping_lag_seconds" not in found
    recovery.begin()
    assert scraped()["sins_recovering"] == 1


def test_shipping_lag_where_there_is_shipping(settings):
    settings.ELASTICSEARCH_HOST = "http://127.0.0.1:9"
    assert scraped()["sins_shipping_lag_seconds"] >= 0


def test_without_a_database_it_says_so(monkeypatch):
    def gone(**_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(metrics, "sync_status", gone)
    assert scraped() == {"sins_database_up": 0}


def test_requests_searches_and_applied_events_are_counted(databases, applier, client: Client):
    def now() -> dict[str, float]:
        return scraped(REGISTRY)

    before = now()
    client.get("/healthz")
    search("Person", "fuzzy", 5)
    applier.apply(three_people_of(databases)[0])
    found = now()

    def gained(name: str) -> float:
        return found[name] - before.get(name, 0)

    assert gained("sins_requests_total GET healthz 200") == 1
    assert gained("sins_request_seconds_count healthz") == 1
    assert gained("sins_search_seconds_count fuzzy") == 1
    assert gained("sins_events_applied_total loc2 pull") == 5


@pytest.fixture
def environment(fresh_database: DatabaseUrls, tmp_path: Path) -> dict[str, str]:
    return {
        **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
        **ENVIRONMENT,
        "DJANGO_SETTINGS_MODULE": "sins.settings",
        "LOCATION_ID": "loc1",
        "SECRET_KEY": "only-for-tests-" * 4,
        "LOCATION_KEY": test_key("location key of loc1"),
        "DATABASE_URL": fresh_database.application,
        "PEERS": "{}",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
    }


def test_one_address_shows_what_all_processes_counted(environment: dict[str, str]):
    count = "import events.measures as m; m.numbered.inc(3)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], cwd=CHECKOUT, env=environment, check=True)
    command = [sys.executable, "manage.py", "serve_metrics"]
    server = subprocess.Popen(command, cwd=CHECKOUT, env=environment)
    shown: dict[str, float] = {}

    def answers() -> bool:
        try:
            text = httpx.get(f"http://{environment['METRICS_ADDRESS']}/metrics", trust_env=False)
        except httpx.HTTPError:
            return False
        shown.update(parsed(text.text))
        return True

    try:
        wait_until(answers, 60)
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert shown["sins_events_numbered_total"] == 6
    assert shown["sins_database_up"] == 1


def test_without_a_directory_nothing_is_left_anywhere(environment: dict[str, str], tmp_path: Path):
    told = {**environment, "PROMETHEUS_MULTIPROC_DIR": "", "PYTHONPATH": str(CHECKOUT)}
    count = "import events.measures as m; m.numbered.inc(3)"
    subprocess.run([sys.executable, "-c", count], cwd=tmp_path, env=told, check=True)
    assert list(tmp_path.glob("*.db")) == []


def test_a_taken_address_is_said(settings, monkeypatch):
    def taken(*_: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr("consumers.management.commands.serve_metrics.start_http_server", taken)
    settings.METRICS_ADDRESS = "127.0.0.1:9100"
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:9100: Address already in use"):
        call_command("serve_metrics")


def test_alert_rules_are_valid_and_about_metrics_there_are(monkeypatch):
    monkeypatch.setattr(settings, "ELASTICSEARCH_HOST", "http://127.0.0.1:9")
    kinds = [*Standing().collect(), *REGISTRY.collect()]
    known = {sample for kind in kinds for sample in _samples(kind.name, kind.type)}
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    operations = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    for rule in rules:
        promql_parser.parse(rule["expr"])
        used = set(re.findall(r"\bsins_\w+", rule["expr"]))
        assert used, rule
        assert used <= known, (rule["alert"], used - known)
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert rule["annotations"]["summary"].endswith((".", "?"))
        assert f"`{rule['alert']}`" in operations, "says what to do"
    connection.close()


def _samples(name: str, kind: str) -> set[str]:
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    return {name + ending for ending in endings.get(kind, [""])}
