"""What can go wrong, as one tree. Messages carry a session's id, never its token."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.utils.functional import Promise


class TypedSessionError(Exception):
    """Anything this app raises on purpose."""


class MissingSession(TypedSessionError, ImproperlyConfigured, AttributeError):
    """The request did not come through ``TypedSessionMiddleware``, so it has no typed session."""


class SessionDisabled(TypedSessionError):
    """A view that is declared ``@session_disabled`` has asked for the session, or something did on its behalf."""

    def __init__(self) -> None:
        super().__init__("This view is declared @session_disabled, so it has no session. Take the decorator away.")


class InvalidSessionToken(TypedSessionError, PermissionDenied):
    """The ``X-ss-*`` headers of the request open no session. There is no falling back to a cookie (REQ-S20).

    ``code`` says what is wrong with them in one word, such as ``expired``, and ``status_code`` how that is answered:
    401, or 403 for headers that another site made the browser send.
    """

    def __init__(self, code: str, detail: str, status_code: int = 401) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status_code = status_code


class SignInRefused(TypedSessionError, PermissionDenied):
    """``validate`` of the session class, or of an ``AuthEvents`` class, vetoed a sign-in; the session is as it was.

    ``reason`` is what ``validate`` answered.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(str(reason) if isinstance(reason, (str, Promise)) else "The sign-in was refused.")
        self.reason = reason


class StoreUnavailable(TypedSessionError):
    """The store did not answer, or refused to write. It says nothing about the session itself."""


class UnreadableRecord(TypedSessionError):
    """What the store holds under a session's key is not a record of that session."""


class SessionFieldError(TypedSessionError, ValueError, TypeError):
    """A value that a field cannot hold; nothing was stored.

    ``path`` is where, such as ``ShopSession.cart[0].quantity``, and ``problem`` what was found there.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}. The session was not saved; what is stored is as it was.")
        self.path = path
        self.problem = problem


class SessionTooLarge(TypedSessionError, ValueError):
    """The encoded record is larger than ``MAX_BYTES``; nothing was stored."""

    def __init__(self, size: int, limit: int, largest: Sequence[tuple[str, int]]) -> None:
        parts = ", ".join(f"{name} ({length:,} bytes)" for name, length in largest)
        super().__init__(
            f"The session takes {size:,} bytes and TYPED_SESSIONS['MAX_BYTES'] allows {limit:,}. It was not saved; "
            f"what is stored is as it was. Largest parts: {parts}. Large data belongs in a model."
        )
        self.size = size
        self.limit = limit


class SessionConflict(TypedSessionError):
    """Two requests changed a field that is declared ``merge="refuse"``; the first one stands.

    ``fields`` names them. The session is then as the other request has left it.
    """

    def __init__(self, session_id: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"Session {session_id}: {', '.join(fields)} was changed by another request since this one read it. "
            "Nothing of this request was saved, and the session is as the other one left it; repeat the change."
        )
        self.session_id = session_id
        self.fields = tuple(fields)


class SessionLeaseLost(SessionConflict):
    """A request that had the session for itself took longer than its lease, and another one has gone on since."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id, ())

    def __str__(self) -> str:
        return (
            f"Session {self.session_id}: this request had it for itself for longer than its lease, and another request "
            "has changed it since. Nothing of this request was saved. Give session_exclusive a longer lease."
        )


class SessionBusy(TypedSessionError):
    """Another request had the session for itself for as long as this one could wait."""

    def __init__(self, session_id: str, wait: float) -> None:
        super().__init__(
            f"Session {session_id}: another request has it for itself, and {wait:g} s of waiting are over."
        )
        self.session_id = session_id


class SessionReadOnly(TypedSessionError):
    """What is declared ``session_readonly`` has changed the session; the change was not made, or was undone.

    ``fields`` names what was changed, as ``cart`` or ``session['key']``; it is empty for a change of the whole.
    """

    def __init__(self, fields: Sequence[str] = ()) -> None:
        what = ", ".join(fields) or "The session"
        super().__init__(
            f"{what} cannot be changed here, because session_readonly stands around it. Change it outside, or take "
            "session_readonly away."
        )
        self.fields = tuple(fields)


class SessionCommitted(TypedSessionError):
    """The response has begun, and a change of the session that is made now would be lost.

    ``fields`` names what was to be changed, as ``cart`` or ``session['key']``; it is empty for a change of the whole.
    """

    def __init__(self, session_id: str | None, fields: Sequence[str] = ()) -> None:
        what = ", ".join(fields) or "it"
        super().__init__(
            f"Session {session_id or '(not stored)'}: {what} cannot be changed any more, because the request has been "
            "answered. Change it before that, or use live_sessions.update(id, change). A test that makes a request by "
            "hand calls the middleware's process_request(request)."
        )
        self.session_id = session_id
        self.fields = tuple(fields)
