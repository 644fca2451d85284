"""What the commands that read people from files have in common: options, progress, report."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from accounts.authors import now_us
from accounts.models import Member
from customers.files import Problem, Table, UnreadableFile, read
from customers.imports import How, Mapped, Progress, Tally, enter, mapped, part_of, source_namespace
from events.console import Meter
from events.drafting import Author
from events.errors import InvalidValue, Recovering

CREATE: Final = How()


class ImportCommand(BaseCommand):
    """A command that enters people from files and says what came of each row."""

    def add_author(self, parser: CommandParser) -> None:
        """Take the member who is to be named as the author."""
        parser.add_argument(
            "--as", dest="username", metavar="USER", help="the member who enters them"
        )

    def add_file(self, parser: CommandParser) -> None:
        """Take the file, whose records it holds, and what may be done with them."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--source", metavar="NAME", help="whose records these are; default: the file's name"
        )
        parser.add_argument("--update", action="store_true", help="write over what is there")
        parser.add_argument("--dry-run", action="store_true", help="report, but write nothing")
        self.add_author(parser)

    def enter_file(
        self,
        path: Path,
        author: Callable[[], Author],
        *,
        source: str | None = None,
        columns: Mapping[str, str] | None = None,
        id_column: str | None = None,
        part: tuple[int, int] = (1, 1),
        how: How = CREATE,
    ) -> Tally:
        """Enter a file's people and print the report; ``CommandError`` (2) if it is no file."""
        try:
            table = read(path)
            namespace = source_namespace(network(), source or path.name)
            mapping = mapped(table, namespace, columns or {}, id_column)
        except UnreadableFile as exc:
            raise CommandError(str(exc), returncode=2) from exc
        except InvalidValue as exc:
            raise CommandError(f"{path}: {exc}.", returncode=2) from exc
        self._say_unused(table, mapping)
        return self.enter_table(table, mapping, author, part, how)

    def enter_table(
        self,
        table: Table,
        mapping: Mapped,
        author: Callable[[], Author],
        part: tuple[int, int] = (1, 1),
        how: How = CREATE,
    ) -> Tally:
        """Enter a table's people and print what came of them."""
        rows = part_of(table, *part)
        meter = Meter(self.stdout, len(rows), "rows")
        last = Progress(Tally())
        try:
            for last in enter(rows, mapping, author, how):
                meter.clear()
                for problem in last.problems:
                    self.stdout.write(sentence(problem, table.place))
                meter.show(last.tally.rows)
        except OperationalError as exc:
            done = f"{last.tally.entered} people are entered"
            raise CommandError(f"The database cannot be reached; {done}.") from exc
        except Recovering as exc:
            raise CommandError(str(exc)) from exc
        meter.clear()
        self._summary(last.tally, how)
        return last.tally

    def _say_unused(self, table: Table, mapping: Mapped) -> None:
        used = {*mapping.columns.values(), mapping.id_column}
        unused = [name for name in table.columns if name and name not in used]
        if unused:
            self.stdout.write(f"Columns not used: {', '.join(unused)}")

    def _summary(self, tally: Tally, how: How) -> None:
        counted = [f"{tally.entered} entered"]
        if how.is_update:
            counted.append(f"{tally.updated} updated")
        counted += [
            f"{tally.present} already there",
            f"{tally.left_out} values left out",
            f"{tally.skipped} rows skipped",
        ]
        prefix = "Dry run, nothing is written: " if how.is_dry_run else ""
        self.stdout.write(f"{prefix}{tally.rows} rows: {', '.join(counted)}.")
        if tally.differing:
            self.stdout.write(
                f"{tally.differing} of those already there say something else in the file; "
                "--update writes it over."
            )


def sentence(problem: Problem, place: str) -> str:
    """Return what is wrong, where: ``line 17, column dob: expected …``."""
    column = f", column {problem.column}" if problem.column else ""
    ending = "" if problem.expected.endswith("ow skipped") else "; left out"
    return f"{place} {problem.line}{column}: {problem.expected}{ending}"


def network() -> UUID:
    """Return the network's id, the root of every derived uid."""
    return UUID(str(settings.NETWORK_ID))


def author_named(username: str | None) -> Callable[[], Author]:
    """Return what makes an author for each transaction; ``CommandError`` if there is no member."""
    actor: UUID | None = None
    if username is not None:
        member = Member.objects.filter(username=username, is_active=True).first()
        if member is None:
            raise CommandError(f"There is no active member {username}.", returncode=2)
        actor = member.uid
    request_id = uuid4().hex

    def author() -> Author:
        return Author(actor, settings.LOCATION_ID, now_us(), request_id)

    return author


def part(text: str) -> tuple[int, int]:
    """Return ``(K, N)`` of ``K/N``: every N-th row, from the K-th on."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise ArgumentTypeError("expected K/N with 1 ≤ K ≤ N, such as 1/3")
    return int(number), int(of)


def column_pair(text: str) -> tuple[str, str]:
    """Return ``(field, column)`` of ``field=column``."""
    code, equals, column = text.partition("=")
    if not (equals and code and column):
        raise ArgumentTypeError("expected FIELD=COLUMN, such as surname=last_name")
    return code.strip().lower(), column.strip()
