"""Addresses of the customers' API below ``/api/v1/``, each with and without its final slash."""

from __future__ import annotations

from django.urls import path

from customers.api_conflicts import ConflictsView, ConflictView, ResolveView
from customers.api_customers import CustomerRestoreView, CustomersView, CustomerView
from customers.api_entities import EntitiesView, EntityView
from customers.api_time import AsOfView, DiffView, HistoryView

urlpatterns = [
    path("customers", CustomersView.as_view(), name="api-customers"),
    path("customers/<str:entity_uid>", CustomerView.as_view(), name="api-customer"),
    path(
        "customers/<str:entity_uid>/restore",
        CustomerRestoreView.as_view(),
        name="api-customer-restore",
    ),
    path("entities", EntitiesView.as_view(), name="api-entities"),
    path("entities/<str:entity_uid>", EntityView.as_view(), name="api-entity"),
    path("entities/<str:entity_uid>/history", HistoryView.as_view(), name="api-history"),
    path("entities-asof", AsOfView.as_view(), name="api-as-of"),
    path("conflicts", ConflictsView.as_view(), name="api-conflicts"),
    path("conflicts/resolve", ResolveView.as_view(), name="api-conflicts-resolve"),
    path("conflicts/<str:item_id>", ConflictView.as_view(), name="api-conflict"),
    path("diff", DiffView.as_view(), name="api-diff"),
]
