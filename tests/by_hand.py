"""Changing tables as their owner can, past everything: the damage that checks are to find."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from django.db import connections
from psycopg import sql


def owner_url() -> str:
    """Return the address of the test's database, as its owner."""
    values = connections["owner"].settings_dict
    return (
        f"postgresql://{values['USER']}:{values['PASSWORD']}@{values['HOST']}:{values['PORT']}"
        f"/{values['NAME']}"
    )


def by_hand(table: str, statement: str, values: Sequence[object] = (), url: str = "") -> None:
    """Run a statement on ``table``, whose triggers are off meanwhile; something must change.

    ``url`` is the database, as its owner; by default the test's own.
    """
    named = sql.Identifier(table)
    with psycopg.connect(url or owner_url()) as owner:
        owner.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(named))
        done = owner.execute(sql.SQL(statement), values)
        owner.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(named))
    assert done.rowcount > 0, statement
