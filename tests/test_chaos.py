"""A share of the chaos runs: each kind of fault once, in a known order."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ops.chaos.processes.disk import NEEDS_ROOT, can_mount
from ops.chaos.processes.episodes import parts
from ops.chaos.processes.faults import DISK_FULL, KINDS, OPERATED, Fault
from ops.chaos.processes.history import ACKNOWLEDGED, OUTCOMES
from ops.chaos.processes.report import Report
from ops.chaos.processes.run import Run
from ops.demo.driving import first_port
from ops.kafka_server import KafkaError, java, library

SEED = 1  # of what clients do; the faults are these
OUTAGE = 60.0  # seconds: nobody is hit who is not named, and the others hear from each other
WHOLE, ALONE = 1.0, 0.0  # a kill of all of a process, or of one that it has started

EPISODES = [
    [
        Fault("web killed", "loc1 web", 0.0, 2.0, WHOLE),
        Fault("consumer stopped", "loc2 consumer", 0.5, 4.0),
        Fault("cut one way", "loc1>loc3", 0.0, 4.0),
        Fault("clock", "loc3", 0.0, 4.0, 120.0),
        Fault("doubled", "loc2>*", 0.0, 5.0),
    ],
    [
        Fault("broker killed", "broker", 0.0, OUTAGE, WHOLE),
        Fault("off everything", "loc3=*", 0.0, OUTAGE),
        Fault("sequencer killed", "loc3 sequencer", 1.0, 2.0, WHOLE),
        Fault("consumer killed", "loc3 consumer", 1.0, 3.0, WHOLE),
    ],
    [
        Fault("postgres killed", "loc2 postgres", 0.0, 1.0, WHOLE),
        Fault("cut both ways", "loc1=loc3", 0.0, 5.0),
        Fault("broker silent", "loc3>broker", 0.0, 5.0),
        Fault("broker's answers late", "loc2>broker", 0.0, 5.0),
        Fault("slow", "loc2>*", 0.0, 4.0),
        Fault("clock", "loc1", 0.0, 5.0, -3600.0),
    ],
    [
        Fault("broker wiped", "broker", 0.0, 1.0),
        Fault("web stopped", "loc3 web", 0.0, 4.0),
        Fault("postgres stopped", "loc1 postgres", 0.0, 4.0),
        Fault("answers torn", "loc3>*", 0.0, 5.0),
        Fault("answers lost", "loc2>loc3", 0.0, 5.0),
    ],
    [
        Fault(DISK_FULL, "loc3 postgres", 0.0, 5.0),
        Fault("sequencer stopped", "loc2 sequencer", 0.0, 4.0),
        Fault("silent both ways", "loc1=loc2", 0.0, 5.0),
        Fault("answers late", "loc2>loc3", 0.0, 4.0),
        Fault("off the broker", "loc1>broker", 0.0, 5.0),
        Fault("web killed", "loc2 web", 1.0, 1.0, ALONE),
    ],
    [
        Fault("restored", "loc1", 0.0, 5.0),
        Fault("clients' answers lost", "clients>loc3", 0.0, 3.0),
    ],
    [
        Fault("postgres killed", "loc3 postgres", 1.0, 1.0, ALONE),
        Fault("broker stopped", "broker", 0.0, 4.0),
        Fault("loss", "loc3>*", 0.0, 5.0),
        Fault("silent one way", "loc2>loc1", 0.0, 5.0),
        Fault("clock", "loc2", 0.0, 5.0, 3600.0),
    ],
]


def test_the_list_has_each_kind_and_no_fault_in_anothers_way() -> None:
    assert {fault.kind for faults in EPISODES for fault in faults} == set(KINDS) - {*OPERATED}
    for faults in EPISODES:
        touched = [part for fault in faults for part in parts(fault)]
        assert len(touched) == len(set(touched))


@pytest.mark.kafka
@pytest.mark.feature("S01")
@pytest.mark.feature("S02")
@pytest.mark.feature("S03")
@pytest.mark.feature("S04")
@pytest.mark.feature("S07")
def test_each_kind_of_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        java(), library()
    except KafkaError as error:
        pytest.skip(str(error))
    skipped = [] if can_mount() else [DISK_FULL]

    def say(sentence: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{sentence}\n")

    say("")
    for kind in skipped:
        say(f"{kind} is skipped: {NEEDS_ROOT}")
    report = Report.begun(tmp_path / "run.jsonl", SEED, first_port(), skipped)
    run = Run(report, say)
    try:
        with run.running():
            for faults in EPISODES:
                run.play([fault for fault in faults if fault.kind not in skipped])
                assert not run.has_failed, report.summary()
            run.end()
    finally:
        run.stack.forget()
    written = report.written()
    assert not run.has_failed, report.summary()
    assert written["sent"] == sum(written[outcome] for outcome in OUTCOMES)
    assert written[ACKNOWLEDGED] > 300
    assert report.final is not None
    assert report.final["rows"]["events_conflict"] > 0, "the load had no parallel changes"
