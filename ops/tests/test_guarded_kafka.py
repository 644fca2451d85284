"""Three real brokers, configured by the production overlay: TLS, logins, rights, and no loss.

The start program of Kafka's image makes the configuration out of the overlay's variables; only
names of containers and places inside them are replaced.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from events.kafka import Reader, Sender
from events.records import Record, dead_letters_of, topic_of
from ops.docker import certificates, secrets
from ops.docker.kafka import OWN, set_up
from ops.kafka_server import KafkaError, java, library
from ops.ports import free_port
from ops.tests import compose

pytestmark = [pytest.mark.kafka, pytest.mark.feature("R06")]

BROKERS = ("kafka", "kafka2", "kafka3")
START_SECONDS = 90
CLIENTS, INTERNAL = 9092, 9093


class Guarded:
    """The brokers of production, on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {(name, port): free_port() for name in BROKERS for port in (9092, 9093, 9094)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        named = [f"{name}={name},127.0.0.1" for name in (*BROKERS, "kafka-setup")]
        certificates.main([str(folder), *named])
        certificates.main([str(folder / "other")])
        secrets.make(folder / "secrets", secrets.ADDRESSES)

    def bootstrap(self, port: int) -> str:
        """Return the brokers' addresses for clients, or for each other."""
        return ",".join(f"127.0.0.1:{self._ports[name, port]}" for name in BROKERS)

    def start(self, name: str) -> None:
        """Start a broker with what the image's own program makes of the overlay."""
        said = compose.stack("production")["services"][name]["environment"]
        values = {key: self._in_place(name, value) for key, value in said.items()}
        home = self.folder / "brokers" / name
        for folder in ("default", "mounted", "final"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        program = [java(), "-Xmx320m", "-cp", f"{library()}/*"]
        if not (home / "final" / "server.properties").exists():
            done = subprocess.run(
                [*program, "kafka.docker.KafkaDockerWrapper", "setup",
                 "--default-configs-dir", home / "default",
                 "--mounted-configs-dir", home / "mounted",
                 "--final-configs-dir", home / "final"],
                env=values, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
        with (home / "log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*program, "kafka.Kafka", home / "final" / "server.properties"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """End a broker as a crash would."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all."""
        for name in list(self._running):
            self.kill(name)

    def security(self, location: str, **changed: str) -> dict[str, str]:
        """Return how a location connects, as its secret says."""
        text = (self.folder / "secrets" / location / "kafka_security").read_text(encoding="ascii")
        trusted = {"ssl.ca.location": str(self.folder / "trust" / "sins-ca.pem")}
        return {
            **json.loads(text),
            **trusted,
            **{k.replace("_", "."): v for k, v in changed.items()},
        }

    def administrator(self) -> dict[str, Any]:
        """Return how the set-up step connects."""
        own = {
            "ssl.ca.location": "trust/sins-ca.pem",
            "ssl.certificate.location": "kafka-setup/cert.pem",
            "ssl.key.location": "kafka-setup/key.pem",
        }
        places = {key: str(self.folder / place) for key, place in own.items()}
        return {**OWN, **places, "bootstrap.servers": self.bootstrap(INTERNAL)}

    def set_up(self) -> None:
        """Run the set-up step, as soon as the brokers take it."""
        users = json.loads((self.folder / "secrets" / "kafka_users").read_text(encoding="ascii"))
        set_up(self.administrator(), users)

    def log(self, name: str) -> str:
        """Return what a broker has written."""
        return (self.folder / "brokers" / name / "log").read_text(errors="replace")

    def _in_place(self, name: str, value: str) -> str:
        places = {
            "/run/tls/": f"{self.folder}/{name}/",
            "/run/trust/": f"{self.folder}/trust/",
            "/var/lib/kafka/data": f"{self.folder}/brokers/{name}/data",
        }
        for there, here in places.items():
            value = value.replace(there, here)

        def address(found: re.Match[str]) -> str:
            whose = found["host"] or name
            return f"{found['before']}127.0.0.1:{self._ports[whose, int(found['port'])]}"

        return re.sub(r"(?P<before>@|://)(?P<host>kafka\d?)?:(?P<port>909\d)", address, value)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    try:
        library()
        java()
    except KafkaError as error:
        pytest.skip(str(error))
    guarded = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        for name in BROKERS:
            guarded.start(name)
        deadline = time.monotonic() + START_SECONDS
        while not all_are_there(guarded):
            assert time.monotonic() < deadline, guarded.log("kafka")[-3000:]
            time.sleep(0.5)
        guarded.set_up()
        yield guarded
    finally:
        guarded.stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom the brokers refuse is told so only by the time that passes."""
    monkeypatch.setattr("events.kafka.DELIVERY_MS", 4000)


def all_are_there(guarded: Guarded) -> bool:
    try:
        found = AdminClient({**guarded.administrator(), "log_level": 0}).list_topics(timeout=2)
    except KafkaException:
        return False
    return len(found.brokers) == len(BROKERS)


def record(text: str) -> Record:
    return Record(b"key", text.encode(), {}, 0)


def sent(guarded: Guarded, topic: str, text: str) -> int:
    """Return how many of one record Kafka has taken; as the location that the settings name."""
    sender = Sender(guarded.bootstrap(CLIENTS))
    try:
        return sender.send(topic, [record(text)], threading.Event())
    finally:
        sender.close()


def send_at_last(guarded: Guarded, topic: str, text: str) -> None:
    """Send one record until Kafka has taken it: as the relay does, for brokers begin slowly."""
    deadline = time.monotonic() + START_SECONDS
    while not sent(guarded, topic, text):
        assert time.monotonic() < deadline


def read(guarded: Guarded, topic: str, is_enough: Callable[[list[bytes]], bool]) -> list[bytes]:
    """Return what stands in a topic; as the location that the settings name."""
    reader = Reader(guarded.bootstrap(CLIENTS), {topic: 0})
    found: list[bytes] = []
    deadline = time.monotonic() + 30
    while not is_enough(found) and time.monotonic() < deadline:
        found += [each.value for _, each in reader.read(100, 0.2)]
    reader.close()
    return found


def test_every_topic_is_kept_three_times(guarded: Guarded) -> None:
    admin = AdminClient(guarded.administrator())
    topics = admin.list_topics(timeout=10).topics
    names = [topic(name) for name in secrets.ADDRESSES for topic in (topic_of, dead_letters_of)]
    for name in names:
        partitions = topics[name].partitions
        assert {number: len(said.replicas) for number, said in partitions.items()} == {0: 3}


def test_set_up_may_be_repeated(guarded: Guarded) -> None:
    guarded.set_up()


def test_location_writes_its_own_topic_and_others_read_it(guarded: Guarded, settings: Any) -> None:
    settings.KAFKA_SECURITY = guarded.security("loc1")
    send_at_last(guarded, topic_of("loc1"), "written by loc1")
    settings.KAFKA_SECURITY = guarded.security("loc2")
    assert b"written by loc1" in read(guarded, topic_of("loc1"), bool)


def test_location_does_not_write_for_another(guarded: Guarded, settings: Any) -> None:
    settings.KAFKA_SECURITY = guarded.security("loc2")
    assert sent(guarded, topic_of("loc3"), "forged") == 0
    assert sent(guarded, dead_letters_of("loc3"), "forged") == 0
    send_at_last(guarded, dead_letters_of("loc2"), "true")
    settings.KAFKA_SECURITY = guarded.security("loc3")
    send_at_last(guarded, topic_of("loc3"), "true")
    assert set(read(guarded, topic_of("loc3"), bool)) == {b"true"}


@pytest.mark.parametrize(
    "changed",
    [
        {"sasl_password": "wrong"},
        {"sasl_username": "nobody"},
        {"security_protocol": "ssl"},
        {"security_protocol": "plaintext"},
    ],
    ids=str,
)
def test_nobody_gets_in_without_a_login(
    guarded: Guarded, settings: Any, changed: dict[str, str]
) -> None:
    settings.KAFKA_SECURITY = guarded.security("loc1", **changed)
    assert sent(guarded, topic_of("loc1"), "refused") == 0


def test_location_trusts_no_other_brokers(guarded: Guarded, settings: Any) -> None:
    other = str(guarded.folder / "other" / "trust" / "sins-ca.pem")
    settings.KAFKA_SECURITY = guarded.security("loc1", ssl_ca_location=other)
    assert sent(guarded, topic_of("loc1"), "refused") == 0


@pytest.mark.parametrize("port", [INTERNAL, 9094])
def test_brokers_speak_among_themselves_by_certificate(guarded: Guarded, port: int) -> None:
    trust = ssl.create_default_context(cafile=str(guarded.folder / "trust" / "sins-ca.pem"))
    address = ("127.0.0.1", guarded._ports["kafka", port])
    with (
        socket.create_connection(address, timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        pytest.raises((ssl.SSLError, ConnectionError), match=r"(?i)certificate|alert|reset"),
    ):
        secure.recv(1)


def test_nothing_is_lost_when_one_is_away_and_nothing_taken_when_two_are(
    guarded: Guarded, settings: Any
) -> None:
    settings.KAFKA_SECURITY = guarded.security("loc2")
    topic = topic_of("loc2")
    send_at_last(guarded, topic, "three")
    guarded.kill("kafka2")
    send_at_last(guarded, topic, "two")
    guarded.kill("kafka3")
    assert sent(guarded, topic, "one") == 0
    guarded.start("kafka2")
    send_at_last(guarded, topic, "two again")
    found = read(guarded, topic, lambda values: b"two again" in values)
    assert {b"three", b"two", b"two again"} <= set(found)
