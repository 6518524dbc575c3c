"""Typed sessions for Django: your dataclass, stored under ``urn:iauthsession:<id>``."""

from __future__ import annotations

from .access import TypedRequest, TypedSessionMixin, permanent_id
from .events import AuthEvents
from .live import live_sessions
from .session import AuthUserSession, TypedSession, aget_session, get_session, session_field
from .states import EndReason, SessionMode, SessionStatus
from .stores.selection import Selection
from .tokens import urn

__all__ = [
    "AuthEvents",
    "AuthUserSession",
    "EndReason",
    "Selection",
    "SessionMode",
    "SessionStatus",
    "TypedRequest",
    "TypedSession",
    "TypedSessionMixin",
    "aget_session",
    "get_session",
    "live_sessions",
    "permanent_id",
    "session_field",
    "urn",
]

__version__ = "0.1.0"
