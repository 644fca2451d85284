"""Finding people: exactly, and by what was misheard."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from customers import commands
from customers.kinds import ENTITY
from customers.search import MODES, search
from events.drafting import Author, Draft
from events.errors import InvalidValue
from events.recorder import record

exact = pytest.mark.feature("C03")
fuzzy = pytest.mark.feature("C04")

NOW = 1_750_000_000_000_000
_clock = count(NOW, 1_000)

ANNA = {
    "surname": "Müller-Lüdenscheidt",
    "name": "Anna Maria",
    "dob": "1984-03-17",
    "document_number": "AB-123 456",
}


def author() -> Author:
    return Author(actor=None, origin="loc1", now=next(_clock))


def enter(**values: str) -> UUID:
    return commands.create_customer(values, author())[0]


def uids(q: str, mode: str = "exact", limit: int = 25) -> list[UUID]:
    return [hit.customer.entity_uid for hit in search(q, mode, limit)]


@pytest.fixture
def anna(db) -> UUID:
    enter(surname="Miller", name="Anna", dob="1984-03-18", document_number="AB123457")
    enter(surname="Muller", name="Peter", dob="1984-03-17")
    return enter(**ANNA)


@exact
@pytest.mark.parametrize(
    "q",
    [
        "anna maria muller ludenscheidt",
        "Lüdenscheidt ANNA 17.03.1984",
        "1984-03-17 AB123456",
        "ab 123 456 maria",
        "AB-123-456",
        "03/17/1984 anna",
        "maria ANNA maria",
    ],
)
def test_every_term_in_any_order_and_any_dress_finds_her(anna, q):
    assert uids(q) == [anna]


@exact
@pytest.mark.parametrize(
    "q", ["anna peter", "ann", "mull", "anna 18.03.1984 AB123456", "AB12345", "1984", "maria x"]
)
def test_one_term_that_does_not_match_finds_nobody(anna, q):
    assert uids(q) == []


@exact
def test_ambiguous_dates_find_both_readings(db):
    march, april = enter(surname="A", dob="1984-03-04"), enter(surname="B", dob="1984-04-03")
    assert set(uids("03/04/1984")) == {march, april}
    assert uids("03.04.1984") == [april]


@exact
def test_short_words_and_single_letters_are_found_exactly(db):
    li = enter(surname="Li", name="J.")
    enter(surname="Lin", name="Jo")
    assert uids("li j") == [li]


@exact
def test_whole_fields_come_before_words_and_the_limit_cuts(db):
    both = enter(name="Anna Maria", surname="Abel")
    plain = enter(name="Anna", surname="Zorn")
    assert uids("anna") == [plain, both]
    assert uids("anna", limit=1) == [plain]
    assert uids("anna", limit=0) == []


@exact
def test_the_letters_that_matched_are_marked_in_the_value_as_listed(anna):
    (hit,) = search("ludenscheidt anna 1984-03-17 AB123456", "exact", 25)
    assert hit.customer.values == ANNA
    shown = {
        code: [ANNA[code][start:end] for start, end in places]
        for code, places in hit.matched.items()
    }
    assert shown == {
        "surname": ["Lüdenscheidt"],
        "name": ["Anna"],
        "dob": ["1984-03-17"],
        "document_number": ["AB-123 456"],
    }


@exact
@fuzzy
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("q", ["", "  ", "-.,", "😀", "\u200f", "%", "_", "'"])
def test_nothing_asked_finds_nobody_and_asks_nobody(anna, mode, q):
    with CaptureQueriesContext(connection) as asked:
        assert search(q, mode, 25) == []
    assert not asked.captured_queries


@exact
@fuzzy
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("q", ["a\x00b", "x" * 501, " ".join("abcdefghijklmnopqrstu")])
def test_what_is_no_question_is_refused(mode, q):
    with pytest.raises(InvalidValue, match=r"^q: "):
        search(q, mode, 25)
    with pytest.raises(InvalidValue, match=r"^mode: "):
        search("anna", "nearly", 25)


@exact
@fuzzy
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("q", ["' OR 1=1 --", "a.*b", "(|", "100% \\d %s", "\ud800 anna \ud800"])
def test_signs_of_other_languages_are_only_signs(anna, mode, q):
    assert len(search(q, mode, 25)) <= 2


@exact
@fuzzy
@pytest.mark.parametrize("mode", MODES)
def test_search_is_right_at_once(anna, mode):
    commands.change_customer(anna, {"surname": "Xaver"}, author())
    assert uids("xaver anna", mode)[0] == anna
    assert anna not in uids("ludenscheidt", mode)
    commands.delete_customer(anna, author())
    assert anna not in uids("xaver anna", mode)
    commands.restore_customer(anna, author())
    assert uids("xaver anna", mode)[0] == anna
    commands.change_customer(anna, {"surname": None}, author())
    assert uids("xaver", mode) == []


@exact
@fuzzy
@pytest.mark.parametrize("mode", MODES)
def test_who_was_merged_into_another_is_not_found(anna, mode):
    double = enter(surname="Lüdenscheidt", name="Anna")
    assert double in uids("anna ludenscheidt", mode)
    merged = {"merged_into": {"value": str(anna)}}
    record([Draft(double, "customers.details_changed", merged, kind=ENTITY)], author())
    assert double not in uids("anna ludenscheidt", mode)
    assert anna in uids("anna ludenscheidt", mode)


@fuzzy
@pytest.mark.parametrize(
    "q",
    [
        "Ana Maria Mueller Luedenscheidt",
        "anna ludensheit 17.03.1984",
        "maria muler 1984-03-71",
        "anamaria muller 17/03/1984",
        "ludenscheid AB123465",
        "AB 123 465 maria",
        "anna maria 3456",
        "ludenscheidt a 1984",
        "maria ludenscheidt 1984-03",
    ],
)
def test_incomplete_and_misspelt_questions_find_her_first(anna, q):
    assert uids(q, "fuzzy")[0] == anna


@fuzzy
def test_each_hit_says_why_and_the_reasons_add_up(anna):
    for hit in search("Ana Mueller 1948-03-17 AB123465 xyzzy", "fuzzy", 25):
        assert 0 < hit.score <= 100
        assert hit.score == pytest.approx(sum(f.score * f.weight for f in hit.fields))
        assert sum(f.weight for f in hit.fields) == pytest.approx(1)
    best = search("Ana Mueller 1948-03-17 AB123465 xyzzy", "fuzzy", 25)[0]
    assert best.customer.entity_uid == anna
    said = {f.code: (f.asked, f.listed, f.note) for f in best.fields}
    assert said == {
        "surname": ("Mueller", ANNA["surname"], "one letter or digit differs, more is listed"),
        "name": ("Ana", ANNA["name"], "one letter or digit differs, more is listed"),
        "dob": ("1948-03-17", ANNA["dob"], "two neighbours swapped"),
        "document_number": ("AB123465", ANNA["document_number"], "two neighbours swapped"),
        "": ("xyzzy", "", "matches no field"),
    }


@fuzzy
def test_all_of_it_right_is_a_hundred_and_every_slip_costs(anna):
    def score(q: str) -> float:
        return search(q, "fuzzy", 1)[0].score

    assert score("anna maria muller ludenscheidt AB123456 1984-03-17") == pytest.approx(100)
    assert score("anna maria ludenscheidt") > score("ana maria ludenscheidt")
    assert score("ana maria ludenscheidt") > score("ana maria ludensheit")


@fuzzy
def test_a_missing_value_costs_less_than_another_one(db):
    other = enter(surname="Hopper", name="Grace", dob="1950-01-01")
    missing = enter(surname="Hopper", name="Grace")
    assert uids("Grace Hopper 1906-12-09", "fuzzy") == [missing, other]


@fuzzy
def test_a_name_in_the_wrong_field_or_script_is_found(db):
    peter = enter(surname="Чайковский", name="Пётр")
    assert uids("chaykovsky petr", "fuzzy") == [peter]
    assert uids("Чайковский", "exact") == [peter]


@fuzzy
@pytest.mark.parametrize("q", ["zzyzx", "q", "1", "0000000000"])
def test_without_evidence_nobody_is_found(anna, q):
    assert uids(q, "fuzzy") == []


@fuzzy
def test_many_hits_cost_no_more_statements_than_one(db):
    for index in range(30):
        enter(surname="Schmidt", name=f"Anna {index}")
    with CaptureQueriesContext(connection) as one:
        assert len(uids("anna schmidt", "fuzzy", 1)) == 1
    with CaptureQueriesContext(connection) as many:
        assert len(uids("anna schmidt", "fuzzy", 25)) == 25
    assert len(many) == len(one)
