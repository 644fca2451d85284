"""The check of the fault run finds what it is there to find."""

from __future__ import annotations

from typing import Any

import pytest

from ops.chaos.processes.history import ACKNOWLEDGED, REFUSED, UNKNOWN
from ops.demo.places import LOCATIONS
from tests.faults.checking import check_writes
from tests.faults.writing import History, Write

Log = dict[str, list[dict[str, Any]]]


def line_of(write: Write) -> dict[str, Any]:
    return {
        "request_id": write.request_id,
        "event_id": write.entity_uid,
        "origin": write.location,
        "entity_uid": write.entity_uid,
        "group": write.group,
        "after": {"value": write.value},
    }


@pytest.fixture
def history() -> History:
    history = History()
    for number, outcome in enumerate((ACKNOWLEDGED, UNKNOWN, REFUSED)):
        write = Write("loc2", "PATCH", "/customers/x", f"uid {number}", "notes", f"text {number}")
        write.outcome = outcome
        history.sent(write)
    return history


@pytest.fixture
def log(history: History) -> Log:
    """The log of all locations; the unknown write has been made."""
    return {name: [line_of(write) for write in history.writes[:2]] for name in LOCATIONS}


def test_what_is_right_passes(history: History, log: Log) -> None:
    check_writes(history, log)
    for lines in log.values():
        del lines[1]  # nowhere
    check_writes(history, log)


def lose_acknowledged(history: History, log: Log) -> None:
    for lines in log.values():
        del lines[0]


def lose_unknown_at_one(history: History, log: Log) -> None:
    del log["loc3"][1]


def keep_refused(history: History, log: Log) -> None:
    for lines in log.values():
        lines.append(line_of(history.writes[2]))


def make_unasked(history: History, log: Log) -> None:
    for lines in log.values():
        lines.append(lines[0] | {"request_id": "of nobody"})


def make_twice(history: History, log: Log) -> None:
    for lines in log.values():
        lines.append(lines[0] | {"event_id": "another"})


def change_value(history: History, log: Log) -> None:
    for lines in log.values():
        lines[0]["after"] = {"value": "other"}


def refuse_without_reason(history: History, log: Log) -> None:
    history.writes[2].status = 400


@pytest.mark.parametrize(
    "spoil",
    [
        lose_acknowledged, lose_unknown_at_one, keep_refused, make_unasked, make_twice,
        change_value, refuse_without_reason,
    ],
)  # fmt: skip
def test_what_is_wrong_fails(history: History, log: Log, spoil: Any) -> None:
    spoil(history, log)
    with pytest.raises(AssertionError):
        check_writes(history, log)
