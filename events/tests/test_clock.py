"""A clock that runs ahead of those of the peers."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db.models.functions import Now

from events import contacts, recorder
from events.contacts import Said
from events.drafting import Author, Draft
from events.models import PeerContact
from events.stamp import clamped
from tests.sample.models import OFFER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S04")]

NOW = 1_800_000_000_000_000
HOUR = 3_600_000  # ms


def ahead(**offsets_ms: int) -> None:
    """Let peers' clocks be ahead of this location's; behind, if less than 0."""
    for name, offset_ms in offsets_ms.items():
        contacts.note(name, Said({}, "", {}, 0), offset_ms)


def written(now: int = NOW, uid: UUID | None = None) -> int:
    title = {"title": {"title": f"t{now}"}}
    draft = Draft(uid or uuid4(), "sample.offer_made", title, OFFER, is_new=uid is None)
    [event] = recorder.record([draft], Author(None, settings.LOCATION_ID, now))
    return event.ts


def test_trap_21_a_fast_clock_stamps_as_its_peers_do():
    assert written() == NOW, "nobody to compare with"
    ahead(loc2=-HOUR, loc3=-HOUR + 40)
    assert written() == NOW - HOUR * 1000 + 2_000_000


def test_trap_21_one_wrong_peer_of_three_decides_nothing():
    ahead(loc2=-HOUR, loc3=5, loc4=20)
    assert written() == NOW


def test_trap_21_what_it_knew_is_still_won_over():
    uid = uuid4()
    made = Draft(uid, "sample.offer_made", {"title": {"title": "a"}}, OFFER, is_new=True)
    recorder.record([made], Author(None, settings.LOCATION_ID, NOW))
    ahead(loc2=-HOUR)
    assert written(NOW + 5, uid) == NOW + 1


def test_trap_21_a_slow_clock_and_a_peer_that_is_gone_change_nothing():
    ahead(loc2=HOUR)
    assert written() == NOW
    ahead(loc2=-HOUR)
    contacts.note_failure("loc2", "timeout")
    assert written() == NOW
    ahead(loc2=-HOUR)
    PeerContact.objects.update(last_contact_at=Now() - timedelta(minutes=2))
    assert written() == NOW


def test_two_seconds_are_left():
    assert clamped(NOW, None) == clamped(NOW, -2000) == clamped(NOW, 300) == NOW
    assert clamped(NOW, -2001) == NOW - 1000
