"""Seeded people for the benchmark, the same for every variant."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from customers.commands import new_draft, new_groups
from events.recorder import Author, record

SOURCE = UUID("7a0f8e1c-4b3d-5e2f-8a61-0c9d7b5e3f21")
_SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ne",
    "ru",
    "sa",
    "ti",
    "vo",
    "za",
    "be",
    "du",
    "fe",
    "go",
    "hi",
    "ja",
]


def values(n: int) -> dict[str, str]:
    """Return all nine details of person ``n``."""
    rng = random.Random(n)

    def word() -> str:
        return "".join(rng.choices(_SYLLABLES, k=3)).title()

    return {
        "surname": word(),
        "name": word(),
        "dob": f"{rng.randint(1930, 2008)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        "document_number": f"{rng.randint(10**8, 10**9)}",
        "phone": f"+49{rng.randint(10**9, 10**10)}",
        "email": f"{word().lower()}@example.org",
        "company": word(),
        "notes": " ".join(word() for _ in range(8)),
        "owner": str(uuid5(SOURCE, f"owner {n % 50}")),
    }


def uid(n: int) -> UUID:
    """Return the uid of person ``n``."""
    return uuid5(SOURCE, str(n))


def author(origin: str = "loc1") -> Author:
    """Return an author who writes now."""
    return Author(uuid5(SOURCE, "author"), origin, time.time_ns() // 1000, "bench-request")


def chunks(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield runs of at most ``size`` numbers."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def enter(numbers: Sequence[int], days: float = 0.0) -> None:
    """Enter people through the write path, in transactions of 500, stamped so many days ago."""
    for chunk in chunks(numbers, 500):
        drafts = [new_draft(uid(n), new_groups(values(n), "PERSON", None)) for n in chunk]
        now = author()
        record(drafts, replace(now, now=now.now - int(days * 86_400_000_000)))
