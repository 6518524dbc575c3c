"""Typed ways to a request's session, for views and for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from django.http import HttpRequest

from . import tokens, transports
from .session import TypedSession, engine_of
from .states import SessionMode

if TYPE_CHECKING:
    from typing_extensions import Self

S = TypeVar("S", bound=TypedSession)


class SessionAttribute:
    """``request.typed_session``, put on ``HttpRequest`` by the app: every request has it, or says what is missing."""

    @overload
    def __get__(self, request: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, request: HttpRequest, owner: type | None = None) -> TypedSession: ...
    def __get__(self, request: HttpRequest | None, owner: type | None = None) -> Self | TypedSession:
        return self if request is None else cast("TypedSession", engine_of(request).typed_session)

    def __set__(self, request: HttpRequest, session: TypedSession) -> None:
        engine_of(request).typed_session = session


def permanent_id(request: HttpRequest) -> str | None:
    """The id of the permanent token this client has, whether or not it opens a session.

    With ``PERMANENT_ID="always"`` every browser has one from its second request on, and keeps it until somebody signs
    in or out. It is nothing that signs anybody in.
    """
    engine_of(request).is_looked_at = True
    presented = transports.read(request)
    token = tokens.read(presented.token if presented.mode is SessionMode.PERM else presented.other)
    return token.id if token and token.mode is SessionMode.PERM else None


class TypedRequest(HttpRequest, Generic[S]):
    """A request whose ``typed_session`` is an ``S``, for annotations: ``request: TypedRequest[ShopSession]``."""

    if TYPE_CHECKING:
        typed_session: S


class TypedSessionMixin(Generic[S]):
    """For class-based views and REST framework views: ``class Cart(TypedSessionMixin[ShopSession], TemplateView)``."""

    if TYPE_CHECKING:
        request: Any

    @property
    def typed_session(self) -> S:
        """The request's session: the same object as ``request.typed_session``."""
        return cast("S", engine_of(self.request).typed_session)

    async def aget_typed_session(self) -> S:
        """``typed_session`` for async handlers."""
        return cast("S", await engine_of(self.request).aget_typed_session())
