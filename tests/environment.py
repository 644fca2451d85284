"""The environment tests run in: every variable, so that no ``.env`` of a developer reaches them."""

from __future__ import annotations

import base64
from typing import Final


def test_key(name: str) -> str:
    """Return 32 bytes in base64 that differ per name; secret to nobody."""
    return base64.b64encode(name.encode().ljust(32, b".")[:32]).decode()


test_key.__test__ = False  # type: ignore[attr-defined]

ENVIRONMENT: Final = {
    "LOCATION_ID": "loc1",
    "SECRET_KEY": "only-for-tests-" * 4,
    "DATABASE_POOL_SIZE": "0",
    "DEBUG": "0",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "PUBLIC_URL": "http://localhost:8000",
    "NETWORK_ID": "8d0c6a52-5d6f-4bb0-9f0b-0d7c6a8f3e11",
    "NETWORK_SECRET": test_key("network secret"),
    "NETWORK_TIME_ZONE": "UTC",
    "WRAPPING_KEY": test_key("wrapping key"),
    "LOCATION_KEY": test_key("location key of loc1"),
    "PEERS": "{}",
    "KAFKA_BOOTSTRAP": "",
    "KAFKA_SECURITY": "{}",
    "ELASTICSEARCH_HOST": "",
    "FUZZY_HIT_LIMIT": "25",
    "RETENTION_DAYS": "365",
    "LOAD_SAMPLE_DATA": "0",
    "ENABLED_MODULES": "customers",
}
# Replaced by the test session's own database unless the environment names one.
NOWHERE: Final = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"
