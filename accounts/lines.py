"""The access log as whoever reads on from the last line they saw reads it: nothing comes later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from events import sql

# Whoever inserts lines holds it, shared, until the transaction ends (migration 0002).
LOCK = 0x51_4E_53_02

# The newest id, if nobody is inserting: all ids up to it are settled then, committed or given up.
# One statement, so that the lock is gone with it and writers wait for nobody's next step. What
# committed while it began may not be seen by it, but is by the next one.
_SETTLED = """
SELECT newest.id FROM (SELECT max(id) AS id FROM accounts_access) AS newest
WHERE newest.id > %(after)s AND pg_try_advisory_xact_lock(%(lock)s)
"""

_LINES = """
SELECT id, uid, at, kind, actor, location, route, outcome, request_id
FROM accounts_access WHERE id > %(after)s AND id <= %(settled)s ORDER BY id LIMIT %(most)s
"""


class Line(NamedTuple):
    """One line of the access log."""

    id: int
    uid: UUID
    at: datetime
    kind: str
    actor: UUID | None
    location: str
    route: str
    outcome: str
    request_id: str


def lines_after(after: int, most: int) -> Sequence[Line]:
    """Return at most ``most`` lines with ids beyond ``after``, in order, none that is unsettled.

    Empty, too, while somebody inserts: who asks again gets them.
    """
    rows = sql.execute(_SETTLED, {"after": after, "lock": LOCK}).rows()
    if not rows:
        return []
    asked = {"after": after, "settled": rows[0][0], "most": most}
    return [Line(*row) for row in sql.execute(_LINES, asked).rows()]
