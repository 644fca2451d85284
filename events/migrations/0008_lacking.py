from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0007_location"),
    ]

    operations = [
        migrations.AddField(
            model_name="peercontact",
            name="lacking",
            field=models.JSONField(db_default=models.Value([], models.JSONField())),
        ),
    ]
