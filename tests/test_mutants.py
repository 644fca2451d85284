"""The tests notice what they are for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

# All in one would keep a process of the test run busy when the others have nothing left to do.
PARTS = 6


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_a_mutant_changes_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new
    file, _, test = mutant.test.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_mutant_is_noticed(part: int) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.mutants", *(each.name for each in MUTANTS[part::PARTS])],
        cwd=Path(ROOT),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_mutant_nobody_notices_is_told() -> None:
    harmless = Mutant(
        "harmless", "events/fold.py", "It reads no clock", "It reads no watch", MUTANTS[0].test
    )
    program = f"""
import sys
from tests.mutants import catalogue
catalogue.MUTANTS[:] = [catalogue.{harmless!r}]
from tests.mutants.__main__ import main
sys.exit(main([]))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "MISSED" in result.stdout
