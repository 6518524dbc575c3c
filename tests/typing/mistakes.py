"""Mistakes that a type checker finds for a project. Read by checkers, never run.

Each line with a mistake says which error mypy gives for it. pyright heeds the same comments. Either of the two
complains of a comment on a line that it finds good.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.views.generic import View
from rest_framework.views import APIView

from tests.sessions import CartLine, ShopSession
from typed_sessions import (
    AuthUserSession,
    TypedRequest,
    TypedSessionMixin,
    aget_session,
    get_session,
    session_field,
)


def by_function(request: HttpRequest) -> None:
    session = get_session(request, ShopSession)
    session.basket.append(CartLine("a"))  # type: ignore[attr-defined]
    session.currency = 5  # type: ignore[assignment]
    session.cart = [1]  # type: ignore[list-item]
    session.id = "0123"  # type: ignore[misc]
    session.time_to_live(60)  # type: ignore[call-arg]
    get_session(request, int)  # type: ignore[type-var]
    get_session(request, "ShopSession")  # type: ignore[arg-type]
    ShopSession.of(request).pageviews += 1  # type: ignore[attr-defined]
    _number: int = get_session(request, ShopSession).email  # type: ignore[assignment]
    _ = request.typed_session  # type: ignore[attr-defined]


async def by_await(request: HttpRequest) -> None:
    _ = aget_session(request, ShopSession).currency  # type: ignore[attr-defined]
    _ = (await aget_session(request, ShopSession)).basket  # type: ignore[attr-defined]


def by_annotation(request: TypedRequest[ShopSession]) -> None:
    _ = request.typed_session.basket  # type: ignore[attr-defined]
    request.typed_session.page_views = "many"  # type: ignore[assignment]
    request.typed_session = AuthUserSession()  # type: ignore[assignment]


def wrong_parameter(request: TypedRequest[int]) -> None: ...  # type: ignore[type-var]


class ShopView(TypedSessionMixin[ShopSession], View):
    def get(self) -> None:
        _ = self.typed_session.basket  # type: ignore[attr-defined]
        self.typed_session.currency = 5  # type: ignore[assignment]
        self.typed_session = ShopSession()  # type: ignore[misc]


class ShopApi(TypedSessionMixin[ShopSession], APIView):
    def get(self) -> None:
        _ = self.typed_session.basket  # type: ignore[attr-defined]


@dataclass
class ProjectSession(AuthUserSession):
    wrong_default: int = session_field(default="0")  # type: ignore[assignment]
    wrong_factory: list[int] = session_field(default_factory=dict)  # type: ignore[arg-type]
    no_default: int = session_field()  # type: ignore[call-overload]
    wrong_rule: int = session_field(default=0, merge="sum")  # type: ignore[call-overload]
    wrong_option: int = session_field(default=0, secret="yes")  # type: ignore[call-overload]
