"""Which pages bring this location to where a peer is in a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from consumers.pull import Peer
from consumers.verify import Run, entries_of
from events import streams


@dataclass(frozen=True, slots=True)
class End:
    """Where a peer says that an epoch of a stream ends there; not proven yet."""

    origin: str
    epoch: int
    seq: int
    chain: str  # in hex

    def is_here(self) -> bool:
        """Whether this location has that number, with that chain value."""
        here = streams.chain_at(self.origin, self.epoch, self.seq)
        return here is not None and (not self.seq or here.hex() == self.chain)


def ends_of(origin: str, said: Mapping[str, Any] | None) -> Iterator[End]:
    """Yield what a peer says of each epoch of a stream, oldest first."""
    for one in streams.each_epoch(said):
        yield End(origin, one["epoch"], one["seq"], one["chain"])


def towards(peer: Peer, end: End) -> Run | None:
    """Return the next page, ``None`` if the peer shows none.

    Where the stream forked, it is the peer's whole branch, from numbers on that are shared.
    """
    here = streams.applied_seq(end.origin, end.epoch)
    if here < end.seq:
        run = peer.page(end.origin, end.epoch, here)
        if run is None or _follows(run, here):
            return run
    return _branch(peer, end, min(here, end.seq))


def is_complete(peer: Peer, end: End) -> bool:
    """Whether every event of the peer's stream is here, be it under another number."""
    if end.is_here():
        return True
    run = towards(peer, end)
    return run is not None and all(e.sealed is None for e in entries_of(run.items, end.origin))


def _branch(peer: Peer, end: End, after: int) -> Run | None:
    run = None
    while after and (run is None or not _follows(run, after)):
        after = max(0, after - streams.PAGE)
        run = peer.page(end.origin, end.epoch, after)
        if run is None:
            return None
    while run is not None and run.head.seq < end.seq:
        more = peer.page(end.origin, end.epoch, run.head.seq)
        if more is None:
            return None
        run = replace(run, items=[*run.items, *more.items], head=more.head)
    return run


def _follows(run: Run, after: int) -> bool:
    return run.before == streams.chain_at(run.origin, run.epoch, after)
