"""What a wrong turn is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``old`` stands exactly once in ``file``; with ``new`` in its place ``test`` must fail.

    A test that ``needs_django`` takes longer: settings, registry, perhaps a database.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    needs_django: bool = False
