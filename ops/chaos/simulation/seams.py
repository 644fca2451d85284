"""Where a process can be struck: before any of its statements, and when it has done its work.

Django's cursors, the pipelines of ``events.sql`` and the sequencer's own connection all wait for
PostgreSQL in ``psycopg.Connection.wait``. That is the one seam: the product's code has no hooks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

# What a process does of its own; rolling back is what the server does when a process is gone.
_STATEMENTS = {"_execute_gen", "_executemany_gen_no_pipeline", "_commit_gen"}


class Crashed(BaseException):
    """A process is gone, as after kill -9; ``seam`` is that of the one that was struck."""

    def __init__(self, seam: Seam) -> None:
        super().__init__()
        self.seam = seam


class Seam:
    """Counts the statements of one process, and strikes before the one it was set to."""

    def __init__(self) -> None:
        self.is_dead = False
        self._left = 0
        self._strike: Callable[[], None] | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is about to strike."""
        return self._strike is not None

    def set(self, statements: int, strike: Callable[[], None]) -> None:
        """Strike before the statement that comes after ``statements`` others."""
        self._left, self._strike = statements, strike

    def kill(self) -> None:
        """End the process: no statement of it reaches the database any more."""
        self.is_dead = True
        raise Crashed(self)

    def revive(self) -> None:
        """Begin as a new process."""
        self.is_dead = False
        self._strike = None

    def before_statement(self) -> None:
        """Be told that a statement is about to be sent."""
        if self.is_dead:
            raise Crashed(self)
        if self._strike is not None and self._left == 0:
            self._struck()
        self._left -= 1

    def finished(self) -> None:
        """Be told that the work is done: what was to strike later strikes now."""
        if self._strike is not None:
            self._struck()

    def _struck(self) -> None:
        strike, self._strike = self._strike, None
        if strike is not None:
            strike()


class SeamedConnection(psycopg.Connection[Any]):
    """A connection whose process can be struck."""

    seam: Seam | None = None
    spare: list[SeamedConnection]

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        """Consume one of psycopg's generators; each is one exchange with the server."""
        if self.seam is not None and gen.__name__ in _STATEMENTS:
            self.seam.before_statement()
        return super().wait(gen, *arguments, **named)

    def commit(self) -> None:
        """Commit; whoever is struck just before leaves nothing behind."""
        try:
            super().commit()
        except Crashed:
            self.rollback()
            raise

    def close(self) -> None:
        """Let go of all that this session holds, at once: nothing is left to race."""
        self.seam = None
        if self.closed or self.info.transaction_status == TransactionStatus.UNKNOWN:
            return
        self.autocommit = True
        self.rollback()
        self.execute("SELECT pg_advisory_unlock_all()")
        self.spare.append(self)

    def really_close(self) -> None:
        """End the session."""
        super().close()


class SeamedDatabase(DatabaseWrapper):
    """Django's wrapper, whose connections belong to one process of the simulation."""

    seam: Seam | None = None
    spare: list[SeamedConnection]

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a connection that tells the process's seam of each statement."""
        self.isolation_level = IsolationLevel.READ_COMMITTED
        connection = self.spare.pop() if self.spare else SeamedConnection.connect(**conn_params)
        connection.seam, connection.spare = self.seam, self.spare
        return connection

    def copy(self, alias: str | None = None) -> SeamedDatabase:
        """Return a wrapper of the same process: the sequencer's own connection is made with it."""
        copied: SeamedDatabase = super().copy(alias)
        copied.seam, copied.spare = self.seam, self.spare
        return copied
