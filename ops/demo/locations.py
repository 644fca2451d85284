"""The demo's locations: their secrets, made once, and the environment each of them runs in."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ops.databases import DatabaseUrls
from ops.demo.places import CHILD_MARK, LOCATIONS, InternalPorts, Places, write_privately
from ops.postgres import Cluster

USERS: Final = ("agent", "provider", "customer", "admin")
DATABASE: Final = "sins"
ROLES: Final = ("sins_owner", "sins_app")
NETWORK_KEYS: Final = ("NETWORK_ID", "NETWORK_SECRET", "WRAPPING_KEY")
# What a child may know of who started the demo; no setting of theirs may steer a location.
PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", CHILD_MARK)

Environment = dict[str, str]


@dataclass(slots=True)
class Location:
    """One location: its directory, its server, and what it keeps to itself."""

    name: str
    directory: Path
    web_port: int
    cluster: Cluster
    secrets: Environment
    users: dict[str, dict[str, str]]
    database: DatabaseUrls = field(default=DatabaseUrls("", ""))
    is_cut: bool = False

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def environment_path(self) -> Path:
        """The file that makes ``manage.py`` speak for this location."""
        return self.directory / "environment"

    @property
    def public_key(self) -> str:
        """What the others check its signatures with, in base64."""
        seed = base64.b64decode(self.secrets["LOCATION_KEY"])
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return base64.b64encode(public).decode()

    def database_roles(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return ``(name, password)`` of the owner and of the application."""
        passwords = (self.secrets["OWNER_PASSWORD"], self.secrets["APPLICATION_PASSWORD"])
        return (ROLES[0], passwords[0]), (ROLES[1], passwords[1])


def load(places: Places, ports: InternalPorts) -> list[Location]:
    """Return the locations with the secrets they had; what is missing is made."""
    network = read_environment(places.directory / LOCATIONS[0] / "environment")
    shared = {
        "NETWORK_ID": network.get("NETWORK_ID") or str(uuid.uuid4()),
        "NETWORK_SECRET": network.get("NETWORK_SECRET") or _key(),
        "WRAPPING_KEY": network.get("WRAPPING_KEY") or _key(),
    }
    return [
        load_one(places, name, shared, places.web_port(name), ports.take()) for name in LOCATIONS
    ]


def load_one(
    places: Places, name: str, network: Environment, web_port: int, database_port: int
) -> Location:
    """Return a location of that network with the secrets it had; what is missing is made."""
    directory = places.directory / name
    kept = read_environment(directory / "environment")
    users = json.loads(kept.get("DEMO_MEMBERS", "{}")) or {
        user: {"password": secrets.token_urlsafe(12), "token": f"sins_{secrets.token_urlsafe(32)}"}
        for user in USERS
    }
    own = {
        "SECRET_KEY": kept.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "LOCATION_KEY": kept.get("LOCATION_KEY") or _key(),
        "OWNER_PASSWORD": _password(kept.get("DATABASE_OWNER_URL")),
        "APPLICATION_PASSWORD": _password(kept.get("DATABASE_URL")),
    }
    cluster = Cluster(directory / "postgres", database_port)
    return Location(name, directory, web_port, cluster, {**network, **own}, users)


def environment(
    location: Location, peers: Mapping[str, tuple[str, str]], kafka_bootstrap: str
) -> Environment:
    """Return a location's settings; ``peers`` maps a name to its address and public key."""
    described = {name: {"url": url, "public_key": key} for name, (url, key) in peers.items()}
    return {
        "LOCATION_ID": location.name,
        "PUBLIC_URL": location.url,
        "DATABASE_URL": location.database.application,
        "DATABASE_OWNER_URL": location.database.owner,
        "DATABASE_POOL_SIZE": "8",
        "SECRET_KEY": location.secrets["SECRET_KEY"],
        "DEBUG": "0",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        **{key: location.secrets[key] for key in NETWORK_KEYS},
        "LOCATION_KEY": location.secrets["LOCATION_KEY"],
        "PEERS": json.dumps(described),
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "KAFKA_SECURITY": "{}",
        "ELASTICSEARCH_HOST": os.environ.get("ELASTICSEARCH_HOST", ""),
        "FUZZY_HIT_LIMIT": "25",
        "RETENTION_DAYS": "365",
        "LOAD_SAMPLE_DATA": "0",
        "NETWORK_TIME_ZONE": "UTC",
        "ENABLED_MODULES": "customers",
        "DEMO_MEMBERS": json.dumps(location.users),
    }


def write_environment(path: Path, values: Mapping[str, str]) -> None:
    """Write ``KEY=VALUE`` lines, readable by their owner alone."""
    lines = ["# Written by `manage.py demo` at every start; the secrets stay.\n"]
    lines += [f"{key}={value}\n" for key, value in values.items()]
    write_privately(path, "".join(lines))


def read_environment(path: Path) -> Environment:
    """Return what ``write_environment`` wrote; nothing if it has not."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if not line.startswith("#")]
    return {key: value for key, equals, value in pairs if equals}


def child_environment(values: Mapping[str, str], *, is_owner: bool = False) -> Environment:
    """Return the environment of a location's process; only an owner's may change tables."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    hidden = set() if is_owner else {"DATABASE_OWNER_URL", "DEMO_MEMBERS"}
    chosen = {key: value for key, value in values.items() if key not in hidden}
    return {
        **passed,
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "sins.settings",
        **chosen,
    }


def manage(*arguments: str) -> list[str]:
    """Return the command line of a management command."""
    return [sys.executable, "manage.py", *arguments]


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _password(url: str | None) -> str:
    password = urlsplit(url).password if url else None
    return unquote(password) if password else secrets.token_urlsafe(24)
