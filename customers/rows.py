"""What one line of the customers' list shows, and why a search found it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from customers.labels import Text, label_of
from customers.queries import Customer, DetailVersion

if TYPE_CHECKING:
    from customers.search import Hit

Spans = Sequence[Sequence[int]]
FACTS = ("dob", "document_number")
REACH = ("phone", "email", "company")


@dataclass(frozen=True, slots=True)
class Reason:
    """How well one field answers the search."""

    label: Text
    asked: str
    listed: str
    score: int
    note: str


@dataclass(frozen=True, slots=True)
class ListRow:
    """A customer in the list; texts are safe HTML in which matched letters are marked."""

    customer: Customer
    title: SafeString
    initials: str
    facts: Sequence[tuple[str, SafeString]]
    reach: Sequence[tuple[str, SafeString]]
    last: DetailVersion | None
    score: int | None = None
    reasons: Sequence[Reason] = ()


def rows_of(customers: Iterable[Customer]) -> list[ListRow]:
    """Return the lines of a plain list."""
    return [_row(customer, {}) for customer in customers]


def rows_of_hits(hits: Iterable[Hit], *, is_scored: bool) -> list[ListRow]:
    """Return the lines of a search's hits, best first; scored ones say why."""
    return [
        _row(
            hit.customer,
            hit.matched,
            round(hit.score) if is_scored else None,
            [
                Reason(label_of(f.code), f.asked, f.listed, round(f.score), f.note)
                for f in hit.fields
            ]
            if is_scored
            else [],
        )
        for hit in hits
    ]


def marked(text: str, spans: Spans) -> SafeString:
    """Return ``text`` as safe HTML with the letters of ``spans`` (start, end) in <mark>."""
    parts: list[SafeString] = []
    at = 0
    for start, end in sorted((s[0], s[1]) for s in spans):
        first = max(start, at)
        if first >= min(end, len(text)):
            continue
        parts.append(conditional_escape(text[at:first]))
        parts.append(format_html("<mark>{}</mark>", text[first:end]))
        at = end
    parts.append(conditional_escape(text[at:]))
    return format_html_join("", "{}", ((part,) for part in parts))


def _row(
    customer: Customer,
    matched: Mapping[str, Spans],
    score: int | None = None,
    reasons: Sequence[Reason] = (),
) -> ListRow:
    values = customer.values

    def pieces(codes: Iterable[str]) -> list[tuple[str, SafeString]]:
        return [
            (code, marked(str(values[code]), matched.get(code, ())))
            for code in codes
            if values.get(code)
        ]

    said = [str(values[code]) for code in ("name", "surname") if values.get(code)]
    title = conditional_escape(customer.display_name)
    if " ".join(said) == customer.display_name:
        title = format_html_join(" ", "{}", ((html,) for _, html in pieces(("name", "surname"))))
    newest = sorted(customer.details.values(), key=lambda version: version.valid_from)
    return ListRow(
        customer=customer,
        title=title,
        initials="".join(word[0] for word in customer.display_name.split()[:2]).upper(),
        facts=pieces(FACTS),
        reach=pieces(REACH),
        last=newest[-1] if newest else None,
        score=score,
        reasons=reasons,
    )
