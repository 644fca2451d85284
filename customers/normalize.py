"""The one form in which values and questions meet: folded words, numbers and dates.

Pure. Folding works letter by letter, so every folded word knows where it stands in the value it
came from, and a hit can be marked there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from anyascii import anyascii

SEARCHED_CODES = ("surname", "name", "document_number", "dob")

# An index row has to fit a page, and one sign of some scripts becomes a whole phrase.
MAX_FOLDED = 500
# Numbers are typed in groups ("AB 123 456"): this many neighbours are tried as one number.
MAX_GROUPS = 6
MAX_CODE = 4

# Letters that are written or left out at will: apostrophes of all kinds, soft and hard sign.
_SILENT = frozenset(
    "'`\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u2018\u2019\u201b\u2032\uff07\u044c\u044a\u042c\u042a"
)
_YEAR_FIRST = r"(?P<y1>\d{4})[./-](?P<m1>\d{1,2})[./-](?P<d1>\d{1,2})"
_YEAR_LAST = r"(?P<a>\d{1,2})(?:(?P<sep>[/-])|\. ?)(?P<b>\d{1,2})(?:[/-]|\. ?)(?P<y2>\d{4}|\d{2})"
_YEAR_MONTH = r"(?P<y3>\d{4})[./-](?P<m3>\d{1,2})"
_DATE = re.compile(
    rf"(?<![\w./-])(?:{_YEAR_FIRST}|{_YEAR_LAST}|{_YEAR_MONTH})(?![\w/-]|\.\w)", re.ASCII
)
_COMPACT_DATE = re.compile(r"\d{8}", re.ASCII)
_YEAR = re.compile(r"(?:18[5-9]|19\d|20\d|21[0-4])\d", re.ASCII)


class Word(NamedTuple):
    """A folded word, and from where to where it stands in the value."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Term:
    """One piece of a question, and what it could mean.

    ``word`` is empty for a date; ``numbers`` holds the piece as a document number, also together
    with its neighbours; ``dates`` are yyyymmdd, ``date_start`` a year or month (yyyy, yyyymm).
    """

    asked: str
    word: str = ""
    numbers: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    date_start: str = ""


def fold_text(code: str, value: str) -> str:
    """Return ``value`` of the detail ``code`` in the form it is searched in; never raises."""
    if code == "document_number":
        folded = "".join(letters for letters, _ in number_letters(value))
    elif code == "dob":
        folded = "".join(digit for digit, _ in date_digits(value))
    else:
        folded = " ".join(word.text for word in words(value))
    return folded[:MAX_FOLDED].rstrip()


def words(value: str) -> list[Word]:
    """Return the words of a name: lower-case Latin letters and digits, with their places."""
    found: list[Word] = []
    text, start, end = "", 0, 0
    for index, sign in enumerate(value):
        letters = _fold_sign(sign)
        if letters == " ":
            if text:
                found.append(Word(text, start, end))
            text = ""
        elif letters:
            start = start if text else index
            text, end = text + letters, index + 1
        elif text:
            end = index + 1
    return [*found, Word(text, start, end)] if text else found


def number_letters(value: str) -> Iterator[tuple[str, int]]:
    """Yield the upper-case letters and digits of a document number, with their places."""
    for index, sign in enumerate(value):
        for letter in _fold_sign(sign).strip().upper():
            yield letter, index


def date_digits(value: str) -> Iterator[tuple[str, int]]:
    """Yield the digits of a date, with their places."""
    for index, sign in enumerate(value):
        letters = _fold_sign(sign)
        if letters.isdigit():
            yield letters, index


@lru_cache(maxsize=8192)
def _fold_sign(sign: str) -> str:
    """Return the letters a sign stands for: none for a silent one, a space where words part."""
    category = unicodedata.category(sign)
    if sign in _SILENT or category in ("Cf", "Mn", "Me"):
        return ""
    if category in (
        "So",
        "Sk",
        "Cc",
        "Cs",
        "Co",
        "Cn",
    ):  # emoji and the like have no letters
        return " "
    latin = anyascii(sign).lower()
    return "".join(letter for letter in latin if letter.isalnum()) or (" " if latin else "")


def terms(q: str) -> list[Term]:
    """Return what a question in one box asks for, in its order; none if it has no letters."""
    text = unicodedata.normalize("NFC", q)
    found: list[Term] = []
    place = 0
    for match in _DATE.finditer(text):
        found += _pieces(text[place : match.start()])
        found.append(_month_term(match) if match["y3"] else _date_term(match))
        place = match.end()
    return found + _pieces(text[place:])


def _date_term(match: re.Match[str]) -> Term:
    """Return the days a date can mean; a slash leaves open whether the day comes first."""
    if match["y1"]:
        years, pairs = [match["y1"]], [(match["m1"], match["d1"]), (match["d1"], match["m1"])]
    else:
        years = [match["y2"]] if len(match["y2"]) == 4 else ["19" + match["y2"], "20" + match["y2"]]
        pairs = [(match["b"], match["a"]), (match["a"], match["b"])]
    days: list[str] = []
    for month, day in pairs:
        if _exists(month, day) and not (days and match["sep"] is None):
            days += [f"{int(year):04}{int(month):02}{int(day):02}" for year in years]
    digits = fold_text("dob", match[0])
    # No such day: still near to one.
    return Term(match[0], numbers=(digits,), dates=tuple(dict.fromkeys(days)) or (digits,))


def _exists(month: str, day: str) -> bool:
    """Whether month and day exist, if not together: 31 February is a slip, not nonsense."""
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _month_term(match: re.Match[str]) -> Term:
    digits = fold_text("dob", match[0])
    known = match["y3"] + (f"{int(match['m3']):02}" if _exists(match["m3"], "1") else "")
    return Term(match[0], numbers=(digits,), date_start=known)


def _pieces(text: str) -> list[Term]:
    """Return the terms of a stretch without dates."""
    parted = words(text)
    return [
        Term(
            asked=text[word.start : word.end],
            word=word.text,
            numbers=_numbers([one.text.upper() for one in parted], index),
            dates=_compact_dates(word.text),
            date_start=word.text if _YEAR.fullmatch(word.text) else "",
        )
        for index, word in enumerate(parted)
    ]


def _numbers(pieces: list[str], index: int) -> tuple[str, ...]:
    """Return the runs of neighbours around ``index`` that could be one document number."""
    runs = [pieces[index]]
    for length in range(2, MAX_GROUPS + 1):
        for start in range(max(0, index - length + 1), index + 1):
            run = pieces[start : start + length]
            if len(run) == length and _is_grouped_number(run):
                runs.append("".join(run))
    return tuple(dict.fromkeys(runs))


def _is_grouped_number(run: list[str]) -> bool:
    """Whether pieces side by side can be one number: digits, and letters as short as a code."""
    return not all(piece.isalpha() for piece in run) and all(
        len(piece) <= MAX_CODE or not piece.isalpha() for piece in run
    )


def _compact_dates(text: str) -> tuple[str, ...]:
    """Return the days that eight digits can mean: yyyymmdd, ddmmyyyy, mmddyyyy."""
    if not _COMPACT_DATE.fullmatch(text):
        return ()
    readings = (text, text[4:] + text[2:4] + text[:2], text[4:] + text[:4])
    days = (day for day in readings if is_date(day) and _YEAR.fullmatch(day[:4]))
    return tuple(dict.fromkeys(days))


def is_date(ymd: str) -> bool:
    """Whether yyyymmdd is a day of the calendar."""
    try:
        date(int(ymd[:4]), int(ymd[4:6]), int(ymd[6:]))
    except ValueError:
        return False
    return True


def near_dates(ymd: str) -> list[str]:
    """Return the days that one slip makes of yyyymmdd: a digit, two swapped, day for month."""
    slips = {ymd[:4] + ymd[6:] + ymd[4:6]}
    for index, digit in enumerate(ymd):
        before, after = ymd[:index], ymd[index + 1 :]
        slips |= {before + other + after for other in "0123456789"}
        slips.add(before + after[:1] + digit + after[1:])
    return sorted(day for day in slips - {ymd} if len(day) == 8 and is_date(day))
