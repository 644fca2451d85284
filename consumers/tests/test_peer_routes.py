from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from django.test import Client

from accounts.models import Member
from accounts.tokens import issue
from consumers import heartbeat, pull, signing, wire
from consumers.peer_routes import MOST_BODY_BYTES
from consumers.signing import Call
from consumers.tests.origins import (
    PEERS,
    SEEDS,
    Elsewhere,
    number_all,
    person,
    stream_of,
)
from consumers.wire import buckets_from_json, run_from_json
from events import chain, contacts, digest, streams, vouching
from events.addresses import is_name
from events.location_keys import MOST_KEYS, Key
from events.models import PeerContact

pytestmark = pytest.mark.django_db(transaction=True)


def now() -> int:
    return time.time_ns() // 1000


def signed_headers(seed: bytes = SEEDS["loc2"], **other: Any) -> dict[str, str]:
    values: dict[str, Any] = {
        "sender": "loc2",
        "receiver": "loc1",
        "method": "GET",
        "route": "events",
        "query": "origin=loc1&epoch=1&after=0",
        "date": now(),
    }
    call = Call(**{**values, **other})
    signature = chain.signature_of(call.signed_bytes(), seed)
    return {
        signing.LOCATION: call.sender,
        signing.DATE: str(call.date),
        signing.SIGNATURE: base64.b64encode(signature).decode(),
    }


EVENTS = "/sync/events?origin=loc1&epoch=1&after=0"


def ask(client: Client, headers: dict[str, str], address: str = EVENTS, **extra: Any):
    return client.get(address, headers=headers, **extra)


@pytest.fixture
def written():
    Elsewhere("loc1").create(1, surname="Own")
    number_all("loc1", streams.own_key())


def test_page_with_keys_for_a_registered_location(client, written, settings):
    answer = ask(client, signed_headers())
    assert answer.status_code == 200
    settings.PEERS = {**PEERS, "loc1": {"public_key": base64.b64encode(
        chain.public_key(streams.own_key())).decode()}}  # fmt: skip
    run = run_from_json(answer.json(), "loc1", 1)
    assert run is not None
    assert [item.seq for item in run.items] == [1]
    assert run.items[0].wrapped
    assert run.items[0].ct
    assert chain.is_signed_by(run.head, chain.public_key(streams.own_key()))


def test_serves_every_stream_it_has(client, applier, databases):
    (run,) = stream_of(databases, "loc3", lambda pen: pen.create(1, surname="X"))
    applier.apply(run)
    query = "origin=loc3&epoch=1&after=0"
    answer = ask(client, signed_headers(query=query), f"/sync/events?{query}")
    served = run_from_json(answer.json(), "loc3", 1)
    assert served is not None
    assert served.head == run.head


def test_nothing_more_is_an_empty_page(client, written):
    query = "origin=loc1&epoch=1&after=1"
    answer = ask(client, signed_headers(query=query), f"/sync/events?{query}")
    assert answer.json() == {"head": None}


FORGED = {
    "unsigned": dict,
    "not registered": lambda: signed_headers(sender="loc9"),
    "another's key": lambda: signed_headers(SEEDS["loc3"]),
    "for another location": lambda: signed_headers(receiver="loc3"),
    "another query": lambda: signed_headers(query="origin=loc1&epoch=1&after=5"),
    "another route": lambda: signed_headers(route="heads"),
    "another method": lambda: signed_headers(method="POST"),
    "another body": lambda: signed_headers(body=b"x"),
    "six minutes old": lambda: signed_headers(date=now() - 360_000_000),
    "six minutes ahead": lambda: signed_headers(date=now() + 360_000_000),
    "no signature": lambda: {**signed_headers(), signing.SIGNATURE: "?"},
    "no date": lambda: {**signed_headers(), signing.DATE: "today"},
}


@pytest.mark.parametrize("how", FORGED)
def test_forged_requests_are_refused(client, written, how):
    answer = ask(client, FORGED[how]())
    assert answer.status_code == 403
    assert b"raw" not in answer.content
    assert set(answer.json()) == {"type", "status", "detail"}


@pytest.mark.feature("S06")
def test_buckets_of_the_last_digest_at_rest(client, written):
    headers = signed_headers(route="digest", query="")
    assert ask(client, headers, "/sync/digest").json() == {"heads": {}, "buckets": ""}
    taken = digest.take()
    contacts.note_digest(taken)
    answer = ask(client, headers, "/sync/digest").json()
    assert buckets_from_json(answer) == ({"loc1": [1, 1]}, taken.buckets)
    for spoiled in ({}, {**answer, "buckets": "AAAA"}, {**answer, "heads": {"loc1": ["x"]}}):
        with pytest.raises(ValueError, match=r"."):
            buckets_from_json(spoiled)


@pytest.mark.parametrize("route", ["events", "heads", "digest"])
def test_members_token_and_session_open_nothing(client, written, route):
    member = Member.objects.create_user("root", "pw", roles=["admin"])
    token = issue(member, "test", now())
    assert ask(client, {"Authorization": f"Token {token}"}, f"/sync/{route}").status_code == 403
    client.force_login(member)
    assert ask(client, {}, f"/sync/{route}").status_code == 403
    assert client.post("/sync/heartbeat", b"{}", "application/json").status_code == 403


def test_plain_http_only_on_this_machine(client, written):
    assert ask(client, signed_headers(), REMOTE_ADDR="203.0.113.7").status_code == 403
    assert ask(client, signed_headers(), REMOTE_ADDR="203.0.113.7", secure=True).status_code == 200
    forwarded = {**signed_headers(), "X-Forwarded-For": "203.0.113.7"}
    assert ask(client, forwarded).status_code == 403
    assert ask(client, signed_headers(), REMOTE_ADDR="::1").status_code == 200


@pytest.mark.parametrize(
    ("query", "named"),
    [("origin=loc1&epoch=1&after=x", "after"), ("origin=loc1&epoch=&after=0", "epoch"),
     ("epoch=1&after=0", "origin"), ("origin=loc1&epoch=1&after=-1", "after"),
     ("origin=loc1&epoch=1&after=" + "9" * 30, "after"), ("origin=%00&epoch=1&after=0", "origin")],
)  # fmt: skip
def test_bad_values_are_named(client, query, named):
    answer = ask(client, signed_headers(query=query), f"/sync/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{named}:")


def test_only_the_method_it_has(client):
    assert client.post(EVENTS).status_code == 405
    assert client.get("/sync/heartbeat").status_code == 405


def beat(client: Client, body: bytes):
    headers = signed_headers(method="POST", route="heartbeat", query="", body=body)
    return client.post("/sync/heartbeat", body, "application/json", headers=headers)


def test_heartbeat_is_kept_and_answered(client, written):
    said = {
        "heads": {"loc1": {"epoch": 1, "seq": 1, "chain": "00"}},
        "digest": "ab",
        "digest_heads": {"loc1": [1, 1]},
        "clock": 5,
        "capabilities": {"protocol": 1},
    }
    answer = beat(client, json.dumps(said).encode())
    assert answer.status_code == 200
    assert answer.json()["heads"]["loc1"]["seq"] == 1
    assert answer.json()["capabilities"]["event_types"]["customers.entity_created"] == 1
    contact = PeerContact.objects.get(location="loc2")
    assert contact.heads["loc1"]["seq"] == 1
    assert contact.digest == "ab"
    assert contact.clock_offset_ms is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"heads": 5}',
     (b'{"heads":{"a":{"epoch":1,"seq":-1,"chain":""}},"digest":"","digest_heads":{},"clock":1,'
     b'"capabilities":{}}'),
     (b'{"heads":{},"digest":"","digest_heads":{},"clock":1,'
      b'"capabilities":{"event_types":{"customers.entity_created":"2"}}}')],
)  # fmt: skip
def test_malformed_heartbeat_is_refused(client, body):
    assert beat(client, body).status_code == 400
    assert PeerContact.objects.count() == 0


def test_large_body_is_not_read(client):
    assert beat(client, b"x" * (MOST_BODY_BYTES + 1)).status_code == 413


def longest() -> dict[str, Any]:
    """Return the longest heartbeat there can be, all names and numbers as long as they may be."""
    names = [f"l{n:031}" for n in range(vouching.MOST_LOCATIONS)]
    assert all(is_name(name) for name in names)
    here = {"epoch": 2**31 - 1, "seq": 2**63 - 1, "chain": "f" * 64}
    half = wire.MOST_OLDER // 2
    older = {names[0]: {"older": [here] * half}, names[-1]: {"older": [here] * half}}
    return {
        **heartbeat.asking(2**63 - 1),
        "heads": {name: {**here, **older.get(name, {})} for name in names},
        "digest": "f" * 64,
        "digest_heads": {name: [here["epoch"], here["seq"]] for name in names},
    }


@pytest.mark.feature("S07")
def test_the_longest_heartbeat_is_read_and_no_longer_one(client, settings):
    said = longest()
    body = json.dumps(said).encode()
    assert len(body) <= MOST_BODY_BYTES <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert beat(client, body).status_code == 200
    assert len(PeerContact.objects.get(location="loc2").heads) == vouching.MOST_LOCATIONS
    heads = said["heads"]
    first = next(iter(heads))
    for more in (
        {"one-more": {"epoch": 1, "seq": 1, "chain": ""}},
        {first: {**heads[first], "older": [*heads[first]["older"], heads[first]["older"][0]]}},
    ):
        body = json.dumps({**said, "heads": {**heads, **more}}).encode()
        assert beat(client, body).status_code == 400


@pytest.mark.feature("S07")
def test_keys_of_all_locations_fit_into_an_answer_and_are_in_no_request(client):
    longest_key = Key(b"k" * 32, {2**31 - 1: 2**63 - 1}, b"p" * 64)
    of_one = {f"l{0:031}": [longest_key.to_json()] * MOST_KEYS}
    ends = len(json.dumps([2**31 - 1, 2**63 - 1])) * wire.MOST_OLDER * MOST_KEYS
    most = len(json.dumps(of_one)) * vouching.MOST_LOCATIONS + ends
    assert most + MOST_BODY_BYTES < pull.MOST_BYTES
    assert "locations" not in heartbeat.asking(now())
    answered = beat(client, json.dumps(heartbeat.asking(now())).encode()).json()
    assert answered["locations"]["keys"].keys() == {"loc1", "loc2", "loc3"}


def test_nothing_personal_in_refusals(client, written):
    assert person(1).hex not in ask(client, {}).content.decode()
