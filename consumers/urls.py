"""The peer routes, below ``sync/``."""

from __future__ import annotations

from django.urls import path

from consumers import peer_routes

app_name = "consumers"

urlpatterns = [
    path("events", peer_routes.events, name="events"),
    path("heads", peer_routes.heads, name="heads"),
    path("digest", peer_routes.digest, name="digest"),
    path("heartbeat", peer_routes.heartbeat_view, name="heartbeat"),
]
