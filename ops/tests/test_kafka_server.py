"""A real Kafka, started without containers."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from ops import kafka_server
from ops.kafka_server import KafkaError, KafkaServer


@pytest.mark.kafka
def test_broker_keeps_what_it_acknowledged_through_a_kill(real_kafka: KafkaServer) -> None:
    producer = Producer({"bootstrap.servers": real_kafka.bootstrap, "acks": "all"})
    producer.produce("kept", b"one", partition=0)
    assert producer.flush(30) == 0
    real_kafka.kill()
    assert real_kafka.pid is None
    real_kafka.start()
    consumer = Consumer({"bootstrap.servers": real_kafka.bootstrap, "group.id": "unused"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    (message,) = consumer.consume(1, timeout=60)
    consumer.close()
    assert message.value() == b"one"


def test_missing_jars_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINS_KAFKA_LIB", str(tmp_path))
    with pytest.raises(KafkaError, match="make kafka"):
        kafka_server.library()


def test_missing_java_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaError, match="needs Java 17"):
        kafka_server.java()


def test_cluster_id_is_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter([UUID(bytes=b"\xf8" * 16), UUID(bytes=b"\x01" * 16)])  # the first begins with -
    monkeypatch.setattr("uuid.uuid4", lambda: next(made))
    assert kafka_server.new_cluster_id() == "AQEBAQEBAQEBAQEBAQEBAQ"
