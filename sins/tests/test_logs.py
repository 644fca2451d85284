"""Log lines are JSON and repeat nothing that was typed."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sins.logs import logging_configuration


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged in the test, parsed when the test looks."""
    configuration = logging_configuration("loc7")
    spec = configuration["formatters"]["json"]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=spec["processors"], foreign_pre_chain=spec["foreign_pre_chain"]
    )
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()  # noqa: TID251 - the handler under test
    root.addHandler(handler)

    class Lines(list[dict[str, Any]]):
        def __iter__(self) -> Iterator[dict[str, Any]]:
            return iter([json.loads(line) for line in stream.getvalue().splitlines()])

    yield Lines()
    root.removeHandler(handler)


@pytest.mark.feature("R04")
def test_our_line_has_event_fields_and_context(lines: list[dict[str, Any]]) -> None:
    with structlog.contextvars.bound_contextvars(request_id="abcdefgh"):
        structlog.get_logger("sins.test").info("it_happened", count=3)
    (line,) = lines
    assert line["event"] == "it_happened"
    assert (line["count"], line["request_id"], line["level"]) == (3, "abcdefgh", "info")
    assert line["at"].endswith("Z")


def test_foreign_line_keeps_only_its_template(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("elsewhere").warning("cannot find %s", "Canary")  # noqa: TID251
    (line,) = lines
    assert line["event"] == "cannot find %s"
    assert line["location"] == "loc7"


def test_exception_is_its_type_and_places(lines: list[dict[str, Any]]) -> None:
    log = structlog.get_logger("sins.test")
    try:
        try:
            os.environ["CANARY"]
        except KeyError as exc:
            raise ValueError("no Canary here") from exc
    except ValueError:
        log.exception("it_failed")
    (line,) = lines
    assert [part["type"] for part in line["exception"]] == [
        "builtins.ValueError",
        "builtins.KeyError",
    ]
    assert "test_exception_is_its_type_and_places" in line["exception"][0]["at"][-1]
    assert "canary" not in json.dumps(line).lower()
