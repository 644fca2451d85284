"""The tables of the log, and the mixin that makes any model versioned (SCD Type 2).

Every constraint and index says which rule or query it serves. No table here holds a personal value
in clear: values stand sealed in ``EventSecret`` and ``EntityHead.state``, plain only in the rows
that agents search.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Case, Func, Q, Value, When


class TsTzRange(Func):
    """``tstzrange(a, b)``: half-open, unbounded above while ``b`` is NULL."""

    function = "tstzrange"
    output_field = DateTimeRangeField()


def version_constraints(*key: str) -> list[models.BaseConstraint]:
    """Return the constraints of a versioned table whose rows are told apart by ``key``.

    The partial unique index comes before the exclusion: with the exclusion alone, two sessions
    that insert the first row of one key deadlock.
    """
    return [
        models.UniqueConstraint(
            fields=key,
            condition=Q(valid_to__isnull=True),
            name="%(app_label)s_%(class)s_one_current",
        ),
        ExclusionConstraint(
            expressions=[
                *((column, RangeOperators.EQUAL) for column in key),
                (TsTzRange("valid_from", "valid_to"), RangeOperators.OVERLAPS),
            ],
            name="%(app_label)s_%(class)s_no_overlap",
        ),
        # An exclusion constraint lets [t, t) pass: an empty range overlaps nothing.
        models.CheckConstraint(
            condition=Q(valid_to__isnull=True) | Q(valid_to__gt=models.F("valid_from")),
            name="%(app_label)s_%(class)s_positive",
        ),
    ]


class Versioned(models.Model):
    """Versions of a model's rows in one table; written only by the projection of ``record()``.

    ``code_column`` names the column that tells apart an entity's rows, where it has several.
    ``event_id`` is the event that opened the version: its origin, actor and request are there.
    """

    code_column: ClassVar[str] = ""

    pk = models.CompositePrimaryKey("entity_uid", "valid_from")
    entity_uid = models.UUIDField()
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    is_current = models.GeneratedField(
        expression=Case(When(valid_to__isnull=True, then=Value(True)), default=Value(False)),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    event_id = models.UUIDField()
    hashdiff = models.BinaryField()  # keyed: it says nothing of the values to who lacks the key

    class Meta:
        abstract = True
        constraints = version_constraints("entity_uid")
        # What changed between two moments (diff).
        indexes = [models.Index(fields=["valid_from", "entity_uid"])]


class Event(models.Model):
    """The truth: every event this location has, once. The application's role can only insert."""

    event_id = models.UUIDField(primary_key=True)
    origin = models.TextField(db_collation="C")
    entity_uid = models.UUIDField()
    type = models.TextField()
    subject_uid = models.UUIDField(null=True)
    actor = models.UUIDField(null=True)
    ts = models.BigIntegerField()
    tx = models.UUIDField()
    tx_index = models.IntegerField()
    raw = models.BinaryField()
    recorded_at = models.DateTimeField()  # when this location learnt it; in no comparison

    class Meta:
        indexes = [
            models.Index(fields=["entity_uid", "ts"]),  # fold, history
            models.Index(fields=["tx", "tx_index"]),  # sequencer
            models.Index(fields=["ts", "event_id"]),  # audit, newest first
        ]


class EventSecret(models.Model):
    """The ciphertext of an event's personal values, beside its raw bytes."""

    event_id = models.UUIDField(primary_key=True)
    ct = models.BinaryField()


class SubjectKey(models.Model):
    """The wrapped key of one person's values at one origin; kept out of event backups."""

    pk = models.CompositePrimaryKey("subject_uid", "origin")
    subject_uid = models.UUIDField()
    origin = models.TextField(db_collation="C")
    wrapped = models.BinaryField()


class Outbox(models.Model):
    """One entry for each transaction of this location that has no numbers yet."""

    id = models.BigAutoField(primary_key=True)
    tx = models.UUIDField()


class EventNumber(models.Model):
    """The place of an event in its origin's stream, given after its commit; insert-only.

    ``event_id`` is NULL for bytes that could not be decoded: they count, but they are no event.
    """

    pk = models.CompositePrimaryKey("origin", "epoch", "seq")
    origin = models.TextField(db_collation="C")
    epoch = models.IntegerField()
    seq = models.BigIntegerField()
    event_id = models.UUIDField(null=True)
    chain = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["event_id"])]  # which number an event has


class StreamHead(models.Model):
    """A signed head of a stream: its own at the origin, verified ones elsewhere.

    The newest, and as many older ones as let every page of 1,000 events end with a head.
    """

    pk = models.CompositePrimaryKey("origin", "epoch", "seq")
    origin = models.TextField(db_collation="C")
    epoch = models.IntegerField()
    seq = models.BigIntegerField()
    chain = models.BinaryField()
    signature = models.BinaryField()


class Received(models.Model):
    """Up to where this location has applied another's stream: one number, one chain value."""

    pk = models.CompositePrimaryKey("origin", "epoch")
    origin = models.TextField(db_collation="C")
    epoch = models.IntegerField()
    seq = models.BigIntegerField()
    chain = models.BinaryField()
    kafka_offset = models.BigIntegerField(default=0)  # where to read on; only a hint
    # NULL: not stopped; else nothing more is applied, since this signed head (JSON) contradicts it.
    stopped_reason = models.TextField(null=True)


class Recovery(models.Model):
    """One row while this location, restored from a backup, takes no writes; else none."""

    id = models.SmallIntegerField(primary_key=True)
    began_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="events_recovery_one_row")]


class Home(models.Model):
    """One row: the PostgreSQL server this database was made on, or moved to on purpose."""

    id = models.SmallIntegerField(primary_key=True)
    system_identifier = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="events_home_one_row")]


class Published(models.Model):
    """Up to which number this location's stream has been delivered to a topic."""

    topic = models.TextField(primary_key=True)
    epoch = models.IntegerField()
    seq = models.BigIntegerField()


class EntityHead(models.Model):
    """One row per entity: the lock of its writers, and where its fold stopped.

    ``memo`` holds stamps and openings; ``state`` the present values, sealed.
    """

    entity_uid = models.UUIDField(primary_key=True)
    kind = models.TextField()
    first_ts = models.BigIntegerField(default=0)
    last_ts = models.BigIntegerField(default=0)
    is_deleted = models.BooleanField(default=False)
    has_open_voids = models.BooleanField(default=False)
    has_closing_conflicts = models.BooleanField(default=False)
    parked_reason = models.TextField(null=True)  # NULL: not parked
    memo = models.JSONField(default=dict)
    state = models.BinaryField(default=b"")

    class Meta:
        indexes = [
            # Closed records for providers; parked ones for the sync page.
            models.Index(
                fields=["kind", "last_ts"],
                condition=Q(is_deleted=True),
                name="events_head_deleted",
            ),
            models.Index(
                fields=["entity_uid"],
                condition=Q(parked_reason__isnull=False),
                name="events_head_parked",
            ),
        ]


class Conflict(models.Model):
    """Two events on one group whose authors did not know of each other; the same everywhere."""

    item_id = models.TextField(primary_key=True)
    entity_uid = models.UUIDField(db_index=True)  # replaced together with the entity's rows
    group = models.TextField()
    earlier = models.UUIDField()
    later = models.UUIDField()
    is_closing = models.BooleanField()
    resolved_by = models.UUIDField(null=True)

    class Meta:
        indexes = [
            # The inbox, and the count of what is open that every page shows: settled ones stay.
            models.Index(
                fields=["entity_uid", "is_closing"],
                condition=Q(resolved_by__isnull=True),
                name="events_conflict_open",
            )
        ]


class DeadLetter(models.Model):
    """Bytes that were not received as an event, with the reason; they block nothing else."""

    id = models.BigAutoField(primary_key=True)
    origin = models.TextField(db_collation="C")
    epoch = models.IntegerField(null=True)
    seq = models.BigIntegerField(null=True)
    source = models.TextField()  # kafka, pull; stream: numbered by its origin, so served on
    reason = models.TextField()
    raw = models.BinaryField()
    received_at = models.DateTimeField()
    is_told = models.BooleanField(db_default=False)  # whether Kafka's topic of them has its place

    class Meta:
        # A page of a stream takes the bytes of a number that is no event from here.
        indexes = [models.Index(fields=["origin", "epoch", "seq"])]


class PeerContact(models.Model):
    """What this location last heard from a peer; its own row holds what it last said of itself.

    ``digest`` is that of the state at ``digest_heads``, ``{origin: [epoch, seq]}``, the sum of its
    ``digest_buckets``; ``vouched``: events.vouching, ``lacking``: events.stuck.
    """

    location = models.TextField(primary_key=True)
    last_contact_at = models.DateTimeField(null=True)
    last_error = models.TextField(default="")
    heads = models.JSONField(default=dict)  # {origin: {epoch, seq, chain}} as the peer has them
    digest = models.TextField(default="")
    digest_heads = models.JSONField(default=dict)
    digest_buckets = models.BinaryField(default=b"")
    clock_offset_ms = models.IntegerField(null=True)
    capabilities = models.JSONField(default=dict)
    vouched = models.JSONField(db_default=Value({}, models.JSONField()))
    lacking = models.JSONField(db_default=Value([], models.JSONField()))


class Location(Versioned):
    """A location as the registry has it; ``events.locations`` reads it.

    ``public_keys`` are ``[{key, proof, until}]``, in base64 (events.location_keys).
    """

    location = models.TextField()
    url = models.TextField()
    public_keys = models.JSONField()
    is_retired = models.BooleanField()
