from django.db import migrations, models

# A number whose bytes were no event for a former release may be given the event they are for this
# one: never another one, and only by record(). The application's role itself cannot change numbers.
CREATE = """
CREATE FUNCTION sins_name_event(named_origin text, named_epoch int, named_seq bigint, event uuid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before bytea;
BEGIN
    IF current_setting('sins.recording', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        RAISE EXCEPTION 'events_eventnumber is written by record() only'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- The chain value before the first number (events.chain.start), else that of the one before.
    IF named_seq = 1 THEN
        before := sha256(convert_to(named_origin, 'UTF8') || int8send(named_epoch::bigint));
    ELSE
        SELECT chain INTO before FROM events_eventnumber
        WHERE origin = named_origin AND epoch = named_epoch AND seq = named_seq - 1;
    END IF;
    UPDATE events_eventnumber n SET event_id = e.event_id FROM events_event e
    WHERE n.origin = named_origin AND n.epoch = named_epoch AND n.seq = named_seq
      AND n.event_id IS NULL AND e.event_id = event AND e.origin = named_origin
      AND n.chain = sha256(before || sha256(e.raw));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'number % of % has an event, or was given for other bytes',
            named_seq, named_origin USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0004_home"),
    ]

    operations = [
        migrations.RunSQL(CREATE, "DROP FUNCTION sins_name_event(text, int, bigint, uuid)"),
        migrations.AddField(
            model_name="deadletter",
            name="is_told",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name="peercontact",
            name="digest_buckets",
            field=models.BinaryField(default=b""),
        ),
    ]
