"""What can go wrong with a write or an event; a class's docstring is its message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID


class SinsError(Exception):
    """Something is wrong with this request."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidValue(SinsError):
    """A value is not of the expected form."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: {expected}")
        self.field = field
        self.expected = expected


class TooLarge(SinsError):
    """A transaction holds at most 1,000 events."""


class Unknown(SinsError):
    """There is no such record."""

    def __init__(self, entity_uid: UUID) -> None:
        super().__init__()
        self.entity_uid = entity_uid


class AlreadyExists(SinsError):
    """A record with this uid exists already."""

    def __init__(self, entity_uid: UUID) -> None:
        super().__init__()
        self.entity_uid = entity_uid


class Parked(SinsError):
    """This record waits for an event that cannot be applied yet; until then it is read-only."""

    def __init__(self, entity_uid: UUID) -> None:
        super().__init__()
        self.entity_uid = entity_uid


class Recovering(SinsError):
    """This location was restored from a backup and takes no writes until its own are back."""


class Stale(SinsError):
    """The record has changed since it was read.

    ``groups`` maps each group the author wanted to set to ``(theirs, current)``.
    """

    def __init__(
        self,
        entity_uid: UUID,
        groups: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> None:
        super().__init__("The record has changed since it was read.")
        self.entity_uid = entity_uid
        self.groups = groups


class NotOpen(SinsError):
    """Some of these conflicts cannot be settled.

    ``item_ids`` are those; nobody's names, so they may stand in a log.
    """

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        super().__init__()
        self.item_ids = frozenset(item_ids)


class Settled(NotOpen):
    """This conflict is settled already."""


class UnknownItem(NotOpen):
    """There is no such conflict."""


class NotAlone(SinsError):
    """Something else that was to be stored with this was refused, so neither was stored."""


class UndecodableEvent(SinsError):
    """These bytes are not an event."""


class UnknownEvent(UndecodableEvent):
    """This release does not know events of this type or version."""


class EndedKey(SinsError):
    """The key in LOCATION_KEY has ended: put this location's present one there, and restart."""


class MissingKey(SinsError):
    """The key of this event's personal values is not at hand."""


class WrongCursor(SinsError):
    """Another process has applied events of this stream meanwhile."""


class ForkedStream(SinsError):
    """A stream holds two different events under one number."""
