"""The published contract is what the code reads and writes, and every event keeps to it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from django.conf import settings
from django.core.management import CommandError, call_command
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError

from consumers.tests.origins import NOW, Elsewhere, number_all, pages, person, three_people
from customers import commands
from customers.kinds import ENTITY as CUSTOMER
from customers.resolving import Choice, settle
from customers.tests.apart import disputed, id_of
from events import chain, contract, keys, log, membership, rotation, schemas, streams
from events.chain import Head
from events.envelope import Event, canonical, from_raw
from events.management.commands.event_contract import to_text
from events.models import Event as StoredEvent
from events.records import HEAD_TYPE, of_head, of_item
from events.registry import Kind, event_types, kinds
from events.streams import Item
from events.tests.histories import DETAIL, histories, seeded
from tests.releases import exchange, places
from tests.sample.models import OFFER
from tests.sample.next_release import NEXT_OFFER
from tests.test_recorder_laws import TYPES

pytestmark = pytest.mark.feature("S09")

COMMITTED = Path(__file__).resolve().parent.parent / "docs" / "contract"
KEY = b"k" * 32
OWN = [kind for kind in kinds() if not kind.name.startswith("sample.")]
SCHEMAS = contract.files([*OWN, NEXT_OFFER])


@cache
def validator(file: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[file], format_checker=Draft202012Validator.FORMAT_CHECKER)


def check(raw: bytes, ct: bytes | None = None, wrapped: bytes | None = None) -> Event:
    """Check an event's bytes, and what its ciphertext holds, with the schemas of its version."""
    made = from_raw(raw)
    name = schemas.name_of(made.type, made.schema_version)
    validator(f"{name}.json").validate(json.loads(raw))
    if made.secret is not None:
        assert ct is not None
        assert wrapped is not None
        associated = raw.replace(b'"secret":' + canonical(json.loads(raw)["secret"]) + b",", b"", 1)
        plain = AESGCM(keys.unwrap(wrapped)).decrypt(bytes.fromhex(made.secret.iv), ct, associated)
        validator(f"{name}.values.json").validate(json.loads(plain))
    return made


def check_record(item: Item) -> None:
    """Check the headers an event travels with."""
    made, record = from_raw(item.raw), of_item(item, 1)
    name = schemas.name_of(made.type, made.schema_version)
    document = SCHEMAS[contract.MAIN_FILE]["components"]["messages"][name]
    headers = document["headers"]
    assert set(headers["required"]) <= record.headers.keys() <= headers["properties"].keys()
    said = {n: v.decode() for n, v in record.headers.items() if n not in {"sins_ct", "sins_key"}}
    Draft202012Validator(headers, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(said)
    assert UUID(record.key.decode()) == made.entity_uid


def sent(made: Event, kind: Kind) -> tuple[bytes, bytes | None, bytes]:
    """Return what of an event leaves its location."""
    made = replace(made, type=TYPES[kind.name], subject_uid=made.entity_uid)
    raw, ct = keys.seal(made, kind.clear_groups, KEY)
    return raw, ct, aes_key_wrap(base64.b64decode(settings.WRAPPING_KEY), KEY)


def test_what_is_committed_is_what_the_code_makes() -> None:
    made = {name: to_text(document) for name, document in contract.files(OWN).items()}
    found = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.iterdir()}
    sentence = "run: manage.py event_contract --out docs/contract"
    assert found.keys() == made.keys(), sentence
    assert found == made, sentence


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("event_contract", out=tmp_path / "contract")
    written = {path.name for path in (tmp_path / "contract").iterdir()}
    assert written == contract.files(kinds()).keys()
    assert capsys.readouterr().out.startswith(f"{len(written)} files in ")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written") as refused:
        call_command("event_contract", out=tmp_path / "file" / "below")
    assert refused.value.returncode == 2


@pytest.mark.parametrize("file", sorted(SCHEMAS.keys() - {contract.MAIN_FILE}))
def test_schemas_are_json_schema_2020_12(file: str) -> None:
    assert SCHEMAS[file]["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMAS[file])


def test_each_version_that_is_announced_has_its_message_and_schemas() -> None:
    document = contract.asyncapi(kinds())
    newest = {schemas.name_of(event_type, version) for event_type, version in event_types().items()}
    messages = document["components"]["messages"]
    assert messages.keys() == {"head", "deadLetter", *newest}
    for name in newest:
        assert {f"{name}.json", f"{name}.values.json"} <= contract.files(kinds()).keys()
    older = {schemas.name_of(t, v) for _, t, v in schemas.versions_of([NEXT_OFFER])}
    assert {"sample.offer_made.v1", "sample.offer_made.v2"} <= older


def test_asyncapi_document_is_whole() -> None:
    """What the official schema of AsyncAPI 3.0 asks of what is used here."""
    document = contract.asyncapi(OWN)
    assert document.keys() == {
        "asyncapi", "info", "defaultContentType", "channels", "operations", "components",
    }  # fmt: skip
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    channels = document["channels"]
    assert {name: channel["address"] for name, channel in channels.items()} == {
        "events": "sins.events.{location}",
        "deadLetters": "sins.dead-letters.{location}",
    }
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert resolved(document, operation["channel"]["$ref"]) in channels.values()
    for channel in channels.values():
        assert channel["parameters"].keys() == {"location"}
        assert channel["bindings"]["kafka"]["partitions"] == 1
        for name, reference in channel["messages"].items():
            message = resolved(document, reference["$ref"])
            assert message is document["components"]["messages"][name]
            assert message["payload"]["schemaFormat"] == contract.SCHEMA_FORMAT
            assert (COMMITTED / message["payload"]["schema"]["$ref"]).is_file()
            Draft202012Validator.check_schema(message["headers"])


def resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


@given(histories())
def test_every_event_keeps_to_its_schema(history: Any) -> None:
    kind = CUSTOMER if history.shape is DETAIL else OFFER
    for made in history.events:
        check(*sent(made, kind))


def test_a_thousand_events_keep_to_their_schema() -> None:
    checked = 0
    for history in seeded(3, 120, length=16):
        kind = CUSTOMER if history.shape is DETAIL else OFFER
        for made in history.events:
            check(*sent(made, kind))
            checked += 1
    assert checked > 1000


def of(values: dict[str, Any], **changed: Any) -> dict[str, Any]:
    (made,) = [e for h in seeded(7, 1, length=0) for e in h.events]
    raw, *_ = sent(replace(made, set=values), CUSTOMER)
    return json.loads(raw) | changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"ts": 1.5},
        {"ts": -1},
        {"ts": "2027-01-15"},
        {"schema_version": 2},
        {"type": "customers.entity_created"},
        {"entity_uid": "1"},
        {"actor": "Ann"},
        {"effective": None},
        {"tx_size": 1001},
        {"set": {"surname": {"value": "in clear"}}},
        {"set": {"type": {}}},
        {"set": {"deleted": {"value": "yes"}}},
        {"base": {"surname": [1, "loc1"]}},
        {"secret": {"kid": "k"}},
        {"resolves": ["x"]},
    ],
)
def test_what_no_location_sends_is_refused(wrong: dict[str, Any]) -> None:
    schema = validator("customers.details_changed.v1.json")
    good = of({"surname": {"value": "Ek"}, "type": {"value": "PERSON"}})
    schema.validate(good)
    with pytest.raises(ValidationError):
        schema.validate(good | wrong)


def test_no_member_may_be_missing() -> None:
    schema = validator("customers.details_changed.v1.json")
    good = of({"surname": {"value": "Ek"}})
    for name in good.keys() - {"secret", "effective", "voids", "resolves"}:
        with pytest.raises(ValidationError):
            schema.validate({n: value for n, value in good.items() if n != name})


def change_the_registry(given: Any) -> None:
    """Let a location come, move and go, and this one change its key."""
    given.PUBLIC_URL = "https://loc1.example"
    here = Elsewhere("loc1", 4 * NOW)
    key = base64.b64encode(chain.public_key(b"4" * 32)).decode()
    for url in ("https://loc4.example", "https://moved.example"):
        membership.add("loc4", url, key, here.author())
    membership.retire("loc4", here.author())
    rotation.begin(KEY, here.author())
    given.LOCATION_KEY = base64.b64encode(KEY).decode()
    number_all("loc1", streams.own_key())
    rotation.finish(here.author())


@pytest.mark.django_db(transaction=True)
def test_what_commands_write_keeps_to_the_contract(settings: Any) -> None:
    three_people(Elsewhere("loc1"))
    commands.restore_customer(person(3), Elsewhere("loc1", 2 * NOW).author(), reason="a mistake")
    call_command("load_sample_data", extras=40)
    (outcome,) = settle([Choice(id_of(disputed()), "swap")], Elsewhere("loc1", 3 * NOW).author())
    assert outcome.error is None
    change_the_registry(settings)
    number_all("loc1", streams.own_key())
    stored = log.by_id(StoredEvent.objects.values_list("event_id", flat=True))
    seen = {check(*item).type for item in stored.values()}
    assert seen == {event_type for kind in OWN for event_type in kind.event_types}
    items = [item for run in pages("loc1") for item in run.items]
    assert len(items) > 60
    for item in items:
        check_record(item)


def test_a_head_keeps_to_the_contract() -> None:
    head = chain.sign(Head("loc1", 1, 5, bytes(32)), streams.own_key())
    record = of_head(head)
    validator(contract.HEAD_FILE).validate(json.loads(record.value))
    headers = SCHEMAS[contract.MAIN_FILE]["components"]["messages"]["head"]["headers"]
    assert record.headers.keys() == headers["properties"].keys()
    Draft202012Validator(headers).validate({n: v.decode() for n, v in record.headers.items()})
    assert HEAD_TYPE in contract.HEAD_FILE


@pytest.mark.django_db(transaction=True)
def test_each_version_is_written_as_its_schema_says(databases: Any) -> None:
    with places(databases, loc2=NEXT_OFFER, loc3=OFFER) as (new, old):
        lamp = UUID(int=0xA)
        priced = {"amount": {"amount": "1.00"}, "currency": {"currency": "EUR"}}
        new.write(lamp, {**priced, "remark": {"note": "x"}}, is_new=True)
        exchange(new, old)
        old.upgrade(NEXT_OFFER)
        exchange(new, old)
        new.write(lamp, {"amount": {"amount": "2.00"}, "remark": {"note": "y"}})
        assert new.versions_sent() == [1, 2]
        with new.here():
            for run in pages("loc2"):
                for item in run.items:
                    check(item.raw, item.ct, item.wrapped)
                    check_record(item)
