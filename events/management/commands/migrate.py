"""``migrate`` as the tables' owner, followed by what the application's role may do with them."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from django.conf import settings
from django.core.management import CommandParser, call_command
from django.core.management.commands import migrate
from django.db import connections
from psycopg import sql

from events.console import Meter

OWNER: Final = "owner"
# What the log holds is never changed or taken back; ciphertexts and keys only by erasure.
RIGHTS: Final = {
    "events_event": "SELECT, INSERT",
    "events_eventnumber": "SELECT, INSERT",
    "events_eventsecret": "SELECT, INSERT, DELETE",
    "events_subjectkey": "SELECT, INSERT, DELETE",
    "accounts_access": "SELECT, INSERT",
    "django_migrations": "SELECT",
}
OTHER_RIGHTS: Final = "SELECT, INSERT, UPDATE, DELETE"


class Command(migrate.Command):
    """Migrate as the owner, make the cache table, grant, record what is built in, fold again."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Let the owner's connection be the one to migrate where there is one."""
        super().add_arguments(parser)
        if OWNER in settings.DATABASES:
            parser.set_defaults(database=OWNER)

    def handle(self, *args: Any, **options: Any) -> None:
        """1. tables, 2. cache's table, 3. grants, 4. home, 5. genesis events, 6. rows as of today.

        Each may be repeated.
        """
        super().handle(*args, **options)
        if options["app_label"] or options["plan"] or options["check_unapplied"]:
            return
        call_command("createcachetable", database=options["database"], verbosity=0)
        grant_application_rights(options["database"])
        from events import home
        from events.genesis import record_genesis

        home.settle()
        home.refuse_copy(threading.Event())
        record_genesis(time.time_ns() // 1000)
        self._fold_again(options["verbosity"])

    def _fold_again(self, verbosity: int) -> None:
        """Fold what a release of another version folded, and try what is parked once more."""
        from events import contacts, digest
        from events.rebuilding import Selection, expected, rebuild_all

        due = Selection(is_due_only=True)
        count = expected(due)
        if not count:
            return
        meter = Meter(self.stderr, count, "records")
        found = rebuild_all(due, tell=meter.show).found
        meter.clear()
        if found.rows:
            contacts.note_digest(digest.take())  # peers compare with what stands now
        if verbosity:
            again, parked = len(found.uids), len(found.parked)
            self.stdout.write(f"{again} records folded again; {parked} are parked.")


def grant_application_rights(alias: str) -> None:
    """Give the application's role its rights on every table, and no others."""
    role = settings.DATABASES["default"]["USER"]
    connection = connections[alias]
    if role == connection.settings_dict["USER"]:
        return  # one role for everything: the owner needs no grants
    user = sql.Identifier(role)
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(user))
        grant_sequences = "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}"
        cursor.execute(sql.SQL(grant_sequences).format(user))
        for name in tables:
            table = sql.Identifier(name)
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(table, user))
            rights = sql.SQL(RIGHTS.get(name, OTHER_RIGHTS))
            cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(rights, table, user))
