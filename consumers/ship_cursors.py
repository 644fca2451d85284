"""What shipping remembers: how far each stream is, and what Elasticsearch refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import structlog

from consumers.ship_documents import Document
from events import sql

REFUSED = "document_refused"

log = structlog.get_logger("consumers.ship")

# Compare and set: whoever puts a cursor back meanwhile has the last word.
_SAVE = """
INSERT INTO consumers_shipcursor AS c (stream, number) VALUES (%(stream)s, %(number)s)
ON CONFLICT (stream) DO UPDATE SET number = excluded.number WHERE c.number = %(after)s
"""

_FORGET = "DELETE FROM consumers_unshipped WHERE document_id = ANY(%s)"

_KEEP = """
INSERT INTO consumers_unshipped (document_id, index, reason, document, refused_at)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (document_id) DO UPDATE SET reason = excluded.reason, document = excluded.document
"""

_REWIND = "UPDATE consumers_shipcursor SET number = 0 WHERE stream <> 'status'"
_STEP_BACK = """
UPDATE consumers_shipcursor SET number = least(number, %(number)s) WHERE stream = %(stream)s
"""

_PUT_BACK = """
UPDATE consumers_shipcursor SET number = %(number)s
WHERE stream = %(stream)s AND number > %(number)s
"""


def save(stream: str, after: int, number: int) -> None:
    """Move a cursor that stands at ``after``."""
    sql.execute(_SAVE, {"stream": stream, "after": after, "number": number})


def settle(
    accepted: Sequence[Document], refused: Sequence[tuple[Document, str]], at: datetime
) -> None:
    """Keep what was refused, once; it is forgotten when it is accepted after all."""
    sql.execute(_FORGET, [[document.id for document in accepted]])
    for document, reason in refused:
        text = json.dumps(document.fields)
        sql.execute(_KEEP, [document.id, document.index, reason, text, at])
        log.warning(REFUSED, document=document.id, reason=reason)


def step_back(origin: str, epoch: int, number: int) -> None:
    """Ship what stands behind ``number`` now: the numbers there had other events before."""
    sql.execute(_STEP_BACK, {"stream": f"{origin}:{epoch}", "number": number})


def rewind() -> None:
    """Let everything be shipped again; what is in Elasticsearch already stays as it is."""
    sql.execute(_REWIND)


def put_back(origin: str, epoch: int, number: int) -> None:
    """Let what follows a number of a stream be shipped again: one of them has become an event."""
    sql.execute(_PUT_BACK, {"stream": f"{origin}:{epoch}", "number": number})
