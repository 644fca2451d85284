"""What nothing hits goes on, or it is a failure: clients are answered, their writes arrive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from ops.chaos.processes import going_on, run
from ops.chaos.processes.faults import Fault
from ops.chaos.processes.going_on import Arrivals, interrupted
from ops.chaos.processes.history import ACKNOWLEDGED, REFUSED, STUCK, UNKNOWN, Write
from ops.chaos.processes.report import Report
from ops.chaos.processes.run import Run
from ops.chaos.processes.stack import ChaosStack
from ops.demo.driving import first_port
from ops.demo.places import LOCATIONS

BROKER_AWAY = Fault("broker killed", "broker", 0.0, 60.0)
LOC3_ALONE = Fault("off everything", "loc3=*", 0.0, 60.0)
WEB_KILLED = Fault("web killed", "loc2 web", 0.0, 2.0)


def writes(count: int, outcome: str = ACKNOWLEDGED, status: int | None = 200) -> list[Write]:
    """Return as many writes of each location, loc2's last one with another outcome."""
    found = [
        Write(name, "PATCH", "/customers/x", ("x",), {}, "", outcome=ACKNOWLEDGED, status=200)
        for _ in range(count)
        for name in LOCATIONS
    ]
    found[-2].outcome, found[-2].status = outcome, status
    return found


def hurt(faults: Sequence[Fault], asked: Sequence[Write], seconds: float = 10.0) -> list[str]:
    """Return the locations that noticed what they should not."""
    found = list(interrupted(faults, asked, seconds))
    assert all(kind == STUCK for kind, _ in found)
    return [name for _, sentence in found for name in LOCATIONS if name in sentence]


@pytest.mark.parametrize(
    ("outcome", "status", "expected"),
    [
        (ACKNOWLEDGED, 200, []),
        (REFUSED, 404, []),
        (UNKNOWN, 503, ["loc2"]),
        (UNKNOWN, None, ["loc2"]),
        (REFUSED, None, ["loc2"]),  # nobody took the connection
    ],
)
def test_who_is_not_hit_is_answered(outcome: str, status: int | None, expected: list[str]) -> None:
    asked = writes(10, outcome, status)
    assert hurt([BROKER_AWAY], asked) == hurt([LOC3_ALONE], asked) == expected
    assert hurt([WEB_KILLED], asked) == []


@pytest.mark.parametrize(
    "where",
    [
        ("postgres stopped", "loc2 postgres"),
        ("clients' answers lost", "clients>loc2"),
        ("restored", "loc2"),
    ],
)
def test_who_is_hit_may_be_silent(where: tuple[str, str]) -> None:
    assert "loc2" not in hurt([Fault(*where, 0.0, 5.0)], writes(10, UNKNOWN, None))


def test_who_takes_next_to_nothing_does_not_go_on() -> None:
    assert hurt([BROKER_AWAY], writes(30), 60.0) == []
    assert hurt([BROKER_AWAY], writes(29), 60.0) == list(LOCATIONS)
    assert hurt([WEB_KILLED], writes(29), 60.0) == ["loc1", "loc3"]


class Streams:
    """Locations that are their last numbers: ``{location: {origin: (epoch, number)}}``."""

    def __init__(self) -> None:
        self.last = {name: dict.fromkeys(LOCATIONS, (1, 5)) for name in LOCATIONS}
        self.is_gone = False

    def rows(self, name: str, query: str) -> list[tuple[Any, ...]]:
        if self.is_gone:
            raise psycopg.OperationalError
        return [(origin, *number) for origin, number in self.last[name].items()]

    def arrive(self, origin: str, *names: str, number: tuple[int, int] = (1, 6)) -> None:
        for name in names:
            self.last[name][origin] = number


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Streams:
    monkeypatch.setattr(going_on, "LOOK_SECONDS", 0.0)
    return Streams()


def missing(arrivals: Arrivals) -> list[str]:
    found = list(arrivals.failures())
    assert all(kind == STUCK for kind, _ in found)
    return [sentence.split(",")[0].removeprefix("nothing is between ") for _, sentence in found]


def arrivals_in(streams: Streams, *faults: Fault) -> Arrivals:
    return Arrivals(cast("ChaosStack", streams), faults)


def test_what_is_written_during_an_outage_arrives_during_it(streams: Streams) -> None:
    arrivals = arrivals_in(streams, LOC3_ALONE)
    arrivals.look([LOC3_ALONE])
    assert missing(arrivals) == ["loc1 and loc2", "loc2 and loc1"]  # nobody asks for loc3
    streams.arrive("loc1", "loc2")
    arrivals.look([LOC3_ALONE])
    streams.arrive("loc2", "loc1")
    arrivals.look([])  # it is over
    assert missing(arrivals) == ["loc2 and loc1"]
    arrivals.look([LOC3_ALONE])
    assert missing(arrivals) == []


def test_what_was_numbered_before_an_outage_says_nothing(streams: Streams) -> None:
    arrivals = arrivals_in(streams, BROKER_AWAY)
    streams.arrive("loc1", "loc1", number=(1, 9))
    arrivals.look([BROKER_AWAY])
    streams.arrive("loc1", "loc2", "loc3", number=(1, 9))  # under way since
    arrivals.look([BROKER_AWAY])
    assert len(missing(arrivals)) == 6
    streams.arrive("loc1", "loc2", "loc3", number=(2, 1))
    arrivals.look([BROKER_AWAY])
    assert "loc1 and loc2" not in missing(arrivals)
    assert len(missing(arrivals)) == 4


def test_who_cannot_be_asked_has_nothing_yet(streams: Streams) -> None:
    arrivals = arrivals_in(streams, BROKER_AWAY)
    streams.is_gone = True
    arrivals.look([BROKER_AWAY])
    streams.is_gone = False
    for _ in range(2):  # the first one that is answered is the beginning
        arrivals.look([BROKER_AWAY])
    assert len(missing(arrivals)) == 6


def test_nothing_has_to_arrive_within_seconds(streams: Streams) -> None:
    arrivals = arrivals_in(streams, WEB_KILLED, Fault("cut one way", "loc1>loc3", 0.0, 15.0))
    arrivals.look([WEB_KILLED])
    assert missing(arrivals) == []


@pytest.mark.parametrize(
    "beside",
    [
        Fault("consumer killed", "loc2 consumer", 0.0, 5.0),
        Fault("sequencer stopped", "loc1 sequencer", 0.0, 5.0),
        Fault("silent one way", "loc2>loc1", 0.0, 5.0),
        Fault("clock", "loc2", 0.0, 5.0, 3600.0),
    ],
)
def test_who_is_hit_need_not_hear(streams: Streams, beside: Fault) -> None:
    arrivals = arrivals_in(streams, BROKER_AWAY, beside)
    arrivals.look([BROKER_AWAY])
    assert "loc1 and loc2" not in missing(arrivals)
    assert "loc1 and loc3" in missing(arrivals) or beside.where.startswith("loc1")


def test_who_takes_no_writes_again_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PATIENCE_SECONDS", 0.0)
    report = Report.begun(tmp_path / "run.jsonl", 7, first_port(), ["disk full"])
    one = Run(report, lambda _: None)
    for network in (one.stack._network, one.stack._side_network):
        network.start()
    ((kind, sentence),) = one._wait_for_writes()
    one.stack.stop()
    one.history.close()
    assert (kind, sentence) == (STUCK, "not all take writes again: {}")
