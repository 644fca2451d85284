"""How gunicorn serves a location; its command line and GUNICORN_CMD_ARGS win over this."""

from __future__ import annotations

import os

from sins.logs import logging_configuration

wsgi_app = "sins.wsgi"
bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
preload_app = True
# Several locations may run on one machine, and nobody uses it.
control_socket_disable = True
# A line per request is written by sins.middleware, without addresses.
accesslog = None
logconfig_dict = logging_configuration(os.environ.get("LOCATION_ID", ""))
del logconfig_dict["shared_processors"]
