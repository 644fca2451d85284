"""``python -m ops.chaos.processes``: break real processes, PostgreSQL and Kafka while all write.

Ends with 0 when nothing was lost, made up, different or stuck, 1 when something was, 2 when it
cannot run. A run that was ended is gone on with by ``--resume``.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from ops.chaos.processes.disk import NEEDS_ROOT, can_mount
from ops.chaos.processes.faults import DISK_FULL, KINDS, OPERATED
from ops.chaos.processes.report import Report, UnusableReportError
from ops.chaos.processes.run import Run
from ops.demo.driving import first_port
from ops.demo.places import DemoError
from ops.kafka_server import KafkaError, java, library

PASSED, FAILED, CANNOT = 0, 1, 2
MINUTES: Final = 60
REPORTS: Final = Path(".sins/chaos")


def main(arguments: list[str]) -> int:
    """Run for the minutes asked for, or go on with a run; return the exit code."""
    options = _options(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        known = _unfinished(options.resume) if options.resume else None
        java(), library()
        report = known or _begun(options)
        run = Run(report, _say)
        with _until_interrupted(report), run.running():
            run.go_on(options.minutes or report.head.get("minutes", MINUTES))
    except (DemoError, KafkaError, UnusableReportError) as error:
        print(error, file=sys.stderr)
        return CANNOT
    print(report.summary())
    if run.has_failed:
        print(f"seed {report.head['seed']} failed; everything is kept in {report.directory}")
        return FAILED
    run.stack.forget()
    shutil.rmtree(report.directory)
    return PASSED


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.chaos.processes", description=__doc__)
    parser.add_argument("--minutes", type=float, help=f"how long, in all ({MINUTES})")
    parser.add_argument("--seed", type=int, help="which faults; drawn and said if not given")
    parser.add_argument("--report", type=Path, help=f"JSON lines ({REPORTS}/processes-SEED.jsonl)")
    parser.add_argument(
        "--only", action="append", default=[], choices=KINDS, metavar="KIND",
        help=f"these kinds, instead of all but {', '.join(OPERATED)}",
    )  # fmt: skip
    parser.add_argument(
        "--times", type=int, default=0, help="how often each leads one, however long"
    )
    parser.add_argument("--resume", type=Path, metavar="REPORT", help="a run to be gone on with")
    return parser.parse_args(arguments)


def _unfinished(path: Path) -> Report:
    report = Report.read(path)
    if report.failures():
        raise UnusableReportError(
            f"The run of {path} has failed. What it left is in {report.directory}: look at it,"
            f" then remove both, and begin anew with --seed {report.head['seed']}."
        )
    if report.final is not None:
        raise UnusableReportError(f"The run of {path} is over; begin another one without --resume.")
    return report


def _begun(options: argparse.Namespace) -> Report:
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    _say(f"seed {seed}")
    is_wanted = not options.only or DISK_FULL in options.only
    skipped = [DISK_FULL] if is_wanted and not can_mount() else []
    if skipped:
        _say(f"{DISK_FULL} is skipped: {NEEDS_ROOT}")
    path = options.report or REPORTS / f"processes-{seed}.jsonl"
    if path.with_suffix(".state").exists():
        raise UnusableReportError(
            f"{path} has a run that is not over: --resume it, or remove its .state directory."
        )
    minutes = options.minutes or MINUTES
    return Report.begun(path, seed, first_port(), skipped, minutes, options.only, options.times)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _until_interrupted(report: Report) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise UnusableReportError(f"Ended. Go on with --resume {report.path}") from None


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
