"""Lines of the access log get a name that leaves this database, and are read in their order."""

import django.contrib.postgres.functions
from django.db import migrations, models

# Rule: ids are given before a commit and seen after it, so a reader may find 8 before 7. Whoever
# inserts holds this lock until then; when nobody does, every id that was given is settled
# (accounts.lines).
IN_FLIGHT = """
CREATE FUNCTION accounts_access_in_flight() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1364087554);
    RETURN NULL;
END $$;
CREATE TRIGGER accounts_access_in_flight BEFORE INSERT ON accounts_access
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_access_in_flight();
"""
NOT_IN_FLIGHT = """
DROP TRIGGER accounts_access_in_flight ON accounts_access;
DROP FUNCTION accounts_access_in_flight();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="access",
            name="uid",
            field=models.UUIDField(
                db_default=django.contrib.postgres.functions.RandomUUID(), editable=False
            ),
        ),
        migrations.RunSQL(IN_FLIGHT, NOT_IN_FLIGHT),
    ]
