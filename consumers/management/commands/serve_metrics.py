"""``manage.py serve_metrics``: Prometheus's view of this location, on an address of its own."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from prometheus_client import start_http_server

from consumers.metrics import registry
from events.loops import stop_on_signals


class Command(BaseCommand):
    help = "Serve /metrics at METRICS_ADDRESS; nobody is asked who they are there."

    def handle(self, *args: Any, **options: Any) -> None:
        host, _, port = settings.METRICS_ADDRESS.rpartition(":")
        stop = stop_on_signals()
        try:
            server, thread = start_http_server(int(port), host, registry())
        except OSError as exc:
            raise CommandError(
                f"{settings.METRICS_ADDRESS}: {exc.strerror}.", returncode=2
            ) from exc
        stop.wait()
        server.shutdown()
        thread.join()
        server.server_close()
