"""Which lines the speed table has, and in which order they are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from ops.bench.report import Section
from ops.bench.speed import applying, catching_up, digesting, sending, writing
from ops.bench.speed.kept import Kept
from ops.bench.speed.stage import Stage, say
from ops.databases import DatabaseUrls
from ops.postgres import Cluster

Measure = Callable[[Stage], list[Section]]

LINES: Final[Mapping[str, Measure]] = {
    "applying": applying.measure,
    "sending": sending.measure,
    "writing": writing.measure,
    "after a cut": catching_up.after_a_cut,
    "new location": catching_up.new_location,
    "digest": digesting.measure,
}


def measure(cluster: Cluster, urls: DatabaseUrls, kept: Kept) -> list[Section]:
    """Measure what is not kept yet, each line kept as soon as it is done; return all sections."""
    return all_of(LINES, Stage(cluster, urls, kept.sizes), kept)


def all_of(lines: Mapping[str, Measure], stage: Stage, kept: Kept) -> list[Section]:
    """Return the sections of all lines: those that are kept as they were, the others measured."""
    for line, measured in lines.items():
        if kept.sections(line) is not None:
            say(f"{line}: measured before")
            continue
        say(f"{line} …")
        begun = time.perf_counter()
        kept.keep(line, measured(stage))
        say(f"{line}: measured in {time.perf_counter() - begun:.0f} s")
    return kept.all()
