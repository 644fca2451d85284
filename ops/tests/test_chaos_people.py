"""What people read is the same everywhere, and what clients were told; else it is a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ops.chaos.processes.history import (
    ACKNOWLEDGED,
    DIVERGENT,
    LOST,
    MISTAKEN,
    PHANTOM,
    REFUSED,
    UNKNOWN,
    Write,
)
from ops.chaos.processes.judging import IMPORT
from ops.chaos.processes.people import Read, compared
from ops.demo.places import LOCATIONS

Found = dict[str, Read]


def write(number: int, outcome: str) -> Write:
    uid, wanted = f"uid {number}", {"notes": f"text {number}", "name": f"name {number}"}
    path, request_id = f"/customers/{uid}", f"request {number}"
    return Write("loc2", "PATCH", path, (uid,), wanted, request_id, False, request_id, outcome)


def lines_of(write: Write) -> list[dict[str, Any]]:
    return [
        {
            "request_id": write.request_id if write.method != IMPORT else "of the command",
            "event_id": f"event of {uid}", "origin": write.location, "entity_uid": uid,
            "event_type": "customers.details_changed", "group": group, "after": {"value": value},
        }
        for uid in write.uids
        for group, value in write.wanted.items()
    ]  # fmt: skip


@pytest.fixture
def writes() -> list[Write]:
    asked = [write(n, each) for n, each in enumerate((ACKNOWLEDGED, UNKNOWN, REFUSED))]
    asked[2].status = 412
    batch = Write("loc1", IMPORT, "", ("one", "other"), {"surname": "x"}, "batch", False, "batch")
    batch.outcome = ACKNOWLEDGED
    return [*asked, batch]


@pytest.fixture
def found(writes: list[Write]) -> Found:
    """What is read at all locations; the unknown write has been made."""
    made = [writes[0], writes[1], writes[3]]
    return {
        name: ([line for each in made for line in lines_of(each)], {"uid 0": ["a version"]})
        for name in LOCATIONS
    }


def kinds(found: Found, writes: list[Write]) -> set[str]:
    return {kind for kind, _ in compared(found, writes)}


def test_what_is_right_passes(found: Found, writes: list[Write]) -> None:
    assert kinds(found, writes) == set()
    for log, _ in found.values():
        registry = {"event_type": "events.location_key_added", "request_id": "of the command"}
        log.append({**log[0], **registry, "event_id": "of the registry"})
        del log[2:4]  # the unknown one is nowhere
    assert kinds(found, writes) == set()


def lose_acknowledged(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        del log[:2]


def lose_unknown_at_one(found: Found, writes: list[Write]) -> None:
    del found["loc3"][0][2:4]


def lose_a_field(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        del log[0]


def keep_refused(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        log.extend(lines_of(writes[2]))


def make_unasked(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        log.append({**log[0], "request_id": "of nobody", "event_id": "another"})


def make_twice(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        log.extend([{**line, "event_id": "another"} for line in log[:2]])


def change_value(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        log[0]["after"] = {"value": "other"}


def hide_value(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        log[0]["after"] = None


def change_history(found: Found, writes: list[Write]) -> None:
    found["loc2"][1]["uid 0"] = []


def lose_of_file(found: Found, writes: list[Write]) -> None:
    for log, _ in found.values():
        del log[-1]


def refuse_without_reason(found: Found, writes: list[Write]) -> None:
    writes[2].status = 400


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lose_acknowledged, LOST),
        (lose_unknown_at_one, DIVERGENT),
        (lose_a_field, PHANTOM),
        (keep_refused, PHANTOM),
        (make_unasked, PHANTOM),
        (make_twice, PHANTOM),
        (change_value, PHANTOM),
        (hide_value, PHANTOM),
        (change_history, DIVERGENT),
        (lose_of_file, DIVERGENT),
        (refuse_without_reason, MISTAKEN),
    ],
)
def test_what_is_wrong_fails(
    found: Found, writes: list[Write], spoil: Callable[[Found, list[Write]], None], kind: str
) -> None:
    spoil(found, writes)
    assert kinds(found, writes) == {kind}
