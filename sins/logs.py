"""Logs as JSON, one line an event, on stderr; never a personal value.

Our own lines have a constant event name and fields that their author chose. Of foreign lines only
the template is kept, of exceptions only the type and the places: texts may quote what was typed.
"""

from __future__ import annotations

import logging
import logging.config
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Requests have their own line, with the route's name and not the address.
SILENCED = ("django.server", "django.security", "httpx", "httpcore", "elastic_transport")


def value_free_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by the exception's type and the places it went through."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        chain: list[dict[str, Any]] = []
        while error is not None and len(chain) < 5:
            frames = traceback.extract_tb(error.__traceback__)[-12:]
            places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            chain.append({"type": kind, "at": places})
            context = None if error.__suppress_context__ else error.__context__
            error = error.__cause__ or context
        event["exception"] = chain
    return event


def value_free_foreign(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Keep a foreign line's template, not what was filled in."""
    record: logging.LogRecord = event["_record"]
    event["event"] = str(record.msg)
    return event


def logging_configuration(location_id: str) -> dict[str, Any]:
    """Return Django's LOGGING; ``configure`` applies it."""
    shared = _shared_processors(location_id)
    json = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        "foreign_pre_chain": [value_free_foreign, *shared],
    }
    stderr = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "json"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "shared_processors": shared,
        "formatters": {"json": json},
        "handlers": {"stderr": stderr},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            **{name: {"level": "CRITICAL", "propagate": True} for name in SILENCED},
            "django.request": {"level": "ERROR", "propagate": True},
            "gunicorn.error": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        },
    }


def _shared_processors(location_id: str) -> list[Processor]:
    def with_location(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("location", location_id)
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        with_location,
        value_free_exception,
    ]


def configure(configuration: Mapping[str, Any]) -> None:
    """Set up structlog and the standard library's logging alike."""
    shared: list[Processor] = configuration["shared_processors"]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    rest = {name: value for name, value in configuration.items() if name != "shared_processors"}
    logging.config.dictConfig(rest)
    logging.captureWarnings(capture=True)
