"""What the engine knows of a session, apart from the engine, so that a typed session can tell it and hold no engine."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Literal

from django.contrib.auth import SESSION_KEY

from ..exceptions import SessionCommitted, SessionReadOnly, StoreUnavailable
from ..states import EndReason, SessionMode, SessionStatus
from ..stores.record import Client, Record
from ..tokens import Token


class Restraint(Enum):
    """Why a session must not be changed."""

    READ_ONLY = "read_only"
    COMMITTED = "committed"
    UNAVAILABLE = "unavailable"


class Facts:
    """Filled in as the request goes on; shown read-only by ``TypedSession``."""

    __slots__ = ("bag", "end_reason", "has_refused", "known_id", "record", "restraint", "signed_in", "status", "token")

    def __init__(self) -> None:
        self.token: Token | None = None
        """The genuine token of the session: one that was found, or one just issued."""
        self.record: Record | None = None
        self.known_id: str | None = None
        """The id of a session of which nothing else is known."""
        self.bag: dict[str, Any] | None = None
        """Django's mapping, once somebody has asked for it."""
        self.status = SessionStatus.FRESH
        self.end_reason: EndReason | None = None
        self.signed_in: int | None = None
        """When a user signed in, if that was in this request and is not stored yet."""
        self.restraint: Restraint | None = None
        self.has_refused = False
        """Whether somebody has tried to change it while the store did not answer."""

    def refusal(self, names: Sequence[str]) -> SessionCommitted | SessionReadOnly | StoreUnavailable:
        """The error for who changes what ``names`` names, all the same."""
        if self.status is SessionStatus.UNAVAILABLE:
            self.has_refused = True
            what = ", ".join(names) or "The session"
            return StoreUnavailable(f"{what} cannot be changed while the store does not answer")
        if self.restraint is Restraint.COMMITTED:
            return SessionCommitted(self.id, names)
        return SessionReadOnly(names)

    @property
    def id(self) -> str | None:
        if self.token is None:
            return self.record.id if self.record else self.known_id
        return self.token.id

    @property
    def mode(self) -> SessionMode:
        if self.token is None:
            return self.record.mode if self.record else SessionMode.TEMP
        return self.token.mode

    @property
    def is_stored(self) -> bool:
        return self.record is not None

    @property
    def is_authenticated(self) -> bool:
        if self.bag is not None:
            return SESSION_KEY in self.bag
        return self.record is not None and self.record.user is not None

    @property
    def client(self) -> Client | None:
        return self.record.client if self.record else None

    @property
    def user(self) -> str | None:
        """The primary key of the signed-in user."""
        return self.user_over(self.record)

    def user_over(self, base: Record | None) -> str | None:
        """The primary key of the signed-in user, as Django's own auth keys have it, or else ``base``."""
        if self.bag is None:
            return base.user if base else None
        user = self.bag.get(SESSION_KEY)
        return None if user is None else str(user)

    @property
    def was_authenticated(self) -> bool:
        """Whether a user was signed in when the record was stored."""
        return self.record is not None and self.record.user is not None

    @property
    def is_rotated(self) -> bool:
        """Whether the token is a new one, under which the record is not stored yet."""
        return self.record is not None and self.id != self.record.id

    def time(self, name: Literal["created", "authenticated", "modified", "seen", "expires"]) -> int | None:
        if name == "authenticated" and self.signed_in is not None:
            return self.signed_in
        moment: int | None = getattr(self.record, name, None)
        return moment
