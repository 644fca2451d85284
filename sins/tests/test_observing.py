"""Sentry and OpenTelemetry: off unless switched on, and then without a personal value."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sentry_sdk
from django.test import Client
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from customers.tests.browsing import sign_in
from events import spans
from events.spans import ExtraMissing
from sins.observing import start_sentry, value_free
from tests.spans import kept_spans

pytestmark = pytest.mark.feature("R05")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    with kept_spans() as exporter:
        yield exporter


@pytest.mark.django_db
def test_a_request_is_a_span_of_its_callers_trace(client: Client, exported: InMemorySpanExporter):
    sign_in(client, "agent")
    parent = f"00-{TRACE}-00f067aa0ba902b7-01"
    answer = client.get("/customers/?q=Canary7q4x", headers={"traceparent": parent})
    assert answer["X-Request-ID"] == TRACE
    [found] = exported.get_finished_spans()
    assert found.context is not None
    assert f"{found.context.trace_id:032x}" == TRACE
    assert dict(found.attributes or {}) == {
        "http.request.method": "GET", "http.route": "customers:list",
        "http.response.status_code": 200}  # fmt: skip
    assert "Canary7q4x" not in found.to_json()


def test_an_error_inside_a_span_leaves_no_word(exported: InMemorySpanExporter):
    with pytest.raises(ValueError, match="Canary"), spans.span("request", ""):
        refuse("Canary7q4x")
    [found] = exported.get_finished_spans()
    assert "Canary7q4x" not in found.to_json()


def test_without_a_collector_nothing_is_made(client: Client):
    spans.start("loc1")
    with spans.span("request", "") as note:
        note({"sins.seq": 1})
    assert client.get("/healthz").status_code == 200


def test_what_is_switched_on_but_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(spans.ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ExtraMissing, match="opentelemetry-sdk is not installed"):
        spans.start("loc1")
    monkeypatch.setitem(__import__("sys").modules, "sentry_sdk", None)
    with pytest.raises(ExtraMissing, match="sentry-sdk is not installed"):
        start_sentry("http://key@127.0.0.1:1/1", "loc1")


def test_an_error_leaves_with_its_type_and_places_only(monkeypatch: pytest.MonkeyPatch):
    sent: list[dict[str, object]] = []
    start_sentry("http://key@127.0.0.1:1/1", "loc1")
    client = sentry_sdk.get_client()
    monkeypatch.setattr(client.transport, "capture_envelope", lambda envelope: sent.append(
        json.loads(envelope.items[0].get_bytes())))  # fmt: skip
    sentry_sdk.set_user({"username": "Canary7q4x"})
    sentry_sdk.add_breadcrumb(message="Canary7q4x")
    try:
        refuse("Canary7q4x")
    except ValueError:
        sentry_sdk.capture_exception()
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.init()
    [event] = sent
    assert "Canary7q4x" not in json.dumps(event)
    assert event["tags"] == {"location": "loc1"}
    [error] = event["exception"]["values"]  # type: ignore[index]
    assert error["type"] == "ValueError"
    assert error["stacktrace"]["frames"][-1]["function"] == "refuse"


def refuse(typed: str) -> None:
    raise ValueError(f"{typed} is no date")


def test_an_event_without_an_exception_is_empty():
    assert value_free({"message": "Canary7q4x", "level": "error"}, "loc1") == {
        "level": "error", "tags": {"location": "loc1"}, "exception": {"values": []}}  # fmt: skip
