"""Addresses of the API that belong to no module: its description, and the audit log."""

from __future__ import annotations

from django.urls import path

from cockpit.api_audit import AuditView
from sins.api_docs import RedocView, SchemaView, SwaggerView, redoc_script

urlpatterns = [
    path("api/v1/audit", AuditView.as_view(), name="api-audit"),
    path("api/schema", SchemaView.as_view(), name="api-schema"),
    path("docs", SwaggerView.as_view(), name="api-docs"),
    path("redoc", RedocView.as_view(), name="api-redoc"),
    path("redoc.js", redoc_script, name="api-redoc-script"),
]
