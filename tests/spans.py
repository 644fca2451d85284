"""The spans that a block makes, kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from events import spans


@contextmanager
def kept_spans() -> Iterator[InMemorySpanExporter]:
    """Make spans as with a collector, and keep them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.send_to(provider)
    try:
        yield exporter
    finally:
        spans.send_to(None)
        provider.shutdown()
