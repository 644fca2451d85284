# What moves events between locations needs to keep.

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        # Its key grows by the number. No sequencer ran before this one: there are no heads to keep.
        migrations.DeleteModel(name="StreamHead"),
        migrations.CreateModel(
            name="StreamHead",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "origin",
                        "epoch",
                        "seq",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("origin", models.TextField(db_collation="C")),
                ("epoch", models.IntegerField()),
                ("seq", models.BigIntegerField()),
                ("chain", models.BinaryField()),
                ("signature", models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name="received",
            name="stopped_reason",
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name="peercontact",
            name="digest_heads",
            field=models.JSONField(default=dict),
        ),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                fields=["origin", "epoch", "seq"], name="events_dead_origin_fcca74_idx"
            ),
        ),
    ]
