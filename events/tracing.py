"""One trace from the browser to the rows at another location. Pure.

A request id of 32 hex digits *is* the trace id of W3C Trace Context, level 1; any other is hashed
to one. So nothing has to be kept beside the event: its request id stands in its raw bytes.
"""

from __future__ import annotations

import re
from hashlib import sha256
from uuid import UUID

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-.{2}")


def trace_id_of(request_id: str) -> str:
    """Return the trace that a request belongs to."""
    if _TRACE_ID.fullmatch(request_id):
        return request_id
    return sha256(request_id.encode()).hexdigest()[:32]


def traceparent_of(request_id: str, event_id: UUID | None = None) -> str:
    """Return the header that goes with an event, or with a request that came without one."""
    trace_id = trace_id_of(request_id)
    return f"00-{trace_id}-{event_id.hex[16:] if event_id else trace_id[:15] + '1'}-01"


def trace_id_in(traceparent: str) -> str | None:
    """Return the trace id of a header; ``None`` if it is malformed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else None
