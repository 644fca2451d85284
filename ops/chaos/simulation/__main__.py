"""``python -m ops.chaos.simulation``: many seeds, a line for each, and what they add up to."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ops.chaos.simulation.run import Outcome

REPORT = Path(".sins/chaos/simulation.jsonl")
PASSED, FAILED = 0, 1


def main(arguments: list[str]) -> int:
    """Run the seeds asked for; return 1 if one of them failed."""
    options = _options(arguments)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    # Django has to be set up before.
    from sins.collector import collect_rarely
    from tests.databases import running_databases

    collect_rarely()

    wanted = _wanted(options)
    with (
        tempfile.TemporaryDirectory(prefix="sins-simulation-") as directory,
        running_databases(Path(directory) / "postgres") as databases,
    ):
        from ops.chaos.simulation.disks import Disks
        from ops.chaos.simulation.run import simulate

        disks = Disks(databases)
        for seed in _left(options, wanted):
            outcome = simulate(disks, seed, options.operations)
            _keep(options.report, outcome.line())
            if options.trace:
                print("\n".join(outcome.trace))
            if outcome.failure is not None:
                _tell(outcome, has_trace=options.trace)
                if not options.keep_going:
                    break
            elif options.seed is not None:
                print(json.dumps(outcome.line()))
            elif sys.stderr.isatty() or seed % 10 == 0:
                print(f"seed {seed}: {outcome.seconds:.1f} s", file=sys.stderr)
        disks.close()
    return _summary(options.report, wanted)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ops.chaos.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--from-seed", type=int, default=1, help="the first (1)")
    parser.add_argument("--operations", type=int, default=200, help="of each seed (200)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--resume", action="store_true", help="leave out what is in the report")
    parser.add_argument("--report", type=Path, default=REPORT, help=f"JSON lines ({REPORT})")
    return parser.parse_args(arguments)


def _wanted(options: argparse.Namespace) -> Sequence[int]:
    if options.seed is not None:
        return [options.seed]
    return range(options.from_seed, options.from_seed + options.seeds)


def _left(options: argparse.Namespace, wanted: Sequence[int]) -> list[int]:
    """Return the seeds to run: with ``--resume`` those that have not passed yet."""
    lines = _lines(options.report) if options.resume else []
    passed = {line["seed"] for line in lines if line["failure"] is None}
    return [seed for seed in wanted if seed not in passed]


def _keep(report: Path, line: dict[str, Any]) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    with report.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _lines(report: Path) -> list[dict[str, Any]]:
    if not report.exists():
        return []
    return [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]


def _tell(outcome: Outcome, *, has_trace: bool) -> None:
    """Say what failed, and how to see it again."""
    if not has_trace:
        print("\n".join(outcome.trace))
    if outcome.error is not None and not isinstance(outcome.error, AssertionError):
        traceback.print_exception(outcome.error)
    print(f"seed {outcome.seed} failed: {outcome.failure}")
    print(
        f"python -m ops.chaos.simulation --seed {outcome.seed}"
        f" --operations {outcome.operations} --trace"
    )


def _summary(report: Path, seeds: Sequence[int]) -> int:
    """Add up what the report says of these seeds; return the exit code."""
    last = {line["seed"]: line for line in _lines(report) if line["seed"] in seeds}
    failed = sorted(seed for seed, line in last.items() if line["failure"] is not None)
    counts: Counter[str] = Counter()
    for line in last.values():
        counts.update(line["counts"])
    seconds = sum(line["seconds"] for line in last.values())
    print(f"{len(last)} seeds, {len(failed)} failed {failed or ''}")
    print(f"{seconds:.0f} s, {seconds / max(len(last), 1):.2f} s a seed")
    from ops.chaos.simulation.counts import SOMETIMES  # Django has been set up

    for name in SOMETIMES:
        print(f"  {name}: {counts.pop(name, 0)}")
    for name, count in sorted(counts.items()):
        print(f"  ({name}: {count})")
    return FAILED if failed else PASSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
