"""The way of a request: the session is bound when it comes in, and committed when its response is known.

request  -> middleware -> transports.read -> token | nothing
view        request.typed_session -> backend.load -> store.load -> codec.read -> your dataclass
         -> backend.commit -> codec.write -> store.save -> signals
response <- middleware <- transport.write | transport.expire, Vary
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from . import consent, telemetry, transports, users
from .backends.base import SessionStore
from .exceptions import InvalidSessionToken, SessionBusy, SessionConflict, SignInRefused, StoreUnavailable
from .states import SessionStatus
from .tokens import Token
from .transports import Source, Transport

logger = logging.getLogger("typed_sessions")

RETRY_AFTER = 1
"""Seconds, told to clients when the store does not answer."""


class TypedSessionMiddleware(SessionMiddleware):
    """Stands where ``SessionMiddleware`` stood. An async request that does not use its session costs no thread."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if not apps.is_installed("typed_sessions"):  # there are no checks then that could tell
            raise ImproperlyConfigured('INSTALLED_APPS has no "typed_sessions"; add it.')
        super().__init__(get_response)
        if self.async_mode:
            # The sync one would take a thread for each request.
            self.process_view = self._aprocess_view  # type: ignore[method-assign]  # Django asks the instance for it

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        self.process_request(request)
        try:
            response = cast("HttpResponseBase", self.get_response(request))
        except StoreUnavailable as error:  # even Django's own error page may ask the session
            return _unavailable(error)
        return self.process_response(request, response)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)
        get_response = cast("Callable[[HttpRequest], Awaitable[HttpResponseBase]]", self.get_response)
        try:
            response = await get_response(request)
        except StoreUnavailable as error:  # as in __call__
            return _unavailable(error)
        return await self.aprocess_response(request, response)

    def process_request(self, request: HttpRequest) -> None:
        presented = transports.read(request)
        session = self.SessionStore(presented.token)
        if isinstance(session, SessionStore):
            session.bind(request, presented, users.VERIFYING, users.take_back)
            if presented.source is Source.HEADER:
                # No page of another site can send these headers, and cookies do not count beside them.
                request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]  # as Django's test client says it
        request.session = session

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> Any:
        users.install_async(request)  # by now the middleware that makes ``request.auser`` has been there

    async def _aprocess_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> None:
        users.install_async(request)

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        session = getattr(request, "session", None)
        if not isinstance(session, SessionStore):
            return super().process_response(request, cast("HttpResponse", response))
        accessed = session.accessed  # as the view left it: committing looks at it too
        try:
            session.confirm()
            session.leave(is_good=response.status_code < 500)
            if response.status_code < 500:
                users.note_what_was_saved(request, session)
                session.commit()
        except Exception as error:
            if isinstance(error, UpdateError) or not _has_new_token(session):
                return _answer(error)
            response = _response_for(request, error)
        finally:
            session.close()
        return _finish(request, response, accessed)

    async def aprocess_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        session = getattr(request, "session", None)
        if not isinstance(session, SessionStore):
            return await sync_to_async(super().process_response)(request, cast("HttpResponse", response))
        accessed = session.accessed  # as the view left it: committing looks at it too
        try:
            await session.aconfirm()
            await session.aleave(is_good=response.status_code < 500)
            if response.status_code < 500:
                users.note_what_was_saved(request, session)
                await session.acommit()
            await consent.ask(request)
        except Exception as error:
            if isinstance(error, UpdateError) or not _has_new_token(session):
                return _answer(error)
            response = await sync_to_async(_response_for)(request, error)
        finally:
            session.close()
        return _finish(request, response, accessed)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """What a view could not know how to answer: a store that is down, headers that open nothing, a veto, and what
        came of another request of the same session.
        """
        session = getattr(request, "session", None)
        if isinstance(session, SessionStore):
            session.enable()  # rendering failed, and the error page may ask for it
        if isinstance(exception, (StoreUnavailable, SessionBusy, SessionConflict, UpdateError)):
            return _answer(exception)
        if isinstance(exception, InvalidSessionToken):
            return _unauthorized(exception)
        if isinstance(exception, SignInRefused) and isinstance(exception.reason, HttpResponseBase):
            return exception.reason
        return None


def _finish(request: HttpRequest, response: HttpResponseBase, accessed: bool) -> HttpResponseBase:
    session = cast("SessionStore", request.session)
    goes_on = session.is_without_store and not session.facts.has_refused
    is_unavailable = session.facts.status is SessionStatus.UNAVAILABLE and not goes_on
    if response.status_code == 500 and is_unavailable:
        # Another middleware needed the session; what its exception became says nothing of the reason.
        return _unavailable(StoreUnavailable("The session could not be read"))
    if response.status_code == 403 and session.refusal and getattr(response, "_has_been_logged", False):
        response = _unauthorized(session.refusal)  # likewise; PermissionDenied has become a 403
    transport = transports.by(session.source)
    tells = False
    # What the store has done already, by flush() or save() in the view, the client is told whatever the status.
    if (session.is_flushed and session.is_empty()) or (session.is_told and session.is_all_over):
        tells = transport.expire(request, response)
    elif session.facts.token and session.has_stored_token:
        tells = _tell(request, response, session, session.facts.token, transport)
    if not (session.was_disabled or session.is_without_store) and response.status_code < 500:
        tells |= transport.finish(request, response, session.stale_mode)
    if response.streaming:
        # What closes it closes these first; a wrapped iterator would hide from the server that it is a file.
        response._resource_closers.append(session.late_changes())  # type: ignore[attr-defined]  # the stubs leave it out
    if session.is_without_store:
        response["Cache-Control"] = "no-store"  # the visitor may be somebody after all
    if accessed or tells or session.is_looked_at:
        transports.vary(request, response, tells, session.facts.is_authenticated)
    return response


def _tell(
    request: HttpRequest, response: HttpResponseBase, session: SessionStore, token: Token, transport: Transport
) -> bool:
    """Tells the client what it has to learn: a new token, or a later end. Whether there was anything."""
    is_known = session.presents(token)
    if is_known and (not session.has_later_end or session.source is Source.HEADER):
        return False
    max_age = session.get_cookie_age()
    if is_known and max_age is None and not session.has_custom_expiry():
        return False  # the browser has it until it closes
    user, signed_in = session.facts.user, session.has_signed_in
    transport.write(request, response, token, max_age=max_age, user=user, signed_in=signed_in)
    return True


def _has_new_token(session: SessionStore) -> bool:
    """Whether the view has stored the session under a token that the client has not been told yet."""
    token = session.facts.token
    return token is not None and session.has_stored_token and not session.presents(token)


def _response_for(request: HttpRequest, error: Exception) -> HttpResponseBase:
    """``_answer`` as a response in any case, so that the client can be told what it has to know."""
    try:
        return _answer(error)
    except Exception as unanswered:
        return response_for_exception(request, unanswered)


def _answer(error: Exception) -> HttpResponseBase:
    """What an error of the session means for the client."""
    if isinstance(error, UpdateError):
        raise SessionInterrupted(
            "The request's session was deleted before the request completed. "
            "The user may have logged out in a concurrent request, for example."
        ) from error
    if isinstance(error, StoreUnavailable):
        return _unavailable(error)
    if isinstance(error, SessionBusy):
        logger.warning("%s", error)
        return _later("Another request of this session has not finished. Please try again.")
    if isinstance(error, SessionConflict):
        logger.warning("%s", error)
        return HttpResponse("The session was changed by another request. Please try again.", status=409)
    raise error


def _unavailable(error: Exception) -> HttpResponse:
    telemetry.counters.add("unavailable")
    logger.error("%s", error)
    return _later("The session store does not answer. Please try again.")


def _later(words: str) -> HttpResponse:
    response = HttpResponse(words, status=503)
    response["Retry-After"] = str(RETRY_AFTER)
    response["Cache-Control"] = "no-store"
    return response


def _unauthorized(error: InvalidSessionToken) -> HttpResponse:
    response = JsonResponse({"detail": error.detail, "code": error.code}, status=error.status_code)
    if error.status_code == 401:
        response["WWW-Authenticate"] = transports.CHALLENGE
    response["Cache-Control"] = "private, no-store"
    return response
