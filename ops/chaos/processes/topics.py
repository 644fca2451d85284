"""``python -m ops.chaos.processes.topics SINCE``: what is wrong with what Kafka holds.

In the environment of a location, with whose numbers it is compared. ``SINCE`` is JSON, ``{"origin
epoch": number}``: what is numbered beyond must be there. Prints a sentence for whatever is wrong.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from events.locations import Signers
    from events.records import Record

READ_SECONDS: Final = 30.0  # until the last number of each stream must have come
IDLE_SECONDS: Final = 1.0  # without a record: there are no more

_NUMBERS: Final = """
SELECT n.origin, n.epoch, n.seq, n.chain, e.raw, s.ct FROM events_eventnumber n
JOIN events_event e USING (event_id) LEFT JOIN events_eventsecret s USING (event_id)
ORDER BY n.origin, n.epoch, n.seq
"""

Number = tuple[str, int, int]  # origin, epoch, number


class Kept(NamedTuple):
    """What stands under a number: its chain value, the event's bytes, and its ciphertext."""

    chain: bytes
    raw: bytes
    ct: bytes | None


def main(arguments: list[str]) -> None:
    """Read all topics and compare them."""
    import django

    django.setup()
    # Django has to be set up before.
    from events import locations, sql
    from events.records import is_head

    rows = sql.execute(_NUMBERS).rows()
    numbers = {(origin, epoch, seq): Kept(*kept) for origin, epoch, seq, *kept in rows}
    read = list(_records(numbers))
    heads = [(origin, record) for origin, record in read if is_head(record)]
    items = [_item(origin, record) for origin, record in read if not is_head(record)]
    for sentence in wrong_heads(heads, numbers, locations.signers()):
        print(sentence)
    for sentence in wrong_items(items, numbers, json.loads(arguments[0])):
        print(sentence)


def wrong_items(
    items: Iterable[tuple[Number, Kept]], numbers: Mapping[Number, Kept], since: Mapping[str, int]
) -> Iterator[str]:
    """Yield a sentence for each record that is not the number it says, and for each that lacks.

    ``numbers`` are in order. Of a Kafka that was wiped, a stream begins somewhere; from there on,
    it is whole.
    """
    found = set()
    for number, kept in items:
        found.add(number)
        if numbers.get(number) != kept:
            yield f"Kafka holds something else as {_name(number)}"
    for _, stream in groupby(numbers, key=itemgetter(0)):
        has_begun = False
        for origin, epoch, seq in stream:
            is_there = (origin, epoch, seq) in found
            has_begun |= is_there or seq > since.get(f"{origin} {epoch}", 0)
            if has_begun and not is_there:
                yield f"Kafka lacks {_name((origin, epoch, seq))}"


def wrong_heads(
    heads: Iterable[tuple[str, Record]], numbers: Mapping[Number, Kept], signers: Signers
) -> Iterator[str]:
    """Yield a sentence for each head that does not fit, or that its location has not signed."""
    from events.records import read_head

    for origin, record in heads:
        head = read_head(record)
        number = (head.origin, head.epoch, head.seq)
        if head.origin != origin or number not in numbers or numbers[number].chain != head.chain:
            yield f"Kafka holds a head with another chain value than {_name(number)}"
        if not any(key.has_signed(head) for key in signers[origin]):
            yield f"Kafka holds a head of {_name(number)} that {origin} has not signed"


def _item(origin: str, record: Record) -> tuple[Number, Kept]:
    from events.records import read_item

    epoch, item = read_item(record)
    return (origin, epoch, item.seq), Kept(item.chain, item.raw, item.ct)


def _records(numbers: Iterable[Number]) -> Iterator[tuple[str, Record]]:
    """Yield ``(origin, record)`` of all topics: until no more come, and the last numbers have."""
    from django.conf import settings

    from events.kafka import Reader
    from events.records import is_head, topic_of

    missing = {origin: (origin, epoch, seq) for origin, epoch, seq in numbers}
    origins = {topic_of(origin): origin for origin in missing}
    reader = Reader(settings.KAFKA_BOOTSTRAP, dict.fromkeys(origins, 0))
    deadline = time.monotonic() + READ_SECONDS
    while True:
        found = reader.read(1000, IDLE_SECONDS)
        for topic, record in found:
            origin = origins[topic]
            yield origin, record
            if not is_head(record) and missing.get(origin) == _item(origin, record)[0]:
                del missing[origin]
        if not found and (not missing or time.monotonic() > deadline):
            break
    reader.close()


def _name(number: Number) -> str:
    origin, epoch, seq = number
    return f"number {seq} of {origin}, epoch {epoch}"


if __name__ == "__main__":
    main(sys.argv[1:])
