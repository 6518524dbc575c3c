"""What a project writes with our types, with nothing for a type checker to complain of. Read by checkers, never run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.generic import TemplateView, View
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from typing_extensions import assert_type

from tests.sessions import CartLine, ShopSession
from typed_sessions import (
    AuthUserSession,
    EndReason,
    SessionMode,
    SessionStatus,
    TypedRequest,
    TypedSession,
    TypedSessionMixin,
    aget_session,
    get_session,
    session_field,
    urn,
)
from typed_sessions.auth import alogin, alogout, login, logout


def by_function(request: HttpRequest) -> HttpResponse:
    session = get_session(request, ShopSession)
    assert_type(session, ShopSession)
    assert_type(session.cart, list[CartLine])
    assert_type(session.cart[0].quantity, int)
    assert_type(session.email, str | None)
    session.cart.append(CartLine("sku"))
    session.page_views += 1
    return HttpResponse(session.currency)


def by_classmethod(request: HttpRequest) -> str:
    assert_type(ShopSession.of(request), ShopSession)
    assert_type(AuthUserSession.of(request), AuthUserSession)
    return ShopSession.of(request).currency


async def by_await(request: HttpRequest) -> HttpResponse:
    session = await aget_session(request, ShopSession)
    assert_type(session, ShopSession)
    return HttpResponse(session.currency)


@login_required
def by_annotation(request: TypedRequest[ShopSession], sku: str) -> HttpResponse:
    assert_type(request.typed_session, ShopSession)
    assert_type(request.method, str | None)
    request.typed_session.cart.append(CartLine(sku))
    request.typed_session = ShopSession(currency="USD")
    assert_type(get_session(request, ShopSession), ShopSession)
    return HttpResponse(status=204)


class ShopView(TypedSessionMixin[ShopSession], View):
    def get(self, request: HttpRequest) -> HttpResponse:
        assert_type(self.typed_session, ShopSession)
        return HttpResponse(self.typed_session.currency)


class AsyncShopView(TypedSessionMixin[ShopSession], View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        session = await self.aget_typed_session()
        assert_type(session, ShopSession)
        return HttpResponse(session.currency)


class ShopPage(TypedSessionMixin[ShopSession], TemplateView):
    template_name = "shop.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(cart=self.typed_session.cart, **kwargs)


class ShopApi(TypedSessionMixin[ShopSession], APIView):
    def get(self, request: Request) -> Response:
        assert_type(self.typed_session, ShopSession)
        assert_type(get_session(request, ShopSession), ShopSession)
        return Response({"views": self.typed_session.page_views})


urlpatterns = [
    path("function", by_function),
    path("await", by_await),
    path("annotation/<sku>", by_annotation),
    path("view", ShopView.as_view()),
    path("page", ShopPage.as_view()),
    path("api", ShopApi.as_view()),
]


def total(base: dict[str, int], mine: dict[str, int], theirs: dict[str, int]) -> dict[str, int]:
    return {**theirs, **mine}


@dataclass
class ProjectSession(AuthUserSession):
    schema_name: ClassVar[str] = "project"
    schema_version: ClassVar[int] = 2

    count: int = session_field(default=0, merge="add", carry_over=False)
    note: str | None = session_field(default=None, secret=True, renamed_from="remark")
    tags: list[str] = session_field(default_factory=list, merge="union", renamed_from=["labels", "words"])
    sums: dict[str, int] = session_field(default_factory=dict, merge=total, kw_only=True)
    plain: set[int] = field(default_factory=set)

    @classmethod
    def upgrade(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        return data

    def on_created(self, request: HttpRequest | None) -> None:
        self.count += 1


def facts(session: TypedSession) -> None:
    assert_type(session.id, str | None)
    assert_type(session.urn, str | None)
    assert_type(session.mode, SessionMode)
    assert_type(session.status, SessionStatus)
    assert_type(session.end_reason, EndReason | None)
    assert_type(session.is_new, bool)
    assert_type(session.is_authenticated, bool)
    assert_type(session.created_at, datetime | None)
    assert_type(session.expires_at, datetime | None)
    assert_type(session.time_to_live(), timedelta | None)
    assert_type(urn("0123"), str)


async def signing_in(request: HttpRequest, user: User) -> None:
    login(request, user, remember=True)
    logout(request)
    await alogin(request, user)
    await alogout(request)


def helpers(session: AuthUserSession) -> None:
    assert_type(session.has_any_role("staff", "editor"), bool)
    assert_type(session.has_permission("shop.view"), bool)
    assert_type(session.roles, list[str])
    assert_type(session.meta, dict[str, str])
