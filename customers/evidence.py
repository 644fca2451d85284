"""What speaks for a person: terms laid on fields, added up to one score with a reason per field.

Pure but for the language of the notes; how like two words are is ``customers.search``'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from customers.normalize import SEARCHED_CODES, Term

NAME_CODES = frozenset({"surname", "name"})

# What a term is worth: a number says more than a date, a date more than a word.
_NUMBER, _DATE, _WORD, _INITIAL = 2.0, 1.5, 1.0, 0.3
_NUMBER_LETTERS = 5
# What is not on file says nothing against the person, but nothing for them either.
_UNLISTED = 0.5
# Listed words nobody asked for: enough to put "Anna" before "Anna Maria".
_PER_EXTRA_WORD, _MAX_EXTRA_WORDS = 0.02, 3

MORE = _("more is listed")
NOT_LISTED = _("nothing listed to compare with")
NO_MATCH = _("matches no field")

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FieldScore:
    """How well one field answers what was asked of it, from 0 to 100, and why.

    ``code`` is empty for what matches no field. ``weight`` is the field's share of the question:
    the score of a hit is the sum of ``score * weight`` over its fields.
    """

    code: str
    asked: str
    listed: str
    score: float
    note: str
    weight: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like a term and a listed value are (0 to 1), why, and where in the value."""

    degree: float
    note: str
    ranges: tuple[Range, ...]


class Match(NamedTuple):
    """A term laid on a field; on a name it is laid on one word, of which there are ``parts``."""

    term: int
    code: str
    part: int
    parts: int
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class Judgement:
    """The score of one person, from 0 to 100, and what it is made of."""

    score: float
    fields: tuple[FieldScore, ...]
    matched: Mapping[str, tuple[Range, ...]]


def judge(asked: Sequence[Term], listed: Mapping[str, str], possible: Iterable[Match]) -> Judgement:
    """Lay every term on what it fits best, and add up."""
    laid = _lay(possible)
    weights = [
        _weight(term) * (_UNLISTED if index not in laid and _is_unlisted(term, listed) else 1)
        for index, term in enumerate(asked)
    ]
    shares = [weight / sum(weights) for weight in weights]
    by_code = {
        code: matches
        for code in SEARCHED_CODES
        if (matches := [match for match in laid.values() if match.code == code])
    }
    fields = [
        _field_score(matches, listed[code], asked, shares) for code, matches in by_code.items()
    ]
    left = [index for index in range(len(asked)) if index not in laid]
    if left:
        fields.append(_left_over(left, asked, shares, listed))
    return Judgement(
        score=min(100.0, sum(one.score * one.weight for one in fields)),
        fields=tuple(fields),
        matched={
            code: tuple(sorted({place for m in matches for place in m.likeness.ranges}))
            for code, matches in by_code.items()
        },
    )


def _lay(possible: Iterable[Match]) -> dict[int, Match]:
    """Give each term its best match, the likest pairs first; a word of a name answers once.

    Who repeats a word exactly asks for nothing more by it: that one may share.
    """
    laid: dict[int, Match] = {}
    taken: set[tuple[str, int]] = set()
    ranked = sorted(possible, key=lambda match: (-match.likeness.degree, match.term, match.part))
    for match in ranked:
        place = (match.code, match.part)
        if match.term not in laid and place not in taken:
            laid[match.term] = match
            if match.code in NAME_CODES:
                taken.add(place)
    for match in ranked:
        if match.likeness.degree == 1:
            laid.setdefault(match.term, match)
    return dict(sorted(laid.items()))


def _weight(term: Term) -> float:
    if term.dates:
        return _DATE
    if len(term.word) >= _NUMBER_LETTERS and any(letter.isdigit() for letter in term.word):
        return _NUMBER
    return _INITIAL if len(term.word) == 1 else _WORD


def _is_unlisted(term: Term, listed: Mapping[str, str]) -> bool:
    """Whether the person has none of the fields that the term could be about."""
    if term.dates or term.date_start:
        return not listed.get("dob")
    if any(letter.isdigit() for letter in term.word):
        return not listed.get("document_number")
    return not all(listed.get(code) for code in NAME_CODES)


def _field_score(
    matches: Sequence[Match], listed: str, asked: Sequence[Term], shares: Sequence[float]
) -> FieldScore:
    weight = sum(shares[match.term] for match in matches)
    degree = sum(shares[match.term] * match.likeness.degree for match in matches) / weight
    notes = list(dict.fromkeys(match.likeness.note for match in matches))
    extra = matches[0].parts - len({match.part for match in matches})
    if extra:
        degree *= 1 - _PER_EXTRA_WORD * min(extra, _MAX_EXTRA_WORDS)
        notes.append(MORE)
    return FieldScore(
        code=matches[0].code,
        asked=" ".join(asked[match.term].asked for match in matches),
        listed=listed,
        score=100 * degree,
        note=", ".join(gettext(note) for note in notes),
        weight=weight,
    )


def _left_over(
    left: Sequence[int],
    asked: Sequence[Term],
    shares: Sequence[float],
    listed: Mapping[str, str],
) -> FieldScore:
    """Say what was asked in vain, so that the reasons add up to the score."""
    is_unlisted = all(_is_unlisted(asked[index], listed) for index in left)
    return FieldScore(
        code="",
        asked=" ".join(asked[index].asked for index in left),
        listed="",
        score=0.0,
        note=gettext(NOT_LISTED if is_unlisted else NO_MATCH),
        weight=sum(shares[index] for index in left),
    )
