"""The routes of the package, and those of views that a test brings."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.views import APIView

from tests.rest_framework.clients import API

_views: dict[str, Any] = {}


def address(view: type[APIView]) -> str:
    """The path under which the view answers until `forget`."""
    name = str(id(view))
    _views[name] = view.as_view()
    return f"{API}views/{name}/"


def forget() -> None:
    _views.clear()


def _page(request: HttpRequest, name: str) -> HttpResponseBase:
    answer: HttpResponseBase = _views[name](request)
    return answer


_page.csrf_exempt = True  # type: ignore[attr-defined]  # as a view of REST framework is

urlpatterns = [
    path("api/", include("typed_sessions.rest_framework.urls")),
    path("api/views/<name>/", _page),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
]
