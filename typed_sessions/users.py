"""Who ``request.user`` is: the session's user, if the account is still good for it, and what happens if it is not.

Django's middleware looks whether a user is cached on the request before it asks. What it finds there is this.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.auth.middleware import auser as django_auser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.http import HttpRequest

from . import snapshots
from .backends.base import SessionStore
from .flows import Step
from .live import live_sessions
from .states import EndReason
from .transports import Source

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("typed_sessions")

CACHED, ASYNC_CACHED = "_cached_user", "_acached_user"
"""Where ``django.contrib.auth.middleware`` keeps the user of a request."""


class UserAttribute:
    """Put on ``HttpRequest`` as ``_cached_user`` by the app, so that ``request.user`` is what ``resolve`` answers."""

    def __get__(self, request: HttpRequest | None, owner: type | None = None) -> Self | Any:
        if request is None:
            return self
        kept = request.__dict__
        engine = kept.get("session")
        if not isinstance(engine, SessionStore):
            raise AttributeError(CACHED)  # Django goes on by itself
        try:
            found = kept.get(ASYNC_CACHED)
            kept[CACHED] = found if _is_settled(found, engine) else resolve(request, engine)
        except AttributeError as error:  # would look as if there were nothing here
            raise RuntimeError(f"The user of the session could not be told: {error}") from error
        return kept[CACHED]


def resolve(request: HttpRequest, engine: SessionStore) -> Any:
    """The user of the session, which ends if that is gone, inactive, or has another password (REQ-S58, REQ-S59)."""
    with engine.unrestrained():
        return _resolved(request, engine)


def _resolved(request: HttpRequest, engine: SessionStore) -> Any:
    user = snapshots.user_of(engine)
    if user is not None:
        return user
    with engine.flushing_because(EndReason.PASSWORD_CHANGED):
        try:
            user = auth.get_user(request)
        except ValidationError:  # the key is one of another user model
            user = AnonymousUser()
    if not user.is_anonymous:
        snapshots.renew(engine, user)
    elif engine.facts.is_authenticated:
        if _is_gone(engine):
            with engine.flushing_because(EndReason.USER_INACTIVE):
                engine.flush()
        else:
            engine.set_aside()
    _refuse_if_ended(engine)
    return user


async def aresolve(request: HttpRequest, engine: SessionStore) -> Any:
    """``resolve`` for async code."""
    with engine.unrestrained():
        return await _aresolved(request, engine)


async def _aresolved(request: HttpRequest, engine: SessionStore) -> Any:
    user = await snapshots.auser_of(engine)
    if user is not None:
        return user
    with engine.flushing_because(EndReason.PASSWORD_CHANGED):
        try:
            user = await auth.aget_user(request)
        except ValidationError:  # as in resolve
            user = AnonymousUser()
    if not user.is_anonymous:
        await snapshots.arenew(engine, user)
    elif engine.facts.is_authenticated:
        if await sync_to_async(_is_gone)(engine):
            with engine.flushing_because(EndReason.USER_INACTIVE):
                await engine.aflush()
        else:
            engine.set_aside()
    _refuse_if_ended(engine)
    return user


def _verify(request: HttpRequest) -> bool:
    """Whether it could be done: in front of the middleware that makes ``request.user`` it cannot, yet."""
    if not hasattr(request, "user"):
        return False
    getattr(request, CACHED)
    return True


async def _averify(request: HttpRequest) -> bool:
    if not hasattr(request, "auser"):
        return False
    await _auser(request)
    return True


VERIFYING = Step(_verify, _averify)
"""Makes sure that the session's user may still use it, if Django's ``AuthenticationMiddleware`` is in use."""


def install_async(request: HttpRequest) -> None:
    """Makes ``request.auser()`` answer what ``aresolve`` does, if it is still Django's own that would answer."""
    there = getattr(request, "auser", None)
    if isinstance(there, partial) and there.func is django_auser:
        request.auser = partial(_auser, request)


def forget(request: HttpRequest) -> None:
    """Somebody has signed in or out: who the user was before is not the answer any more."""
    for name in (CACHED, ASYNC_CACHED):
        request.__dict__.pop(name, None)


def reinstate(request: HttpRequest, engine: SessionStore) -> None:
    """The session's user is the request's again, after a sign-in that was undone had put another one there."""
    take_back(request, engine)
    if engine.facts.is_authenticated:
        request.user = resolve(request, engine)


def take_back(request: HttpRequest, engine: SessionStore) -> None:
    """Whom a sign-in had put there that was undone is not the request's user. Asks no database: who is still signed in
    is who has been all the time.
    """
    forget(request)
    if not engine.facts.is_authenticated:
        request.user = AnonymousUser()
    if hasattr(request, "auser"):
        request.auser = partial(_auser, request)


def note_what_was_saved(request: HttpRequest, engine: SessionStore) -> None:
    """The user whom this request has saved is not to be taken from a snapshot of before."""
    user = request.__dict__.get(CACHED) or request.__dict__.get(ASYNC_CACHED)
    if user is not None and snapshots.was_saved(user):
        with engine.unrestrained():
            engine.pop(snapshots.KEY, None)


async def _auser(request: HttpRequest) -> Any:
    kept = request.__dict__
    engine = kept.get("session")
    if not isinstance(engine, SessionStore):
        return await django_auser(request)
    found = kept.get(ASYNC_CACHED) or kept.get(CACHED)
    kept[ASYNC_CACHED] = found if _is_settled(found, engine) else await aresolve(request, engine)
    return kept[ASYNC_CACHED]


def _is_settled(user: Any, engine: SessionStore) -> bool:
    """Whether ``user``, who was found before, is the answer. Django's own finding may be that there is none, where the
    session still says otherwise.
    """
    return user is not None and not (user.is_anonymous and engine.facts.is_authenticated)


def _is_gone(engine: SessionStore) -> bool:
    """Whether the account is deleted or inactive, by the database that is written to: a replica may not have heard of
    it yet, and a backend that a release has taken away may come back.
    """
    model = auth.get_user_model()
    try:
        key = model._meta.pk.to_python(engine[auth.SESSION_KEY])
    except Exception:  # of another user model, say; to_python raises what it likes
        return True
    account: Any = model._base_manager.using(router.db_for_write(model)).filter(pk=key).first()
    return account is None or not getattr(account, "is_active", True)


def _refuse_if_ended(engine: SessionStore) -> None:
    """A client that says by header who it is gets an error, and never the rights of a visitor (REQ-S20)."""
    reason = engine.facts.end_reason
    if engine.source is Source.HEADER and engine.is_flushed and reason is not None:
        raise engine.refuse(reason.value)


# Receivers of the user model's signals


def end_if_inactive(sender: object, instance: Any, using: str, raw: bool = False, **kwargs: object) -> None:
    """Ends the sessions of an account that has been switched off, when that is committed."""
    if not raw and not getattr(instance, "is_active", True) and not _may_sign_in(instance):
        _end_on_commit(instance, using)


def _may_sign_in(user: Any) -> bool:
    """Whether a backend of the project lets users sign in who are not active."""
    return any(getattr(backend, "user_can_authenticate", lambda user: False)(user) for backend in auth.get_backends())


def end_if_deleted(sender: object, instance: Any, using: str, **kwargs: object) -> None:
    """Ends the sessions of an account that has been deleted, when that is committed (REQ-S94)."""
    _end_on_commit(instance, using)


def _end_on_commit(user: Any, using: str) -> None:
    key = user._meta.pk.value_to_string(user)
    transaction.on_commit(partial(_end_all, key), using=using)


def _end_all(key: str) -> None:
    if not live_sessions.can_list:
        return  # the next request of each of them finds out
    try:
        live_sessions.end_for_user(key, reason=EndReason.USER_INACTIVE)
    except Exception:
        logger.exception("The sessions of user %s could not be ended; each ends with its next request", key)
