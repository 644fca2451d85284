"""The judge of the chaos runs finds what it is there to find; the history survives its process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ops.chaos.processes.history import (
    ACKNOWLEDGED,
    DIVERGENT,
    LOST,
    MISTAKEN,
    PHANTOM,
    REFUSED,
    UNKNOWN,
    Failure,
    History,
    Write,
)
from ops.chaos.processes.judging import IMPORT, Made, judge

Log = dict[str, list[Made]]
ENTERED = {"method": "POST", "path": "/customers"}


def write(name: str, outcome: str, **changed: object) -> Write:
    found = Write("loc2", "PATCH", "/customers/x", (f"uid {name}",), {"notes": name}, name)
    found.request_id = found.intent = name
    found.outcome, found.status = outcome, 200 if outcome == ACKNOWLEDGED else None
    for attribute, value in changed.items():
        setattr(found, attribute, value)
    return found


def made(write: Write, uid: str | None = None, size: int = 1) -> Made:
    event_id = f"event of {write.request_id} {uid or ''}"
    uid = uid or (write.uids[0] if write.uids else "chosen there")
    return Made(event_id, write.request_id, "loc2", uid, write.request_id, size, write.wanted)


def with_more(made: Made) -> Made:
    return replace(made, groups={**made.groups, "type": "PERSON"})


@pytest.fixture
def writes() -> list[Write]:
    return [
        write("kept", ACKNOWLEDGED),
        write("unsure", UNKNOWN),
        write("refused", REFUSED, status=412),
        write("so already", ACKNOWLEDGED, is_optional=True),
        write("first try", UNKNOWN, intent="one wish", uids=(), **ENTERED),
        write("second try", ACKNOWLEDGED, intent="one wish", uids=(), **ENTERED),
        write("file", ACKNOWLEDGED, method=IMPORT, uids=("a", "b")),
        write("opened", ACKNOWLEDGED, method="POST", path="/customers/x/restore"),
    ]


@pytest.fixture
def log(writes: list[Write]) -> Log:
    by_name: Log = {each.request_id: [] for each in writes}
    kept, unsure, _, _, first, _, file, opened = writes
    by_name |= {each.request_id: [made(each)] for each in (kept, unsure, opened)}
    # Who enters a record says its type and name, too.
    by_name["first try"] = [with_more(made(first))]
    # A file's events bear an id that its sender does not know.
    entered = [with_more(made(file, uid, 2)) for uid in file.uids]
    by_name["file"] = [replace(each, request_id="its own") for each in entered]
    return by_name


def found(writes: list[Write], log: Log, *, is_open: bool = True) -> set[str]:
    lines = [each for lines in log.values() for each in lines]
    return {failure.kind for failure in judge(writes, lines, is_open=is_open)}


def test_what_is_right_passes(writes: list[Write], log: Log) -> None:
    assert found(writes, log) == set()
    log["unsure"] = []  # or nowhere
    assert found(writes, log) == set()


def lose(log: Log, writes: list[Write]) -> None:
    log["kept"] = []


def lose_what_was_said_twice(log: Log, writes: list[Write]) -> None:
    log["first try"] = []


def do_twice_what_was_said_twice(log: Log, writes: list[Write]) -> None:
    log["second try"] = [made(writes[5])]


def do_twice(log: Log, writes: list[Write]) -> None:
    log["kept"].append(replace(log["kept"][0], event_id="another"))


def do_what_was_refused(log: Log, writes: list[Write]) -> None:
    log["refused"] = [made(writes[2])]


def do_what_nobody_asked(log: Log, writes: list[Write]) -> None:
    log["nobody"] = [replace(log["kept"][0], request_id="of nobody", event_id="another")]


def do_elsewhere(log: Log, writes: list[Write]) -> None:
    log["kept"] = [replace(log["kept"][0], origin="loc1")]


def do_to_another(log: Log, writes: list[Write]) -> None:
    log["kept"] = [replace(log["kept"][0], entity_uid="another")]


def do_half(log: Log, writes: list[Write]) -> None:
    log["kept"] = [replace(log["kept"][0], groups={})]


def do_more(log: Log, writes: list[Write]) -> None:
    log["kept"] = [with_more(log["kept"][0])]


def open_and_do_more(log: Log, writes: list[Write]) -> None:
    log["opened"] = [with_more(log["opened"][0])]


def keep_another_value(log: Log, writes: list[Write]) -> None:
    log["kept"] = [replace(log["kept"][0], groups={"notes": "another"})]


def tear(log: Log, writes: list[Write]) -> None:
    del log["file"][1]


def do_apart(log: Log, writes: list[Write]) -> None:
    log["file"][1] = replace(log["file"][1], tx="another")


def refuse_without_reason(log: Log, writes: list[Write]) -> None:
    writes[2].status = 400


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lose, LOST),
        (lose_what_was_said_twice, LOST),
        (do_twice_what_was_said_twice, PHANTOM),
        (do_twice, PHANTOM),
        (do_what_was_refused, PHANTOM),
        (do_what_nobody_asked, PHANTOM),
        (do_elsewhere, PHANTOM),
        (do_half, PHANTOM),
        (do_more, PHANTOM),
        (open_and_do_more, PHANTOM),
        (keep_another_value, PHANTOM),
        (do_to_another, PHANTOM),
        (tear, DIVERGENT),
        (do_apart, DIVERGENT),
        (refuse_without_reason, MISTAKEN),
    ],
)
def test_what_is_wrong_is_found(
    writes: list[Write], log: Log, spoil: Callable[[Log, list[Write]], None], kind: str
) -> None:
    spoil(log, writes)
    assert kind in found(writes, log)


def test_values_are_compared_only_where_they_can_be_read(writes: list[Write], log: Log) -> None:
    keep_another_value(log, writes)
    assert found(writes, log, is_open=False) == set()


def test_history_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    ended, under_way = write("ended", UNKNOWN, uids=()), write("under way", UNKNOWN)
    history.sent(ended)
    history.sent(under_way)
    ended.uids = ("chosen there",)
    history.ended(ended, ACKNOWLEDGED, 201)
    history.failed(LOST, "one")
    history.close()
    with path.open("a") as file:
        file.write('{"sent": {"locat')  # its process was killed, and the request never left
    again = History(path)
    again.close()
    assert list(again.writes.values()) == [ended, under_way]
    assert again.failures == [Failure(LOST, "one")]
    assert again.tally() == {"sent": 2, ACKNOWLEDGED: 1, UNKNOWN: 1}
