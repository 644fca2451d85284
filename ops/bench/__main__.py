"""``make bench``: measures writing, applying and arriving, and writes ``docs/performance.md``."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from ops.bench.environment import bench_database
from ops.bench.latency import WRITES, measure_latency
from ops.bench.report import Section, write_report
from sins.collector import collect_rarely

PEOPLE = 20_000


def main() -> None:
    """Start a durable PostgreSQL, enter people, race the variants; then three locations; report."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writes", type=int, default=WRITES, help="that the others wait for")
    options = parser.parse_args()
    collect_rarely()  # as every process of a location does
    with tempfile.TemporaryDirectory() as directory, bench_database(Path(directory)) as urls:
        os.environ["DATABASE_URL"], os.environ["DATABASE_OWNER_URL"] = urls.application, urls.owner
        sections = _measure(options.people, options.rounds, options.seed)
    sections.append(measure_latency(options.writes))
    write_report(options.report, sections, options.people, options.rounds, options.seed)


def _measure(size: int, rounds: int, seed: int) -> list[Section]:
    import django

    django.setup()
    from ops.bench.columns import measure

    return measure(size, rounds, seed)


if __name__ == "__main__":
    main()
