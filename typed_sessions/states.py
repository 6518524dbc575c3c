"""The words for what a session is, how long it is kept, and why it ended."""

from __future__ import annotations

from enum import Enum


class SessionMode(str, Enum):
    """Which of the two cookies carries the session, and so which lifetime it has."""

    TEMP = "temp"
    """Until the browser closes, and on the server for ``TEMP_EXPIRY`` after the last use."""
    PERM = "perm"
    """Remembered by the browser, for ``PERM_EXPIRY`` after the last use."""


class SessionStatus(str, Enum):
    """What became of the session this request asked for."""

    FRESH = "fresh"
    """The request carried no token: a new visitor, or one whose browser forgot."""
    LIVE = "live"
    """The session was found, or has been stored in this request."""
    EXPIRED = "expired"
    """It reached its idle or absolute timeout."""
    ENDED = "ended"
    """Somebody or something ended it; ``end_reason`` says why."""
    LOST = "lost"
    """A genuine token, younger than its lifetime, whose record the store no longer has."""
    REJECTED = "rejected"
    """The token is malformed, forged, or belongs to the other cookie."""
    UNAVAILABLE = "unavailable"
    """The store did not answer, so nothing can be said about the session."""


class EndReason(str, Enum):
    """Why a stored session came to its end."""

    LOGGED_OUT = "logged_out"
    EXPIRED_IDLE = "expired_idle"
    EXPIRED_ABSOLUTE = "expired_absolute"
    ENDED_BY_USER = "ended_by_user"
    ENDED_BY_STAFF = "ended_by_staff"
    OVER_LIMIT = "over_limit"
    PASSWORD_CHANGED = "password_changed"  # a reason, not a credential
    USER_INACTIVE = "user_inactive"
    ROTATED = "rotated"
    UNDECODABLE = "undecodable"

    @property
    def status(self) -> SessionStatus:
        """The status that a visitor with the token of such a session gets."""
        return SessionStatus.EXPIRED if self.value.startswith("expired") else SessionStatus.ENDED
