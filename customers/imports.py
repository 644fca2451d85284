"""Entering people from a file, through the same commands as everything else.

What is missing is created, what is there is left as it is; only ``is_update`` writes over. A
person's uid is made of the source and the record's id in it: the same file read again, or at
another location, means the same people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from customers import commands, details
from customers.files import Problem, Row, Table
from customers.kinds import DETAIL_TYPES
from events import heads
from events.drafting import Author
from events.envelope import Fields
from events.errors import AlreadyExists, InvalidValue, Parked

BATCH: Final = 500  # people in one transaction
NAMING: Final = ("entity_uid", "entity_type", "display_name")
DATE_FORMS: Final = (
    re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"),
    re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"),
    re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})"),
)
DATE_EXPECTED: Final = "expected a date as YYYY-MM-DD, YYYYMMDD or DD.MM.YYYY"


@dataclass(frozen=True, slots=True)
class Mapped:
    """Which column holds what; ``source`` is the namespace of the uids."""

    source: UUID
    columns: Mapping[str, str]  # {detail code, entity_type … : column}
    id_column: str | None = None


@dataclass(frozen=True, slots=True)
class How:
    """``is_update`` writes over what is there; ``is_dry_run`` writes nothing at all."""

    is_update: bool = False
    is_dry_run: bool = False


@dataclass(slots=True)
class Tally:
    """How many rows came to what."""

    rows: int = 0
    entered: int = 0
    updated: int = 0
    present: int = 0
    differing: int = 0  # of those present: rows that say something else than the record
    left_out: int = 0  # values
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """What one row says, checked."""

    line: int
    uid: UUID
    groups: Mapping[str, Fields]


@dataclass(slots=True)
class Progress:
    """Where an import stands; ``problems`` are those found since the last step."""

    tally: Tally = field(default_factory=Tally)
    problems: list[Problem] = field(default_factory=list)


def source_namespace(network: UUID, source: str) -> UUID:
    """Return the namespace of the uids of a source's records, the same at every location."""
    return uuid5(network, f"source:{source}")


def mapped(table: Table, source: UUID, columns: Mapping[str, str], id_column: str | None) -> Mapped:
    """Return the mapping of a table; columns called like a field need no word.

    ``InvalidValue`` names a field or a column that does not exist.
    """
    by_name = {name.lower(): name for name in table.columns if name}
    for code, column in columns.items():
        if code not in (*DETAIL_TYPES, *NAMING):
            raise InvalidValue(code, f"unknown field; known are {', '.join(DETAIL_TYPES)}")
        if column not in table.columns:
            raise InvalidValue(column, f"no such column; there are {', '.join(table.columns)}")
    if id_column is not None and id_column not in table.columns:
        raise InvalidValue(id_column, f"no such column; there are {', '.join(table.columns)}")
    known = {code: by_name[code] for code in (*DETAIL_TYPES, *NAMING) if code in by_name}
    return Mapped(source, {**known, **columns}, id_column or by_name.get("id"))


def part_of(table: Table, part: int, parts: int) -> Sequence[tuple[int, Row]]:
    """Return every ``parts``-th row from the ``part``-th on, each with its number in the file."""
    return list(enumerate(table.rows, start=1))[part - 1 :: parts]


def enter(
    rows: Sequence[tuple[int, Row]],
    mapping: Mapped,
    author: Callable[[], Author],
    how: How,
) -> Iterator[Progress]:
    """Enter the people of ``rows``, ≤ 500 in a transaction; yield after each.

    ``author`` is asked anew for each transaction, for it carries the instant.
    """
    tally = Tally()
    for begin in range(0, len(rows), BATCH):
        batch = rows[begin : begin + BATCH]
        progress = Progress(tally)
        people = [
            person
            for number, row in batch
            for person in [_person(number, row, mapping, progress)]
            if person is not None
        ]
        tally.rows += len(batch)
        _enter_batch(people, author, how, progress)
        yield progress


def _person(number: int, row: Row, mapping: Mapped, progress: Progress) -> Person | None:
    """Return what a row says; what it says wrongly is reported and left out."""
    progress.problems += row.problems
    progress.tally.left_out += len(row.problems)
    values = {}
    for code, column in mapping.columns.items():
        if code == "entity_uid":
            continue
        try:
            value = _checked(code, row.cells.get(column))
        except InvalidValue as exc:
            progress.problems.append(Problem(row.line, column, exc.expected))
            progress.tally.left_out += 1
        else:
            if value is not None:
                values[code] = value
    try:
        uid = _uid(number, row, mapping)
        groups = commands.new_groups(
            {code: value for code, value in values.items() if code in DETAIL_TYPES},
            values.get("entity_type", "PERSON"),
            values.get("display_name"),
        )
    except InvalidValue as exc:
        column = mapping.columns.get(exc.field, "")
        progress.problems.append(Problem(row.line, column, f"{exc.expected}; row skipped"))
        progress.tally.skipped += 1
        return None
    return Person(row.line, uid, groups)


def _checked(code: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if code == "entity_type":
        return details.checked_type(value)
    if code == "display_name":
        return details.checked_text(code, value, details.DEFAULT_MAX_LENGTH)
    if DETAIL_TYPES[code][1] == "date":
        return details.checked(code, _iso_date(code, value))
    return details.checked(code, value)


def _iso_date(code: str, value: Any) -> str:
    for form in DATE_FORMS:
        match = form.fullmatch(value) if isinstance(value, str) else None
        if match:
            iso = "-".join(match[part].zfill(2) for part in ("year", "month", "day"))
            try:
                return details.checked(code, iso) or ""
            except InvalidValue as exc:
                raise InvalidValue(code, f"no such day; {DATE_EXPECTED}") from exc
    raise InvalidValue(code, DATE_EXPECTED)


def _uid(number: int, row: Row, mapping: Mapped) -> UUID:
    """Return the row's own uid, or one of its id, or of its number in the file."""
    given = row.cells.get(mapping.columns.get("entity_uid", ""))
    if given:
        try:
            return UUID(str(given))
        except ValueError as exc:
            raise InvalidValue("entity_uid", "expected a uid") from exc
    record = row.cells.get(mapping.id_column) if mapping.id_column else None
    return uuid5(mapping.source, str(record) if record not in (None, "") else f"row {number}")


def _enter_batch(
    people: Sequence[Person], author: Callable[[], Author], how: How, progress: Progress
) -> None:
    """Enter who is missing; someone else may be entering them too, or have parked a record."""
    while True:
        known = heads.read(person.uid for person in people)
        there = {uid for uid, head in known.items() if head.exists}
        new: dict[UUID, Person] = {}
        again = [
            person
            for person in people
            if person.uid in there or new.setdefault(person.uid, person) is not person
        ]
        try:
            if not how.is_dry_run:
                commands.record_new([(uid, new[uid].groups) for uid in new], author())
            break
        except AlreadyExists:
            continue
        except Parked as exc:
            people = [person for person in people if person.uid != exc.entity_uid]
            _skip_parked(new[exc.entity_uid], exc, progress)
    progress.tally.entered += len(new)
    states = {uid: known[uid].memo.state for uid in there}
    for person in again:
        said = states.get(person.uid) or new[person.uid].groups
        _meet(person, said, author, how, progress)


def _meet(
    person: Person,
    said: Mapping[str, Fields],
    author: Callable[[], Author],
    how: How,
    progress: Progress,
) -> None:
    """Deal with a row whose person is here: leave them, or with ``is_update`` write over."""
    differs = any(
        said.get(group) != fields for group, fields in person.groups.items() if group != "type"
    )
    if not how.is_update or not differs:
        progress.tally.present += 1
        progress.tally.differing += differs
        return
    try:
        if how.is_dry_run or _write_over(person, author()):
            progress.tally.updated += 1
        else:
            progress.tally.present += 1
    except Parked as exc:
        _skip_parked(person, exc, progress)


def _write_over(person: Person, author: Author) -> bool:
    values = {group: fields["value"] for group, fields in person.groups.items()}
    name = values.pop("display_name", None)
    values.pop("type")
    return commands.change_customer(person.uid, values, author, display_name=name)


def _skip_parked(person: Person, exc: Parked, progress: Progress) -> None:
    progress.problems.append(Problem(person.line, "", f"{exc} Row skipped"))
    progress.tally.skipped += 1
