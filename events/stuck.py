"""Streams that do not arrive although a peer that answers has them: which, since when, and why.

With each heartbeat of a peer this location keeps what of it is not here, and since when its last
number here has been the same (``PeerContact.lacking``). What moves, however slowly, begins anew
each time; so does all after a peer's silence, which is an alarm of its own (events.status).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext_noop as _

from events import locations, sql
from events.streams import each_epoch

STUCK_SECONDS: Final = 30.0
# Two heartbeats may get lost.
SILENCE_SECONDS: Final = 12.0

FORKED = _("its location gave numbers twice: the stream is stopped until it begins another epoch")
NO_KEY = _("no key of that location is known here")
NOT_SHOWN = _("it is this location's own, and nobody shows it with this location's signature")
NOT_SIGNED = _("what comes is not what its location signed: see the dead letters")
OTHER = _(
    "the peer has other events under numbers that are here, and no key that counts signed them"
)
NOT_SAID = _("nothing says why: look whether the consumer runs")

# The epochs of which a peer said a number that is not here, or is another one here; with the last
# number here and the time.
_LACKING = """
SELECT s.origin, s.epoch, s.seq,
       coalesce((SELECT max(n.seq) FROM events_eventnumber n
                 WHERE n.origin = s.origin AND n.epoch = s.epoch), 0),
       extract(epoch FROM clock_timestamp())::float8
FROM json_to_recordset(%s) AS s (origin text COLLATE "C", epoch integer, seq bigint, chain text)
LEFT JOIN events_eventnumber here USING (origin, epoch, seq)
WHERE s.seq > 0 AND encode(here.chain, 'hex') IS DISTINCT FROM s.chain
ORDER BY s.origin, s.epoch
"""

_KEPT = """
SELECT lacking::text FROM events_peercontact
WHERE location = %s AND last_contact_at > clock_timestamp() - %s * interval '1 second'
"""

_HAS_LETTER = """
SELECT EXISTS (SELECT FROM events_deadletter
               WHERE source <> 'stream' AND origin = %s AND epoch = %s AND seq > %s)
"""


@dataclass(frozen=True, slots=True)
class Lack:
    """An epoch of a stream that a peer has up to number ``said``.

    Here its last number has been ``seq`` since ``since``, in seconds since 1970.
    """

    origin: str
    epoch: int
    said: int
    seq: int
    since: float

    def to_json(self) -> list[Any]:
        """Return the form in which it is kept."""
        return [self.origin, self.epoch, self.said, self.seq, self.since]


def renewed(before: Iterable[Lack], now: Iterable[Lack]) -> list[Lack]:
    """Return what is lacking now; what stands where it stood before has done so since then."""
    known = {(each.origin, each.epoch, each.seq): each.since for each in before}
    return [
        replace(each, since=min(known.get((each.origin, each.epoch, each.seq), each.since),
                                each.since))
        for each in now
    ]  # fmt: skip


def stuck(lacks: Iterable[Lack], here: Mapping[tuple[str, int], int], now: float) -> list[Lack]:
    """Return what has not moved for ``STUCK_SECONDS``; ``here`` is ``{(origin, epoch): seq}``."""
    return [
        each
        for each in lacks
        if now - each.since >= STUCK_SECONDS and here.get((each.origin, each.epoch), 0) == each.seq
    ]


def lacking(peer: str, heads: Mapping[str, Mapping[str, Any]]) -> list[list[Any]]:
    """Return what a peer says it has and is not here, to be kept with that word of it."""
    said = [
        {"origin": origin, "epoch": one["epoch"], "seq": one["seq"], "chain": one["chain"]}
        for origin, position in heads.items()
        for one in each_epoch(position)
    ]
    kept = sql.execute(_KEPT, [peer, SILENCE_SECONDS]).rows()
    before = [Lack(*each) for (text,) in kept for each in json.loads(text)]
    now = [Lack(*row) for row in sql.execute(_LACKING, [json.dumps(said)]).rows()]
    return [each.to_json() for each in renewed(before, now)]


def listed(
    found: Mapping[str, Sequence[Lack]], stopped: Mapping[str, int], now: float
) -> list[dict[str, Any]]:
    """Return each stuck epoch once, given ``{peer: what is stuck of what it has}``."""
    by_place: dict[tuple[str, int], dict[str, Lack]] = {}
    for peer, lacks in found.items():
        for each in lacks:
            by_place.setdefault((each.origin, each.epoch), {})[peer] = each
    return [_line(by_place[place], stopped, now) for place in sorted(by_place)]


def _line(lacks: Mapping[str, Lack], stopped: Mapping[str, int], now: float) -> dict[str, Any]:
    first = min(lacks.values(), key=lambda each: each.since)
    most = max(lacks.values(), key=lambda each: each.said)
    return {
        "origin": first.origin,
        "epoch": first.epoch,
        "applied_seq": first.seq,
        "their_seq": most.said,
        "since": datetime.fromtimestamp(first.since, UTC).isoformat(),
        "seconds": round(now - first.since, 1),
        "peers": sorted(lacks),
        "reason": _why(most, stopped),
    }


def _why(lack: Lack, stopped: Mapping[str, int]) -> str:
    if lack.epoch <= stopped.get(lack.origin, 0):
        return FORKED
    if lack.origin not in locations.signers():
        return NO_KEY
    if lack.origin == settings.LOCATION_ID:
        return NOT_SHOWN
    place = [lack.origin, lack.epoch, lack.seq]
    [(has_letter,)] = sql.execute(_HAS_LETTER, place).rows()
    if has_letter:
        return NOT_SIGNED
    return OTHER if lack.said <= lack.seq else NOT_SAID
