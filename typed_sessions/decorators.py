"""What a view may say of its session: on functions, sync and async, on class-based views, and in REST framework.

Those that only say something, and ask nothing of the visitor, also stand around a part of a view: ``with
session_readonly(request):``, or ``async with``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast, overload

from django.conf import settings as django_settings
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.asyncio import async_unsafe

from . import clock
from .around import Option, Stretch, around, is_api, request_in, stretched
from .exceptions import SessionReadOnly
from .flows import Flow
from .required import answers_people, sent_to, unauthorized
from .required import session_required as session_required
from .session import TypedSession, engine_of
from .stores.record import LONGEST_LEASE

V = TypeVar("V", bound=Callable[..., Any])

_NOT_RECENT = {"detail": "Sign in again to do this.", "code": "reauthentication_required"}


@overload
def session_disabled(target: HttpRequest) -> Stretch: ...
@overload
def session_disabled(target: V) -> V: ...
def session_disabled(target: Any) -> Any:
    """There is no session: whoever asks for it, or for ``request.user``, gets ``SessionDisabled``, until the response
    is rendered.

    So that a page that costs no store access, and may be cached for everybody, stays one. Middleware that asks for the
    session around the view, such as ``LoginRequiredMiddleware``, has it.
    """
    return _said(target, _Disabled)


@overload
def session_readonly(target: HttpRequest) -> Stretch: ...
@overload
def session_readonly(target: V) -> V: ...
def session_readonly(target: Any) -> Any:
    """The session is only read: what changes or saves it raises ``SessionReadOnly``, until the response is rendered.

    A change of a nested value, which nothing announces, is undone and raises it at the end. To end the session is no
    change of it: ``logout()`` and ``flush()`` work. What middleware changes around the view is saved as always.
    """
    return _said(target, _ReadOnly)


@overload
def session_passive(target: HttpRequest) -> Stretch: ...
@overload
def session_passive(target: V) -> V: ...
def session_passive(target: Any) -> Any:
    """The request is no use of the session: it does not make it last longer, as a page must not that polls by itself.

    That goes for the whole request, also if it is said of a part of it, and if something is saved in it. Whoever signs
    in has a session of the usual length all the same.
    """
    return _said(target, _Passive)


@overload
def session_exclusive(target: None = None, *, wait: float = 5, lease: int = 30) -> Callable[[V], V]: ...
@overload
def session_exclusive(target: HttpRequest, *, wait: float = 5, lease: int = 30) -> Stretch: ...
@overload
def session_exclusive(target: V, *, wait: float = 5, lease: int = 30) -> V: ...
def session_exclusive(target: Any = None, *, wait: float = 5, lease: int = 30) -> Any:
    """One request at a time for this session, among those that say so; what it finds is what the one before it saved.

    A request waits ``wait`` seconds at most for its turn, and is then answered 503 (``SessionBusy``). What it has
    changed is saved at the end of its turn, or nothing after an exception or a status of 500 and above. It has the
    session for ``lease`` seconds at most, so that a worker that dies keeps nobody out: who takes longer, and was
    overtaken, gets 409 (``SessionLeaseLost``), and nothing of it is saved. Requests that do not say so wait for nobody,
    and what they change is merged. Raises ``TypeError`` for what are no seconds.
    """
    if not _is_number(wait, int, float) or not 0 <= wait <= LONGEST_LEASE:
        raise TypeError(f"wait is a number of seconds from 0 to {LONGEST_LEASE}, and not {wait!r}.")
    if not _is_number(lease, int) or not 1 <= lease <= LONGEST_LEASE:
        raise TypeError(f"lease is a whole number of seconds from 1 to {LONGEST_LEASE}, and not {lease!r}.")
    make = partial(_Exclusive, wait=wait, lease=lease)
    return partial(_said, make=make) if target is None else _said(target, make)


def _is_number(given: object, *kinds: type) -> bool:
    return isinstance(given, kinds) and not isinstance(given, bool)


def _said(target: Any, make: Callable[[Any], Stretch]) -> Any:
    """``target`` is a view, or the request of which a part is meant."""
    return around(target, stretched(make)) if request_in(target) is None else make(target)


class _Disabled(Stretch):
    def beginning(self) -> Flow[None]:
        self.engine.disable()
        yield from ()

    def ending(self, is_good: bool) -> Flow[None]:
        self.engine.enable()
        yield from ()


class _ReadOnly(Stretch):
    def beginning(self) -> Flow[None]:
        self.engine.begin_read_only()
        yield from ()

    def ending(self, is_good: bool) -> Flow[None]:
        changed = self.engine.end_read_only()
        if changed and is_good:
            raise SessionReadOnly(changed)
        yield from ()


class _Passive(Stretch):
    def beginning(self) -> Flow[None]:
        self.engine.is_passive = True
        yield from ()


class _Exclusive(Stretch):
    def __init__(self, request: object, wait: float, lease: int) -> None:
        super().__init__(request)
        self.wait = wait
        self.lease = lease

    @async_unsafe("Use `async with session_exclusive(request)` in async code: others have to finish while it waits.")
    def __enter__(self) -> None:
        super().__enter__()

    def beginning(self) -> Flow[None]:
        yield from self.engine.take_lease(self.wait, self.lease)

    def ending(self, is_good: bool) -> Flow[None]:
        yield from self.engine.give_lease_back(is_good)


def recent_auth_required(seconds: int, url: str | None = None) -> Callable[[V], V]:
    """The view asks for a sign-in that is at most ``seconds`` old, whoever the user is.

    Whoever is signed in for longer is sent to ``url`` (a path or the name of a URL, by default ``LOGIN_URL``) with
    ``next``, and comes back from there; ``typed_sessions.views.ConfirmPasswordView`` asks for the password alone.
    Whoever is not signed in is sent to ``LOGIN_URL``. A view of REST framework, and one
    whose request has its session by header, answers with 403 and the code ``reauthentication_required``, or with 401 if
    nobody is signed in. Raises ``TypeError`` for anything but a number of seconds.
    """
    if not _is_number(seconds, int) or seconds < 1:  # a forgotten pair of brackets would pass the view here
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
        if is_api(api_view):
            _require_recent_auth_in_api(api_view, seconds)
            return view
        return cast("V", around(view, Option(sync, asynchronous)))

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
    if answers_people(request, is_api):
        return sent_to(request, url if url and session.is_authenticated else django_settings.LOGIN_URL)
    if session.is_authenticated:
        return JsonResponse(_NOT_RECENT, status=403)
    return unauthorized("Sign in to do this.", "not_authenticated")
