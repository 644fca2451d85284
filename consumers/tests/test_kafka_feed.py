"""The feed against librdkafka's own broker; what it lacks or spoils is left to the pull."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from jsonschema import Draft202012Validator

from consumers.apply import Applier
from consumers.kafka_feed import KafkaFeed
from consumers.tests.origins import (
    SEEDS,
    Elsewhere,
    number_all,
    signed,
    three_people,
    three_people_of,
)
from events import chain, records, schemas, streams
from events.dead_letter_relay import DeadLetterRelay
from events.kafka import Reader, Sender, Undelivered
from events.loops import Loop
from events.models import DeadLetter, Published, Received
from events.records import of_head, of_item, topic_of
from events.relay import Relay
from events.stamp import to_micros
from ops import broker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.feature("S03")]


@pytest.fixture(scope="module")
def bootstrap():
    kept = broker.start()
    yield broker.address_of(kept)
    del kept


@pytest.fixture
def topic(bootstrap, monkeypatch, request):
    """Topics of this test's own: the broker outlives it."""
    name = f"test.{abs(hash(request.node.nodeid))}"
    for module in ("events.relay", "consumers.kafka_feed"):
        monkeypatch.setattr(f"{module}.topic_of", lambda origin: f"{name}.{origin}")
    return lambda origin: f"{name}.{origin}"


@pytest.fixture
def poked() -> list[str]:
    """Which peers were asked for what Kafka lacks."""
    return []


@pytest.fixture
def feed(bootstrap, topic, applier, poked):
    feed = KafkaFeed(bootstrap, applier, poked.append)
    yield feed
    feed.close()


@pytest.fixture
def run(databases):
    return three_people_of(databases)[0]


@pytest.fixture
def send(bootstrap, topic):
    sender = Sender(bootstrap)

    def do(*sent: records.Record, origin: str = "loc2") -> None:
        assert sender.send(topic(origin), sent, threading.Event()) == len(sent)

    yield do
    sender.close()


def turn(feed: KafkaFeed, until=lambda: False, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        feed.step()


def applied(seq: int):
    return lambda: streams.applied_seq("loc2", 1) == seq


def test_topic_of_a_location():
    assert topic_of("loc2") == "sins.events.loc2"


def test_applies_what_a_head_covers(feed, poked, run, send):
    send(*(of_item(item, 1) for item in run.items))
    turn(feed, seconds=1.5)
    assert streams.applied_seq("loc2", 1) == 0
    assert DeadLetter.objects.count() == 0
    send(of_head(run.head))
    turn(feed, applied(5))
    assert streams.applied_seq("loc2", 1) == 5
    assert Received.objects.get(origin="loc2").kafka_offset == 6
    assert feed.is_connected
    assert poked == []


def test_trap_10_it_goes_on_where_the_database_says(feed, poked, run, send, bootstrap, applier):
    first = signed("loc2", run.items[:2])
    send(*(of_item(item, 1) for item in first.items), of_head(first.head))
    turn(feed, applied(2))
    feed.close()
    send(*(of_item(item, 1) for item in run.items[2:]), of_head(run.head))
    again = KafkaFeed(bootstrap, Applier(applier.clock), poked.append)
    turn(again, applied(5))
    again.close()
    assert streams.applied_seq("loc2", 1) == 5


def test_trap_11_duplicates_are_free(feed, run, send):
    for _ in range(3):
        send(*(of_item(item, 1) for item in run.items), of_head(run.head))
    turn(feed, applied(5))
    turn(feed, seconds=0.5)
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 0


def test_gap_is_asked_for_and_then_gone_on_from(feed, poked, run, send, applier):
    send(*(of_item(item, 1) for item in run.items[2:]), of_head(run.head))
    turn(feed, lambda: poked)
    assert set(poked) == {"loc2"}
    applier.apply(signed("loc2", run.items[:2]))  # what the pull brings
    turn(feed, applied(5))
    assert streams.applied_seq("loc2", 1) == 5


def test_trap_12_records_that_come_backwards(feed, run, send):
    send(of_head(run.head), *(of_item(item, 1) for item in reversed(run.items)))
    turn(feed, applied(5))
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 0


# How many of the last records the other cluster has; three were read of the one before.
@pytest.mark.parametrize("there", [2, 5])
def test_trap_08_another_cluster_under_the_same_name(feed, poked, run, send, topic, applier, there):
    first = signed("loc2", run.items[:2])
    send(*(of_item(item, 1) for item in first.items), of_head(first.head))
    turn(feed, applied(2))
    feed.close()
    other = broker.start()
    sender = Sender(broker.address_of(other))
    lately = [of_item(run.items[4], 1), *[of_head(run.head)] * (there - 1)]
    assert sender.send(topic("loc2"), lately, threading.Event()) == there
    sender.close()
    again = KafkaFeed(broker.address_of(other), Applier(applier.clock), poked.append)
    turn(again, lambda: poked)
    assert set(poked) == {"loc2"}
    applier.apply(run)  # what the pull brings
    turn(again, lambda: not has_gap(again))
    again.close()
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 0
    del other


def has_gap(feed: KafkaFeed) -> bool:
    position = Applier(lambda: 0).position("loc2", 1)
    return any(inbox.has_gap(position) for inbox in feed._inboxes.values())


@pytest.fixture
def freezing_broker(tmp_path):
    """A broker in a process of its own, and what stops and continues it."""
    port_file = tmp_path / "address"
    process = subprocess.Popen([sys.executable, "-m", "ops.broker", "--port-file", str(port_file)])
    end = time.monotonic() + 30
    while not port_file.exists():
        assert time.monotonic() < end
    yield port_file.read_text(encoding="ascii"), process.send_signal
    process.kill()
    process.wait(10)


def send_until_taken(bootstrap: str, topic: str, sent: Sequence[records.Record]) -> None:
    """Send again with another producer until all is acknowledged, as the relay does."""
    end, acknowledged = time.monotonic() + 30, 0
    while acknowledged < len(sent):
        assert time.monotonic() < end
        sender = Sender(bootstrap)
        acknowledged = sender.send(topic, sent, threading.Event())
        sender.close()


def test_trap_07_broker_that_freezes_and_thaws(
    freezing_broker, topic, poked, run, applier, monkeypatch
):
    """The same reader goes on; what was sent into the frost is sent again, and is there once."""
    bootstrap, say = freezing_broker
    sender, stop = Sender(bootstrap), threading.Event()
    sent = [*(of_item(item, 1) for item in run.items), of_head(run.head)]
    first = signed("loc2", run.items[:2])
    begun = [*sent[:2], of_head(first.head)]
    assert sender.send(topic("loc2"), begun, stop) == 3
    feed = KafkaFeed(bootstrap, applier, poked.append)
    turn(feed, applied(2))
    sender.close()
    monkeypatch.setattr("events.kafka.DELIVERY_MS", 1000)
    sender = Sender(bootstrap)
    say(signal.SIGSTOP)
    try:
        assert sender.send(topic("loc2"), sent[2:], stop) == 0
        sender.close()
        turn(feed, seconds=0.2)
        assert streams.applied_seq("loc2", 1) == 2
    finally:
        say(signal.SIGCONT)
    send_until_taken(bootstrap, topic("loc2"), sent[2:])
    turn(feed, applied(5), seconds=30)
    feed.close()
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 0


def other_value(old: bytes, new: bytes):
    return lambda r: replace(r, value=r.value.replace(old, new, 1))


def other_header(name: str, value: bytes):
    return lambda r: replace(r, headers={**r.headers, name: value})


# How a record is spoilt, and the reason that stands with the dead letter.
SPOILT = {
    "no json": (lambda r: replace(r, value=b"\xff"), "UndecodableEvent"),
    "another origin": (other_value(b'"loc2"', b'"loc3"'), None),
    "another version": (other_value(b'"schema_version":1', b'"schema_version":2'), "MissingKey"),
    "another ciphertext": (other_header("sins_ct", b"no"), "MissingKey"),
    "another key": (other_header("sins_key", b"no"), "MissingKey"),
    "no number": (other_header("sins_seq", b"no"), "unreadable record"),
    "no headers": (lambda r: replace(r, headers={}), "unreadable record"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_record_is_a_dead_letter_and_is_pulled(feed, poked, run, send, applier, how):
    spoil, reason = SPOILT[how]
    sent = [of_item(item, 1) for item in run.items]
    sent[1] = spoil(sent[1])
    send(*sent, of_head(run.head))
    turn(feed, lambda: poked)
    letter = DeadLetter.objects.first()
    assert letter is not None
    assert letter.source == "kafka"
    assert reason in {letter.reason, None}
    assert bytes(letter.raw) == sent[1].value
    applier.apply(run)
    turn(feed, seconds=0.3)
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 1


def test_forged_event_with_its_own_right_key_is_found_by_the_chain(feed, poked, run, send):
    """Bytes that decode and open are still not the origin's: the chain tells which they are."""
    forged = replace(run.items[1], raw=run.items[2].raw, ct=run.items[2].ct,
                     wrapped=run.items[2].wrapped)  # fmt: skip
    items = [run.items[0], forged, *run.items[2:]]
    send(*(of_item(item, 1) for item in items), of_head(run.head))
    turn(feed, DeadLetter.objects.exists)
    letter = DeadLetter.objects.get()
    assert (letter.seq, letter.reason) == (2, "not as signed")
    assert streams.applied_seq("loc2", 1) == 0
    turn(feed, lambda: poked)
    assert "loc2" in poked


FORGED = {
    "unsigned": lambda head: replace(head, signature=bytes(64)),
    "by another": lambda head: chain.sign(head, SEEDS["loc3"]),
    "of another": lambda head: chain.sign(replace(head, origin="loc3"), SEEDS["loc3"]),
}


@pytest.mark.parametrize("how", FORGED)
def test_forged_head_covers_nothing(feed, run, send, how):
    send(*(of_item(item, 1) for item in run.items), of_head(FORGED[how](run.head)))
    turn(feed, DeadLetter.objects.exists)
    assert DeadLetter.objects.get().reason == "head not signed"
    assert streams.applied_seq("loc2", 1) == 0


def test_unreadable_head(feed, send):
    send(replace(of_head(signed("loc2", [records_item()]).head), value=b"[]"))
    turn(feed, DeadLetter.objects.exists)
    assert DeadLetter.objects.get().reason == "unreadable record"


def records_item():
    return streams.Item(1, b"x", b"")


def test_a_head_that_contradicts_stops_its_stream(databases, feed, run, send, applier):
    applier.apply(run)
    other = signed("loc2", [records_item()])
    send(of_head(other.head))
    turn(feed, streams.stopped)
    assert streams.stopped() == {"loc2": 1}


def test_strange_epochs_take_no_memory(feed, send, run):
    send(*(of_item(run.items[0], epoch) for epoch in range(2, 40)))
    turn(feed, seconds=0.7)
    assert len(feed._inboxes) <= 8


def test_trap_09_lost_records_are_pulled_and_the_low_mark_gone_on_from(
    feed, bootstrap, topic, send
):
    """More than the broker keeps: reading from 0 goes on from the oldest record that is left."""
    filler = records.Record(b"k", b"x" * 900, {})
    for _ in range(8):
        send(*[filler] * 1000)
    reader = Reader(bootstrap, {topic("loc2"): 0})
    found: list[int] = []
    end = time.monotonic() + 10
    while (not found or found[-1] < 7999) and time.monotonic() < end:
        found += [record.offset for _, record in reader.read(500, 0.1)]
    reader.close()
    assert found[0] > 0
    assert found == list(range(found[0], 8000))


def test_relay_sends_each_page_and_its_head(bootstrap, topic, databases, settings, applier):
    pen = Elsewhere("loc2")
    three_people(pen)
    number_all("loc2", SEEDS["loc2"])
    stop = threading.Event()
    relay = Relay("loc2", bootstrap, stop)
    assert relay.step()
    assert not relay.step()
    assert Published.objects.get().seq == 5
    pen.change(1, phone="1")
    number_all("loc2", SEEDS["loc2"])
    relay.close()
    assert relay.step()
    assert Published.objects.get().seq == 6
    databases.renew()
    feed = KafkaFeed(bootstrap, applier, lambda _: None)
    turn(feed, applied(6))
    feed.close()
    assert streams.applied_seq("loc2", 1) == 6


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("place", ["numbered, not sent", "sent, not noted"])
def test_trap_04_killed_between_number_sending_and_note(
    bootstrap, topic, databases, applier, monkeypatch, place
):
    pen = Elsewhere("loc2")
    three_people(pen)
    number_all("loc2", SEEDS["loc2"])

    def killed(*_: object) -> None:
        raise Killed

    at = {
        "numbered, not sent": "events.relay.Sender.send",
        "sent, not noted": "events.relay.Relay._note",
    }
    with monkeypatch.context() as dying:
        dying.setattr(at[place], killed)
        before = Relay("loc2", bootstrap, threading.Event())
        with pytest.raises(Killed):
            before.step()
    assert not Published.objects.exists()
    again = Relay("loc2", bootstrap, threading.Event())
    assert again.step()
    again.close()
    assert Published.objects.get().seq == 5
    databases.renew()
    feed = KafkaFeed(bootstrap, applier, lambda _: None)
    turn(feed, applied(5))
    turn(feed, seconds=0.2)
    feed.close()
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 0


def test_trap_05_producer_beyond_help_is_replaced(
    bootstrap, topic, databases, applier, monkeypatch
):
    three_people(Elsewhere("loc2"))
    number_all("loc2", SEEDS["loc2"])
    made: list[Dying] = []

    class Dying(Producer):
        """The first dies after three records, as librdkafka does when it has lost its place."""

        def __init__(self, settings: dict[str, Any]) -> None:
            super().__init__(settings)
            made.append(self)
            self.left = 3 if len(made) == 1 else 100

        def produce(self, *arguments: Any, **named: Any) -> None:
            if not self.left:
                raise KafkaException(KafkaError(KafkaError._FATAL))
            self.left -= 1
            super().produce(*arguments, **named)

    monkeypatch.setattr("events.kafka.Producer", Dying)
    stop = threading.Event()
    relay = Relay("loc2", bootstrap, stop)
    loop = Loop("relay", relay.step, lambda: 0.05, stop, recover=relay.close)
    thread = loop.thread()
    end = time.monotonic() + 30
    while not Published.objects.filter(seq=5).exists():
        assert time.monotonic() < end
    stop.set()
    thread.join(10)
    relay.close()
    assert len(made) == 2
    databases.renew()
    feed = KafkaFeed(bootstrap, applier, lambda _: None)
    turn(feed, applied(5))
    feed.close()
    assert streams.applied_seq("loc2", 1) == 5
    assert DeadLetter.objects.count() == 0


def test_trap_06_what_was_acknowledged_counts_and_another_producer_goes_on(monkeypatch, topic):
    three_people(Elsewhere("loc2"))
    number_all("loc2", SEEDS["loc2"])
    senders: list[FakeSender] = []

    class FakeSender:
        def __init__(self, bootstrap: str) -> None:
            self.sent: list[records.Record] = []
            self.is_closed = False
            self.takes = [3, 100][len(senders)]
            senders.append(self)

        def send(self, topic: str, sent, stop) -> int:
            self.sent = list(sent)
            return min(self.takes, len(self.sent))

        def close(self) -> None:
            self.is_closed = True

    monkeypatch.setattr("events.relay.Sender", FakeSender)
    relay = Relay("loc2", "nowhere", threading.Event())
    with pytest.raises(Undelivered):
        relay.step()
    relay.close()
    assert senders[0].is_closed
    assert Published.objects.get().seq in {2, 3}
    with contextlib.suppress(Undelivered):
        relay.step()
    assert len(senders) == 2, "an idempotent producer is of no use after an error"
    assert Published.objects.get().seq == 5
    first = records.read_item(senders[1].sent[0])[1].seq
    assert first == Published.objects.get().seq - len(senders[1].sent) + 2
    assert first <= 4
    relay.close()


def test_without_a_broker_nothing_is_acknowledged_and_the_feed_says_so(monkeypatch, applier):
    monkeypatch.setattr("events.kafka.DELIVERY_MS", 500)
    sender = Sender("127.0.0.1:1")
    record = records.Record(b"k", b"v", {})
    assert sender.send("nowhere", [record], threading.Event()) == 0
    sender.close()
    feed = KafkaFeed("127.0.0.1:1", applier, lambda _: None)
    assert not feed.is_connected
    feed.step()
    assert feed._reader is not None
    turn(feed, lambda: not feed.is_connected)
    assert not feed.is_connected
    feed.close()


def test_sending_ends_when_told_to_stop():
    sender, stop = Sender("127.0.0.1:1"), threading.Event()
    stop.set()
    begin = time.monotonic()
    assert sender.send("nowhere", [records.Record(b"k", b"v", {})], stop) == 0
    sender.close()
    assert time.monotonic() - begin < 3


@pytest.mark.feature("S08")
def test_dead_letters_reach_their_topic_without_their_bytes(
    bootstrap, topic, monkeypatch, applier, run
):
    name = f"{topic('loc1')}.dead"
    monkeypatch.setattr("events.dead_letter_relay.dead_letters_of", lambda _: name)
    raw = b"\xff no event, but Canary"
    applier.apply(signed("loc2", [*run.items, streams.Item(0, raw, b"")]))
    relay = DeadLetterRelay("loc1", bootstrap, threading.Event())
    assert relay.step()
    assert not relay.step(), "each is told once"
    relay.close()
    reader = Reader(bootstrap, {name: 0})
    found: list[records.Record] = []
    end = time.monotonic() + 10
    while not found and time.monotonic() < end:
        found += [record for _, record in reader.read(10, 0.1)]
    reader.close()
    (record,) = found
    Draft202012Validator(schemas.dead_letter_schema()).validate(json.loads(record.value))
    letter = DeadLetter.objects.get()
    assert json.loads(record.value) == {
        "origin": "loc2", "epoch": 1, "seq": 6, "source": "stream", "reason": "not an event",
        "size": len(raw), "sha256": hashlib.sha256(raw).hexdigest(),
        "received_at": to_micros(letter.received_at)}  # fmt: skip
    assert record.headers["ce_type"] == b"sins.dead_letter"
    assert record.headers["ce_id"] == f"loc1:{letter.id}".encode()
    assert b"Canary" not in repr(record).encode()


@pytest.mark.feature("S08")
def test_dead_letter_that_kafka_did_not_take_is_told_again(monkeypatch, applier, run):
    sent: list[int] = []

    class FakeSender:
        def __init__(self, bootstrap: str) -> None: ...

        def send(self, topic: str, told, stop) -> int:
            assert topic == "sins.dead-letters.loc1"
            sent.append(len(told))
            return 1

        def close(self) -> None: ...

    monkeypatch.setattr("events.dead_letter_relay.Sender", FakeSender)
    items = [streams.Item(0, b"no event %d" % n, b"") for n in range(3)]
    applier.apply(signed("loc2", items))
    relay = DeadLetterRelay("loc1", "nowhere", threading.Event())
    for _ in range(2):
        with pytest.raises(Undelivered):
            relay.step()
        relay.close()
    assert relay.step()
    assert not relay.step()
    assert sent == [3, 2, 1]
