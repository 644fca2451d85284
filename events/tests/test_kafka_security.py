"""KAFKA_SECURITY reaches the library: it speaks TLS, and only to whom it is told to trust."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException

from events.kafka import Reader, Sender
from ops.docker import certificates

pytestmark = pytest.mark.feature("R06")


class Listener:
    """A place that speaks TLS; ``heard`` are the bytes of who trusts it."""

    def __init__(self, directory: Path) -> None:
        self.heard: list[bytes] = []
        self.refused: list[str] = []
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(directory / "kafka" / "keystore.pem")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            plain, _ = self._socket.accept()
            plain.settimeout(5)
            with plain:
                first = plain.recv(1, socket.MSG_PEEK)
                if first == b"q":
                    return
                try:
                    with self._context.wrap_socket(plain, server_side=True) as secure:
                        self.heard.append(secure.recv(4096))
                except (ssl.SSLError, ConnectionError) as exc:
                    self.refused.append(type(exc).__name__)

    def close(self) -> None:
        """End it."""
        with socket.create_connection(self._socket.getsockname()) as last:
            last.sendall(b"q")
        self._thread.join()
        self._socket.close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    certificates.main([str(directory), "kafka=localhost"])
    certificates.main([str(directory / "other")])
    return directory


@pytest.fixture
def listener(directory: Path) -> Iterator[Listener]:
    listener = Listener(directory)
    yield listener
    listener.close()


def security(directory: Path) -> dict[str, str]:
    return {
        "security.protocol": "ssl",
        "ssl.ca.location": str(directory / "trust" / "sins-ca.pem"),
    }


def wait_for(what: Any) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kind", [Sender, lambda address: Reader(address, {})])
def test_both_ends_are_told(kind: Any, listener: Listener, directory: Path, settings: Any) -> None:
    settings.KAFKA_SECURITY = security(directory)
    end = kind(listener.address)
    wait_for(lambda: listener.heard)
    assert b"sins" in listener.heard[0]  # Kafka's own words, in the clear inside of TLS
    end.close()


def test_nobody_else_is_trusted(listener: Listener, directory: Path, settings: Any) -> None:
    settings.KAFKA_SECURITY = security(directory / "other")
    sender = Sender(listener.address)
    wait_for(lambda: listener.refused)
    sender.close()
    assert listener.heard == []


def test_misspelt_option_is_no_silent_one(settings: Any) -> None:
    settings.KAFKA_SECURITY = {"security.protokoll": "ssl"}
    with pytest.raises(KafkaException, match=r"security\.protokoll"):
        Sender("localhost:1")
