"""The access log of a period is found by its index: a provider's report reads no other lines."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_access_uid")]

    operations = [
        migrations.AddIndex(
            model_name="access",
            index=models.Index(fields=["at", "id"], name="accounts_ac_at_093a44_idx"),
        )
    ]
