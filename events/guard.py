"""What PostgreSQL itself enforces on versioned and derived tables, as migration operations."""

from __future__ import annotations

from django.db.migrations import RunSQL

# The mark is the transaction's own id, so one left behind in a session opens nothing later.
# With it comes what a writer has to know of this location: whether it may make events of its own
# (events.recovery), and by how many ms its peers' clocks are ahead, at the median of those that
# answer; NULL without any.
SET_MARK = """
SELECT set_config('sins.recording', pg_current_xact_id()::text, true),
       EXISTS (SELECT FROM events_recovery),
       (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY clock_offset_ms)
        FROM events_peercontact
        WHERE last_error = '' AND last_contact_at > clock_timestamp() - interval '1 minute')
"""

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

# The application may not delete numbers. This does it for the owner: within record(), and only
# those of a branch that its origin gives up, as it has begun another epoch or is about to.
_FORGET_NUMBERS = """
CREATE FUNCTION sins_forget_numbers(of_origin text, of_epoch integer, beyond bigint)
RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('sins.recording', true) IS DISTINCT FROM pg_current_xact_id()::text
       OR NOT EXISTS (SELECT FROM events_recovery) AND NOT EXISTS (
            SELECT FROM events_streamhead WHERE origin = of_origin AND epoch > of_epoch)
    THEN
        RAISE EXCEPTION 'the numbers of % in epoch % are not given up', of_origin, of_epoch
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM events_streamhead WHERE origin = of_origin AND epoch = of_epoch AND seq > beyond;
    RETURN QUERY WITH gone AS (
        DELETE FROM events_eventnumber
        WHERE origin = of_origin AND epoch = of_epoch AND seq > beyond RETURNING seq, event_id
    ) SELECT event_id FROM gone WHERE event_id IS NOT NULL ORDER BY seq;
END $$;
"""


def create_guard() -> RunSQL:
    """Create the trigger function that refuses every write outside ``record()``."""
    return RunSQL(_FUNCTION, "DROP FUNCTION sins_only_recorded()")


def create_forget_numbers() -> RunSQL:
    """Create the one way in which numbers are ever taken back (events.forks)."""
    return RunSQL(_FORGET_NUMBERS, "DROP FUNCTION sins_forget_numbers(text, integer, bigint)")


def guard(table: str) -> RunSQL:
    """Put the guard on ``table``: INSERT, UPDATE, DELETE and TRUNCATE, by whatever client."""
    return RunSQL(
        f"CREATE TRIGGER {table}_only_recorded BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE"
        f" ON {table} FOR EACH STATEMENT EXECUTE FUNCTION sins_only_recorded()",
        f"DROP TRIGGER {table}_only_recorded ON {table}",
    )
