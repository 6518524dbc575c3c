"""What a view asks of the session that a request comes with, and where those are sent whose session is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeVar, cast, overload
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, JsonResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.functional import Promise

from .around import Option, around
from .exceptions import StoreUnavailable
from .session import TypedSession, engine_of
from .states import SessionStatus
from .transports import CHALLENGE, Source

V = TypeVar("V", bound=Callable[..., Any])
Address = str | Promise
"""A path, the name of a URL, or what ``reverse_lazy`` gives."""

PARAMETER: Final = "session"
"""Of the query of the page that people are sent to: one of the keys below, as text."""

_DETAILS: Final = {
    SessionStatus.EXPIRED: "The session has expired. Sign in again.",
    SessionStatus.ENDED: "The session has ended. Sign in again.",
    SessionStatus.LOST: "The session has been lost. Sign in again.",
    SessionStatus.FRESH: "There is no session. Sign in to do this.",
}
"""What became of a session that is not live. A token that is none is as good as no token."""


@overload
def session_required(view: V) -> V: ...
@overload
def session_required(
    view: None = None,
    *,
    url: Address | None = None,
    expired_url: Address | None = None,
    ended_url: Address | None = None,
    lost_url: Address | None = None,
    fresh_url: Address | None = None,
    on_unavailable: Literal["error", "anonymous"] = "error",
) -> Callable[[V], V]: ...
def session_required(
    view: Any = None,
    *,
    url: Address | None = None,
    expired_url: Address | None = None,
    ended_url: Address | None = None,
    lost_url: Address | None = None,
    fresh_url: Address | None = None,
    on_unavailable: Literal["error", "anonymous"] = "error",
) -> Any:
    """The view needs a live session, whether or not anybody is signed in by it.

    Whoever has none is sent to the address given for what became of it, or else to ``url``, or else to ``LOGIN_URL``:
    ``expired_url`` and ``ended_url`` for sessions that were over, ``lost_url`` for one that the store does not have any
    more, and ``fresh_url`` for who showed none, or none of ours. An address is a path or the name of a URL; it gets
    ``next``, and ``session`` with the word for it: ``expired``, ``ended``, ``lost`` or ``fresh``. A view of REST
    framework, and one whose request has its session by header, answers with 401 and that word as ``code``, and with
    ``reason`` if more is known.

    If the store does not answer, that is a 503. With ``on_unavailable="anonymous"`` the view runs instead, with an
    empty session of the status ``unavailable``; what would change that is the 503 after all. Raises ``TypeError`` for
    other arguments.
    """
    addresses = {
        SessionStatus.EXPIRED: expired_url,
        SessionStatus.ENDED: ended_url,
        SessionStatus.LOST: lost_url,
        SessionStatus.FRESH: fresh_url,
    }
    for address in (url, *addresses.values()):
        if address is not None and not _is_address(address):
            raise TypeError(f"An address is a path or the name of a URL, and not {address!r}.")
    if on_unavailable not in ("error", "anonymous"):
        raise TypeError(f'on_unavailable is "error" or "anonymous", and not {on_unavailable!r}.')
    if view is not None and not callable(view):
        raise TypeError(f"@session_required stands before a view; its addresses go by name, and {view!r} has none.")
    given = {status: url if address is None else address for status, address in addresses.items()}
    option = _option(given, on_unavailable == "anonymous")

    def decorate(view: V) -> V:
        return cast("V", around(view, option))

    return decorate if view is None else decorate(view)


def _is_address(given: object) -> bool:
    return isinstance(given, Promise) or (isinstance(given, str) and given != "")


def _option(addresses: Mapping[SessionStatus, Address | None], goes_without: bool) -> Option:
    def prepared(request: HttpRequest) -> Any:
        engine = engine_of(request)
        if goes_without:
            engine.allow_anonymous()
        return engine

    def refusal(request: HttpRequest, session: TypedSession, is_api: bool) -> HttpResponseBase | None:
        if session.status is SessionStatus.LIVE:
            return None
        if session.status is SessionStatus.UNAVAILABLE:
            if goes_without:
                return None
            raise StoreUnavailable("The session could not be read, and the view needs one")
        return _refused(request, session, addresses, is_api)

    def sync(go_on: Callable[[], Any], request: HttpRequest, is_api: bool) -> Any:
        refused = refusal(request, prepared(request).typed_session, is_api)
        return go_on() if refused is None else refused

    async def asynchronous(go_on: Callable[[], Awaitable[Any]], request: HttpRequest, is_api: bool) -> Any:
        refused = refusal(request, await prepared(request).aget_typed_session(), is_api)
        return await go_on() if refused is None else refused

    return Option(sync, asynchronous)


def _refused(
    request: HttpRequest, session: TypedSession, addresses: Mapping[SessionStatus, Address | None], is_api: bool
) -> HttpResponseBase:
    status = session.status if session.status in _DETAILS else SessionStatus.FRESH
    if answers_people(request, is_api):
        return sent_to(request, addresses[status] or django_settings.LOGIN_URL, **{PARAMETER: status.value})
    reason = {"reason": session.end_reason.value} if session.end_reason else {}
    return unauthorized(_DETAILS[status], status.value, **reason)


# How those are answered whose session is not good enough


def answers_people(request: HttpRequest, is_api: bool) -> bool:
    """Whether there is somebody to be sent to another page, and no program."""
    return not is_api and engine_of(request).source is Source.COOKIE


def sent_to(request: HttpRequest, url: Address, **query: str) -> HttpResponseBase:
    """A redirect to the page ``url``, from which people come back here."""
    there = urlsplit(resolve_url(str(url)))
    parameters = QueryDict(there.query, mutable=True)
    for name, value in query.items():
        parameters[name] = value
    return redirect_to_login(request.get_full_path(), there._replace(query=parameters.urlencode(safe="/")).geturl())


def unauthorized(detail: str, code: str, **more: str) -> HttpResponseBase:
    """The answer to a program that has to show who it is."""
    said = {"detail": detail, "code": code, **more}
    return JsonResponse(said, status=401, headers={"WWW-Authenticate": CHALLENGE})
