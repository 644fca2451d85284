"""The full check fails when a command or the oracle does, and says what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, cast

import pytest

from ops.chaos.processes import checks
from ops.chaos.processes.checks import Checker
from ops.chaos.processes.history import (
    ACKNOWLEDGED,
    DIVERGENT,
    LOST,
    PHANTOM,
    STUCK,
    Failure,
    History,
    Write,
)
from ops.chaos.processes.stack import ChaosStack
from ops.demo.places import LOCATIONS

WRITE = Write("loc1", "PATCH", "/customers/x", ("uid",), {"notes": "Text"}, "one", request_id="one")
WRITE.outcome, WRITE.status = ACKNOWLEDGED, 200
MADE = {
    "event_id": "event", "request_id": "one", "origin": "loc1", "entity_uid": "uid", "tx": "event",
    "tx_size": 1, "groups": {"notes": "Text"},
}  # fmt: skip


class Told:
    """A location whose commands say and end as they are told to."""

    names = LOCATIONS

    def __init__(self) -> None:
        self.says: dict[str, tuple[int, str]] = {}
        self.digest = "one"  # of all but loc1
        self.state: dict[str, Any] = {
            "state": "equal", "digest": "one", "conflicts": 0, "lag_events": 0, "unreplicated": 0,
            "parked": 0, "dead_letters": 0, "peers": [{"state": "equal", "reachable": True}],
        }  # fmt: skip

    def run(self, name: str, *command: str) -> CompletedProcess[str]:
        code, said = self.says.get(command[1] if command[0] == "-m" else command[0], (0, ""))
        return CompletedProcess(command, code, said, "An error.")

    def manage(self, name: str, command: str, *flags: str) -> CompletedProcess[str]:
        return self.run(name, command)

    def status(self, name: str) -> dict[str, Any]:
        return self.state if name == "loc1" else {**self.state, "digest": self.digest}

    def rows(self, name: str, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        return [(3, 1, 1, 4, '{"loc1": [1, 1]}')]  # peers whose digests agree


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def checker(told: Told, tmp_path: Path) -> Iterator[Checker]:
    history = History(tmp_path / "history.jsonl")
    history.sent(WRITE)
    yield Checker(cast("ChaosStack", told), history)
    history.close()


def oracle(*lines: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, lines))


def test_commands_that_find_nothing(told: Told, checker: Checker) -> None:
    assert checker._by_commands("loc1") == []


@pytest.mark.parametrize(
    ("command", "said", "found"),
    [
        ("rebuild", '{"differing": ["uid"], "parked": 0}', "I5: rebuild at loc1: {'differing':"),
        ("rebuild", "no JSON", "I5: rebuild at loc1:"),
        (
            "verify_chain",
            '{"streams": [{"origin": "loc2", "wrong": null}, {"origin": "loc3", "wrong": 7}]}',
            "I6: verify_chain at loc1: [{'origin': 'loc3'",
        ),
        ("verify_chain", "", "I6: verify_chain at loc1: An error."),
    ],
)
def test_a_command_that_finds_something(
    told: Told, checker: Checker, command: str, said: str, found: str
) -> None:
    told.says[command] = (1, said)
    ((kind, sentence),) = checker._by_commands("loc1")
    assert kind == DIVERGENT
    assert sentence.startswith(found)


@pytest.mark.parametrize(
    ("code", "lines", "kinds"),
    [
        (0, [{"event": MADE}], []),
        (0, [{"event": MADE}, {"event": {**MADE, "origin": "genesis"}}], []),
        (0, [], [LOST]),
        (0, [{"event": {**MADE, "groups": {"notes": "another"}}}], [PHANTOM]),
        (0, [{"event": MADE}, {"wrong": "I8: a conflict is missing"}], [DIVERGENT]),
        (1, [{"event": MADE}], [DIVERGENT]),
    ],
)
def test_what_the_oracle_finds(
    told: Told, checker: Checker, code: int, lines: list[dict[str, Any]], kinds: list[str]
) -> None:
    told.says["ops.chaos.processes.oracle"] = (code, oracle(*lines))
    assert [kind for kind, _ in checker._by_oracle("loc1")] == kinds


@pytest.mark.parametrize(
    ("code", "said", "sentences"),
    [
        (0, "", []),
        (0, "Kafka lacks one\nKafka lacks another\n", ["Kafka lacks one", "Kafka lacks another"]),
        (1, "", ["the topics are not read at loc1: An error."]),
    ],
)
def test_what_the_topics_are_said_to_be(
    told: Told, checker: Checker, code: int, said: str, sentences: list[str]
) -> None:
    told.says["ops.chaos.processes.topics"] = (code, said)
    assert list(checker._in_topics("loc1")) == [Failure(DIVERGENT, each) for each in sentences]


def test_who_never_says_equal_is_stuck(
    told: Told, checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checker._standing() == []
    monkeypatch.setattr(checks, "EQUAL_SECONDS", 0.0)
    right, silent = told.state, [{"state": "equal", "reachable": False}]
    for wrong in ({"parked": 1}, {"state": "catching up"}, {"peers": silent}):
        told.state = {**right, **wrong}
        ((kind, sentence),) = checker._standing()
        assert (kind, sentence[:4]) == (STUCK, "I10:")
    told.state = {}
    assert [kind for kind, _ in checker._standing()] == [STUCK]


def test_who_says_equal_of_another_state_is_not(told: Told, checker: Checker) -> None:
    told.digest = "another"
    assert checker._standing() == [Failure(DIVERGENT, "I1: states or numbers of conflicts differ")]
