from django.db import migrations

from events.guard import create_forget_numbers


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0002_recovery"),
    ]

    operations = [create_forget_numbers()]
