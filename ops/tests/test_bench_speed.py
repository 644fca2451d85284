"""The speed table goes on where a run was ended, and reports what missed its goal, too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ops.bench import report
from ops.bench.report import Section
from ops.bench.speed.kept import MEASURED, Cells, Kept, commit
from ops.bench.speed.lines import Measure, all_of
from ops.bench.speed.shares import by_function, by_process, in_words
from ops.bench.speed.sizes import Sizes
from ops.bench.speed.stage import Stage
from ops.demo.places import CHECKOUT

SIZES = Sizes(details=9_000, events=2_000)
STAGE = cast("Stage", None)  # these lines look at no database
MISSED = Section("Applying", "≥ 5,000", "3,164", False, [Cells(["fast", "3,164", "all"])],
                 ("line", "events/s", "inside"))  # fmt: skip


def line(measured: list[str], name: str, *sections: Section) -> Measure:
    def measure(_: Stage) -> list[Section]:
        measured.append(name)
        return list(sections)

    return measure


def ended(_: Stage) -> list[Section]:
    raise KeyboardInterrupt


def test_a_run_goes_on_behind_the_lines_that_are_measured(tmp_path: Path) -> None:
    kept, measured = Kept(tmp_path / "sins" / "speed.jsonl", SIZES), list[str]()
    first, second = line(measured, "first", MISSED), line(measured, "second", MISSED, MISSED)

    with pytest.raises(KeyboardInterrupt):
        all_of({"first": first, "second": ended}, STAGE, kept)
    again = Kept(tmp_path / "sins" / "speed.jsonl", SIZES)
    sections = all_of({"first": first, "second": second}, STAGE, again)

    assert measured == ["first", "second"]
    assert [section.title for section in sections] == ["Applying"] * 3


def test_what_is_kept_is_what_was_measured_and_says_when(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "speed.jsonl", SIZES)
    kept.keep("applying", [MISSED])

    [section] = kept.sections("applying") or []

    assert replace(section, lines=[], headings=()) == replace(MISSED, lines=[], headings=())
    assert section.headings == [*MISSED.headings, MEASURED]
    [cells] = [one.cells() for one in section.lines]
    assert list(cells[:-1]) == ["fast", "3,164", "all"]
    assert cells[-1][:2] == "20"
    assert commit() in cells[-1]


def test_what_was_kept_without_its_commit_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    Kept(path, SIZES).keep("applying", [MISSED])
    path.write_text(path.read_text().replace('"commit"', '"another"'))

    [section] = Kept(path, SIZES).sections("applying") or []

    [cells] = [one.cells() for one in section.lines]
    assert len(cells[-1]) == len("2026-11-21 10:00")


def test_commit_is_that_of_the_checkout() -> None:
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        assert commit() == ""
        return
    command = ["git", "rev-parse", "HEAD"]
    whole = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert len(commit()) >= 7
    assert whole.startswith(commit())


@pytest.mark.parametrize("other", [replace(SIZES, details=18_000), replace(SIZES, events=1)])
def test_other_sizes_are_measured_anew(tmp_path: Path, other: Sizes) -> None:
    Kept(tmp_path / "speed.jsonl", SIZES).keep("applying", [MISSED])

    assert Kept(tmp_path / "speed.jsonl", other).sections("applying") is None
    assert Kept(tmp_path / "speed.jsonl", SIZES).sections("sending") is None


def test_the_last_measurement_counts_and_a_half_written_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "speed.jsonl"
    kept = Kept(path, SIZES)
    kept.keep("applying", [MISSED])
    kept.keep("applying", [replace(MISSED, figure="5,001", is_met=True)])
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + whole.splitlines()[0][:40], encoding="utf-8")

    assert [section.figure for section in kept.sections("applying") or ()] == ["5,001"]
    kept.keep("sending", [MISSED])
    assert kept.sections("sending") is not None


def test_fresh_forgets_everything(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "speed.jsonl", SIZES)
    kept.forget()
    kept.keep("applying", [MISSED])
    kept.forget()

    assert kept.sections("applying") is None


def test_the_report_holds_losing_lines(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "speed.jsonl", SIZES)
    kept.keep("applying", [MISSED])

    report.write_report(tmp_path / "report.md", kept.sections("applying") or [], 1, 1, 1)

    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| Applying | ≥ 5,000 | 3,164 | **missed** |" in text
    assert "| line | events/s | inside | measured (UTC, commit) |" in text
    assert "| fast | 3,164 | all | 20" in text


def test_a_profile_names_where_the_time_went() -> None:
    found = by_function(busy)

    assert next(iter(found)).endswith(" busy")
    assert 0.5 < sum(found.values()) <= 1.001
    assert "ops/tests" not in in_words(found)  # the last folder and the file
    assert "test_bench_speed.py" in in_words(found)


def test_cores_are_counted_with_processes_that_have_ended() -> None:
    work = "print(sum(n * n for n in range(3_000_000)))"
    with by_process({"all": [os.getpid()], "nobody": [2**22 + 1]}) as shares:
        subprocess.run([sys.executable, "-c", work], check=True, capture_output=True)

    assert shares["all"] > 0
    assert shares["nobody"] == 0


def busy() -> None:
    total = 0
    for n in range(300_000):
        total += n


def test_sizes_follow_from_two_numbers() -> None:
    goal = Sizes()

    assert (goal.people, goal.of_a_run, goal.runs) == (111_112, 1000, 20)
    assert (goal.sent, goal.written, goal.missed) == (50_000, 10_000, 100_000)
    assert goal.marks == [10_000, 100_000, 1_000_000]
    for sizes in (goal, SIZES, Sizes(18_000, 20_000)):
        assert sizes.runs > 0
        # Nobody is changed twice by the applying lines: the first run, and one more of each line.
        assert (2 * sizes.runs + 3) * sizes.of_a_run <= sizes.people
