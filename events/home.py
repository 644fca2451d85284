"""A location's database knows its server: a copy of it elsewhere does not start.

Two databases under one name would give one number to two events, each in good faith. PostgreSQL
gives every server an identifier of its own, which dumps and snapshots restored elsewhere lack.
"""

from __future__ import annotations

import threading

from django.core.management.base import CommandError
from django.db import OperationalError, connection

from events import recovery

WAIT_SECONDS = 1.0
COPY = (
    "This database is a copy, made on another PostgreSQL server. Two that run under one name would"
    " contradict each other. If the other one runs no more: manage.py recover"
)

_HERE = """
INSERT INTO events_home (id, system_identifier)
SELECT 1, system_identifier FROM pg_control_system()
"""
_SETTLE = _HERE + "ON CONFLICT DO NOTHING"
MOVE = _HERE + "ON CONFLICT (id) DO UPDATE SET system_identifier = excluded.system_identifier"

_IS_ELSEWHERE = """
SELECT EXISTS (SELECT FROM events_home h JOIN pg_control_system() s
               ON s.system_identifier <> h.system_identifier)
"""


def settle() -> None:
    """Remember this server, the first time."""
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE)


def is_copy() -> bool:
    """Whether this is another server than the remembered one."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_ELSEWHERE)
        return bool(cursor.fetchone()[0])


def refuse_copy(stop: threading.Event) -> None:
    """End a process that would run on a copy, with exit code 2; the copy's pages only read.

    PostgreSQL may start later than the process: it is waited for until ``stop`` is set.
    """
    while not stop.is_set():
        try:
            if is_copy():
                recovery.begin()
                raise CommandError(COPY, returncode=2)
        except OperationalError:
            connection.close()
            stop.wait(WAIT_SECONDS)
        else:
            return


def move() -> None:
    """Take this server for the location's own; no writes before the own stream is back."""
    with connection.cursor() as cursor:
        cursor.execute(MOVE)
    recovery.begin()
