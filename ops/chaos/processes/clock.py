"""A clock that is wrong by what a file says; settings of the chaos runs let a process follow it."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import Final

VARIABLE: Final = "SINS_CHAOS_CLOCK"
_OFFSET: Final = struct.Struct("<q")  # ns


def make(path: Path) -> None:
    """Make the file of a clock that is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_OFFSET.pack(0))


def set_wrong(path: Path, seconds: float) -> None:
    """Let the clock be ahead by so much; in place, since processes have mapped the file."""
    with path.open("r+b") as file:
        file.write(_OFFSET.pack(round(seconds * 1e9)))


def follow(path: Path) -> None:
    """Let ``time.time`` and ``time.time_ns`` of this process say what the file makes of them."""
    with path.open("rb") as file:
        said = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    right = time.time_ns

    def time_ns() -> int:
        (offset,) = _OFFSET.unpack_from(said)
        return right() + int(offset)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
