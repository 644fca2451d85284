"""What the environment and ``.env`` say about a location, checked before anything starts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from events.addresses import BUILT_IN, NAME, checked_key, checked_url

UNUSABLE: Final = "The settings of this location are not usable."


def _postgres_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or not parts.path[1:]:
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    return text


def _elasticsearch(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^/\s]+:[0-9]{1,5}", text):
        raise ValueError("must look like http://elasticsearch:9200")
    return text


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("must name a time zone, such as UTC or Europe/Berlin") from None
    return text


def _items(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [item.strip() for item in value.split(",") if item.strip()]


def _json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        raise ValueError("must be JSON") from None


def _kafka_security(options: dict[str, str]) -> dict[str, str]:
    # Only how to connect: what is sent, kept and acknowledged is not configured from outside.
    strange = [name for name in options if not name.startswith(("security.", "sasl.", "ssl."))]
    if strange:
        raise ValueError("may only hold librdkafka's security.*, sasl.* and ssl.* options")
    return options


Key = Annotated[str, AfterValidator(checked_key)]
PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
Items = Annotated[list[str], NoDecode, BeforeValidator(_items)]


class Peer(BaseModel):
    """Another location: where it answers and the key its signatures are checked with."""

    url: Annotated[str, AfterValidator(checked_url)]
    public_key: Key


class Environment(BaseSettings):
    """What the environment says; the fields are its variables, in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    location_id: Annotated[str, Field(pattern=NAME)]
    secret_key: Annotated[str, Field(min_length=32)]
    database_url: PostgresUrl
    database_owner_url: PostgresUrl | None = None
    database_pool_size: Annotated[int, Field(ge=0, le=50)] = 4
    debug: bool = False
    allowed_hosts: Items = Field(default=["localhost", "127.0.0.1", "[::1]"])
    public_url: Annotated[str, Field(pattern=r"^https?://[^/]+$")] = "http://localhost:8000"

    network_id: UUID
    network_secret: Key
    network_time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    wrapping_key: Key
    location_key: Key
    peers: Annotated[dict[str, Peer], NoDecode, BeforeValidator(_json)] = {}

    kafka_bootstrap: str = "kafka:9092"
    kafka_security: Annotated[
        dict[str, str], NoDecode, BeforeValidator(_json), AfterValidator(_kafka_security)
    ] = {}
    elasticsearch_host: Annotated[str, AfterValidator(_elasticsearch)] = ""
    sentry_dsn: str = ""
    metrics_address: Annotated[str, Field(pattern=r"^[^/]*:\d{1,5}$")] = "127.0.0.1:9100"
    trusted_proxy_count: Annotated[int, Field(ge=0, le=5)] = 0
    fuzzy_hit_limit: Annotated[int, Field(ge=1, le=1000)] = 25
    retention_days: Annotated[int, Field(ge=1)] = 365
    load_sample_data: bool = False
    enabled_modules: Items = Field(default=["customers"])

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Empty is "not set", but for what can be switched off by leaving it empty.
        off = {"kafka_bootstrap", "elasticsearch_host"}
        return {name: value for name, value in values.items() if value != "" or name in off}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.location_id == BUILT_IN:
            raise ValueError(f"LOCATION_ID: {BUILT_IN} is the origin of what is built in")
        if self.location_id in self.peers:
            raise ValueError("PEERS: names this location itself")
        return self


def read_environment() -> Environment:
    """Return the variables; ``ImproperlyConfigured`` names those that are missing or wrong."""
    try:
        return Environment(**values_from_files(os.environ))
    except ValidationError as error:
        raise ImproperlyConfigured(_sentences(error)) from None


def values_from_files(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what stands in files: ``SECRET_KEY_FILE=/run/secrets/key`` gives ``secret_key``."""
    found = {}
    for name in Environment.model_fields:
        variable = f"{name.upper()}_FILE"
        path = environment.get(variable)
        if not path:
            continue
        if environment.get(name.upper()):
            raise ImproperlyConfigured(f"{UNUSABLE} {name.upper()} and {variable} are both set.")
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ImproperlyConfigured(
                f"{UNUSABLE} {variable} names a file that cannot be read."
            ) from None
    return found


def _sentences(error: ValidationError) -> str:
    """Return one line per bad variable; never its value, which may be a secret."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        name, *inner = (str(part) for part in problem["loc"]) if problem["loc"] else ("",)
        what = "is not set" if problem["type"] == "missing" and not inner else problem["msg"]
        where = f"{name.upper()}{''.join(f'[{part}]' for part in inner)} " if name else ""
        lines.append(where + what.removeprefix("Value error, "))
    return f"{UNUSABLE} {'; '.join(lines)}."
