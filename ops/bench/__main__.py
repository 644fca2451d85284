"""``make bench``: measures what SINS costs and how fast it is, for ``docs/performance.md``."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from ops.bench.environment import bench_cluster, bench_database
from ops.bench.latency import WRITES, measure_latency
from ops.bench.report import Section, write_report
from ops.bench.speed.kept import Kept
from ops.bench.speed.sizes import DETAILS, EVENTS, Sizes
from sins.collector import collect_rarely

PEOPLE, DOCUMENTS = 20_000, 100_000
COLUMNS, SHIPPING, LATENCY, SPEED = PARTS = ("columns", "shipping", "latency", "speed")
RESULTS = Path(".sins/bench/speed.jsonl")


def main() -> None:
    """Start a durable PostgreSQL, enter people, race the variants; then locations; report."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("docs/performance.md"))
    parser.add_argument("--only", choices=PARTS, help="show one part's figures, report nothing")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="that are shipped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writes", type=int, default=WRITES, help="that the others wait for")
    parser.add_argument("--details", type=int, default=DETAILS, help="present, for speed")
    parser.add_argument("--events", type=int, default=EVENTS, help="of a new location, for speed")
    parser.add_argument("--fresh", action="store_true", help="measure all of speed's lines again")
    options = parser.parse_args()
    # Speed takes the better part of an hour: it runs by itself, and the report has what is kept.
    wanted = {options.only} if options.only else {COLUMNS, SHIPPING, LATENCY}
    collect_rarely()  # as every process of a location does
    sections: list[Section] = []
    if wanted & {COLUMNS, SHIPPING}:
        with tempfile.TemporaryDirectory() as directory, bench_database(Path(directory)) as urls:
            os.environ["DATABASE_URL"] = urls.application
            os.environ["DATABASE_OWNER_URL"] = urls.owner
            sections += _measure(wanted, options)
    if LATENCY in wanted:
        sections.append(measure_latency(options.writes))
    kept = Kept(RESULTS, Sizes(options.details, options.events))
    sections += _speed(kept, is_fresh=options.fresh) if options.only == SPEED else kept.all()
    path = None if options.only else options.report
    write_report(path, sections, options.people, options.rounds, options.seed)


def _measure(wanted: set[str], options: argparse.Namespace) -> list[Section]:
    import django

    django.setup()
    from ops.bench import columns, shipping

    sections: list[Section] = []
    if COLUMNS in wanted:
        sections += columns.measure(options.people, options.rounds, options.seed)
    if SHIPPING in wanted:
        sections += shipping.measure(options.documents, options.rounds, options.seed)
    return sections


def _speed(kept: Kept, *, is_fresh: bool) -> list[Section]:
    if is_fresh:
        kept.forget()
    with (
        tempfile.TemporaryDirectory() as directory,
        bench_cluster(Path(directory)) as (cluster, urls),
    ):
        os.environ["DATABASE_URL"] = urls.application
        os.environ["DATABASE_OWNER_URL"] = urls.owner
        import django

        django.setup()
        from ops.bench.speed import lines

        return lines.measure(cluster, urls, kept)


if __name__ == "__main__":
    main()
