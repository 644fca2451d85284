"""Entity → EntityType → EntityDetail → DetailType: versioned, written by ``record()`` alone.

Every value of an ``EntityDetail`` and every ``display_name`` is personal.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q

from events.models import Versioned, version_constraints


class Entity(Versioned):
    """A person or institution: the narrow row; everything else is a detail."""

    entity_type = models.TextField()
    display_name = models.TextField()
    merged_into = models.UUIDField(null=True)

    class Meta(Versioned.Meta):
        indexes = [
            *Versioned.Meta.indexes,
            # The list of present customers, by name.
            models.Index(
                fields=["display_name", "entity_uid"],
                condition=Q(valid_to__isnull=True),
                name="customers_entity_by_name",
            ),
        ]


class EntityDetail(Versioned):
    """One value of an entity: a row per (entity, detail code) and period.

    ``value`` holds the group's fields, for a simple detail ``{"value": …}``.
    """

    code_column: ClassVar[str] = "detail_code"

    pk = models.CompositePrimaryKey("entity_uid", "detail_code", "valid_from")
    detail_code = models.TextField()
    value = models.JSONField()

    class Meta(Versioned.Meta):
        constraints = version_constraints("entity_uid", "detail_code")


class EntityType(Versioned):
    """What an entity can be: PERSON, INSTITUTION."""

    code = models.TextField()
    label = models.TextField()

    class Meta(Versioned.Meta):
        pass


class DetailType(Versioned):
    """What can be said of an entity: a field with its code, label and type."""

    code = models.TextField()
    label = models.TextField()
    value_type = models.TextField()
    is_personal = models.BooleanField()
    is_searchable = models.BooleanField()
    position = models.IntegerField()

    class Meta(Versioned.Meta):
        pass


class SearchKey(models.Model):
    """A present value in the form it is searched in; derived, so it is never behind its record."""

    pk = models.CompositePrimaryKey("entity_uid", "detail_code")
    entity_uid = models.UUIDField()
    detail_code = models.TextField()
    folded = models.TextField()

    class Meta:
        indexes = [
            # Exact search: every term equal to a folded value.
            models.Index(fields=["detail_code", "folded"]),
            # Fuzzy search: trigrams of one field at a time.
            *(
                GinIndex(
                    OpClass("folded", name="gin_trgm_ops"),
                    condition=Q(detail_code=code),
                    name=f"customers_key_{short}_trgm",
                )
                for code, short in (
                    ("surname", "surname"),
                    ("name", "name"),
                    ("document_number", "number"),
                    ("dob", "dob"),
                )
            ),
        ]
