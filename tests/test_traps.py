"""Each known trap has a test of its name, or a line that says why it cannot arise here."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TRAPS = range(1, 46)
DECISION = "0021-traps-that-cannot-arise.md"


def kept_by() -> dict[int, set[str]]:
    """Return the files that hold a trap's tests."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*/test_*.py"],
        check=True, capture_output=True, text=True, cwd=CHECKOUT,
    ).stdout.split()  # fmt: skip
    found: dict[int, set[str]] = defaultdict(set)
    for file in files:
        text = (CHECKOUT / file).read_text(encoding="utf-8")
        for number in re.findall(r"^ *(?:async )?def test_trap_(\d\d)_", text, re.MULTILINE):
            found[int(number)].add(file)
    return found


def decided() -> set[int]:
    """Return the traps of which the decision says why they cannot arise."""
    text = (CHECKOUT / "docs" / "decisions" / DECISION).read_text(encoding="utf-8")
    return {int(number) for number in re.findall(r"^- \*T(\d+)\*", text, re.MULTILINE)}


def listed() -> dict[int, set[str]]:
    """Return the traps in the table of the page on reliability, and where it says they are kept."""
    text = (CHECKOUT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| T(\d+) \|[^|]+\|([^|]+)\|$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "each stands once"
    return {int(number): set(re.findall(r"`([^`]+)`", places)) for number, places in rows}


def test_each_trap_has_a_test_of_its_name_or_a_reason() -> None:
    assert sorted(kept_by().keys() | decided()) == list(TRAPS)


def test_the_page_on_reliability_says_where_each_is_kept() -> None:
    found = kept_by()
    assert listed() == {number: found.get(number, set()) for number in TRAPS}
