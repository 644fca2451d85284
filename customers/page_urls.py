"""Addresses of the customers' pages."""

from __future__ import annotations

from django.urls import path

from customers import conflict_views, form_views, views

app_name = "customers"

urlpatterns = [
    path("customers/", views.customer_list, name="list"),
    path("customers/new", form_views.customer_new, name="new"),
    path("customers/<uuid:entity_uid>/", views.customer_record, name="record"),
    path("customers/<uuid:entity_uid>/edit", form_views.customer_edit, name="edit"),
    path("customers/<uuid:entity_uid>/delete", views.customer_delete, name="delete"),
    path("customers/<uuid:entity_uid>/restore", views.customer_restore, name="restore"),
    path("conflicts/", conflict_views.inbox, name="conflicts"),
    path("conflicts/resolve", conflict_views.resolve, name="resolve"),
]
