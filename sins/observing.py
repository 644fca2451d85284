"""Errors to Sentry, where ``SENTRY_DSN`` is set: types and places, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from events.spans import ExtraMissing

# What may leave; texts, variables, addresses, breadcrumbs and users may quote what was typed.
_OF_EVENT = ("event_id", "timestamp", "level", "platform", "release", "environment", "sdk")
_OF_FRAME = ("filename", "function", "module", "lineno", "in_app")


def start_sentry(dsn: str, location: str) -> None:
    """Report unforeseen errors; does nothing without a DSN."""
    if not dsn:
        return
    try:
        import sentry_sdk
    except ImportError as exc:
        raise ExtraMissing("SENTRY_DSN", "sentry-sdk") from exc
    sentry_sdk.init(
        dsn,
        before_send=lambda event, _: value_free(event, location),  # type: ignore[arg-type,return-value]
        before_breadcrumb=lambda *_: None,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        traces_sample_rate=0,
        auto_session_tracking=False,
    )


def value_free(event: Mapping[str, Any], location: str) -> dict[str, Any]:
    """Return the event with nothing in it but types, places and the location."""
    kept: dict[str, Any] = {name: event[name] for name in _OF_EVENT if name in event}
    kept["tags"] = {"location": location}
    kept["exception"] = {
        "values": [
            {
                "type": error.get("type"),
                "module": error.get("module"),
                "stacktrace": {"frames": [_places(frame) for frame in _frames(error)]},
            }
            for error in (event.get("exception") or {}).get("values", [])
        ]
    }
    return kept


def _frames(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return (error.get("stacktrace") or {}).get("frames") or []


def _places(frame: Mapping[str, Any]) -> dict[str, Any]:
    return {name: frame[name] for name in _OF_FRAME if name in frame}
