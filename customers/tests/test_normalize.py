"""One form for values and questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.normalize import (
    MAX_FOLDED,
    SEARCHED_CODES,
    Term,
    fold_text,
    is_date,
    near_dates,
    terms,
    words,
)

pytestmark = pytest.mark.feature("C03")


@pytest.mark.parametrize(
    ("value", "folded"),
    [
        ("Müller-Lüdenscheidt", "muller ludenscheidt"),
        ("  Anna   Maria ", "anna maria"),
        ("O’Brien", "obrien"),
        ("d'Angelo", "dangelo"),
        ("Weiß", "weiss"),
        ("WEISS", "weiss"),
        ("Łukasz Çelik Ørsted", "lukasz celik orsted"),
        ("Чайковский", "chaykovskiy"),
        ("Игорь", "igor"),
        ("Νίκος", "nikos"),
        ("J.R.", "j r"),
        ("Ann\u200f\u00ade", "anne"),
        ("Ann 😀 Lee", "ann lee"),
        ("…", ""),
    ],
)
def test_names_fold_to_plain_words(value, folded):
    assert fold_text("surname", value) == folded
    assert fold_text("name", value) == folded


def test_composed_and_decomposed_letters_fold_alike():
    assert fold_text("name", "Zoe\u0308") == fold_text("name", "Zo\u00eb") == "zoe"


def test_numbers_and_dates_lose_what_separates_them():
    assert fold_text("document_number", " ab-123 456/x.") == "AB123456X"
    assert fold_text("dob", "1984-03-17") == "19840317"


@given(st.sampled_from([*SEARCHED_CODES, "company"]), st.text(st.characters()))
def test_any_text_folds_to_plain_letters(code, value):
    folded = fold_text(code, value)
    assert folded.isascii()
    assert len(folded) <= MAX_FOLDED
    assert all(letter.isalnum() or letter == " " for letter in folded)
    assert folded == " ".join(folded.split())


@given(st.text(st.characters()))
def test_a_folded_value_folds_to_itself(value):
    assert fold_text("name", fold_text("name", value)) == fold_text("name", value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_know_where_they_stand(value):
    for word in words(value):
        assert fold_text("name", value[word.start : word.end]) == word.text


def test_a_fold_fits_an_index_row():
    assert len(fold_text("name", "\u3300" * 300)) <= MAX_FOLDED


@pytest.mark.parametrize(
    ("q", "dates"),
    [
        ("1984-03-17", ("19840317",)),
        ("1984/3/17", ("19840317",)),
        ("17.03.1984", ("19840317",)),
        ("17. 3. 1984", ("19840317",)),
        ("17.3.1984.", ("19840317",)),
        ("03/04/1984", ("19840403", "19840304")),
        ("3-4-1984", ("19840403", "19840304")),
        ("03/03/1984", ("19840303",)),
        ("03/17/1984", ("19840317",)),
        ("1984-17-03", ("19840317",)),
        ("17.03.84", ("19840317", "20840317")),
        ("31.02.1984", ("19840231",)),
        ("1984-13-45", ("19841345",)),
    ],
)
def test_usual_forms_of_a_date_are_read(q, dates):
    (term,) = terms(q)
    assert term.dates == dates
    assert not term.word


def test_eight_digits_may_be_a_date_or_a_number():
    (term,) = terms("17031984")
    assert term.dates == ("19840317",)
    assert term.numbers == ("17031984",)


@pytest.mark.parametrize(("q", "start"), [("1984", "1984"), ("1984-03", "198403"), ("0815", "")])
def test_a_year_or_month_is_the_start_of_a_date(q, start):
    (term,) = terms(q)
    assert term.date_start == start


def test_terms_come_in_the_order_of_the_question():
    asked = terms("Smith-Jones, ANNA 17.03.1984 AB")
    assert [term.asked for term in asked] == ["Smith", "Jones", "ANNA", "17.03.1984", "AB"]
    assert [term.word for term in asked] == ["smith", "jones", "anna", "", "ab"]


def test_a_number_typed_in_groups_is_also_one_number():
    assert all("AB123456" in term.numbers for term in terms("AB 123-456"))
    assert all(term.numbers == (term.word.upper(),) for term in terms("Anna Maria"))


@pytest.mark.parametrize("q", ["", "   ", "-.,;!", "😀", "\u200f", "\u0301", "\x00"])
def test_nothing_asked_is_no_term(q):
    assert terms(q) == []


@given(st.text(st.characters()))
def test_every_question_can_be_read(q):
    for term in terms(q):
        assert isinstance(term, Term)
        assert term.word or term.dates or term.date_start
        assert term.asked in q or not q.isascii()


def test_one_slip_in_a_date_makes_its_neighbours():
    near = near_dates("19840317")
    assert {"19840318", "19840117", "19480317", "19940317"} <= set(near)
    assert "19840317" not in near
    assert all(is_date(day) for day in near)
    assert "19841203" in near_dates("19840312")
