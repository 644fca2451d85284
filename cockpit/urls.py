"""Addresses of the pages around the modules."""

from __future__ import annotations

from django.urls import path

from cockpit import views

app_name = "cockpit"

urlpatterns = [
    path("", views.home, name="home"),
    path("audit/", views.audit_page, name="audit"),
    path("reports/transactions/", views.transactions_page, name="transactions"),
    path("reports/transactions.csv", views.transactions_file, name="transactions-file"),
    path("reports/counts.csv", views.counts_file, name="counts-file"),
    path("sync/", views.sync_page, name="sync"),
    path("sync/retry", views.retry, name="retry"),
    path("theme/", views.choose_theme, name="theme"),
]
