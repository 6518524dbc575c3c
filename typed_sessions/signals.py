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

on_ended = Signal()
"""A stored session has ended; also has ``reason``, an ``EndReason``. The session is as it was last.

Sent once for each: at the end itself, or, for those that expire, when ``typed_sessions reap`` finds them. Then, and
whenever else the end does not come of a request of the session itself, ``request`` is ``None``. If a reaper dies
between this signal and the next command to its store, it is sent once more.
"""

on_lost = Signal()
"""A visitor has shown a token that must open a session, and the store has none: an evicted or deleted key, or a store
that was emptied. Also has ``session_id``, and ``issued``, when the token was. ``session`` has its id, and nothing else.
"""

on_undecodable = Signal()
"""Parts of a stored session could not be read and took their defaults; also has ``unreadable``, what and why."""


def announce(signal: Signal, session: TypedSession, request: object, user: object = None, **extra: Any) -> None:
    signal.send_robust(type(session), session=session, request=request, user=user, **extra)


async def aannounce(signal: Signal, session: TypedSession, request: object, user: object = None, **extra: Any) -> None:
    await signal.asend_robust(type(session), session=session, request=request, user=user, **extra)
