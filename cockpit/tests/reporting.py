"""What the tests of the report write, counted by themselves; and what a page says."""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from accounts import access
from customers import commands
from events.drafting import Author
from events.recorder import record
from events.stamp import to_micros, uuid7

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

BERLIN = ZoneInfo("Europe/Berlin")
ENTERED, CHANGED = "customers.entity_created", "customers.details_changed"
CLOSED, OPENED = "customers.entity_deleted", "customers.entity_restored"
HERE = "loc1"


def at(text: str, fold: int = 0) -> datetime:
    """Return an instant from what a clock in Berlin shows."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


class Written(NamedTuple):
    """One event or one line of the access log, as whoever wrote it knows it."""

    when: datetime
    where: str
    who: UUID | None
    what: str
    outcome: str = access.OK
    transaction: int = 0  # none, for a line


class Writer:
    """Writes, and keeps what it wrote."""

    def __init__(self) -> None:
        self.written: list[Written] = []
        self._transactions = 0

    def enter(self, when: datetime, where: str = HERE, who: UUID | None = None, count: int = 1):
        """Enter customers in one transaction; return their uids."""
        author = Author(who, where, to_micros(when), "request-1")
        uids = [uuid7(author.now) for _ in range(count)]
        groups = commands.new_groups({"surname": "Kanariella"}, "PERSON", None)
        record([commands.new_draft(uid, groups) for uid in uids], author)
        self._keep(when, where, who, ENTERED, count)
        return uids

    def change(self, uid: UUID, when: datetime, where: str = HERE, who: UUID | None = None) -> None:
        author = Author(who, where, to_micros(when))
        commands.change_customer(uid, {"phone": str(self._transactions)}, author)
        self._keep(when, where, who, CHANGED)

    def close(self, uid: UUID, when: datetime, where: str = HERE, who: UUID | None = None) -> None:
        commands.delete_customer(uid, Author(who, where, to_micros(when)))
        self._keep(when, where, who, CLOSED)

    def log(self, kind: str, when: datetime, who: UUID | None = None, outcome: str = access.OK):
        """Write a line of the access log."""
        access.log_access(
            kind, at=to_micros(when), location=HERE, actor=who, route="customers/",
            outcome=outcome, request_id="request-2",
        )  # fmt: skip
        self.written.append(Written(when, HERE, who, kind, outcome))

    def _keep(self, when: datetime, where: str, who: UUID | None, what: str, count: int = 1):
        self._transactions += 1
        one = Written(when, where, who, what, transaction=self._transactions)
        self.written += [one] * count


def numbers(written: Iterable[Written]) -> tuple[int, int, int, int, int]:
    """Return transactions, events, refused, searches, sign-ins, counted one by one."""
    transactions: set[int] = set()
    found: Counter[str] = Counter()
    for each in written:
        if each.transaction:
            transactions.add(each.transaction)
            found["events"] += 1
        found["refused"] += each.outcome != "ok"
        found["searches"] += each.what == "search"
        found["sign_ins"] += each.what == "sign_in"
    return (
        len(transactions), found["events"], found["refused"], found["searches"], found["sign_ins"]
    )  # fmt: skip


def figures(text: str) -> tuple[int, ...]:
    """Return the totals that a page shows."""
    shown = re.findall(r'<div class="figure"><dt>[^<]*</dt><dd>([^<]*)</dd>', text)
    return tuple(int(number.replace(",", "")) for number in shown)


def table(text: str, name: str) -> dict[str, tuple[int | None, ...]]:
    """Return ``{label: numbers}`` of one of the tables; None for what is not known here."""
    section = re.search(rf'aria-labelledby="by-{name}".*?</section>', text, re.DOTALL)
    assert section
    return dict(_rows(section[0]))


def over_time(text: str) -> dict[str, tuple[int | None, ...]]:
    """Return ``{label: numbers}`` of the table beside the chart."""
    section = re.search(r'<details class="disclosure chart-table">.*?</details>', text, re.DOTALL)
    return dict(_rows(section[0])) if section else {}


def _rows(text: str) -> Iterable[tuple[str, tuple[int | None, ...]]]:
    for row in re.findall(r"<tr>(.*?)</tr>", text.partition("<tbody>")[2], re.DOTALL):
        label, *cells = re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.DOTALL)
        words = " ".join(re.sub(r"<[^>]*>", " ", label).split())
        texts = [re.sub(r"<[^>]*>", "", cell).replace(",", "") for cell in cells]
        yield html.unescape(words), tuple(None if t == "–" else int(t) for t in texts)


def rows_of(answer: Answer) -> list[dict[str, str]]:
    """Return the rows of a file that is sent, by the names of its columns."""
    assert answer.status_code == 200
    text = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def cells(rows: Sequence[dict[str, str]], *names: str) -> list[tuple[str, ...]]:
    """Return some columns."""
    return [tuple(row[name] for name in names) for row in rows]
