"""``python -m ops.docker.health ADDRESS | database``: ends with 0 when it answers, else with 1.

An address is asked as one of this machine's own; the database is the one the settings name.
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg

SECONDS: Final = 4


def main(arguments: list[str]) -> int:
    """Ask once."""
    (what,) = arguments
    return int(not (database_answers() if what == "database" else answers(what)))


def answers(address: str) -> bool:
    """Whether an HTTP server says that it is well."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request("GET", parts.path, headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def database_answers() -> bool:
    """Whether this location's database does, as the application's role."""
    file = os.environ.get("DATABASE_URL_FILE")
    url = Path(file).read_text(encoding="ascii").strip() if file else os.environ["DATABASE_URL"]
    try:
        with psycopg.connect(url, connect_timeout=SECONDS) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
