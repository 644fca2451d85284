"""The entry point of the web server: ``gunicorn sins.wsgi``."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from sins.collector import collect_rarely

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sins.settings")

collect_rarely()
application = get_wsgi_application()
