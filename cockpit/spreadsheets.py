"""CSV as spreadsheets take it (RFC 4180, UTF-8), with no cell that one would run as a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from unicodedata import normalize

from django.http import StreamingHttpResponse

# What makes a cell a formula in Excel, LibreOffice or Google Sheets, after blanks, if it begins so;
# some take the wide forms of these letters for them.
_RUNS = frozenset("=+-@|%\t\r\n")
_MARK = "\ufeff"  # without it, Excel takes UTF-8 for something else

Cell = str | int | None


class _Echo:
    """What the writer writes to: it hands each line back."""

    def write(self, text: str) -> str:
        return text


def safe(cell: Cell) -> Cell:
    """Return a cell as text even for a spreadsheet that takes it for a formula."""
    if isinstance(cell, str) and normalize("NFKC", cell).lstrip(" ")[:1] in _RUNS:
        return f"'{cell}"
    return cell


def lines_of(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield the lines of a file, each as soon as its row is there."""
    writer = csv.writer(_Echo())
    yield _MARK
    for row in rows:
        line: str = writer.writerow([safe(cell) for cell in row])
        yield line


def download(name: str, rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """Return the answer that a browser keeps as a file of that name."""
    return StreamingHttpResponse(
        lines_of(rows),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
