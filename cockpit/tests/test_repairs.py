"""What waits for repair stands on the sync page, each with a button that looks at it again."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from consumers import dead_letters, verify
from consumers.apply import Applier
from consumers.dead_letters import DeadLetter
from consumers.tests.origins import NOW, PEERS, person, signed, three_people_of
from consumers.tests.test_rebuild import DESK, LAMP, offer, parked, stream
from consumers.verify import Run
from customers import queries
from customers.tests.browsing import page_text, sign_in
from events import envelope
from events.errors import UndecodableEvent
from events.models import DeadLetter as StoredLetter
from tests.by_hand import by_hand
from tests.releases import release
from tests.sample.models import Offer
from tests.sample.next_release import SAME_OFFER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S08")]


@pytest.fixture
def applier(settings) -> Applier:
    settings.PEERS = PEERS
    return Applier(clock=lambda: NOW + 10**12)


@pytest.fixture
def run(databases) -> Run:
    return three_people_of(databases)[0]


@pytest.fixture
def provider(run: Run, client: Client) -> Client:
    """Signed in after the stream was made: that leaves a fresh database."""
    sign_in(client, "provider")
    return client


def bury(seq: int | None = 9, raw: bytes = b"Canary") -> int:
    letter = DeadLetter("loc2", None if seq is None else 1, seq, "kafka", "MissingKey", raw)
    dead_letters.keep(letter, NOW)
    return StoredLetter.objects.latest("id").id


def retry(client: Client, **values: Any) -> str:
    """Press the button; return the page that follows."""
    answer = client.post("/sync/retry", values, follow=True)
    assert answer.redirect_chain == [("/sync/", 302)]
    return page_text(answer)


def test_nothing_waits(provider):
    text = page_text(provider.get("/sync/"))
    assert "Dead letters" not in text
    assert "Parked records" not in text


def test_both_lists_say_what_and_why_and_no_value(provider, applier):
    applier.apply(stream(offer(1, LAMP, schema_version=2)))
    bury()
    bury(None)
    text = page_text(provider.get("/sync/"))
    assert "this release does not know one of its events" in text
    assert f"…{str(LAMP)[-8:]}" in text
    assert "1:9" in text
    assert text.count('action="/sync/retry"') == 3
    assert text.count("Retry<span") == 3
    assert "Canary" not in text


def test_at_most_twenty_of_each(provider):
    for seq in range(1, 23):
        bury(seq)
    text = page_text(provider.get("/sync/"))
    assert "the first 20 of 22" in text
    assert text.count('name="letter"') == 20
    assert "1:22" in text
    assert "1:2<" not in text


def test_parked_customer_is_linked_and_folds_again_with_its_key(provider, applier, run):
    items = [replace(run.items[0], wrapped=None), *run.items[1:]]
    applier.apply(signed("loc2", items))
    uid = person(1)
    assert f'href="/customers/{uid}/"' in page_text(provider.get("/sync/"))
    said = retry(provider, record=str(uid))
    assert "it stays read-only" in said
    by_hand(
        "events_subjectkey",
        "INSERT INTO events_subjectkey (subject_uid, origin, wrapped) VALUES (%s, 'loc2', %s)",
        [uid, run.items[0].wrapped],
    )
    assert "has all its events again" in retry(provider, record=str(uid))
    assert queries.get(uid).values["surname"] == "Person 1"
    assert "not parked any more" in retry(provider, record=str(uid))


def test_what_was_parked_together_comes_back_together(provider, applier):
    together: dict[str, Any] = {"tx": UUID(int=3), "tx_size": 2}
    applier.apply(stream(
        offer(1, LAMP, schema_version=2, **together), offer(2, DESK, tx_index=1, **together)
    ))  # fmt: skip
    assert "still cannot be applied" in retry(provider, record=str(DESK))
    with release(SAME_OFFER):
        assert "has all its events again" in retry(provider, record=str(DESK))
    assert parked() == {}
    assert Offer.objects.count() == 2


def test_dead_letter_is_looked_at_again(provider, applier, run):
    here = bury(3)
    assert "loc2 1:3: waits for its origin." in retry(provider, letter=here)
    applier.apply(run)
    assert "loc2 1:3: applied meanwhile." in retry(provider, letter=here)
    assert not StoredLetter.objects.exists()
    assert "gone already" in retry(provider, letter=here)


def test_bytes_that_are_read_by_now_become_an_event(provider, applier, monkeypatch):
    unread = stream(offer(1, LAMP))

    def reads_nothing(raw: bytes) -> envelope.Event:
        raise UndecodableEvent

    with monkeypatch.context() as blind:
        blind.setattr(verify, "from_raw", reads_nothing)
        applier.apply(unread)
        letter = StoredLetter.objects.get().id
        assert "is still no event" in retry(provider, letter=letter)
    assert "is an event now" in retry(provider, letter=letter)
    assert Offer.objects.get().entity_uid == LAMP


@pytest.mark.parametrize(
    "values",
    [{}, {"letter": "x"}, {"letter": "0"}, {"letter": str(2**63)}, {"record": "x"},
     {"letter": "1", "record": str(LAMP)}],
)  # fmt: skip
def test_bad_input_is_a_sentence(provider, values):
    answer = provider.post("/sync/retry", values)
    assert answer.status_code == 400
    assert "Choose a dead letter or a parked record" in page_text(answer)


@pytest.mark.feature("A02")
@pytest.mark.parametrize(("role", "status"), [("agent", 403), ("customer", 403), ("admin", 302)])
def test_only_providers_and_admins(client, databases, role, status):
    letter = bury()
    sign_in(client, role)
    assert client.post("/sync/retry", {"letter": letter}).status_code == status


@pytest.mark.feature("A05")
def test_a_form_of_another_site_is_refused(databases):
    client = Client(enforce_csrf_checks=True)
    sign_in(client, "provider")
    letter = bury()
    assert client.post("/sync/retry", {"letter": letter}).status_code == 403
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page_text(client.get("/sync/")))
    assert found
    values = {"letter": letter, "csrfmiddlewaretoken": found[1]}
    assert client.post("/sync/retry", values).status_code == 302
    assert client.get("/sync/retry").status_code == 405


def test_record_that_nobody_knows(provider):
    assert "not parked any more" in retry(provider, record=str(uuid4()))
