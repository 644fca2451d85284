"""What PostgreSQL itself enforces on versioned and derived tables, as migration operations."""

from __future__ import annotations

from django.db.migrations import RunSQL

# The mark is the transaction's own id, so one left behind in a session opens nothing later.
# With it comes whether this location may make events of its own (events.recovery).
SET_MARK = """
SELECT set_config('sins.recording', pg_current_xact_id()::text, true),
       EXISTS (SELECT FROM events_recovery)
"""
UNSET_MARK = "SELECT set_config('sins.recording', '', true)"

_FUNCTION = """
CREATE OR REPLACE FUNCTION sins_only_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('sins.recording', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        RAISE EXCEPTION '% is written by record() only', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Load files with manage.py load_entities_from_file.';
    END IF;
    RETURN NULL;
END $$;
"""


def create_guard() -> RunSQL:
    """Create the trigger function that refuses every write outside ``record()``."""
    return RunSQL(_FUNCTION, "DROP FUNCTION sins_only_recorded()")


def guard(table: str) -> RunSQL:
    """Put the guard on ``table``: INSERT, UPDATE, DELETE and TRUNCATE, by whatever client."""
    return RunSQL(
        f"CREATE TRIGGER {table}_only_recorded BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE"
        f" ON {table} FOR EACH STATEMENT EXECUTE FUNCTION sins_only_recorded()",
        f"DROP TRIGGER {table}_only_recorded ON {table}",
    )
