"""Reading people out of files: CSV as spreadsheets write it, and JSON.

A row is ``{column: text}`` with stripped text, whatever the file; what a row cannot be read as is
said of that row, what a file cannot be read as ends the reading with one sentence.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from events.errors import SinsError

DELIMITERS: Final = ",;\t|"
LONG_FORM: Final = frozenset({"detail_code", "value"})
IDENTITY: Final = ("entity_uid", "id")
ABOUT_ENTITY: Final = ("entity_uid", "id", "entity_type", "display_name")


class UnreadableFile(SinsError):
    """The file cannot be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of a file; no value is quoted, for they are personal."""

    line: int
    column: str
    expected: str


@dataclass(frozen=True, slots=True)
class Row:
    """One person as a file has them: ``line`` is a CSV's line or a JSON list's item."""

    line: int
    cells: Mapping[str, Any]
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file; ``place`` is what its row numbers count: line or item."""

    columns: Sequence[str]
    rows: Sequence[Row] = field(repr=False)
    place: str = "line"


def read(path: Path) -> Table:
    """Return the rows of a CSV or JSON file; ``UnreadableFile`` says in a sentence why not."""
    text = _text(path)
    if text.lstrip()[:1] in ("[", "{"):
        return _from_json(path, text)
    return _from_csv(path, text)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as exc:
        raise UnreadableFile(f"There is no file {path}.") from exc
    except IsADirectoryError as exc:
        raise UnreadableFile(f"{path} is a directory, not a file.") from exc
    except OSError as exc:
        raise UnreadableFile(f"{path} cannot be read: {exc.strerror}.") from exc
    if not content.strip():
        raise UnreadableFile(f"{path} is empty.")
    if b"\x00" in content[:8192]:
        raise UnreadableFile(f"{path} is not a text file: save it as CSV in UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise UnreadableFile(f"{path} is not text in UTF-8 (line {line}).") from exc


def _from_csv(path: Path, text: str) -> Table:
    first = text.lstrip().splitlines()[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        numbered = list(_numbered(reader))
    except csv.Error as exc:
        raise UnreadableFile(f"{path} is not CSV: {exc} (line {reader.line_num}).") from exc
    columns = [name.strip() for name in numbered[0][1]]
    twice = {name for name in columns if name and columns.count(name) > 1}
    if twice:
        raise UnreadableFile(f"{path} has two columns named {min(twice)}.")
    rows = [_csv_row(columns, line, cells) for line, cells in numbered[1:]]
    if set(columns) >= LONG_FORM:
        grouped = _grouped(path, columns, rows)
        return Table(_named_in(grouped), grouped)
    return Table(columns, rows)


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not blank with the line on which each begins."""
    begins = 1
    for cells in reader:
        if cells:
            yield begins, cells
        begins = reader.line_num + 1


def _csv_row(columns: Sequence[str], line: int, cells: Sequence[str]) -> Row:
    named = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name}
    surplus = [cell for cell in cells[len(columns) :] if cell.strip()]
    too_long = Problem(line, "", f"expected at most {len(columns)} cells, found {len(cells)}")
    return Row(line, named, (too_long,) if surplus else ())


def _grouped(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Join the lines of one entity each: a line is one detail of it."""
    identity = next((name for name in IDENTITY if name in columns), None)
    if identity is None:
        raise UnreadableFile(f"{path} has a line per detail and no column entity_uid or id.")
    found: dict[str, Row] = {}
    for row in rows:
        about = {name: row.cells[name] for name in ABOUT_ENTITY if row.cells.get(name)}
        detail = {row.cells.get("detail_code", "").lower(): row.cells.get("value", "")}
        detail.pop("", None)
        key = row.cells.get(identity) or f"line {row.line}"
        known = found.get(key, Row(row.line, {}))
        found[key] = Row(
            known.line,
            {**about, **known.cells, **detail},
            (*known.problems, *row.problems),
        )
    return list(found.values())


def _from_json(path: Path, text: str) -> Table:
    try:
        document = json.loads(text)
    except ValueError as exc:
        where = f"line {exc.lineno}" if isinstance(exc, json.JSONDecodeError) else "a number"
        raise UnreadableFile(f"{path} is not JSON ({where}).") from exc
    except RecursionError as exc:
        raise UnreadableFile(f"{path} is nested too deeply.") from exc
    items = document.get("entities") if isinstance(document, dict) else document
    if not isinstance(items, list):
        raise UnreadableFile(f"{path} is not a JSON list of people or entities.")
    rows = [_json_row(number, item) for number, item in enumerate(items, start=1)]
    return Table(_named_in(rows), rows, place="item")


def _named_in(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.cells))


def _json_row(number: int, item: Any) -> Row:
    """Return an item as a flat row; an entity's details become columns by their codes."""
    if not isinstance(item, dict):
        return Row(number, {}, (Problem(number, "", "expected an object"),))
    cells = {name: value for name, value in item.items() if name != "details"}
    problems = []
    details: Any = item.get("details", [])
    for detail in details if isinstance(details, list) else [details]:
        try:
            cells[detail["detail_code"].lower()] = detail["value"]["value"]
        except (TypeError, KeyError, AttributeError):
            expected = 'expected {"detail_code": "EMAIL", "value": {"value": "…"}}'
            problems.append(Problem(number, "details", expected))
    return Row(number, cells, tuple(problems))
