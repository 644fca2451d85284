from __future__ import annotations

import django.contrib.postgres.constraints
import events.models
from events.guard import guard
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Offer",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "entity_uid",
                        "valid_from",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("entity_uid", models.UUIDField()),
                ("valid_from", models.DateTimeField()),
                ("valid_to", models.DateTimeField(null=True)),
                (
                    "is_current",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Case(
                            models.When(then=models.Value(True), valid_to__isnull=True),
                            default=models.Value(False),
                        ),
                        output_field=models.BooleanField(),
                    ),
                ),
                ("event_id", models.UUIDField()),
                ("hashdiff", models.BinaryField()),
                ("title", models.TextField(null=True)),
                ("amount", models.DecimalField(decimal_places=2, max_digits=12, null=True)),
                ("currency", models.TextField(null=True)),
                ("note", models.TextField(null=True)),
            ],
            options={
                "abstract": False,
                "indexes": [
                    models.Index(
                        fields=["valid_from", "entity_uid"], name="sample_offe_valid_f_3cb5ad_idx"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("valid_to__isnull", True)),
                        fields=("entity_uid",),
                        name="sample_offer_one_current",
                    ),
                    django.contrib.postgres.constraints.ExclusionConstraint(
                        expressions=[
                            ("entity_uid", "="),
                            (events.models.TsTzRange("valid_from", "valid_to"), "&&"),
                        ],
                        name="sample_offer_no_overlap",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("valid_to__isnull", True),
                            ("valid_to__gt", models.F("valid_from")),
                            _connector="OR",
                        ),
                        name="sample_offer_positive",
                    ),
                ],
            },
        ),
        guard("sample_offer"),
    ]
