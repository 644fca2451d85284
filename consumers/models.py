"""How far this location has told Elasticsearch what happened, and what Elasticsearch refused."""

from __future__ import annotations

from django.db import models


class ShipCursor(models.Model):
    """Up to which number a stream is in Elasticsearch; saved after the documents it counts."""

    stream = models.TextField(primary_key=True, db_collation="C")  # origin:epoch, access, status
    number = models.BigIntegerField()


class Unshipped(models.Model):
    """A document that Elasticsearch refuses for what is in it, with the reason; blocks nothing."""

    document_id = models.TextField(primary_key=True, db_collation="C")
    index = models.TextField()
    reason = models.TextField()
    document = models.JSONField()
    refused_at = models.DateTimeField()
