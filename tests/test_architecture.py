"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "cockpit", "consumers", "customers", "events", "sins")
MODULE_LINES = 300
FUNCTION_LINES = 40
FORBIDDEN_WORDS = {
    "utils", "helpers", "common", "misc", "manager", "service", "data", "info",
}  # fmt: skip
ORM_WRITES = {
    "save", "create", "delete", "update", "get_or_create", "update_or_create",
    "bulk_create", "bulk_update",
}  # fmt: skip
# Rows of versioned models come from the projection; these may write tables of their own.
WRITERS = {
    # the log and what is derived from it
    "events/recorder.py", "events/projection.py", "events/refold.py", "events/cursors.py",
    "events/heads.py", "events/sequencer.py", "events/relay.py", "events/keys.py",
    "events/contacts.py",  # what was last heard of a peer
    "consumers/apply.py", "consumers/dead_letters.py", "consumers/heartbeat.py",
    # members, tokens and the access log of this location
    "accounts/models.py", "accounts/tokens.py", "accounts/access.py",
    "accounts/management/commands/create_demo_members.py",
}  # fmt: skip


def modules(*roots: str) -> list[Path]:
    """Return the modules below ``roots``, without tests and migrations."""
    found = [path for root in roots for path in sorted((CHECKOUT / root).rglob("*.py"))]
    return [path for path in found if not {"tests", "migrations"} & set(path.parts)]


def name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


CODE = modules(*APPS, "ops")
every_module = pytest.mark.parametrize("path", CODE, ids=name)


@every_module
def test_module_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES
    long = [
        f"{node.name} ({length})"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []


@every_module
def test_names_say_what_is_inside(path: Path) -> None:
    classes = [
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    words = {path.stem, *path.relative_to(CHECKOUT).parts[:-1]}
    words |= {word.lower() for each in classes for word in re.findall(r"[A-Z][a-z]+", each)}
    assert words & FORBIDDEN_WORDS == set()


@pytest.mark.parametrize("path", modules(*APPS), ids=name)
def test_only_few_modules_write(path: Path) -> None:
    """Writes go through ``record()``; what is local to a location has its one module."""
    written = sorted(set(orm_writes(ast.parse(path.read_text(encoding="utf-8")))))
    assert written == [] or name(path) in WRITERS, written


def orm_writes(tree: ast.AST) -> Iterator[str]:
    """Yield calls that look like the ORM's writes: on ``.objects``, a queryset or a model."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver = ast.unparse(node.func.value)
        on_rows = re.search(r"\bobjects\b|\bfilter\(|\ball\(\)", receiver)
        on_one = node.func.attr == "save" and not node.args
        if (node.func.attr in ORM_WRITES and on_rows) or on_one:
            yield ast.unparse(node.func)


def test_no_signals() -> None:
    using = [
        name(path)
        for path in CODE
        if re.search(
            r"\bsignals\b|django\.dispatch|\bon_commit\(", path.read_text(encoding="utf-8")
        )
    ]
    assert using == []


def test_files_named_in_the_architecture_exist() -> None:
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_.]+\.(?:py|sh|md|html|css))`", page))
    assert len(named) >= 10, "the page names the files a write goes through"
    assert sorted(file for file in named if not (CHECKOUT / file).exists()) == []


def test_decisions_are_numbered_and_have_a_reason() -> None:
    decisions = sorted((CHECKOUT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in decisions]
    assert numbers == [f"{n:04}" for n in range(1, len(decisions) + 1)]
    for path in decisions:
        assert "context" in path.read_text(encoding="utf-8").lower(), path.name


def test_registry_stays_small() -> None:
    text = (CHECKOUT / "events" / "registry.py").read_text(encoding="utf-8")
    assert text.count("\n") <= 150


def test_no_secrets_or_local_files_are_kept() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], check=True, capture_output=True, text=True, cwd=CHECKOUT
    ).stdout.split()
    kept = [
        file for file in listed if re.search(r"(^|/)(\.env|\.sins/|\.venv/|node_modules/)", file)
    ]
    assert kept in ([], [".env.example"])
