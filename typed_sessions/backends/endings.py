"""The one way in which a session ends: the store first, then the counters and the log, then everybody who listens."""

from __future__ import annotations

import logging
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from .. import clock, conf, hooks, telemetry, tokens
from ..codec import configured_codec
from ..exceptions import StoreUnavailable
from ..flows import Flow, Step, drive
from ..session import TypedSession, attach
from ..states import EndReason
from ..stores.base import Store
from ..stores.record import Record
from . import revocations
from .facts import Facts
from .loaded import LoadedSession

logger = logging.getLogger("typed_sessions")


def ending(
    engine: LoadedSession, session_id: str, reason: EndReason, user: str | None = None, request: Any = None
) -> Flow[Record | None]:
    """Ends a session, tells of it, and answers with its last state; nothing if there was none to end.

    ``user`` is whose it is, where the caller knows, and ``request`` the one that it ends in, if it is of that session.
    """
    now = clock.now()
    last: Record | None = yield Step(engine.store.end, engine.store.aend, (session_id, reason, now, user))
    if last is not None:
        yield from telling(engine, last, last.overdue(now) or reason, request)
        yield from revocations.noting(engine.store, session_id, reason, now)
    return last


def spreading(store: Store, session_id: str) -> Flow[None]:
    """To be called after the last of some ends, the one of ``session_id``: waits until replicas know of them all.

    Raises ``StoreUnavailable`` if a replica that takes over could bring back what has ended (``REPLICA_ACKS``)."""
    if conf.settings().replica_acks and not (yield Step(store.has_spread, store.ahas_spread, (session_id,))):
        raise StoreUnavailable(
            f"Session {tokens.shown(session_id)} has ended, and fewer replicas have confirmed it than REPLICA_ACKS "
            "says, so that it could come back if one of them took over now"
        )


def telling(engine: LoadedSession, last: Record, reason: EndReason, request: Any = None) -> Flow[None]:
    """Tells that ``last`` has ended, as soon as nothing can undo that any more."""
    if not engine.store.after_commit(lambda: drive(announcing(engine, last, reason, request))):
        yield from announcing(engine, last, reason, request)


def announcing(
    engine: LoadedSession,
    last: Record,
    reason: EndReason,
    request: HttpRequest | None = None,
    user: Any = None,
    is_user_known: bool = False,
) -> Flow[None]:
    """The counters, the log, the hooks and the signal for a session whose last state is ``last``."""
    telemetry.counters.add("ended", reason.value)
    telemetry.log("ended", tokens.shown(last.id), reason=reason.value, user=last.user)
    if not hooks.is_heard("on_ended", configured_codec(engine.store.format).session_class):
        return
    try:
        session = as_it_ended(engine, last, reason)
        if last.user is not None and not is_user_known:
            user = yield from _finding_user(last.user, request)
        yield from _telling(session, reason, request, user)
    except Exception:  # it has ended, whatever else goes wrong
        logger.exception("Session %s has ended, and on_ended could not be told", tokens.shown(last.id))


def announcing_unknown(session: TypedSession, reason: EndReason) -> Flow[None]:
    """``announcing`` for a session of which nothing but its id is known."""
    telemetry.counters.add("ended", reason.value)
    telemetry.log("ended", tokens.shown(session.id), reason=reason.value)
    yield from _telling(session, reason, None, None)


def _telling(session: TypedSession, reason: EndReason, request: HttpRequest | None, user: Any) -> Flow[None]:
    yield from hooks.tell_robustly("on_ended", session, reason)
    yield hooks.send("on_ended", session, request, user, reason=reason)


def as_it_ended(engine: LoadedSession, last: Record, reason: EndReason) -> TypedSession:
    """The typed session in its last state."""
    session = engine.copy_of(last).session
    facts = Facts()
    facts.record, facts.status, facts.end_reason = last, reason.status, reason
    attach(session, facts)
    return session


def users_of(keys: set[str]) -> dict[str, Any]:
    """The users with these primary keys, by them; who is gone is left out."""
    model: Any = auth.get_user_model()
    users = {}
    for key in keys:
        try:
            users[model._meta.pk.to_python(key)] = key
        except ValidationError:  # of another user model
            continue
    found = model._base_manager.in_bulk(list(users))
    return {users[key]: user for key, user in found.items()}


def _finding_user(key: str, request: HttpRequest | None) -> Flow[Any]:
    try:
        return (yield Step(_user, _auser, (key, request)))
    except Exception:  # their database is away, say, and the end is to be told all the same
        logger.exception("The user %s of a session that has ended could not be found", key)
        return None


def _user(key: str, request: HttpRequest | None) -> Any:
    """The user, as the request knows it, or as the database does."""
    known = _known_user(key, request)
    return known if known is not None else users_of({key}).get(key)


async def _auser(key: str, request: HttpRequest | None) -> Any:
    known = _known_user(key, request)
    return known if known is not None else (await _ausers_of({key})).get(key)


def _known_user(key: str, request: HttpRequest | None) -> Any:
    kept = request.__dict__ if request is not None else {}
    for name in ("_cached_user", "_acached_user"):
        user = kept.get(name)
        primary_key = getattr(getattr(user, "_meta", None), "pk", None)
        if primary_key is not None and primary_key.value_to_string(user) == key:
            return user
    return None


_ausers_of = sync_to_async(users_of)
