"""Members to sign in as, and pages that only some of them may see."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Member
from accounts.roles import AGENT, PROVIDER, HasRole, require_role
from accounts.tests.people import PASSWORD, MakeMember


@pytest.fixture(autouse=True)
def _fresh_limits(db: None) -> Iterator[None]:
    """Let no test start with the attempts of another."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def make_member(db: None) -> MakeMember:
    """Return a function that makes a member with the roles named."""

    def make(username: str, *roles: str, is_active: bool = True) -> Member:
        return Member.objects.create_user(
            username, PASSWORD, roles=list(roles), is_active=is_active
        )

    return make


@require_role(AGENT, PROVIDER)
def _page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("seen")


class _View(APIView):
    permission_classes = (HasRole(AGENT, PROVIDER),)

    def get(self, request: Request) -> Response:
        return Response({"seen": True})


class _Forgetful(APIView):
    """Names no roles."""

    def get(self, request: Request) -> Response:
        return Response({"seen": True})


@pytest.fixture
def probes(settings: Settings) -> None:
    """Add to the project's addresses a page and two API views to be refused at."""
    urls = ModuleType("probes")
    urls.__dict__["urlpatterns"] = [
        path("probe/page", _page),
        path("probe/api", _View.as_view()),
        path("probe/forgetful", _Forgetful.as_view()),
        path("", include(settings.ROOT_URLCONF)),
    ]
    settings.ROOT_URLCONF = urls
