"""``python -m ops.elasticsearch``: roles and users of a secured Elasticsearch, as its superuser.

Reads ELASTICSEARCH_URL and the files that ELASTIC_PASSWORD_FILE, KIBANA_SYSTEM_PASSWORD_FILE,
SHIP_PASSWORD_FILE and PROVIDER_PASSWORD_FILE name. May be repeated: all becomes what stands here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

DOCUMENTS: Final = "sins-tx-*"
# Creates documents and keeps their mapping; reads, changes and deletes none.
SHIP: Final = {
    "cluster": ["monitor", "manage_index_templates"],
    "indices": [
        {
            "names": [DOCUMENTS],
            "privileges": [
                "create_doc",
                "create_index",
                "view_index_metadata",
                "indices:admin/mapping/put*",
            ],
        }
    ],
}
# Looks at the reports; "read" on all spaces is what Kibana calls its viewers' base privilege.
PROVIDER: Final = {
    "indices": [{"names": [DOCUMENTS], "privileges": ["read", "view_index_metadata"]}],
    "applications": [{"application": "kibana-.kibana", "privileges": ["read"], "resources": ["*"]}],
}

Request = tuple[str, str, dict[str, Any]]


def main() -> int:
    """Set everything up; ends with 1 and a sentence if Elasticsearch refuses."""
    client = httpx.Client(
        base_url=os.environ["ELASTICSEARCH_URL"],
        auth=("elastic", _password("ELASTIC")),
        timeout=30,
        trust_env=False,
    )
    with client:
        for method, path, body in requests():
            try:
                client.request(method, path, json=body).raise_for_status()
            except httpx.HTTPStatusError as exc:
                said = exc.response.status_code
                print(f"Elasticsearch refused {method} {path}: {said}", file=sys.stderr)
                return 1
            except httpx.HTTPError as exc:
                print(f"Elasticsearch does not answer: {type(exc).__name__}", file=sys.stderr)
                return 1
    print("Roles and users of Elasticsearch are set up.")
    return 0


def requests() -> Iterator[Request]:
    """Yield what is asked, in its order: a user's role is there before the user."""
    kibana = {"password": _password("KIBANA_SYSTEM")}
    yield "POST", "/_security/user/kibana_system/_password", kibana
    for name, role, password in (
        ("sins_ship", SHIP, _password("SHIP")),
        ("sins_provider", PROVIDER, _password("PROVIDER")),
    ):
        yield "PUT", f"/_security/role/{name}", role
        yield "PUT", f"/_security/user/{name}", {"password": password, "roles": [name]}


def _password(whose: str) -> str:
    return Path(os.environ[f"{whose}_PASSWORD_FILE"]).read_text(encoding="ascii").strip()


if __name__ == "__main__":
    sys.exit(main())
