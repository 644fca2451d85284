"""Spans for OpenTelemetry, where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set; else they cost nothing.

A span is named by a constant or a route's pattern, and its attributes hold no personal values:
what instruments libraries by itself would send addresses with what was searched for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
Attributes = Mapping[str, str | int]

_tracer: Any = None


class ExtraMissing(Exception):
    """Something is switched on whose package is not installed."""

    def __init__(self, variable: str, package: str) -> None:
        super().__init__(
            f"{variable} is set, but {package} is not installed:"
            " pip install --require-hashes -r requirements-observing.txt"
        )


def start(location: str) -> None:
    """Send spans to the collector that the environment names, if it names one."""
    if not os.environ.get(ENDPOINT):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        raise ExtraMissing(ENDPOINT, "opentelemetry-sdk") from exc
    resource = Resource.create({"service.name": "sins", "service.instance.id": location})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    send_to(provider)


def send_to(provider: Any) -> None:
    """Let spans be made by a tracer provider; ``None`` makes none."""
    global _tracer  # noqa: PLW0603 - one per process, set when it starts
    _tracer = None if provider is None else provider.get_tracer("sins")


@contextmanager
def span(name: str, traceparent: str) -> Iterator[Callable[[Attributes], None]]:
    """Record what the block does as a child of ``traceparent``; it may add attributes."""
    if _tracer is None:
        yield lambda _: None
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    with _tracer.start_as_current_span(
        name, parent, record_exception=False, set_status_on_exception=False
    ) as current:
        yield current.set_attributes
