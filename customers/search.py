"""Finding people: candidates by the search keys, a score from 0 to 100, a reason per field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from django.utils.translation import gettext_noop as _
from rapidfuzz.distance import OSA, JaroWinkler, Levenshtein

from customers import candidates, queries
from customers.evidence import FieldScore, Judgement, Likeness, Match, Range, judge
from customers.models import EntityDetail
from customers.normalize import (
    SEARCHED_CODES,
    Term,
    Word,
    date_digits,
    number_letters,
    terms,
    words,
)
from events import measures
from events.errors import InvalidValue

__all__ = ["MODES", "FieldScore", "Hit", "Range", "search"]

MODES = ("exact", "fuzzy")
MAX_LETTERS = 500
MAX_TERMS = 20
# Below this likeness a word or number is another one; below this score a person is another one.
MIN_LIKENESS = 0.8
MIN_SCORE = 30.0

SAME = _("same")
ONE_DIFFERS = _("one letter or digit differs")
TWO_DIFFER = _("two letters or digits differ")
SWAPPED = _("two neighbours swapped")
SIMILAR = _("similar spelling")
BEGINNING = _("beginning of it")
PART = _("part of it")
INITIAL = _("initial")
DAY_FOR_MONTH = _("day and month swapped")
YEAR = _("year")
YEAR_AND_MONTH = _("year and month")


@dataclass(frozen=True, slots=True)
class Hit:
    """A person found; ``matched`` are the places in the listed values that answer the question."""

    customer: queries.Customer
    score: float
    fields: tuple[FieldScore, ...]
    matched: Mapping[str, tuple[Range, ...]]


class _Listed(NamedTuple):
    """The searched values of a candidate, ready to be compared; signs with their places."""

    names: Mapping[str, Sequence[Word]]
    number: Sequence[tuple[str, int]]
    dob: Sequence[tuple[str, int]]


def search(q: str, mode: str, limit: int) -> list[Hit]:
    """Return at most ``limit`` present people, the best first.

    ``mode`` "exact": every term of ``q`` is, folded, one of the person's searched fields or a word
    of one. "fuzzy": what is near, ranked. No hits without a letter or digit; ``InvalidValue`` for
    a ``q`` or ``mode`` that is none.
    """
    if mode not in MODES:
        raise InvalidValue("mode", f"expected one of {', '.join(MODES)}")
    asked = _asked(q)
    if not asked or limit < 1:
        return []
    with measures.search_seconds.labels(mode).time():
        return _ranked(asked, mode == "exact", limit)


def _ranked(asked: list[Term], is_exact: bool, limit: int) -> list[Hit]:
    uids = candidates.exact(asked, limit) if is_exact else candidates.fuzzy(asked)
    judged = [
        (uid, judge(asked, values, _possible(asked, values, is_exact)))
        for uid, values in _values(uids).items()
    ]
    kept = [(uid, one) for uid, one in judged if is_exact or one.score >= MIN_SCORE]
    # The sort is stable, and candidates come in a settled order: nearest, then by name.
    return _hits(sorted(kept, key=lambda pair: -pair[1].score)[:limit])


def _asked(q: str) -> list[Term]:
    if len(q) > MAX_LETTERS:
        raise InvalidValue("q", f"at most {MAX_LETTERS} letters")
    if "\x00" in q:
        raise InvalidValue("q", "expected text")
    asked = terms(q)
    if len(asked) > MAX_TERMS:
        raise InvalidValue("q", f"at most {MAX_TERMS} words")
    return asked


def _values(uids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """Return the present searched values of all candidates, in their order, by one query."""
    rows = EntityDetail.objects.filter(
        entity_uid__in=uids, detail_code__in=SEARCHED_CODES, valid_to__isnull=True
    )
    found: dict[UUID, dict[str, str]] = {uid: {} for uid in uids}
    for uid, code, value in rows.values_list("entity_uid", "detail_code", "value"):
        found[uid][code] = str(value.get("value") or "")
    return found


def _hits(judged: Sequence[tuple[UUID, Judgement]]) -> list[Hit]:
    people = {person.entity_uid: person for person in queries.customers(uid for uid, _ in judged)}
    return [
        Hit(people[uid], one.score, one.fields, one.matched)
        for uid, one in judged
        if uid in people and not people[uid].is_deleted  # closed since the candidates were read
    ]


def _possible(asked: Sequence[Term], values: Mapping[str, str], is_exact: bool) -> Iterator[Match]:
    """Yield what of the person each term is like."""
    listed = _Listed(
        {code: words(values.get(code, "")) for code in ("surname", "name")},
        list(number_letters(values.get("document_number", ""))),
        list(date_digits(values.get("dob", ""))),
    )
    for index, term in enumerate(asked):
        for match in _matches(index, term, listed):
            if match.likeness.degree == 1 if is_exact else match.likeness.degree > 0:
                yield match


def _matches(index: int, term: Term, listed: _Listed) -> Iterator[Match]:
    for code, parts in listed.names.items():
        for part, word in enumerate(parts):
            if term.word:
                yield Match(index, code, part, len(parts), _name(term.word, word))
    for number in term.numbers if listed.number else ():
        yield Match(index, "document_number", 0, 1, _number(number, listed.number))
    for day in term.dates if listed.dob else ():
        yield Match(index, "dob", 0, 1, _date(day, listed.dob))
    if term.date_start and listed.dob:
        yield Match(index, "dob", 0, 1, _date_start(term.date_start, listed.dob))


_UNLIKE = Likeness(0.0, "", ())


def _name(asked: str, listed: Word) -> Likeness:
    """Compare two words of names."""
    place = ((listed.start, listed.end),)
    short, long = sorted((asked, listed.text), key=len)
    if short == long:
        return Likeness(1.0, SAME, place)
    if len(short) == 1:
        return Likeness(0.6, INITIAL, place) if long[0] == short else _UNLIKE
    degree = max(JaroWinkler.similarity(asked, listed.text), _ratio(asked, listed.text))
    edits = OSA.distance(asked, listed.text)
    if edits > 1 and len(short) >= 3 and short in long:
        note, least = (BEGINNING, 0.85) if long.startswith(short) else (PART, 0.8)
        return Likeness(min(0.95, max(degree, least)), note, place)
    if degree < MIN_LIKENESS:
        return _UNLIKE
    return Likeness(degree, _edit_note(asked, listed.text, edits), place)


def _number(asked: str, listed: Sequence[tuple[str, int]]) -> Likeness:
    """Compare document numbers as letters and digits."""
    text = "".join(letter for letter, _ in listed)
    if asked == text:
        return Likeness(1.0, SAME, _ranges(listed, [(0, len(text))]))
    if len(asked) < 3:
        return _UNLIKE
    if asked in text:
        start = text.rindex(asked)  # mostly its end is known
        place = _ranges(listed, [(start, start + len(asked))])
        return Likeness(0.6 + 0.35 * len(asked) / len(text), PART, place)
    degree = _ratio(asked, text)
    if degree < MIN_LIKENESS:
        return _UNLIKE
    blocks = [(b.b, b.b + b.size) for b in Levenshtein.editops(asked, text).as_matching_blocks()]
    note = _edit_note(asked, text, OSA.distance(asked, text))
    return Likeness(degree, note, _ranges(listed, blocks))


def _date(asked: str, listed: Sequence[tuple[str, int]]) -> Likeness:
    """Compare two days digit by digit."""
    text = "".join(digit for digit, _ in listed)
    if asked == text:
        return Likeness(1.0, SAME, _ranges(listed, [(0, len(text))]))
    if len(asked) != len(text):
        return _UNLIKE
    same = [index for index, digit in enumerate(asked) if digit == text[index]]
    place = _ranges(listed, [(index, index + 1) for index in same])
    if asked[:4] + asked[6:] + asked[4:6] == text:
        return Likeness(0.85, DAY_FOR_MONTH, place)
    differing = len(text) - len(same)
    if differing == 1:
        return Likeness(0.85, ONE_DIFFERS, place)
    if differing == 2:
        is_swap = OSA.distance(asked, text) == 1
        return Likeness(0.85, SWAPPED, place) if is_swap else Likeness(0.45, TWO_DIFFER, place)
    return _UNLIKE


def _date_start(asked: str, listed: Sequence[tuple[str, int]]) -> Likeness:
    if not "".join(digit for digit, _ in listed).startswith(asked):
        return _UNLIKE
    place = _ranges(listed, [(0, len(asked))])
    return Likeness(0.6, YEAR, place) if len(asked) == 4 else Likeness(0.75, YEAR_AND_MONTH, place)


def _ratio(one: str, other: str) -> float:
    return OSA.normalized_similarity(one, other)


def _edit_note(one: str, other: str, edits: int) -> str:
    if edits == 1:
        return SWAPPED if sorted(one) == sorted(other) else ONE_DIFFERS
    return TWO_DIFFER if edits == 2 else SIMILAR


def _ranges(
    signs: Sequence[tuple[str, int]], blocks: Sequence[tuple[int, int]]
) -> tuple[Range, ...]:
    """Return where blocks of folded signs stand in the value, touching ones as one."""
    found: list[tuple[int, int]] = []
    for start, end in blocks:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        elif start < end:
            found.append((start, end))
    return tuple((signs[start][1], signs[end - 1][1] + 1) for start, end in found)
