"""What locations say to each other, as JSON: pages of a stream, heartbeats."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from consumers import dead_letters
from consumers.verify import Run
from events import vouching
from events.chain import Head, head_from_json
from events.contacts import Said
from events.digest import BUCKETS_BYTES
from events.streams import Item, Page

MOST_ORIGINS = vouching.MOST_LOCATIONS
MOST_OLDER = 2000  # former epochs of all origins


def page_to_json(page: Page) -> dict[str, Any]:
    """Return a page as it is answered."""
    return {
        "origin": page.origin,
        "epoch": page.epoch,
        "after": page.after,
        "before": page.before.hex(),
        "events": [
            {
                "seq": item.seq,
                "raw": _text(item.raw),
                "ct": item.ct and _text(item.ct),
                "key": item.wrapped and _text(item.wrapped),
            }
            for item in page.items
        ],
        "head": page.head.to_json(),
    }


def run_from_json(document: Any, origin: str, epoch: int) -> Run | None:
    """Return the run that a page holds, ``None`` for an empty one; ``ValueError`` if malformed."""
    try:
        if document["head"] is None:
            return None
        head = head_from_json(document["head"])
        items = [
            Item(int(e["seq"]), _bytes(e["raw"]), b"", e["ct"] and _bytes(e["ct"]),
                 e["key"] and _bytes(e["key"]))
            for e in document["events"]
        ]  # fmt: skip
        before = bytes.fromhex(document["before"])
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("not a page") from exc
    if (head.origin, head.epoch) != (origin, epoch) or not items:
        raise ValueError("not the page that was asked for")
    return Run(origin, epoch, items, head, dead_letters.PULL, before=before)


def said_to_json(said: Said) -> dict[str, Any]:
    """Return a heartbeat as it is sent; what it says of keys, only an answer does."""
    return {
        "heads": said.heads,
        "digest": said.digest,
        "digest_heads": said.digest_heads,
        "clock": said.clock,
        "capabilities": said.capabilities,
    }


def said_from_json(document: Any) -> Said:
    """Return a heartbeat, every field checked; ``ValueError`` if it is none."""
    try:
        said = Said(
            heads_from_json(document["heads"]),
            _short(document["digest"]),
            _digest_heads(document["digest_heads"]),
            _number(document["clock"]),
            _capabilities(document["capabilities"]),
            document.get("locations"),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("not a heartbeat") from exc
    return said


def heads_from_json(document: Any) -> dict[str, dict[str, Any]]:
    """Return ``{origin: {epoch, seq, chain}}``, with former epochs as ``older``.

    ``ValueError`` if it is none.
    """
    try:
        found = {_short(origin): _position(said) for origin, said in document.items()}
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("not positions") from exc
    if len(found) > MOST_ORIGINS:
        raise ValueError("too many origins")
    if sum(len(said.get("older", ())) for said in found.values()) > MOST_OLDER:
        raise ValueError("too many epochs")
    return found


def buckets_to_json(heads: Mapping[str, list[int]], buckets: bytes) -> dict[str, Any]:
    """Return the buckets of a digest as they are answered, with the positions they belong to."""
    return {"heads": heads, "buckets": _text(buckets)}


def buckets_from_json(document: Any) -> tuple[dict[str, list[int]], bytes]:
    """Return positions and buckets of a peer's digest; ``ValueError`` if malformed."""
    try:
        heads, buckets = _digest_heads(document["heads"]), _bytes(document["buckets"])
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("not buckets") from exc
    if len(buckets) != BUCKETS_BYTES:
        raise ValueError("not as many buckets as there are")
    return heads, buckets


def signed_heads(document: Mapping[str, Any]) -> list[Head]:
    """Return the signed heads that come with positions: of the peer's own stream, and of forks."""
    own, forks = document.get("head"), document.get("forks", [])
    if not isinstance(forks, list) or len(forks) > MOST_ORIGINS:
        raise ValueError("not heads")
    return [head_from_json(one) for one in (own, *forks) if one is not None]


def _capabilities(said: Any) -> dict[str, Any]:
    """Return what a location says it can do: what is unknown here is kept, not looked at."""
    types = said.get("event_types", {})
    return {**said, "event_types": {_short(name): _number(v) for name, v in types.items()}}


def _position(said: Any) -> dict[str, Any]:
    found = {
        "epoch": _number(said["epoch"]),
        "seq": _number(said["seq"]),
        "chain": bytes.fromhex(said["chain"]).hex(),
    }
    older = said.get("older", [])
    if older:
        found["older"] = [_position({**one, "older": []}) for one in older]
    return found


def _digest_heads(said: Any) -> dict[str, list[int]]:
    return {str(origin): [_number(n) for n in numbers] for origin, numbers in said.items()}


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("not a number")
    return value


def _short(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64 or "\x00" in value:
        raise ValueError("not a short text")
    return value


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
