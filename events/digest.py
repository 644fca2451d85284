"""The state digest: one number for all compared tables, equal where the rows are equal.

Each row's whole text is hashed with HMAC-SHA256 under the network's secret, in SQL, and the first
128 bits are summed modulo 2^128 (a XOR would let two equal changes cancel out). The sums are kept
by bucket, of which an entity's uid tells one of 4,096: two locations that differ need not look
further than where their buckets do. The order of rows and their distribution over pages do not
matter. It is taken in one snapshot together with the positions of all streams: only digests of the
same positions are compared.
"""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction

from events.registry import kinds
from events.streams import Position, positions

BITS = 128
BUCKETS = 4096
_BYTES = BITS // 8
BUCKETS_BYTES = BUCKETS * _BYTES

# The last 12 bits of the uid: random in every version of uid, whereas the first may be a time.
BUCKET = "(((get_byte(uuid_send(entity_uid), 14) & 15) << 8) | get_byte(uuid_send(entity_uid), 15))"

# Four words of 32 bits per row, each summed by itself: numerics stay small, nothing overflows.
# OFFSET 0 keeps the subquery apart: pulled up, each row would be hashed once for every word.
_SUMS = f"""
SELECT bucket,
       sum(('x' || substr(h, 1, 8))::bit(32)::bigint),
       sum(('x' || substr(h, 9, 8))::bit(32)::bigint),
       sum(('x' || substr(h, 17, 8))::bit(32)::bigint),
       sum(('x' || substr(h, 25, 8))::bit(32)::bigint)
FROM (SELECT {BUCKET} AS bucket, encode(sha256(%(outer)s || sha256(%(inner)s || convert_to(
             (to_jsonb(t) - 'is_current')::text, 'UTF8'))), 'hex') AS h
      FROM {{table}} t OFFSET 0) AS hashed
GROUP BY bucket
"""
_IS_SETTLED = """
SELECT NOT EXISTS (SELECT 1 FROM events_outbox)
   AND NOT EXISTS (SELECT 1 FROM events_entityhead WHERE parked_reason IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Digest:
    """The digest (32 hex digits) and the positions ``{origin: [epoch, seq]}`` it belongs to.

    It is settled when every event in it has a number and nothing is parked: else it may not be
    compared. ``buckets`` are the 4,096 parts it is the sum of, 16 bytes each.
    """

    value: str
    heads: dict[str, list[int]]
    is_settled: bool
    buckets: bytes = field(repr=False)


def compared_tables() -> list[str]:
    """Return the tables that are equal at all locations: those of all kinds, and conflicts."""
    versioned = {model._meta.db_table for kind in kinds() for model in kind.tables.values()}
    return [*sorted(versioned), "events_conflict"]


def take() -> Digest:
    """Return the digest of the present state, from one snapshot."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor.execute("SET LOCAL bytea_output = 'hex'")
        heads, settled = comparable(positions()), is_settled()
        sums: Counter[int] = Counter()
        for table in compared_tables():
            sums.update(_sums(table))
    buckets = b"".join((sums[n] % 2**BITS).to_bytes(_BYTES, "big") for n in range(BUCKETS))
    return Digest(f"{sums.total() % 2**BITS:032x}", heads, settled, buckets)


def is_settled() -> bool:
    """Whether every event has a number and nothing is parked, so that a digest may be compared."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_SETTLED)
        return bool(cursor.fetchone()[0])


def differing_buckets(one: bytes, other: bytes) -> list[int]:
    """Return the numbers of the buckets in which two digests differ."""
    starts = range(0, BUCKETS_BYTES, _BYTES)
    return [n for n, at in enumerate(starts) if one[at : at + _BYTES] != other[at : at + _BYTES]]


def comparable(found: dict[str, Position]) -> dict[str, list[int]]:
    """Return positions as ``{origin: [epoch, seq]}``, former epochs first, without empty ones."""
    heads = {
        origin: [n for p in (*last.older, last) if p.seq for n in (p.epoch, p.seq)]
        for origin, last in sorted(found.items())
    }
    return {origin: numbers for origin, numbers in heads.items() if numbers}


def _sums(table: str) -> dict[int, int]:
    """Return the sum of each bucket that has rows in a table."""
    inner, outer = _pads(table)
    with connection.cursor() as cursor:
        cursor.execute(_SUMS.format(table=table), {"inner": inner, "outer": outer})
        return {bucket: _number(words) for bucket, *words in cursor.fetchall()}


def _number(words: Sequence[Decimal]) -> int:
    return sum(int(word) << shift for word, shift in zip(words, (96, 64, 32, 0), strict=True))


def _pads(table: str) -> tuple[bytes, bytes]:
    """Return the two padded keys of HMAC (RFC 2104) for a table's rows."""
    secret = base64.b64decode(settings.NETWORK_SECRET)
    key = hmac.digest(secret, b"sins digest " + table.encode(), "sha256").ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in key), bytes(b ^ 0x5C for b in key)
