"""What happens to sessions, as signals.

Each is sent with ``sender`` the session class, ``session`` the typed session, ``request`` (or ``None`` outside one) and
``user`` (or ``None``). The hook of the same name on the class is called first. A receiver that raises is logged to
``django.dispatch`` and stops neither the others nor the request.
"""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from .session import TypedSession

on_created = Signal()
"""A session began and has been stored. Sent once for each, not for a new token of the same session."""

on_registered = Signal()
"""A user has registered; sent when the transaction that saved the account is through."""

on_authenticated = Signal()
"""A user signed in, by whatever path."""

on_logout = Signal()
"""A signed-in session is about to end because its user signed out; its data is still there."""

on_undecodable = Signal()
"""Parts of a stored session could not be read and took their defaults; also has ``unreadable``, what and why."""


def announce(signal: Signal, session: TypedSession, request: object, user: object = None, **extra: Any) -> None:
    signal.send_robust(type(session), session=session, request=request, user=user, **extra)


async def aannounce(signal: Signal, session: TypedSession, request: object, user: object = None, **extra: Any) -> None:
    await signal.asend_robust(type(session), session=session, request=request, user=user, **extra)
