"""``python -m ops.docker.database``: a location's database and its two roles, as the superuser.

Reads three addresses from files: SUPERUSER_URL_FILE, DATABASE_OWNER_URL_FILE, DATABASE_URL_FILE.
May be repeated: what is there stays, and the roles get the passwords that stand there now.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ops.databases import create_role_and_database


def main() -> int:
    """Make what is missing."""
    superuser, owner, application = (
        _address(name) for name in ("SUPERUSER_URL", "DATABASE_OWNER_URL", "DATABASE_URL")
    )
    create_role_and_database(
        lambda database: superuser._replace(path=f"/{database}").geturl(),
        application.path[1:],
        owner=_login(owner),
        application=_login(application),
    )
    return 0


def _address(name: str) -> SplitResult:
    return urlsplit(Path(os.environ[f"{name}_FILE"]).read_text(encoding="ascii").strip())


def _login(address: SplitResult) -> tuple[str, str]:
    return unquote(address.username or ""), unquote(address.password or "")


if __name__ == "__main__":
    sys.exit(main())
