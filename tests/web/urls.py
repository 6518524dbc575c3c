"""Where the tests put their views, beside those of Django that use the session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import include, path

View = Callable[[Any], Any]
"""Takes the request. What it returns, unless that is a response, is shown as text."""

_views: dict[str, View] = {}


def address(view: View) -> str:
    """The path under which the view answers until `forget`; an async view answers natively."""
    name = str(id(view))
    _views[name] = view
    return f"/{'async' if iscoroutinefunction(view) else 'sync'}/{name}"


def forget() -> None:
    _views.clear()


def _page(request: HttpRequest, name: str) -> HttpResponseBase:
    return _response(_views[name](request))


async def _async_page(request: HttpRequest, name: str) -> HttpResponseBase:
    return _response(await cast("Awaitable[Any]", _views[name](request)))


def _response(answer: object) -> HttpResponseBase:
    return answer if isinstance(answer, HttpResponseBase) else HttpResponse(str(answer))


urlpatterns = [
    path("sync/<name>", _page),
    path("async/<name>", _async_page),
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
]
