"""Who could be meant by a question: one statement over the search keys, always by an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from customers.normalize import Term, near_dates

# Word similarity from which a name or number is looked at. pg_trgm's default of 0.6 loses one
# typo in a short name; below 0.35 common names drag in far more people than they find.
THRESHOLD = 0.35
MAX_CANDIDATES = 300
# Enough for every grouping of a number in a question anyone types; bounds what others cost.
MAX_NUMBERS = 40

_NEAR_DATE, _MONTH_OR_YEAR, _PART_OF_FIELD = 0.6, 0.3, 0.9
_MIN_LETTERS, _MIN_DIGITS = 2, 3

# Each branch yields (entity, term, strength). The codes are literals, as the trigram indexes are
# partial; the terms come as arrays, so the plan does not grow with the question.
_SAME = """
SELECT k.entity_uid, t.i, t.strength
FROM unnest(%({name}_i)s::int[], %({name})s::text[], %({name}_strength)s::float8[])
     AS t (i, asked, strength)
JOIN customers_searchkey k ON k.detail_code = '{code}' AND k.folded = t.asked
"""
_WORD = """
SELECT k.entity_uid, t.i, CASE WHEN k.folded = t.asked THEN 1 ELSE %(part)s END
FROM unnest(%(words_i)s::int[], %(words)s::text[]) AS t (i, asked)
JOIN customers_searchkey k
  ON k.detail_code = '{code}' AND k.folded ~ ('(^| )' || t.asked || '( |$)')
"""
_SIMILAR = """
SELECT k.entity_uid, t.i, word_similarity(t.asked, k.folded)
FROM unnest(%({name}_i)s::int[], %({name})s::text[]) AS t (i, asked)
JOIN customers_searchkey k ON k.detail_code = '{code}' AND k.folded %%> t.asked
"""
_BEGINS = """
SELECT k.entity_uid, t.i, %(begins_strength)s
FROM unnest(%(begins_i)s::int[], %(begins)s::text[]) AS t (i, asked)
JOIN customers_searchkey k ON k.detail_code = 'dob' AND k.folded LIKE t.asked || '%%'
"""
_BEST = """
WITH hit (entity_uid, i, strength) AS ({branches}),
found AS (
    SELECT entity_uid, sum(strength) AS strength
    FROM (SELECT entity_uid, i, max(strength) AS strength FROM hit GROUP BY entity_uid, i) AS best
    GROUP BY entity_uid HAVING count(*) >= %(at_least)s
    {cut}
)
SELECT e.entity_uid FROM found
JOIN customers_entity e USING (entity_uid)
WHERE e.valid_to IS NULL AND e.merged_into IS NULL
ORDER BY found.strength DESC, e.display_name, e.entity_uid LIMIT %(limit)s
"""

EXACT_SQL = _BEST.format(
    cut="",
    branches="UNION ALL".join(
        (
            _WORD.format(code="surname"),
            _WORD.format(code="name"),
            _SAME.format(code="document_number", name="numbers"),
            _SAME.format(code="dob", name="dates"),
        )
    ),
)
FUZZY_SQL = _BEST.format(
    # Before the names are read: a common name is like those of very many.
    cut="ORDER BY sum(strength) DESC, entity_uid LIMIT %(limit)s",
    branches="UNION ALL".join(
        (
            _SIMILAR.format(code="surname", name="words"),
            _SIMILAR.format(code="name", name="words"),
            _SIMILAR.format(code="document_number", name="numbers"),
            _SAME.format(code="dob", name="dates"),
            _BEGINS,
        )
    ),
)


def exact(terms: Sequence[Term], limit: int) -> list[UUID]:
    """Return present people of whom every term is a field, or a word of one."""
    return _run(EXACT_SQL, exact_parameters(terms, limit))


def fuzzy(terms: Sequence[Term]) -> list[UUID]:
    """Return the present people nearest to the terms, at most ``MAX_CANDIDATES``."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)",
                [str(THRESHOLD)],
            )
        return _run(FUZZY_SQL, fuzzy_parameters(terms))


def exact_parameters(terms: Sequence[Term], limit: int) -> dict[str, Any]:
    """Return what ``EXACT_SQL`` takes."""
    return {
        **_asked("words", [(i, t.word) for i, t in enumerate(terms) if t.word]),
        **_asked("numbers", [(i, n) for i, t in enumerate(terms) for n in t.numbers]),
        **_asked("dates", [(i, day) for i, t in enumerate(terms) for day in t.dates]),
        "part": _PART_OF_FIELD,
        "at_least": len(terms),
        "limit": limit,
    }


def fuzzy_parameters(terms: Sequence[Term]) -> dict[str, Any]:
    """Return what ``FUZZY_SQL`` takes; single letters and digits are no evidence of anyone."""
    numbers = [(i, number) for i, term in enumerate(terms) for number in _near_numbers(term)]
    days = {(i, day): 1.0 for i, term in enumerate(terms) for day in term.dates}
    near = {(i, slip): _NEAR_DATE for i, day in days for slip in near_dates(day)}
    return {
        **_asked("words", [(i, t.word) for i, t in enumerate(terms) if _is_wordy(t.word)]),
        **_asked("numbers", numbers[:MAX_NUMBERS]),
        **_asked("dates", list(near | days), list((near | days).values())),
        **_asked("begins", [(i, t.date_start) for i, t in enumerate(terms) if t.date_start]),
        "begins_strength": _MONTH_OR_YEAR,
        "at_least": 1,
        "limit": MAX_CANDIDATES,
    }


def _near_numbers(term: Term) -> list[str]:
    """Return the numbers worth looking near to: the piece itself, and the longest groupings."""
    return [
        number
        for number in term.numbers
        if len(number) >= _MIN_DIGITS
        and not number.isalpha()
        and (
            not any(number in other for other in term.numbers if other != number)
            or (number == term.word.upper() and len(number) > _MIN_DIGITS)
        )
    ]


def _is_wordy(word: str) -> bool:
    return len(word) >= _MIN_LETTERS and not word.isdigit()


def _asked(
    name: str, pairs: Sequence[tuple[int, str]], strengths: Sequence[float] = ()
) -> dict[str, Any]:
    return {
        name: [asked for _, asked in pairs],
        f"{name}_i": [index for index, _ in pairs],
        f"{name}_strength": list(strengths) or [1.0] * len(pairs),
    }


def _run(sql: str, parameters: dict[str, Any]) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [uid for (uid,) in cursor.fetchall()]
