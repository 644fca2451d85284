"""Sign-in and sign-out: all of allauth's pages that exist here."""

from __future__ import annotations

from allauth.account.views import LoginView, LogoutView
from django.urls import path

urlpatterns = [
    path("accounts/login/", LoginView.as_view(), name="account_login"),
    path("accounts/logout/", LogoutView.as_view(), name="account_logout"),
]
