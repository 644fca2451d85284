"""Try each mutant on a copy of the source; tell which were not noticed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounts", "cockpit", "consumers", "customers", "events", "ops", "sins", "tests")
FILES = ("conftest.py", "manage.py", "pyproject.toml")
PASSED, FAILED = 0, 1  # pytest's exit codes; all others mean that it could not run
_NOTICED = re.compile(r"^E +(assert |AssertionError|Failed: DID NOT RAISE)", re.MULTILINE)
QUICK = ("-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist")
# Without Django: no settings, no shared fixtures.
PURE = ("-p", "no:django", "--noconftest", "-c", os.devnull, "--rootdir", ".")


def main(words: Sequence[str]) -> int:
    """Try the mutants whose name holds one of ``words``, or all; return how many were missed."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="sins-mutants-") as name:
        tree = Path(name) / "tree"
        copy_to(tree)
        problems = [f"passes without the change too? {text}" for text in not_passing(tree, chosen)]
        for mutant in chosen:
            begun = time.monotonic()
            problem = tried(tree, mutant)
            seconds = time.monotonic() - begun
            say(f"{'MISSED ' if problem else 'noticed'} {seconds:5.1f} s  {mutant.name}")
            problems += [f"{mutant.name}: {problem}"] if problem else []
    for problem in problems:
        say(problem)
    say(f"{len(chosen)} mutants, {len(problems)} problems")
    return len(problems)


def copy_to(tree: Path) -> None:
    """Copy what the tests need to ``tree``."""
    ignored = shutil.ignore_patterns("__pycache__", "static", "*.pyc")
    for package in PACKAGES:
        if (ROOT / package).is_dir():
            shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, tree / file)


def not_passing(tree: Path, mutants: Iterable[Mutant]) -> list[str]:
    """Return what says that the tests do not even pass on the source as it is."""
    said = []
    for needs_django in (False, True):
        tests = sorted({m.test for m in mutants if m.needs_django == needs_django})
        if tests:
            code, output = run(tree, tests, needs_django=needs_django)
            said += [] if code == PASSED else [output]
    return said


def tried(tree: Path, mutant: Mutant) -> str | None:
    """Return why ``mutant`` was not noticed; None if its test failed as it has to."""
    path = tree / mutant.file
    source = path.read_text()
    found = source.count(mutant.old)
    if found != 1:
        return f"{mutant.file} holds the text to change {found} times; mend the catalogue"
    path.write_text(source.replace(mutant.old, mutant.new))
    try:
        compile(path.read_text(), mutant.file, "exec")
        code, output = run(tree, [mutant.test], needs_django=mutant.needs_django)
    except SyntaxError as exc:
        return f"the change is no Python: {exc}"
    finally:
        path.write_text(source)
    if code == PASSED:
        return f"{mutant.test} passed"
    # A test that broke down has noticed nothing.
    return None if code == FAILED and _NOTICED.search(output) else f"could not run: {output}"


def run(tree: Path, tests: Sequence[str], *, needs_django: bool) -> tuple[int, str]:
    """Run tests in ``tree``; return pytest's exit code and what it said."""
    command = [sys.executable, "-m", "pytest", *QUICK, *(() if needs_django else PURE), *tests]
    # No compiled files: a change within the same second would not be seen.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    environment.pop("PYTEST_ADDOPTS", None)
    result = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return result.returncode, result.stdout + result.stderr


def say(text: str) -> None:
    """Tell whoever started this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
