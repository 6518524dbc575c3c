"""The pages that are asked for: each does one thing to its session, on Django's engines and on ours."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache

from django.contrib.auth import get_user, login, logout
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import path

from typed_sessions import aget_session, get_session

from . import content
from .content import ShopSession

_TYPED, _PLAIN = content.typed(), content.plain()

meetings: list[Callable[[], object]] = []
"""What a view does between reading the session and changing it, as others come in between."""


@lru_cache(maxsize=1)
def customer() -> User:
    """The one who signs in."""
    user = User.objects.create_user("ada.lovelace", "ada.lovelace@example.com", "analytical")
    user.groups.add(Group.objects.create(name="customer"))
    return user


def customer_id() -> str:
    return str(customer().pk)


def unused(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")


async def aunused(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")


def sign_in(request: HttpRequest) -> HttpResponse:
    login(request, copy.copy(customer()))  # a new object, as from a query: a user remembers its permissions
    return HttpResponse("welcome")


def sign_out(request: HttpRequest) -> HttpResponse:
    request.user = get_user(request)  # as AuthenticationMiddleware has it
    logout(request)
    return HttpResponse("bye")


def typed_read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_session(request, ShopSession).currency)


async def typed_aread(request: HttpRequest) -> HttpResponse:
    return HttpResponse((await aget_session(request, ShopSession)).currency)


def typed_change(request: HttpRequest) -> HttpResponse:
    get_session(request, ShopSession).page_views += 1
    return HttpResponse("counted")


def typed_first(request: HttpRequest) -> HttpResponse:
    request.typed_session = _TYPED  # type: ignore[attr-defined]  # the app puts it on HttpRequest
    return HttpResponse("begun")


def plain_read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.session["currency"])


async def plain_aread(request: HttpRequest) -> HttpResponse:
    return HttpResponse(await request.session.aget("currency"))


def plain_change(request: HttpRequest) -> HttpResponse:
    request.session["page_views"] += 1
    return HttpResponse("counted")


def plain_first(request: HttpRequest) -> HttpResponse:
    request.session.update(_PLAIN)
    return HttpResponse("begun")


def typed_visit(request: HttpRequest) -> HttpResponse:
    get_session(request, ShopSession).visits += 1
    return _met("counted")


def typed_nested(request: HttpRequest) -> HttpResponse:
    get_session(request, ShopSession).cart[0].quantity += 1
    return HttpResponse("one more")


def plain_visit(request: HttpRequest) -> HttpResponse:
    request.session["visits"] += 1
    return _met("counted")


def plain_nested(request: HttpRequest) -> HttpResponse:
    request.session["cart"][0]["quantity"] += 1
    return HttpResponse("one more")


def own(request: HttpRequest, number: int) -> HttpResponse:
    request.session[f"own {number}"] = number
    return _met("noted")


def _met(answer: str) -> HttpResponse:
    for meeting in meetings:
        meeting()
    return HttpResponse(answer)


urlpatterns = [
    path("typed/visit", typed_visit),
    path("typed/nested", typed_nested),
    path("plain/visit", plain_visit),
    path("plain/nested", plain_nested),
    path("own/<int:number>", own),
    path("unused", unused),
    path("aunused", aunused),
    path("sign-in", sign_in),
    path("sign-out", sign_out),
    path("typed/read", typed_read),
    path("typed/aread", typed_aread),
    path("typed/change", typed_change),
    path("typed/first", typed_first),
    path("plain/read", plain_read),
    path("plain/aread", plain_aread),
    path("plain/change", plain_change),
    path("plain/first", plain_first),
]
