"""``python -m ops.chaos.processes.document REPORT…``: what came of runs, in docs/reliability.md."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ops.chaos.processes.history import OUTCOMES
from ops.chaos.processes.report import ALL_FAILURES, Report, UnusableReportError

DOCUMENT: Final = Path("docs/reliability.md")
BEGIN: Final = "<!-- Written by `python -m ops.chaos.processes.document` -->\n"
END: Final = "<!-- until here -->\n"
WIDTH: Final = 125
WRITTEN, CANNOT = 0, 2


def main(arguments: list[str]) -> int:
    """Write the tables of these reports between the marks of the document."""
    parser = argparse.ArgumentParser(prog="python -m ops.chaos.processes.document")
    parser.add_argument("reports", type=Path, nargs="+", metavar="REPORT")
    options = parser.parse_args(arguments)
    try:
        reports = [Report.read(path) for path in options.reports]
    except UnusableReportError as error:
        print(error, file=sys.stderr)
        return CANNOT
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n{described(reports)}\n{END}{after}"
    DOCUMENT.write_text(text, encoding="utf-8")
    return WRITTEN


def described(reports: Sequence[Report]) -> str:
    """Return a line for each run, and how often what was broken in all of them."""
    headings = ("date", "machine", "seed", "episodes", "minutes", "sent", *OUTCOMES, *ALL_FAILURES)
    lines = [_row(headings), _row(["---"] * len(headings)), *map(_line, reports)]
    faults = sum((report.faults() for report in reports), Counter[str]())
    skipped = {kind for report in reports for kind in report.head["skipped"]}
    longest = max((each["quiet_seconds"] for r in reports for each in r.episodes), default=0)
    said = [
        "What was broken, and how often: "
        + ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        + ".",
        *([f"Skipped, as it needs root: {', '.join(sorted(skipped))}."] if skipped else []),
        f"After the last write all was equal everywhere within {longest:.1f} s at most.",
    ]
    return "\n".join([*lines, "", *textwrap.wrap(" ".join(said), WIDTH)]) + "\n"


def _line(report: Report) -> str:
    written, failures = report.written(), report.failures()
    counted = [written[name] for name in ("sent", *OUTCOMES)]
    counted += [failures[name] for name in ALL_FAILURES]
    head = report.head
    said = [head["date"], head["machine"], str(head["seed"]), str(len(report.episodes))]
    return _row([*said, f"{report.seconds / 60:.0f}", *(f"{count:,}" for count in counted)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
