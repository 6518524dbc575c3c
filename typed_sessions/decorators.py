"""What a view may say of its session: on functions, sync and async, on class-based views, and in REST framework."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings as django_settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url

from . import clock
from .session import TypedSession, engine_of
from .transports import CHALLENGE, Source

V = TypeVar("V", bound=Callable[..., Any])


class _Option(NamedTuple):
    """What stands around a view: called with what goes on to it, its request, and whether clients are programs."""

    sync: Callable[[Callable[[], Any], HttpRequest, bool], Any]
    asynchronous: Callable[[Callable[[], Awaitable[Any]], HttpRequest, bool], Awaitable[Any]]


def session_disabled(view: V) -> V:
    """The view has no session: whoever asks for it there, or for ``request.user``, gets ``SessionDisabled``.

    So that a page that costs no store access, and may be cached for everybody, stays one.
    """

    def sync(go_on: Callable[[], Any], request: HttpRequest, is_api: bool) -> Any:
        with engine_of(request).disabled():
            return go_on()

    async def asynchronous(go_on: Callable[[], Awaitable[Any]], request: HttpRequest, is_api: bool) -> Any:
        with engine_of(request).disabled():
            return await go_on()

    return cast("V", _around(view, _Option(sync, asynchronous)))


def recent_auth_required(seconds: int, url: str | None = None) -> Callable[[V], V]:
    """The view asks for a sign-in that is at most ``seconds`` old, whoever the user is.

    Whoever is signed in for longer is sent to ``url`` (a path or the name of a URL, by default ``LOGIN_URL``) with
    ``next``, and comes back from there; ``typed_sessions.views.ConfirmPasswordView`` asks for the password alone.
    Whoever is not signed in is sent to ``LOGIN_URL``. A view of REST framework, and one
    whose request has its session by header, answers with 403 and the code ``reauthentication_required``, or with 401 if
    nobody is signed in. Raises ``TypeError`` for anything but a number of seconds.
    """
    given: object = seconds  # a forgotten pair of brackets would pass the view here
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise TypeError(f"Use it with a number of seconds, as @recent_auth_required(300), and not {seconds!r}.")

    def sync(go_on: Callable[[], Any], request: HttpRequest, is_api: bool) -> Any:
        user: Any = getattr(request, "user", None)
        is_known = user is None or user.is_authenticated  # asked first: it may end the session
        session = engine_of(request).typed_session
        return go_on() if is_known and is_recent(session, seconds) else _refused(request, session, url, is_api)

    async def asynchronous(go_on: Callable[[], Awaitable[Any]], request: HttpRequest, is_api: bool) -> Any:
        user: Any = await request.auser() if hasattr(request, "auser") else None
        is_known = user is None or user.is_authenticated
        session = await engine_of(request).aget_typed_session()
        return await go_on() if is_known and is_recent(session, seconds) else _refused(request, session, url, is_api)

    return lambda view: _around(view, _Option(sync, asynchronous))


def is_recent(session: TypedSession, seconds: int) -> bool:
    """Whether the session's user has signed in, or confirmed the password, in the last ``seconds``."""
    signed_in = session.authenticated_at
    if signed_in is None or not session.is_authenticated:
        return False
    return clock.now() - signed_in.timestamp() <= seconds


def _refused(request: HttpRequest, session: TypedSession, url: str | None, is_api: bool) -> HttpResponseBase:
    if not is_api and engine_of(request).source is Source.COOKIE:
        there = url if url and session.is_authenticated else django_settings.LOGIN_URL
        return redirect_to_login(request.get_full_path(), resolve_url(there))
    if session.is_authenticated:
        said = {"detail": "Sign in again to do this.", "code": "reauthentication_required"}
        return JsonResponse(said, status=403)
    said = {"detail": "Sign in to do this.", "code": "not_authenticated"}
    return JsonResponse(said, status=401, headers={"WWW-Authenticate": CHALLENGE})


def _around(view: Any, option: _Option) -> Any:
    """``view`` with ``option`` around each call of it."""
    if inspect.isclass(view):
        view.dispatch = _method_around(view.dispatch, option)  # type: ignore[attr-defined]  # every view class has it
        return view
    is_api = _is_api(getattr(view, "cls", None))  # what a REST framework view function was made of
    if iscoroutinefunction(view):

        @wraps(view)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return await option.asynchronous(partial(view, *args, **kwargs), _request_among(args), is_api)

        return asynchronous

    @wraps(view)
    def sync(*args: Any, **kwargs: Any) -> Any:
        request = _request_among(args)
        return option.sync(partial(view, *args, **kwargs), request, is_api or _is_of_rest_framework(args))

    return sync


def _method_around(dispatch: Callable[..., Any], option: _Option) -> Callable[..., Any]:
    @wraps(dispatch)
    def around(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # An async view's dispatch is a plain function too; what it returns is to be awaited.
        wrapper = option.asynchronous if getattr(self, "view_is_async", False) else option.sync
        return wrapper(partial(dispatch, self, request, *args, **kwargs), request, _is_api(type(self)))

    return around


def _is_api(view_class: Any) -> bool:
    """Whether it is a view of REST framework, which need not be installed."""
    return hasattr(view_class, "authentication_classes")


def _request_among(args: tuple[Any, ...]) -> HttpRequest:
    """Of a function it is the first argument, and of a method the second."""
    for argument in args[:2]:
        request = getattr(argument, "_request", argument)
        if isinstance(request, HttpRequest):
            return request
    raise TypeError("This decorator is for views, which have the request as their first argument.")


def _is_of_rest_framework(args: tuple[Any, ...]) -> bool:
    return any(hasattr(argument, "_request") for argument in args[:2])
