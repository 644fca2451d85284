"""The entry point of an asynchronous web server."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sins.settings")

application = get_asgi_application()
