"""``python -m ops.docker.kafka``: the topics of a guarded Kafka, its logins, who may write where.

A location may write to its own topics, and read the events of all. May be repeated: what is there
stays, and passwords become those that stand in KAFKA_USERS_FILE (``{location: password}``).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from events.records import dead_letters_of, topic_of

SECONDS: Final = 60
ITERATIONS: Final = 8192
OWN: Final = {
    "security.protocol": "ssl",
    "ssl.ca.location": "/etc/ssl/certs/sins-ca.pem",
    "ssl.certificate.location": "/run/tls/cert.pem",
    "ssl.key.location": "/run/tls/key.pem",
}


def main() -> int:
    """Set up what the environment names."""
    users = json.loads(Path(os.environ["KAFKA_USERS_FILE"]).read_text(encoding="ascii"))
    set_up({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"], **OWN}, users)
    print(f"Topics and logins of {', '.join(users)}.")
    return 0


def set_up(connection: Mapping[str, str], users: Mapping[str, str]) -> None:
    """Make topics, logins and rights; ``KafkaException`` if the brokers do not."""
    admin = AdminClient(dict(connection))
    # As many copies as the brokers say.
    names = [topic(name) for name in users for topic in (topic_of, dead_letters_of)]
    topics = [NewTopic(name, 1, -1) for name in names]
    _wait(admin.create_topics(topics, operation_timeout=SECONDS).values())
    logins: list[Any] = [
        UserScramCredentialUpsertion(
            name,
            ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS),
            password.encode(),
        )
        for name, password in users.items()
    ]
    _wait(admin.alter_user_scram_credentials(logins).values())
    rights = [right for name in users for right in _rights(name)]
    _wait(admin.create_acls(rights).values())


def _rights(name: str) -> Iterator[AclBinding]:
    own, every = ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED
    for topic, kind, operation in (
        (topic_of(name), own, AclOperation.WRITE),
        (dead_letters_of(name), own, AclOperation.WRITE),
        (topic_of(""), every, AclOperation.READ),
    ):
        yield AclBinding(
            ResourceType.TOPIC,
            topic,
            kind,
            f"User:{name}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )


def _wait(made: Iterable[Future[Any]]) -> None:
    for each in made:
        try:
            each.result(SECONDS)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


if __name__ == "__main__":
    sys.exit(main())
