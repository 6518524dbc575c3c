"""``MAX_SESSIONS_PER_USER``: in how many sessions a user is signed in at once, exactly, however many sign in at a time.

``end_oldest`` needs no lock: who has signed in ends all of the user's sessions but the newest, in an order that nobody
sees differently, so that whoever comes last leaves as many as there may be. For ``refuse`` a place is taken before
somebody signs in, in one step of the store, and is kept by the session itself once that is stored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from django.utils.translation import gettext as _

from .. import clock, conf
from ..exceptions import SignInRefused, StoreUnavailable
from ..flows import Flow, Step, drive
from ..states import EndReason
from ..stores.record import Record
from .endings import ending
from .loaded import LoadedSession

logger = logging.getLogger("typed_sessions")

RESERVED_FOR: Final = 60
"""Seconds for which a place is kept for who is signing in."""


def refusing(engine: LoadedSession, user: str) -> Flow[str | None]:
    """Why ``user`` cannot sign in now, for people to read; nothing if there is no reason."""
    limit = _refused_beyond()
    if limit is None:
        return None
    ids = yield Step(engine.store.of_user, engine.store.aof_user, (user, clock.now()))
    return _reason(limit) if len(set(ids) - {*engine.leaving}) >= limit else None


def reserving(engine: LoadedSession, user: str) -> Flow[bool]:
    """Takes a place for the session that ``user`` is signing in to. Whether one has to be given back.

    Raises ``SignInRefused`` if there is none.
    """
    limit, store = _refused_beyond(), engine.store
    if limit is None:
        return False
    now = clock.now()
    place = (user, engine.facts.id, engine.leaving, limit, now, now + RESERVED_FOR)
    if not (yield Step(store.reserve, store.areserve, place)):
        raise SignInRefused(_reason(limit))
    return True


def releasing(engine: LoadedSession, user: str, session_id: str) -> Flow[None]:
    """The session is stored and has its place by itself, or there is none."""
    try:
        yield Step(engine.store.release, engine.store.arelease, (user, session_id))
    except StoreUnavailable as error:
        logger.warning("The place of session %s is given back after %s s: %s", session_id, RESERVED_FOR, error)


def enforcing(engine: LoadedSession, record: Record) -> Flow[None]:
    """Ends the oldest sessions of who has signed in with ``record``, as soon as nothing can undo that any more."""
    settings = conf.settings()
    if settings.max_sessions_per_user is None or settings.on_limit != "end_oldest" or record.user is None:
        return
    user, limit = record.user, settings.max_sessions_per_user
    if not engine.store.after_commit(lambda: drive(_ending_oldest(engine, user, limit))):
        yield from _ending_oldest(engine, user, limit)


def _ending_oldest(engine: LoadedSession, user: str, limit: int) -> Flow[None]:
    store = engine.store
    try:
        ids = yield Step(store.of_user, store.aof_user, (user, clock.now()))
        if len(ids) <= limit:
            return
        found: Sequence[Record] = yield Step(store.load_many, store.aload_many, (ids,))
        own = [record for record in found if record.user == user and record.is_live(clock.now())]
        for record in sorted(own, key=lambda record: (record.place, record.id))[:-limit]:
            yield from ending(engine, record.id, EndReason.OVER_LIMIT, user)
    except StoreUnavailable as error:
        logger.error("User %s may have more than %s sessions until the next sign-in: %s", user, limit, error)


def _refused_beyond() -> int | None:
    settings = conf.settings()
    return settings.max_sessions_per_user if settings.on_limit == "refuse" else None


def _reason(limit: int) -> str:
    return _(
        "You are signed in %(limit)s times already, and may not be more often. Sign out somewhere else, and try again."
    ) % {"limit": limit}
