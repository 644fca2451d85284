"""Episodes follow from their seed, break every kind of thing, and add up in the report."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import MagicMock

import pytest

from ops.chaos.processes import __main__ as chaos
from ops.chaos.processes import clock, document, episodes
from ops.chaos.processes.__main__ import CANNOT, PASSED, main
from ops.chaos.processes.disk import SmallDisk, can_mount
from ops.chaos.processes.episodes import episode, parts
from ops.chaos.processes.faults import KINDS, OPERATED, Fault, Kind, ways
from ops.chaos.processes.history import ACKNOWLEDGED, LOST, UNKNOWN, Failure
from ops.chaos.processes.report import Report, described
from ops.chaos.processes.run import Run, chosen
from ops.chaos.processes.stack import ChaosStack
from ops.demo.driving import first_port
from ops.demo.places import CHECKOUT
from ops.ports import free_port
from ops.postgres import Cluster

ALL = list(KINDS)


def test_an_episode_follows_from_seed_and_number() -> None:
    first = [episode(7, number, ALL) for number in range(100)]
    assert first == [episode(7, number, ALL) for number in range(100)]
    assert first != [episode(8, number, ALL) for number in range(100)]
    assert {len(faults) for faults in first} == {1, 2, 3}


def test_every_kind_leads_once_in_as_many_episodes() -> None:
    leading = Counter(episode(7, number, ALL)[0].kind for number in range(2 * len(ALL)))
    assert leading == dict.fromkeys(ALL, 2)


def test_faults_of_an_episode_do_not_touch_the_same() -> None:
    for number in range(300):
        touched = [part for fault in episode(7, number, ALL) for part in parts(fault)]
        assert len(touched) == len(set(touched))


def test_what_cannot_be_is_never_drawn() -> None:
    some = [kind for kind in ALL if kind != "disk full"]
    drawn = {fault.kind for number in range(300) for fault in episode(7, number, some)}
    assert drawn == set(some)


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("loc1>loc2", {("loc1", "loc2")}),
        ("loc1=loc2", {("loc1", "loc2"), ("loc2", "loc1")}),
        ("loc1>*", {("loc1", "loc2"), ("loc1", "loc3")}),
        (
            "loc1=*",
            {("loc1", "loc2"), ("loc1", "loc3"), ("loc2", "loc1"), ("loc3", "loc1"),
             ("loc1", "broker")},
        ),
        ("clients>loc3", {("clients", "loc3")}),
    ],
)  # fmt: skip
def test_places_name_ways(where: str, named: set[tuple[str, str]]) -> None:
    assert set(ways(where)) == named


def test_who_is_restored_has_its_peers_and_the_broker() -> None:
    taken = parts(Fault("restored", "loc1", 0.0, 5.0))
    for kind in ("broker killed", "broker stopped", "broker wiped"):
        assert parts(Fault(kind, "broker", 0.0, 5.0)) <= taken
    for part in ("loc2 consumer", "loc3 postgres"):
        assert part in taken


class Clock:
    """Time passes only while somebody sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_fault_that_begins_slowly_shortens_none(monkeypatch: pytest.MonkeyPatch) -> None:
    time, lasted = Clock(), {}

    @contextmanager
    def happens(stack: ChaosStack, fault: Fault) -> Iterator[None]:
        time.sleep(fault.value)
        begun = time.now
        yield
        lasted[fault.where] = time.now - begun

    monkeypatch.setattr(episodes, "time", time)
    monkeypatch.setitem(cast("dict[str, Kind]", KINDS), "any", Kind(happens, (), frozenset, (0, 0)))
    stack = cast("ChaosStack", SimpleNamespace(keep_alive=lambda: True))
    slow, beside = Fault("any", "slow", 0.0, 5.0, 10.0), Fault("any", "beside", 0.0, 5.0)
    seen: list[Sequence[Fault]] = []
    episodes.play(stack, [slow, beside], seen.append)
    assert lasted == {"slow": pytest.approx(5, abs=0.2), "beside": pytest.approx(5, abs=0.2)}
    assert [list(each) for each, _ in groupby(seen)] == [[slow, beside], []]


def line(number: int, *failures: Failure) -> dict[str, object]:
    return {
        "number": number,
        "faults": [Fault("clock", "loc1", 0.0, 3.0)._asdict()],
        "seconds": 20.0,
        "quiet_seconds": 0.4,
        "died": ["loc1 web ended with 1"],
        "written": {"sent": 3, ACKNOWLEDGED: 2, UNKNOWN: 1},
        "failures": described(failures),
    }


def test_report_is_gone_on_with_and_adds_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    begun = Report.begun(path, 7, 20_000, ["disk full"])
    begun.keep(line(0))
    begun.keep(line(1))
    report = Report.read(path)
    assert (report.head["seed"], len(report.episodes), report.seconds) == (7, 2, 40.0)
    report.keep(line(2))
    assert report.failures().total() == 0
    report.end({"died": [], "written": {}, "failures": described([Failure(LOST, "one")])})
    assert report.failures() == {LOST: 1}
    said = report.summary()
    assert "seed 7: 3 episodes in 60 s" in said
    assert "clock: 3" in said
    assert "disk full: skipped" in said
    assert "9 sent = 6 acknowledged + 0 refused + 3 unknown" in said
    assert "lost 1, phantom 0, divergent 0, stuck 0" in said
    assert "processes that ended by themselves: 3" in said
    assert main(["--resume", str(path)]) == CANNOT
    said = capsys.readouterr().err
    assert f"What it left is in {report.directory}" in said
    assert "begin anew with --seed 7" in said


def test_a_run_that_is_over_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    Report.begun(path, 7, 20_000, []).end({"died": [], "written": {}, "failures": []})
    assert main(["--resume", str(path)]) == CANNOT
    assert "is over" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "minutes"), [([], 90.0), (["--minutes", "120"], 120.0)])
def test_a_run_is_gone_on_with_for_its_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], minutes: float
) -> None:
    path = tmp_path / "run.jsonl"
    Report.begun(path, 7, 20_000, [], 90.0).directory.mkdir()
    run = MagicMock(has_failed=False)
    for name in ("java", "library"):
        monkeypatch.setattr(chaos, name, lambda: None)
    monkeypatch.setattr(chaos, "Run", lambda *_: run)
    assert main(["--resume", str(path), *flags]) == PASSED
    run.go_on.assert_called_once_with(minutes)


def test_a_run_of_chosen_kinds_is_over_when_each_has_led_so_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos, "java", lambda: None)
    monkeypatch.setattr(chaos, "library", lambda: None)
    reports: list[Report] = []

    def begin(report: Report, _: object) -> MagicMock:
        reports.append(report)
        return MagicMock(has_failed=True)

    monkeypatch.setattr(chaos, "Run", begin)
    flags = ["--only", "upgraded", "--only", "restored", "--times", "5"]
    main([*flags, "--seed", "7", "--report", str(tmp_path / "run.jsonl")])
    one = MagicMock(has_failed=False, kinds=["upgraded", "restored"], _report=reports[0])
    one._is_over = partial(Run._is_over, one)
    one.play = lambda faults: reports[0].keep({**line(0), "faults": [f._asdict() for f in faults]})
    Run.go_on(one, 0.0)
    assert reports[0].faults() == {"upgraded": 5, "restored": 5}
    assert reports[0].head["skipped"] == []


def test_nobody_operates_who_is_not_asked_to(tmp_path: Path) -> None:
    assert set(OPERATED) <= set(KINDS)
    begun = partial(Report.begun, seed=7, first_port=first_port(), skipped=["disk full"])
    assert set(chosen(begun(tmp_path / "1.jsonl").head)) == {*KINDS} - {*OPERATED, "disk full"}
    assert chosen(begun(tmp_path / "2.jsonl", only=OPERATED).head) == [*OPERATED]


def test_a_line_that_a_crash_has_torn_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Report.begun(path, 7, 20_000, []).keep(line(0))
    with path.open("a") as file:
        file.write('{"episode": {"numb')
    Report.read(path).keep(line(1))
    assert [each["number"] for each in Report.read(path).episodes] == [0, 1]


def test_what_came_of_runs_is_written_into_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "DOCUMENT", tmp_path / "reliability.md")
    document.DOCUMENT.write_text(f"Before\n\n{document.BEGIN}old\n{document.END}After\n")
    for seed in (7, 8):
        report = Report.begun(tmp_path / f"{seed}.jsonl", seed, 20_000, ["disk full"])
        report.keep(line(0, *([Failure(LOST, "one")] if seed == 8 else [])))
    for _ in range(2):  # again is no more
        assert document.main([str(tmp_path / f"{seed}.jsonl") for seed in (7, 8)]) == 0
        said = document.DOCUMENT.read_text()
        assert said.startswith("Before")
        assert said.endswith("After\n")
        assert "old" not in said
        cells = [row.split(" | ") for row in said.splitlines() if row.startswith("| 2")]
        assert [row[2:] for row in cells] == [
            ["7", "1", "0", "3", "2", "0", "1", "0", "0", "0", "0", "0 |"],
            ["8", "1", "0", "3", "2", "0", "1", "1", "0", "0", "0", "0 |"],
        ]
        assert "clock 2. Skipped, as it needs root: disk full." in said


@pytest.mark.parametrize("text", [None, "", "no JSON", '{"episode": {}}'])
def test_no_report_is_one_sentence(
    tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    if text is not None:
        path.write_text(text)
    if main(["--resume", str(path)]) != CANNOT:
        pytest.fail("it ran")
    assert "Traceback" not in capsys.readouterr().err


def test_clock_is_wrong_by_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    clock.make(path)
    program = """
import sys, time
from pathlib import Path
from ops.chaos.processes import clock, document
right = time.time_ns
clock.follow(Path(sys.argv[1]))
for line in sys.stdin:
    print(round((time.time_ns() - right()) / 1e9), round(time.time() - right() / 1e9), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, path],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stdin is not None
        assert follower.stdout is not None
        said = []
        for seconds in (0, 3600, -3600, 0):
            clock.set_wrong(path, seconds)
            follower.stdin.write("now\n")
            follower.stdin.flush()
            said.append(follower.stdout.readline().strip())
        follower.stdin.close()
    assert said == ["0 0", "3600 3600", "-3600 -3600", "0 0"]


def test_small_disk_is_full_and_empty_again(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "postgres", free_port(), is_durable=False)
    disk = SmallDisk(cluster)
    data = cluster.home / "data"
    if not can_mount():
        disk.detach()  # there is none
        return
    cluster.create()
    disk.attach()
    disk.attach()
    try:
        assert cluster.start() == cluster.running_pid()
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (data / "more").write_bytes(bytes(1 << 20))
        (data / "more").unlink()
        disk.attach()  # as a run does that is gone on with
        (data / "more").write_bytes(bytes(1 << 20))
        disk.fill()
        (data / "more").unlink()
        disk.free()
        (data / "more").write_bytes(bytes(1 << 20))
        cluster.stop()
    finally:
        cluster.stop()
        disk.detach()
    assert not data.is_symlink()
    assert (data / "more").stat().st_size == 1 << 20
    cluster.destroy()
