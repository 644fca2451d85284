"""Streams of other locations, made as those make them, each in a database of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from django.db import connection, transaction

from consumers.verify import Run
from customers import commands
from events import chain, streams
from events.drafting import Author
from events.sequencer import number_pass
from events.streams import Item
from tests.databases import TestDatabases
from tests.environment import test_key

SOURCE = UUID("6a1e0f52-94b3-4e44-a2d6-3a3c8ff0d111")
NOW = 1_800_000_000_000_000  # µs
SEEDS = {name: base64.b64decode(test_key(f"location {name}")) for name in ("loc2", "loc3")}
PEERS = {
    name: {
        "url": "http://127.0.0.1:9",
        "public_key": base64.b64encode(chain.public_key(seed)).decode(),
    }
    for name, seed in SEEDS.items()
}


class Elsewhere:
    """Another location's pen: each write is a second later and a request of its own."""

    def __init__(self, origin: str, begin: int = NOW) -> None:
        self.origin = origin
        self.now = begin
        self.requests: list[str] = []

    def author(self) -> Author:
        self.now += 1_000_000
        self.requests.append(f"request-{self.origin}-{len(self.requests):05}")
        return Author(None, self.origin, self.now, self.requests[-1])

    def create(self, number: int, **values: str) -> UUID:
        uid = person(number)
        commands.create_customer(values, self.author(), entity_uid=uid)
        return uid

    def change(self, number: int, **values: str | None) -> None:
        commands.change_customer(person(number), values, self.author())

    def delete(self, number: int) -> None:
        commands.delete_customer(person(number), self.author())


def person(number: int) -> UUID:
    return uuid5(SOURCE, str(number))


def stream_of(
    databases: TestDatabases, origin: str, write: Callable[[Elsewhere], object]
) -> list[Run]:
    """Return the pages that ``origin`` serves after ``write``; then the database is a fresh one."""
    databases.renew()
    write(Elsewhere(origin))
    number_all(origin, SEEDS[origin])
    runs = pages(origin)
    databases.renew()
    return runs


_THREE: dict[str, list[Run]] = {}


def three_people(pen: Elsewhere) -> None:
    """Five events: three people come, one gets a phone, one goes."""
    for number in (1, 2, 3):
        pen.create(number, name="Ann", surname=f"Person {number}")
    pen.change(2, phone="+49 30 1")
    pen.delete(3)


def three_people_of(databases: TestDatabases, origin: str = "loc2") -> list[Run]:
    """Return the stream of those five events, made once; the test's database stays fresh."""
    if origin not in _THREE:
        _THREE[origin] = stream_of(databases, origin, three_people)
    return _THREE[origin]


def number_all(origin: str, seed: bytes) -> None:
    """Give every committed event of ``origin`` its number."""
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            if not number_pass(cursor, origin, seed):
                return


def pages(origin: str, after: int = 0) -> list[Run]:
    found = []
    while page := streams.page(origin, 1, after):
        found.append(Run(origin, 1, page.items, page.head, "pull", before=page.before))
        after = page.head.seq
    return found


def with_raw(run: Run, index: int, raw: bytes) -> Run:
    """Return a run in which one number's bytes are others; its head stays."""
    items = list(run.items)
    items[index] = replace(items[index], raw=raw)
    return replace(run, items=items)


def signed(origin: str, raws: Sequence[Item], before: bytes | None = None, after: int = 0) -> Run:
    """Return a run of any bytes, chained and signed by their origin."""
    start = chain.start(origin, 1) if before is None else before
    values = list(chain.steps(start, (item.raw for item in raws)))
    items = [
        replace(item, seq=after + n, chain=value)
        for n, (item, value) in enumerate(zip(raws, values, strict=True), start=1)
    ]
    head = chain.Head(origin, 1, after + len(items), values[-1])
    return Run(origin, 1, items, chain.sign(head, SEEDS[origin]), "pull", before=start)
