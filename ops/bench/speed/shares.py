"""Where the time of a missed goal goes: by function within this process, by process else."""

from __future__ import annotations

import cProfile
import os
import pstats
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TOP: Final = 10  # functions
TICKS: Final = os.sysconf("SC_CLK_TCK")  # a second

Shares = dict[str, float]  # of 1, by name


def by_function(work: Callable[[], object]) -> Shares:
    """Do ``work`` under the profiler; return the functions that took most by themselves."""
    profiler = cProfile.Profile()
    profiler.runcall(work)
    found = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    own = {_name(*place): seconds[2] for place, seconds in found.items()}
    total = sum(own.values())
    first = sorted(own, key=lambda name: own[name], reverse=True)[:TOP]
    return {name: own[name] / total for name in first}


def in_words(shares: Mapping[str, float]) -> str:
    """Return shares as one text."""
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


@contextmanager
def by_process(processes: Mapping[str, Sequence[int]]) -> Iterator[Shares]:
    """Yield what fills, at the end, with the cores that each of the processes kept busy.

    Processes that a named one has started count with it, ended ones too.
    """
    shares: Shares = {}
    begun, before = time.perf_counter(), _seconds_of(processes)
    yield shares
    seconds, after = time.perf_counter() - begun, _seconds_of(processes)
    shares.update({name: (after[name] - before[name]) / seconds for name in processes})


def _seconds_of(processes: Mapping[str, Sequence[int]]) -> dict[str, float]:
    children = _children()
    return {name: sum(_seconds(pid, children) for pid in pids) for name, pids in processes.items()}


def _seconds(pid: int, children: Mapping[int, Sequence[int]]) -> float:
    """Return the processor time of a process, its children and those it has outlived."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    own = sum(map(int, fields[11:15])) / TICKS
    return own + sum(_seconds(child, children) for child in children.get(pid, ()))


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            fields = _stat(int(path.name))
            if fields is not None:
                found.setdefault(int(fields[1]), []).append(int(path.name))
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process from its state on; None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _name(file: str, line: int, function: str) -> str:
    if file == "~":
        return function.strip("<>").replace("built-in method ", "").replace("|", "/")
    return f"{Path(file).parent.name}/{Path(file).name}:{line} {function}"
