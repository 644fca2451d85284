"""``python -m ops.docker.secrets DIRECTORY [NAME=ADDRESS …]``: the secrets that compose gives out.

Secrets that are there stay; what follows from them is written anew. Another location is added by
naming it as well. The directory is for its owner alone; a file in it may be read by the users that
containers run as, to whom compose shows it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ADDRESSES: Final = {f"loc{number}": f"https://nginx:800{number}" for number in (1, 2, 3)}
DATABASE: Final = "sins"
USERS: Final = ("agent", "provider", "customer", "admin")
TRUSTED: Final = "/etc/ssl/certs/sins-ca.pem"


def main(arguments: list[str]) -> int:
    """Make what is missing; print how many files there are, never what stands in them."""
    directory, *named = arguments or [".sins/secrets"]
    addresses = dict(text.split("=", 1) for text in named) or ADDRESSES
    make(Path(directory), addresses)
    files = sum(path.is_file() for path in Path(directory).rglob("*"))
    print(f"{files} files in {directory} for {', '.join(addresses)}.")
    return 0


def make(directory: Path, addresses: Mapping[str, str]) -> None:
    """Make the secrets of a network whose locations answer at ``addresses``."""
    store = _Store(directory)
    store.keep("network_id", lambda: str(uuid.uuid4()))
    store.keep("network_secret", _key)
    store.keep("wrapping_key", _key)
    for name in ("elastic", "kibana_system", "sins_ship", "sins_provider", "kibana_encryption"):
        store.keep(f"elasticsearch/{name}", _password)
    public = {name: _public_key(store.keep(f"{name}/location_key", _key)) for name in addresses}
    for name in addresses:
        peers = {
            other: {"url": addresses[other], "public_key": public[other]}
            for other in addresses
            if other != name
        }
        _make_location(store, name, peers)
    users = {name: store.keep(f"{name}/kafka", _password) for name in addresses}
    store.write("kafka_users", json.dumps(users))


def _make_location(store: _Store, name: str, peers: Mapping[str, Mapping[str, str]]) -> None:
    store.keep(f"{name}/secret_key", lambda: secrets.token_urlsafe(48))
    store.keep(f"{name}/members", lambda: json.dumps({user: _member() for user in USERS}))
    for file, role in (
        ("database_superuser", "postgres"),
        ("database_owner", "sins_owner"),
        ("database_application", "sins_app"),
    ):
        password = store.keep(f"{name}/{file}", _password)
        place = "postgres" if role == "postgres" else DATABASE
        address = f"postgresql://{role}:{password}@{name}-postgres:5432/{place}"
        store.write(f"{name}/{file}_url", address)
    ship = store.keep("elasticsearch/sins_ship", _password)
    store.write(f"{name}/elasticsearch_host", f"http://sins_ship:{ship}@elasticsearch:9200")
    store.write(f"{name}/peers", json.dumps(peers))
    kafka = {
        "security.protocol": "sasl_ssl",
        "ssl.ca.location": TRUSTED,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": name,
        "sasl.password": store.keep(f"{name}/kafka", _password),
    }
    store.write(f"{name}/kafka_security", json.dumps(kafka))


class _Store:
    """A directory of small files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._directory = directory

    def keep(self, name: str, make: Callable[[], str]) -> str:
        """Return what a file holds; make it if there is none."""
        path = self._directory / name
        if not path.exists():
            self.write(name, make())
        return path.read_text(encoding="ascii")

    def write(self, name: str, text: str) -> None:
        """Write a file; a reader sees the old text or the new, never half."""
        path = self._directory / name
        path.parent.mkdir(exist_ok=True)
        scratch = path.with_name(f".{path.name}.new")
        scratch.unlink(missing_ok=True)
        # Readable, because a container's user is another one; the directory keeps others out.
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o444)  # whatever the umask
            file.write(text)
        scratch.replace(path)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _password() -> str:
    return secrets.token_urlsafe(32)


def _member() -> dict[str, str]:
    token = f"sins_{secrets.token_urlsafe(32)}"
    return {"password": secrets.token_urlsafe(12), "token": token}


def _public_key(seed: str) -> str:
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed)).public_key()
    return base64.b64encode(key.public_bytes_raw()).decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
