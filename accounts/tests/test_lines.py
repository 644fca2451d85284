"""Whoever reads the access log on from the last line they saw misses none."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from accounts import access
from accounts.lines import Line, lines_after
from accounts.models import Access

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("R01")]

ROUTE = (
    "INSERT INTO accounts_access (at, kind, location, route, outcome, request_id, address_hmac)"
    " VALUES (now(), 'search', 'loc1', %s, 'ok', '', '')"
)


@contextmanager
def another_session() -> Iterator[psycopg.Connection]:
    """A connection beside Django's, whose transaction stays open until it is ended."""
    session = psycopg.connect(**connection.get_connection_params())
    try:
        yield session
    finally:
        session.close()


def search(route: str) -> None:
    access.log_access(
        access.SEARCH, at=1, location="loc1", actor=None, route=route, outcome=access.OK,
        request_id="",
    )  # fmt: skip


def routes(after: int = 0, most: int = 100) -> Sequence[str]:
    return [line.route for line in lines_after(after, most)]


def test_lines_come_in_order_and_in_parts() -> None:
    for name in "abc":
        search(name)
    assert routes(most=2) == ["a", "b"]
    second = lines_after(0, 2)[-1]
    assert routes(second.id) == ["c"]
    assert routes(second.id + 1) == []


def test_line_that_commits_later_is_not_passed() -> None:
    """7 is given first and committed last: who has seen 8 must not have passed it."""
    search("first")
    with another_session() as late:
        late.execute(ROUTE, ["late"])
        search("early")
        assert Access.objects.count() == 2
        assert routes() == []  # not even the first one: somebody inserts
        late.commit()
        assert routes() == ["first", "late", "early"]


def test_id_of_a_line_that_was_given_up_is_passed() -> None:
    with another_session() as late:
        late.execute(ROUTE, ["given up"])
        search("early")
        assert routes() == []
        late.rollback()
        assert routes() == ["early"]


def test_transaction_that_has_not_inserted_holds_nobody_up() -> None:
    search("early")
    with another_session() as idle:
        idle.execute("SELECT count(*) FROM accounts_access")
        assert routes() == ["early"]


def test_reading_holds_no_writer_up() -> None:
    """The lock is gone with the statement, even while the reader's connection stays open."""
    search("early")
    assert routes() == ["early"]
    with another_session() as writer:
        writer.execute("SET lock_timeout = '1s'")
        writer.execute(ROUTE, ["next"])
        writer.commit()
    assert routes() == ["early", "next"]


def test_every_line_has_a_uid_of_its_own() -> None:
    for name in "abc":
        search(name)
    assert len({line.uid for line in lines_after(0, 10)}) == 3


WRITERS, WRITES = 4, 300


def test_none_is_missed_or_read_twice_while_many_write() -> None:
    committed: list[list[str]] = [[] for _ in range(WRITERS)]
    parameters = connection.get_connection_params()

    def write(writer: int) -> None:
        dice = random.Random(writer)
        with psycopg.connect(**parameters) as session:
            for number in range(WRITES):
                names = [f"{writer} {number} {n}" for n in range(dice.randrange(1, 4))]
                for name in names:
                    session.execute(ROUTE, [name])
                if dice.random() < 0.2:
                    session.rollback()
                else:
                    session.commit()
                    committed[writer] += names

    threads = [threading.Thread(target=write, args=[writer]) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    read: list[Line] = []
    is_over = False
    while not is_over:
        is_over = not any(thread.is_alive() for thread in threads)
        while part := lines_after(read[-1].id if read else 0, 7):
            read += part
    assert [line.id for line in read] == sorted({line.id for line in read})
    assert sorted(line.route for line in read) == sorted(itertools.chain(*committed))
