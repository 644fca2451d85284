"""Looking again at dead letters: some are settled meanwhile, some are events by now.

Nothing waits for a dead letter: its number is pulled from its origin in any case, at every
heartbeat until it is here. Bytes that have a number (source ``stream``) were received, and counted,
as no event; when this release reads them they become the event they are, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

from consumers import dead_letters, ship_cursors
from consumers.apply import FORK
from consumers.dead_letters import Kept
from consumers.errors import PeerFailed
from consumers.pull import Peer
from consumers.verify import NO_EVENT, OTHER_STREAM, REUSED_ID, Entry, Run, entries_of
from events import contacts, locations, streams
from events.log import Sealed
from events.recorder import Found, Late, recognise
from events.refold import POISON
from events.streams import Item

APPLIED_MEANWHILE = _("applied meanwhile")
NOW_AN_EVENT = _("is an event now")
NOW_PARKED = _("is an event now; its record is parked")
GONE = _("is gone already")
WAITS = _("waits for its origin")
WAITS_FOR_SECRET = _("waits for its origin: its ciphertext is there")
STOPPED = _("its stream is stopped: a person has to look")
REFUSED = _("the database still refuses it")
_STAYS = {
    NO_EVENT: _("is still no event"),
    OTHER_STREAM: _("stays: it is of another origin"),
    REUSED_ID: _("stays: its event id is that of another event"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a dead letter; a settled one is kept no longer."""

    letter: Kept
    said: str
    is_settled: bool = False


class Retrier:
    """Looks at dead letters again; ``clock`` says what time it is (µs)."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._pulled: Run | None = None  # the next letters are often of the same page

    def retry(self, letters: Iterable[Kept]) -> Iterator[Outcome]:
        """Yield what becomes of each, in the order of their numbers."""
        for letter in sorted(
            letters, key=lambda each: (each.origin, each.epoch or 0, each.seq or 0)
        ):
            is_numbered = letter.source == dead_letters.STREAM
            yield self._numbered(letter) if is_numbered else _copy(letter)

    def _numbered(self, letter: Kept) -> Outcome:
        """Let bytes that have a number be the event they are, if this release reads them."""
        raw = dead_letters.raw_of(letter)
        if letter.epoch is None or letter.seq is None or not raw:
            return Outcome(letter, GONE, is_settled=True)
        entry = _read(letter, Item(letter.seq, raw, b""))
        if _lacks_secret(entry):
            item = self._pull(letter.origin, letter.epoch, letter.seq, raw)
            if item is None:
                return Outcome(letter, WAITS_FOR_SECRET)
            entry = _read(letter, item)
        if entry.event is None:
            return Outcome(letter, _STAYS[entry.reason])
        sealed = entry.sealed or Sealed(entry.event, raw)
        late = Late(letter.origin, letter.epoch, letter.seq, sealed, self._clock())
        found = _recognised(late)
        if found is None:
            return Outcome(letter, REFUSED)
        ship_cursors.put_back(letter.origin, letter.epoch, letter.seq - 1)
        is_parked = entry.event.entity_uid in found.parked
        return Outcome(letter, NOW_PARKED if is_parked else NOW_AN_EVENT, is_settled=True)

    def _pull(self, origin: str, epoch: int, seq: int, raw: bytes) -> Item | None:
        """Return the number with its ciphertext and key, from its origin or whoever has them."""
        if (item := _of(self._pulled, origin, epoch, seq, raw)) is not None:
            return item
        peers = locations.peers()
        for name in sorted(peers, key=lambda name: (name != origin, name)):
            peer = Peer(name, peers[name].url, self._clock)
            try:
                self._pulled = peer.page(origin, epoch, seq - 1)
            except PeerFailed:
                continue  # another may have it
            finally:
                peer.close()
            if (item := _of(self._pulled, origin, epoch, seq, raw)) is not None:
                return item
        return None


def _recognised(late: Late) -> Found | None:
    """Record the event; parked, if its content is too much. ``None`` if even so it cannot be."""
    try:
        return recognise(late)
    except POISON as exc:
        reason = type(exc).__name__
    try:
        return recognise(late, reason)
    except POISON:
        return None


def _copy(letter: Kept) -> Outcome:
    """Settle a copy of what was not received, once its number is here."""
    if letter.reason == FORK and letter.origin in streams.stopped():
        return Outcome(letter, STOPPED)
    if not _is_applied(letter):
        return Outcome(letter, WAITS)
    dead_letters.forget(letter)
    return Outcome(letter, APPLIED_MEANWHILE, is_settled=True)


def _is_applied(letter: Kept) -> bool:
    """Whether its number is here; of what has none, whether its origin has said of none more."""
    if letter.epoch is not None and letter.seq is not None:
        return streams.applied_seq(letter.origin, letter.epoch) >= letter.seq
    said = contacts.own_heads_of(letter.origin)
    return said is not None and all(
        streams.applied_seq(letter.origin, epoch) >= seq
        for epoch, seq in streams.epochs(said).items()
    )


def _read(letter: Kept, item: Item) -> Entry:
    (entry,) = entries_of([item], letter.origin)
    return entry


def _lacks_secret(entry: Entry) -> bool:
    """Whether the event has personal values, and what opens them was not kept with its bytes."""
    sealed = entry.sealed
    return sealed is not None and sealed.event.secret is not None and sealed.wrapped is None


def _of(run: Run | None, origin: str, epoch: int, seq: int, raw: bytes) -> Item | None:
    if run is None or (run.origin, run.epoch) != (origin, epoch):
        return None
    found = (item for item in run.items if item.seq == seq and item.raw == raw)
    return next((item for item in found if item.ct is not None), None)
