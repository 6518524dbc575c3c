"""What a view may say of its session: on functions, sync and async, on class-based views, and in REST framework."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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

_NOT_RECENT = {"detail": "Sign in again to do this.", "code": "reauthentication_required"}


class _Option(NamedTuple):
    """What stands around a view: called with what goes on to it, its request, and whether clients are programs."""

    sync: Callable[[Callable[[], Any], HttpRequest, bool], Any]
    asynchronous: Callable[[Callable[[], Awaitable[Any]], HttpRequest, bool], Awaitable[Any]]


def session_disabled(view: V) -> V:
    """The view has no session: whoever asks for it there, or for ``request.user``, gets ``SessionDisabled``, until the
    response is rendered.

    So that a page that costs no store access, and may be cached for everybody, stays one. Middleware that asks for the
    session around the view, such as ``LoginRequiredMiddleware``, has it.
    """

    def sync(go_on: Callable[[], Any], request: HttpRequest, is_api: bool) -> Any:
        with _disabled(request) as lasting:
            return lasting(go_on())

    async def asynchronous(go_on: Callable[[], Awaitable[Any]], request: HttpRequest, is_api: bool) -> Any:
        with _disabled(request) as lasting:
            return lasting(await go_on())

    return cast("V", _around(view, _Option(sync, asynchronous)))


@contextmanager
def _disabled(request: HttpRequest) -> Iterator[Callable[[Any], Any]]:
    """Gives a function that takes the response, which may be rendered only after the view is over."""
    engine = engine_of(request)
    engine.disable()
    is_over = True

    def lasting(response: Any) -> Any:
        nonlocal is_over
        if not getattr(response, "is_rendered", True):
            is_over = False
            response.add_post_render_callback(lambda rendered: engine.enable())
        return response

    try:
        yield lasting
    finally:
        if is_over:
            engine.enable()


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
        is_good = is_known and is_recent(session, seconds) and (user is None or is_of_session(request, user))
        return go_on() if is_good else _refused(request, session, url, is_api)

    async def asynchronous(go_on: Callable[[], Awaitable[Any]], request: HttpRequest, is_api: bool) -> Any:
        user: Any = await request.auser() if hasattr(request, "auser") else None
        is_known = user is None or user.is_authenticated
        session = await engine_of(request).aget_typed_session()
        is_good = is_known and is_recent(session, seconds) and (user is None or is_of_session(request, user))
        return await go_on() if is_good else _refused(request, session, url, is_api)

    def decorate(view: V) -> V:
        api_view: Any = getattr(view, "cls", view)
        if _is_api(api_view):
            _require_recent_auth_in_api(api_view, seconds)
            return view
        return cast("V", _around(view, _Option(sync, asynchronous)))

    return decorate


def _require_recent_auth_in_api(view_class: Any, seconds: int) -> None:
    """In REST framework who the user is, is known in the middle of ``initial``, and may not be the session's."""
    check_permissions = view_class.check_permissions

    @wraps(check_permissions)
    def checked(self: Any, request: Any) -> None:
        check_permissions(self, request)
        if not (is_recent(engine_of(request).typed_session, seconds) and is_of_session(request, request.user)):
            self.permission_denied(request, message=_NOT_RECENT, code=_NOT_RECENT["code"])

    view_class.check_permissions = checked


def is_recent(session: TypedSession, seconds: int) -> bool:
    """Whether the session's user has signed in, or confirmed the password, in the last ``seconds``."""
    signed_in = session.authenticated_at
    if signed_in is None or not session.is_authenticated:
        return False
    return clock.now() - signed_in.timestamp() <= seconds


def is_of_session(request: object, user: Any) -> bool:
    """Whether ``user`` is whom the session has signed in, and nobody who came with another credential."""
    primary_key = getattr(getattr(user, "_meta", None), "pk", None)
    return primary_key is not None and bool(engine_of(request).facts.user == primary_key.value_to_string(user))


def _refused(request: HttpRequest, session: TypedSession, url: str | None, is_api: bool) -> HttpResponseBase:
    if not is_api and engine_of(request).source is Source.COOKIE:
        there = url if url and session.is_authenticated else django_settings.LOGIN_URL
        return redirect_to_login(request.get_full_path(), resolve_url(there))
    if session.is_authenticated:
        return JsonResponse(_NOT_RECENT, status=403)
    said = {"detail": "Sign in to do this.", "code": "not_authenticated"}
    return JsonResponse(said, status=401, headers={"WWW-Authenticate": CHALLENGE})


def _around(view: Any, option: _Option) -> Any:
    """``view`` with ``option`` around each call of it."""
    if inspect.isclass(view):
        if not hasattr(view, "dispatch"):
            raise TypeError(f"{view.__name__} is no view: it has no dispatch().")
        view.dispatch = _method_around(view.dispatch, option)  # type: ignore[attr-defined]  # every view class has it
        return view
    is_api = _is_api(getattr(view, "cls", None))  # what a REST framework view function was made of
    # What method_decorator gives is a part of a view, whose dispatch is a plain function even if it is async.
    owner = getattr(getattr(view, "func", None), "__self__", None)
    if iscoroutinefunction(view) or getattr(owner, "view_is_async", False):

        @wraps(view)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return await option.asynchronous(partial(view, *args, **kwargs), _request_among(args, kwargs), is_api)

        return asynchronous

    @wraps(view)
    def sync(*args: Any, **kwargs: Any) -> Any:
        request = _request_among(args, kwargs)
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


def _request_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpRequest:
    """Of a function it is the first argument, and of a method the second."""
    for argument in (*args[:2], kwargs.get("request")):
        request = getattr(argument, "_request", argument)
        if isinstance(request, HttpRequest):
            return request
    raise TypeError("This decorator is for views, which have the request as their first argument.")


def _is_of_rest_framework(args: tuple[Any, ...]) -> bool:
    return any(hasattr(argument, "_request") for argument in args[:2])
