"""The registry: who takes part, where, with which keys; what PEERS and peers add to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import StringIO
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Member
from events import (
    chain,
    contacts,
    envelope,
    locations,
    membership,
    recorder,
    recovery,
    vouching,
)
from events.chain import Head
from events.contacts import Said
from events.drafting import Author
from events.envelope import to_raw
from events.errors import InvalidValue
from events.fold import fold
from events.items import OPEN, Filter, count
from events.location_keys import Key, fingerprint, keys_from_json, proof
from events.locations import END, KEY, LOCATION
from events.log import Sealed
from events.models import Event, EventSecret, Location, PeerContact
from events.stamp import Stamp, uuid7
from events.streams import own_key
from events.tests.making import event
from tests.environment import test_key
from tests.replaying import assert_replay_is_live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S07")]

NOW = 1_800_000_000_000_000
HERE = Author(None, "loc1", NOW)
URL = "https://loc4.example"


def seed_of(name: str) -> bytes:
    return base64.b64decode(test_key(f"key {name}"))


def public(name: str) -> str:
    return base64.b64encode(chain.public_key(seed_of(name))).decode()


@pytest.fixture(autouse=True)
def seeds(settings) -> None:
    settings.PUBLIC_URL = "https://loc1.example"
    settings.PEERS = {
        name: {"url": f"https://{name}.example", "public_key": public(name)}
        for name in ("loc2", "loc3")
    }


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("location", *arguments, stdout=out)
    return out.getvalue()


def add(name: str = "loc4", url: str = URL, key: str = "", author: Author = HERE) -> int:
    return len(membership.add(name, url, key or public(name), author))


def head(name: str, key: str, epoch: int = 1, seq: int = 5) -> Head:
    return chain.sign(Head(name, epoch, seq, b"c" * 32), seed_of(key))


def keys(name: str) -> set[str]:
    return {key.text for key in locations.signers().get(name, ())}


def made() -> list[Event]:
    return list(Event.objects.exclude(origin="genesis"))


def test_without_a_registry_peers_are_those_of_the_settings():
    assert locations.peers().keys() == {"loc2", "loc3"}
    assert locations.peers()["loc2"].url == "https://loc2.example"
    assert locations.names() == ["loc1", "loc2", "loc3"]
    assert locations.is_signed(head("loc2", "loc2"))
    assert not locations.is_signed(head("loc2", "loc3"))
    assert not locations.is_signed(head("loc9", "loc9"))
    own = chain.sign(Head("loc1", 1, 1, b""), own_key())
    assert locations.is_signed(own)


def test_who_is_added_brings_this_location_and_the_seeds_with_it():
    assert add() == 4
    rows = {row.location: row for row in Location.objects.filter(valid_to=None)}
    assert rows.keys() == {"loc1", "loc2", "loc3", "loc4"}
    assert rows["loc1"].url == "https://loc1.example"
    assert rows["loc4"].public_keys == [{"key": public("loc4"), "proof": None, "until": None}]
    assert rows["loc4"].entity_uid == locations.uid_of("loc4")
    assert not rows["loc4"].is_retired
    assert locations.peers().keys() == {"loc2", "loc3", "loc4"}
    assert len({each.tx for each in made()}) == 1
    assert add() == 0
    assert add("loc5", "https://loc5.example") == 1
    assert_replay_is_live()


def test_nothing_about_a_location_is_personal_and_the_origin_says_it():
    add()
    membership.retire("loc3", Author(None, "loc1", NOW))
    assert not EventSecret.objects.exists()
    assert {(each.origin, each.actor, each.subject_uid) for each in made()} == {
        ("loc1", None, None)}  # fmt: skip
    assert {each.type for each in made()} == {
        "events.location_added", "events.location_retired"}  # fmt: skip


def test_the_registry_goes_before_the_settings_for_the_address_and_adds_to_the_keys(settings):
    add("loc2", "https://moved.example", public("new"))
    assert locations.peers()["loc2"].url == "https://moved.example"
    assert keys("loc2") == {public("loc2"), public("new")}
    settings.PEERS = {}
    assert locations.peers()["loc2"].url == "https://moved.example"
    assert keys("loc2") == {public("loc2"), public("new")}
    assert keys("loc3") == {public("loc3")}


BAD = {
    "name": (("Loc 4", URL, None), "location: must be"),
    "genesis": (("genesis", URL, None), "location: must be"),
    "url": (("loc4", "ftp://loc4", None), "url: must start with"),
    "port": (("loc4", "https://loc4:x", None), "url: must start with"),
    "space": (("loc4", "https://loc 4", None), "url: must start with"),
    "password": (("loc4", "https://me:canary@loc4", None), "url: must hold neither"),
    "plain": (("loc4", "http://loc4.example", None), "url: must be https"),
    "key": (("loc4", URL, "canary"), "public-key: must be 32 bytes"),
    "other's key": (("loc4", URL, public("loc2")), "public-key: is one of loc2"),
    "other's url": (("loc4", "https://loc2.example/", None), "url: is where loc2 answers"),
    "own new key": (("loc1", "https://loc1.example", None), "public-key: is not this location's"),
}


@pytest.mark.parametrize("how", BAD)
def test_what_cannot_be_is_refused_and_nothing_stored(how):
    (name, url, key), sentence = BAD[how]
    with pytest.raises(InvalidValue, match=sentence):
        membership.add(name, url, key or public("loc4"), HERE)
    with pytest.raises(CommandError, match=sentence) as refused:
        run("add", name, "--url", url, "--public-key", key or public("loc4"))
    assert refused.value.returncode == 2
    assert "canary" not in str(refused.value)
    assert not made()


def test_an_address_nobody_else_can_reach_is_not_entered(settings):
    settings.PUBLIC_URL = "https://localhost:8001"
    with pytest.raises(InvalidValue, match="enter loc1 first"):
        add()
    own = base64.b64encode(chain.public_key(own_key())).decode()
    assert add("loc1", "https://nginx:8001", own) == 3
    assert add() == 1
    assert locations.known()["loc1"].url == "https://nginx:8001"


def test_no_more_locations_than_can_tell_each_other_of_themselves(monkeypatch):
    monkeypatch.setattr(membership, "MOST_LOCATIONS", 4)
    assert add() == 4
    with pytest.raises(InvalidValue, match="location: there are 4, and that is the most"):
        add("loc5", "https://loc5.example")
    assert add("loc4", "https://moved.example") == 1


def test_what_only_asks_takes_back_no_word_about_keys():
    nine = Key.from_text(public("loc9"))
    hear("loc2", statement_of("loc2", "loc2", {"loc9": [nine]}))
    hear("loc2", None)
    assert keys("loc9") == {public("loc9")}


def test_a_retired_location_is_no_peer_but_its_stream_stays_verifiable():
    add()
    assert len(membership.retire("loc2", HERE)) == 1
    assert membership.retire("loc2", HERE) == []
    assert locations.peers().keys() == {"loc3", "loc4"}
    assert "loc2" in locations.names()
    assert locations.is_signed(head("loc2", "loc2"))
    assert add("loc2", "https://loc2.example") == 1
    assert locations.peers().keys() == {"loc2", "loc3", "loc4"}
    with pytest.raises(InvalidValue, match="none called loc9"):
        membership.retire("loc9", HERE)


def test_who_stands_only_in_the_settings_is_entered_when_retired(settings):
    membership.retire("loc2", HERE)
    settings.PEERS = {"loc3": settings.PEERS["loc3"]}
    assert locations.peers().keys() == {"loc3"}
    assert locations.is_signed(head("loc2", "loc2"))
    add()
    assert locations.known()["loc2"].is_retired, "adding another one changes nothing about it"


def test_command_retires_itself_or_the_last_one_only_when_told_so():
    for name in ("loc1", "loc9"):
        with pytest.raises(CommandError) as refused:
            run("retire", name)
        assert refused.value.returncode == 2
    assert run("retire", "loc2") == "loc2 takes part no more.\n"
    assert run("retire", "loc2") == "loc2 is retired already.\n"
    with pytest.raises(CommandError, match="last other location"):
        run("retire", "loc3")
    assert json.loads(run("retire", "loc3", "--force", "--json"))["recorded"] == 1
    assert locations.peers() == {}
    run("retire", "loc1", "--force")
    assert locations.known()["loc1"].is_retired


def test_command_prints_what_the_new_location_has_to_be_told():
    said = json.loads(run("add", "loc4", "--url", URL, "--public-key", public("loc4"), "--json"))
    own = base64.b64encode(chain.public_key(own_key())).decode()
    assert said == {
        "location": "loc4", "recorded": 4,
        "PEERS": {"loc1": {"url": "https://loc1.example", "public_key": own}},
    }  # fmt: skip
    said_again = run("add", "loc4", "--url", URL, "--public-key", public("loc4"))
    assert "registered like this already" in said_again
    assert f'PEERS={{"loc1": {{"url": "https://loc1.example", "public_key": "{own}"}}}}' in (
        said_again
    )


def test_list_says_who_where_with_which_keys_and_whether_it_understands():
    add()
    membership.retire("loc3", HERE)
    capabilities = {"event_types": {"events.location_added": 1}}
    contacts.note("loc2", Said({}, "", {}, 0, capabilities), 3)
    lines = {line["location"]: line for line in json.loads(run("list", "--json"))["locations"]}
    assert list(lines) == ["loc1", "loc2", "loc3", "loc4"]
    assert lines["loc1"]["is_here"]
    assert lines["loc3"]["is_retired"]
    assert lines["loc4"] == {
        "location": "loc4", "is_here": False, "url": URL, "is_registered": True,
        "keys": [{"fingerprint": fingerprint(chain.public_key(seed_of("loc4"))),
                  "key": public("loc4"), "proof": None, "until": None}],
        "is_retired": False, "last_contact_at": None, "fits": None, "unsettled": 0,
    }  # fmt: skip
    assert lines["loc2"]["fits"] is False
    assert lines["loc2"]["last_contact_at"]
    text = run("list")
    assert "retired" in text
    assert "not all" in text
    assert public("loc4") not in text


def test_two_addresses_entered_apart_are_told_and_settled_by_entering_it_again():
    add()
    (first,) = written(locations.uid_of("loc4"))
    add("loc4", "https://here.example", author=Author(None, "loc1", NOW + 3))
    elsewhere(locations.uid_of("loc4"), {"address": {"value": "https://there.example"}}, first)
    assert locations.peers()["loc4"].url == "https://there.example"
    assert count(Filter(OPEN)) == 1
    assert "loc4" in run("list").splitlines()[-1]
    assert membership.unsettled() == ["loc4"]
    page = sync_page()
    assert "Locations entered apart" in page
    assert '">0</a>' in page, "what leads to the inbox counts only what is there"
    assert add("loc4", "https://right.example", author=Author(None, "loc1", NOW + 9)) == 1
    assert count(Filter(OPEN)) == 0
    assert membership.unsettled() == []
    assert "Locations entered apart" not in sync_page()
    assert locations.peers()["loc4"].url == "https://right.example"
    assert_replay_is_live()


def sync_page() -> str:
    client = Client()
    member, _ = Member.objects.get_or_create(username="provider", roles=["provider"])
    client.force_login(member)
    return str(client.get("/sync/").content.decode())


def written(uid: UUID) -> list[Event]:
    return list(Event.objects.filter(entity_uid=uid).order_by("ts"))


def elsewhere(uid: UUID, groups: dict[str, Any], first: Event | None = None) -> None:
    """Let loc2 enter something about a location of which it knows no more than ``first``."""
    stamp = None if first is None else Stamp(first.ts, first.origin, first.event_id)
    event_id = uuid7(NOW + 5)
    base = {**dict.fromkeys(groups, stamp), "deleted": None, "merged_into": None}
    made = envelope.Event(
        event_id, "loc2", uid, locations.LOCATION_CHANGED, 1, NOW + 5, event_id, set=groups,
        base=base,
    )  # fmt: skip
    recorder.receive([Sealed(made, to_raw(made))], recorder.Received(NOW + 5))


def test_keys_entered_apart_both_stay_and_an_end_is_not_undone():
    add()
    (first,) = written(locations.uid_of("loc4"))
    mine = membership.key_groups([Key.from_text(public("mine"))])
    recorder.record(
        [membership.draft("loc4", locations.KEY_ADDED, {**mine, END + fp("loc4"): ended(7)})], HERE
    )
    theirs = membership.key_groups([Key.from_text(public(n)) for n in ("theirs", "loc4")])
    elsewhere(locations.uid_of("loc4"), theirs, first)
    assert keys("loc4") == {public("loc4"), public("mine"), public("theirs")}
    assert count(Filter(OPEN)) == 0
    assert not locations.is_signed(head("loc4", "loc4", seq=8))
    assert_replay_is_live()


def fp(name: str) -> str:
    return fingerprint(chain.public_key(seed_of(name)))


def ended(seq: int, epoch: int = 1) -> dict[str, Any]:
    return {"value": [[epoch, seq]]}


def test_rows_of_a_location_are_the_same_in_any_order():
    one = event(1, {"location": "loc4", "address": "a", KEY + "1": {"value": "k", "proof": None}})
    two = event(2, {END + "1": [[1, 5]], "retired": True}, knowing={"location": one})
    three = event(3, {KEY + "2": {"value": "l", "proof": "p"}}, origin="loc2")
    folded = [fold(order, LOCATION.rows).versions for order in permutations([one, two, three])]
    assert all(versions == folded[0] for versions in folded)
    assert [version.values for version in folded[0]][-1] == {
        "location": "loc4", "url": "a", "is_retired": True,
        "public_keys": [{"key": "k", "proof": None, "until": [[1, 5]]},
                        {"key": "l", "proof": "p", "until": None}],
    }  # fmt: skip
    assert list(LOCATION.rows({KEY + "1": {"value": "k"}}, None)) == [], "nobody has entered it yet"


@pytest.mark.feature("S10")
def test_an_ended_key_counts_for_what_it_signed_and_no_more():
    add()
    recorder.record(
        [membership.draft("loc4", locations.KEY_ENDED,
                          {END + fp("loc4"): {"value": [[1, 7], [2, 3]]}})], HERE
    )  # fmt: skip
    held = [(epoch, seq) for epoch in (1, 2, 3) for seq in (0, 3, 4, 7, 8)
            if locations.is_signed(head("loc4", "loc4", epoch, seq))]  # fmt: skip
    assert held == [(1, 0), (1, 3), (1, 4), (1, 7), (2, 0), (2, 3)]
    signature = chain.signature_of(b"request", seed_of("loc4"))
    assert not locations.is_signature_of("loc4", signature, b"request")
    with pytest.raises(InvalidValue, match="has ended"):
        add()


@pytest.mark.parametrize(
    "value", [None, 5, "x", [5], [{"key": 5}], [{"key": "?", "proof": None, "until": None}],
              [{"key": public("a"), "proof": 1, "until": None}],
              [{"key": public("a"), "proof": None, "until": [["x", 1]]}]],
)  # fmt: skip
def test_a_key_that_is_none_is_left_out(value):
    assert keys_from_json(value) == []
    add()
    groups = {KEY + "strange": {"value": value}, "address": {"value": "https://four.example"}}
    recorder.record([membership.draft("loc4", locations.LOCATION_CHANGED, groups)], HERE)
    assert keys("loc4") == {public("loc4")}


def statement_of(sender: str, signer: str, said: dict[str, list[Key]]) -> dict[str, Any]:
    documents = {name: [key.to_json() for key in keys] for name, keys in said.items()}
    message = vouching._signed_bytes(sender, documents)
    signature = chain.signature_of(message, seed_of(signer))
    return {"keys": documents, "signature": signature.hex()}


def hear(sender: str, document: Any) -> None:
    contacts.note(sender, Said({}, "", {}, 0, {}, document), 0)


def test_of_whom_nothing_is_known_a_peer_is_believed():
    hear("loc2", statement_of("loc2", "loc2", {"loc9": [Key.from_text(public("loc9"))]}))
    assert locations.is_signed(head("loc9", "loc9"))
    assert locations.peers().keys() == {"loc2", "loc3"}, "it does not take part by that"
    membership.retire("loc2", HERE)
    assert not locations.is_signed(head("loc9", "loc9"))


def test_what_this_location_says_another_hears(settings):
    add()
    said = json.loads(json.dumps(vouching.statement(own_key())))
    assert said["keys"].keys() == {"loc1", "loc2", "loc3", "loc4"}
    own = base64.b64encode(chain.public_key(own_key())).decode()
    settings.LOCATION_ID, settings.LOCATION_KEY = "loc5", test_key("key loc5")
    settings.PEERS = {"loc1": {"url": "https://loc1.example", "public_key": own}}
    assert vouching.heard("loc1", said) == {"keys": said["keys"], "signed_by": own}


FALSE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "nothing": lambda said: None,
    "a list": lambda said: [],
    "no signature": lambda said: {"keys": said["keys"]},
    "another's": lambda said: {**said, "signature": "00" * 64},
    "more": lambda said: {**said, "keys": {**said["keys"], "loc8": []}},
    "no name": lambda said: statement_of("loc2", "loc2", {"\0": []}),
    "of another sender": lambda said: statement_of("loc3", "loc2", {"loc9": []}),
    "unknown key": lambda said: statement_of("loc2", "loc9", {"loc2": [Key(b"k" * 32)]}),
}


@pytest.mark.parametrize("how", FALSE)
def test_what_a_peer_did_not_sign_is_not_heard(how):
    said = statement_of("loc2", "loc2", {"loc9": [Key.from_text(public("loc9"))]})
    hear("loc2", FALSE[how](said))
    assert PeerContact.objects.get(location="loc2").vouched == {}
    assert not locations.is_signed(head("loc9", "loc9"))


@pytest.mark.feature("S10")
def test_nobody_is_believed_about_this_locations_own_keys_unless_it_was_restored():
    own = keys("loc1")
    hear("loc2", statement_of("loc2", "loc2", {"loc1": [Key.from_text(public("made up"))]}))
    assert keys("loc1") == own
    recovery.begin()
    assert keys("loc1") == {*own, public("made up")}, "it may have had that key since its backup"
    recovery.finish(own_key())
    assert keys("loc1") == own


def next_key(location: str, before: str, name: str) -> Key:
    value = chain.public_key(seed_of(name))
    return Key(value, proof=proof(location, value, seed_of(before)))


@pytest.mark.feature("S10")
def test_of_whom_a_key_is_known_another_one_needs_proof_by_it():
    second, third = next_key("loc3", "loc3", "second"), next_key("loc3", "second", "third")
    hear("loc2", statement_of("loc2", "loc2", {"loc3": [Key(second.value), third]}))
    assert keys("loc3") == {public("loc3")}, "the proof of the second is missing"
    hear("loc2", statement_of("loc2", "loc2", {"loc3": [third, second]}))
    assert keys("loc3") == {public("loc3"), public("second"), public("third")}
    hear("loc2", statement_of("loc2", "loc2", {"loc3": [next_key("loc2", "loc3", "second")]}))
    assert keys("loc3") == {public("loc3")}, "that proof was about another location"


def test_a_peer_that_changed_its_key_meanwhile_speaks_with_the_new_one():
    second = next_key("loc2", "loc2", "second")
    old = Key(chain.public_key(seed_of("old")), {1: 5})
    hear("loc2", statement_of("loc2", "second", {"loc2": [second, old]}))
    assert keys("loc2") == {public("loc2"), public("second"), public("old")}
    assert locations.is_signed(head("loc2", "old", seq=5))
    assert not locations.is_signed(head("loc2", "old", seq=6))


@pytest.mark.feature("S10")
def test_a_key_that_has_ended_proves_no_other():
    """It may have ended because it was stolen."""
    add()
    later = next_key("loc4", "loc4", "later")
    hear("loc2", statement_of("loc2", "loc2", {"loc4": [later]}))
    assert keys("loc4") == {public("loc4"), public("later")}
    groups = {
        **membership.key_groups([next_key("loc4", "loc4", "heir")]),
        END + fp("loc4"): ended(5),
    }
    recorder.record([membership.draft("loc4", locations.KEY_ENDED, groups)], HERE)
    assert keys("loc4") == {public("loc4"), public("heir")}
    hear("loc4", statement_of("loc4", "later", {"loc4": [later]}))
    assert PeerContact.objects.get(location="loc4").vouched == {}


def end(name: str, *heirs: Key, seq: int = 5) -> None:
    """Let the registry say that a location's first key has ended, and which come after it."""
    groups = {**membership.key_groups(heirs), END + fp(name): ended(seq)}
    recorder.record([membership.draft(name, locations.KEY_ENDED, groups)], HERE)


STOLEN = {
    "its own, without a proof": ("loc4", Key.from_text(public("false"))),
    "its own, said to be a former one": ("loc4", Key(chain.public_key(seed_of("false")), {1: 99})),
    "that of one nobody knows": ("loc9", Key.from_text(public("false"))),
    "of a seed, proven by nobody": ("loc3", Key.from_text(public("false"))),
}


@pytest.mark.feature("S10")
@pytest.mark.parametrize("how", STOLEN)
def test_what_a_stolen_key_vouched_for_ends_with_it(how):
    """Its location is out of reach, so no later heartbeat takes the place of the thief's."""
    about, false = STOLEN[how]
    add()
    hear("loc4", statement_of("loc4", "loc4", {about: [false]}))
    counted = public("false") in keys(about)
    assert counted == (about != "loc3")
    end("loc4", next_key("loc4", "loc4", "heir"))
    assert public("false") not in keys(about)
    assert not locations.is_signed(head(about, "false"))
    assert not locations.is_signature_of(about, chain.signature_of(b"x", seed_of("false")), b"x")
    hear("loc4", statement_of("loc4", "false", {"loc4": [Key.from_text(public("false"))]}))
    assert public("false") not in keys("loc4"), "nor does it speak for itself"


@pytest.mark.feature("S10")
def test_a_key_that_only_a_stolen_one_vouched_for_cannot_go_on_vouching():
    add()
    false = Key.from_text(public("false"))
    hear("loc4", statement_of("loc4", "loc4", {"loc4": [false]}))
    hear("loc4", statement_of("loc4", "false", {"loc4": [false]}))
    assert public("false") not in keys("loc4")


@pytest.mark.feature("S10")
def test_what_a_location_says_after_its_change_counts_on():
    """It signs with the heir, which the registry here does not have yet."""
    add()
    heir = next_key("loc4", "loc4", "heir")
    nine = Key.from_text(public("loc9"))
    hear("loc4", statement_of("loc4", "heir", {"loc4": [heir], "loc9": [nine]}))
    assert keys("loc9") == {public("loc9")}
    end("loc4", heir)
    assert keys("loc9") == {public("loc9")}


@pytest.mark.feature("S10")
def test_an_entry_under_another_uid_or_a_name_that_none_may_have_does_not_count():
    forged = {"location": {"value": "loc2"}, "address": {"value": "https://forged.example"},
              **membership.key_groups([Key.from_text(public("forged"))])}  # fmt: skip
    elsewhere(UUID(int=4), forged)
    for name in ("genesis", "loc 2", "../loc2"):
        elsewhere(locations.uid_of(name), {**forged, "location": {"value": name}})
    assert Location.objects.filter(valid_to=None).count() == 4
    assert locations.registered() == {}
    assert locations.peers()["loc2"].url == "https://loc2.example"
    assert not locations.is_signed(head("loc2", "forged"))
    assert not locations.is_signed(head("genesis", "forged"))


@pytest.mark.feature("S09")
def test_versions_wait_for_who_takes_part_and_for_nobody_else():
    def read() -> list[int]:
        return [said.get("x", 0) for said in contacts.readers(contacts.announced())]

    for name, version in (("loc2", 3), ("loc4", 2), ("loc9", 1)):
        contacts.note(name, Said({}, "", {}, 0, {"event_types": {"x": version}}), 0)
    assert read() == [3, 0], "loc3 has said nothing yet, loc4 and loc9 are not registered"
    add()
    assert read() == [3, 0, 2]
    membership.retire("loc3", HERE)
    assert read() == [3, 2]
