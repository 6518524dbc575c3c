"""A session's tie to its request: what the request has shown for it, and who may get at it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.sessions.backends.base import SessionBase

from .. import telemetry, tokens
from ..exceptions import InvalidSessionToken, SessionDisabled
from ..flows import Step
from ..states import SessionMode, SessionStatus
from ..tokens import Token
from ..transports import Presented, Source
from .facts import Facts

if TYPE_CHECKING:
    from django.http import HttpRequest


class Former(NamedTuple):
    """What a session was known by before it was given a new token, which is not stored yet."""

    key: str | None
    token: Token | None
    modified: bool
    verifying: Step | None


class BoundSession(SessionBase):
    """Django's session with a token of ours for its key."""

    def __init__(self, session_key: str | None = None) -> None:
        self._facts = Facts()
        self._request: weakref.ref[HttpRequest] | None = None
        self._verifying: Step | None = None
        self._taking_back: Callable[[HttpRequest, Any], None] | None = None
        self._presented: Presented | None = None
        self._refusal: InvalidSessionToken | None = None
        self._is_disabled = self._is_rejection_counted = False
        self._former: Former | None = None
        self.has_signed_in = False
        """Whether a user signed in during this request, so that the browser's cookies all have to be new."""
        self.is_looked_at = False
        """Whether the page may depend on there being a session, even if nothing in it was asked for."""
        self.has_later_end = False
        """Whether what was stored during this request makes the session end later, or sooner, by so much that the
        browser has to know.
        """
        self.is_told = False
        """Whether the visitor has been told what became of the session, so that the cookies of it may go."""
        self.is_flushed = False
        """Whether ``flush`` was called, so that the browser's cookies have to go."""
        self.is_claimed = False
        """Whether somebody has put a user into the session, as ``login()`` does before it tells of it."""
        self.was_disabled = False
        """Whether the view had no session, so that nothing is to come of the request."""
        self.validated: object = None
        """The primary key of the user whose sign-in ``validate`` has let pass."""
        # What SessionBase does, without looking the serializer up before it is needed.
        self._set_key(session_key)
        self.accessed = self.modified = self.is_looked_at = False
        if session_key and self._key is None:
            self._facts.status = SessionStatus.REJECTED  # too short to be looked at

    # Identity. Django calls the token "session key".

    def _get_key(self) -> str | None:
        self.is_looked_at = True
        return self._key

    def _set_key(self, value: str | None) -> None:
        self._key = value if value and len(value) >= 8 else None
        self._facts.token = None

    # Read-only, as in Django; what the stubs have for it differs in its docstring alone.
    session_key = property(_get_key)  # pyright: ignore[reportIncompatibleMethodOverride]
    _session_key = property(_get_key, _set_key)  # pyright: ignore[reportIncompatibleMethodOverride]

    def bind(
        self,
        request: HttpRequest,
        presented: Presented,
        verifying: Step | None = None,
        taking_back: Callable[[HttpRequest, Any], None] | None = None,
    ) -> None:
        """Makes this the session of ``request``, to be committed when its response is known.

        ``presented`` is what the request has shown, the key among it. What it opens in the other mode ends when this
        client signs in or out. ``verifying`` is done once, with the request, before anybody gets to see the typed
        session of a user: it makes sure that the account is still good for it, and ends it if not. ``taking_back`` is
        called with the request and this session when a sign-in has been undone, so that nobody goes by it.
        """
        self._request = weakref.ref(request)
        self._verifying = verifying
        self._taking_back = taking_back
        self._presented = presented
        self._refusal = presented.refusal
        if presented.is_ambiguous or (self._key and not tokens.is_well_formed(self._key)):
            # Nobody is to log, show or store what a client made up.
            self._set_key(None)
            self._facts.status = SessionStatus.REJECTED

    @property
    def is_bound(self) -> bool:
        return self._request is not None

    @property
    def source(self) -> Source:
        """Where the identity of this session's request came from."""
        return self._presented.source if self._presented else Source.COOKIE

    @property
    def is_disabled(self) -> bool:
        """Whether the view that is running has no session."""
        return self._is_disabled

    def disable(self) -> None:
        """From now on, whoever asks for the session gets ``SessionDisabled``."""
        self._is_disabled = self.was_disabled = True

    def enable(self) -> None:
        """The view that has no session is over; what stands around it may have one."""
        self._is_disabled = False

    def presents(self, token: Token) -> bool:
        """Whether it is by this token that the client has come."""
        return self._presented is not None and self._presented.token == token.text

    @property
    def refusal(self) -> InvalidSessionToken | None:
        """Why nobody gets at the session, if the client's headers are to blame."""
        return self._refusal

    def refuse(self, code: str) -> InvalidSessionToken:
        """The error that whoever asks for the session gets from now on: what a client sent by header opens nothing."""
        self._refusal = InvalidSessionToken(
            code, "The session header opens no session. Leave it out, and sign in again."
        )
        return self._refusal

    def _access(self) -> None:
        """Whoever asks for what is in the session comes past here."""
        if self._is_disabled:
            raise SessionDisabled  # and the page does not depend on the session
        self.accessed = True
        if self._refusal is not None:
            if self._presented is not None and self._refusal is self._presented.refusal:
                self._count_rejection()
            raise self._refusal.with_traceback(None)

    def _count_rejection(self) -> None:
        """Somebody has asked for the session of a token that is none; counted once in a request."""
        if not self._is_rejection_counted:
            self._is_rejection_counted = True
            telemetry.counters.add("rejected")

    @property
    def request(self) -> HttpRequest | None:
        return self._request() if self._request else None

    @property
    def mode(self) -> SessionMode:
        return self._facts.mode

    @property
    def facts(self) -> Facts:
        return self._facts

    def _issue(self, mode: SessionMode) -> None:
        if self._former is None:
            self._former = Former(self._key, self._facts.token, self.modified, self._verifying)
        text = tokens.issue(mode)
        self._set_key(text)
        self._facts.token = tokens.read(text)
