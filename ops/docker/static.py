"""``python -m ops.docker.static``: collect the static files of the image, plain and compressed.

Runs where there is no location: the settings it makes up are for nothing else and kept nowhere.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
import uuid
from pathlib import Path
from typing import Final

DIRECTORY: Final = Path(__file__).resolve().parents[2] / "staticfiles"


def main() -> int:
    """Collect into ``staticfiles``, from where the settings serve them once it is there."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="sins.settings",
        LOCATION_ID="image",
        SECRET_KEY=secrets.token_urlsafe(48),
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/nowhere",
        NETWORK_ID=str(uuid.uuid4()),
        NETWORK_SECRET=key,
        WRAPPING_KEY=key,
        LOCATION_KEY=key,
    )
    DIRECTORY.mkdir(exist_ok=True)
    # Imported here: the settings must be there before Django is touched.
    import django
    from django.core.management import call_command
    from whitenoise.compress import main as compress

    django.setup()
    call_command("collectstatic", interactive=False, verbosity=1)
    return compress(["--quiet", str(DIRECTORY)]) or 0


if __name__ == "__main__":
    sys.exit(main())
