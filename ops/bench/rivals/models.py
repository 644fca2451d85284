"""One customer with the nine details of ours, without history and with two libraries' history."""

from __future__ import annotations

import pghistory
from django.db import models
from simple_history.models import HistoricalRecords


class Person(models.Model):
    """The columns all rivals share."""

    uid = models.UUIDField(primary_key=True)
    display_name = models.TextField(db_index=True)
    surname = models.TextField(null=True)
    name = models.TextField(null=True)
    dob = models.DateField(null=True)
    document_number = models.TextField(null=True)
    phone = models.TextField(null=True)
    email = models.TextField(null=True)
    company = models.TextField(null=True)
    notes = models.TextField(null=True)
    owner = models.UUIDField(null=True)

    class Meta:
        abstract = True


class PlainPerson(Person):
    """No history at all."""


class SimplePerson(Person):
    """History by django-simple-history."""

    history = HistoricalRecords()


@pghistory.track()
class PgPerson(Person):
    """History by django-pghistory's triggers."""


class OutboxRow(models.Model):
    """What a location without our log would have to write beside its history."""

    payload = models.JSONField()
