"""Signing in and out: which lifetime a session gets, what it says of its user, and the hooks and signals of both."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import HttpRequest
from django.utils.functional import Promise
from django.views.decorators.debug import sensitive_variables

from . import conf, hooks, signals, snapshots, users
from .backends import limits
from .backends.base import SessionStore
from .exceptions import SignInRefused
from .flows import Flow, Step, adrive, drive
from .session import AuthUserSession, TypedSession, field_options
from .states import SessionMode
from .transports import Source

_REMEMBER = "_typed_sessions_remember"
_REFUSAL = "_typed_sessions_refusal"


class TypedSessionBackend(ModelBackend):
    """Django's own backend, which also takes ``remember`` among the credentials.

    ``authenticate(request, username=…, password=…, remember=True)`` makes the sign-in that follows a permanent one,
    whoever calls ``login()``. A veto of the session's ``validate`` is an answer like that to a wrong password, and
    ``refusal_of(request)`` has the reason. It combines with other backends on Django's: list this class first.
    """

    @sensitive_variables("password", "kwargs")
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        remember: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        _forget_refusal(request)
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is not None:
            remember_as(user, remember)
            drive(_admitting(request, user))
        return user

    @sensitive_variables("password", "kwargs")
    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        remember: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        _forget_refusal(request)
        user = await super().aauthenticate(request, username=username, password=password, **kwargs)
        if user is not None:
            remember_as(user, remember)
            await adrive(_admitting(request, user))
        return user


def login(
    request: HttpRequest, user: AbstractBaseUser, remember: bool | None = None, backend: str | None = None
) -> None:
    """Django's ``login`` with a choice of lifetime.

    ``remember`` makes the session permanent or temporary; ``None`` leaves it to what ``authenticate`` was told, and
    then to ``REMEMBER_DEFAULT``. Raises ``SignInRefused`` if ``validate`` vetoes, with the session as it was.
    """
    remember_as(user, remember)
    drive(_validating(request, user))
    auth.login(request, cast("Any", user), backend)


async def alogin(
    request: HttpRequest, user: AbstractBaseUser, remember: bool | None = None, backend: str | None = None
) -> None:
    """``login`` for async views."""
    remember_as(user, remember)
    await adrive(_validating(request, user))
    await auth.alogin(request, cast("Any", user), backend)


def logout(request: HttpRequest) -> None:
    """Django's ``logout``: the session ends, in the store and in the browser."""
    auth.logout(request)


async def alogout(request: HttpRequest) -> None:
    """``logout`` for async views."""
    await auth.alogout(request)


def registered(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Tells the session, and everybody who listens, that ``user`` has just registered.

    For the view that has saved the account to call, before it signs the user in. Hooks are called at once, and the
    signal ``on_registered`` is sent when the transaction is through.
    """
    session = _engine_of(request).typed_session
    drive(hooks.tell("on_registered", session, request, user))
    send = partial(signals.announce, signals.on_registered, session, request, user)
    transaction.on_commit(send, using=user._state.db)


async def aregistered(request: HttpRequest, user: AbstractBaseUser) -> None:
    """``registered`` for async views, where no transaction spans more than a call; the signal is sent at once."""
    session = await _engine_of(request).aget_typed_session()
    await adrive(hooks.tell("on_registered", session, request, user))
    await signals.aannounce(signals.on_registered, session, request, user)


def remember_as(user: object, remember: bool | None) -> None:
    """Says how long the sign-in of ``user`` that follows is to last, whoever calls ``login()``."""
    if remember is not None:
        setattr(user, _REMEMBER, remember)


def _forget_remembering(user: object) -> bool | None:
    """How long the sign-in was to last, if that was said; it holds for one attempt."""
    remember: bool | None = getattr(user, _REMEMBER, None)
    if remember is not None:
        delattr(user, _REMEMBER)
    return remember


def refusal_of(request: HttpRequest | None) -> object:
    """What ``validate`` answered when it vetoed the credentials that ``authenticate`` was given last in this request;
    else ``None``.
    """
    return getattr(request, _REFUSAL, None)


def told(reason: object) -> str | None:
    """The veto's reason, if it is a text, which is for people to read."""
    return str(reason) if isinstance(reason, (str, Promise)) else None


def begin(sender: object, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: object) -> None:
    """Receives Django's ``user_logged_in``, by whatever path the user came."""
    engine = getattr(request, "session", None)
    if request is None or not isinstance(engine, SessionStore):
        return
    if not engine.is_claimed or engine.get(auth.SESSION_KEY) != user._meta.pk.value_to_string(user):
        return  # a package that hands out API tokens sends the signal too, and signs nobody into the session
    engine.is_claimed = False
    users.forget(request)
    session = engine.open()
    before = engine.checkpoint()
    remember = _forget_remembering(user)
    if remember is None:
        remember = conf.settings().remember_default
    try:
        drive(_validating(request, user))
        if not engine.facts.was_authenticated:
            _drop_what_stays_behind(session)
        engine.begin_authenticated(SessionMode.PERM if remember else SessionMode.TEMP)
        drive(engine.reserving())
        if engine.source is Source.HEADER:
            request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)  # it has no cookies, and needs none (REQ-S23)
        if getattr(user, "backend", None) is None:
            user.backend = engine[auth.BACKEND_SESSION_KEY]  # where authenticate() puts it
        if isinstance(session, AuthUserSession):
            session.fill_from_user(user)
        if not _is_provisional(user):
            snapshots.take(engine, user)
        drive(_announcing("on_authenticated", session, request, user, user))
    except Exception:
        # Whatever becomes of the exception, and of the response: nobody has signed in.
        engine.roll_back(before)
        users.reinstate(request, engine)
        drive(engine.releasing())
        raise
    finally:
        engine.validated = None


def end(sender: object, request: HttpRequest | None, user: AbstractBaseUser | None, **kwargs: object) -> None:
    """Receives Django's ``user_logged_out``, which comes before the session is flushed."""
    engine = getattr(request, "session", None)
    if request is None or not isinstance(engine, SessionStore):
        return
    users.forget(request)
    session = engine.open()
    if user is None or engine.facts.user != user._meta.pk.value_to_string(user):
        return  # it is not this session that ends
    try:
        drive(_announcing("on_logout", session, request, user))
    except Exception:
        engine.flush()  # whatever else goes wrong, who signs out is out
        raise


def _forget_refusal(request: HttpRequest | None) -> None:
    if request is not None:
        request.__dict__.pop(_REFUSAL, None)


def _engine_of(request: HttpRequest) -> SessionStore:
    return cast("SessionStore", request.session)


def _admitting(request: HttpRequest | None, user: AbstractBaseUser) -> Flow[None]:
    """``_validating`` where a veto is to be told like wrong credentials."""
    try:
        yield from _validating(request, user)
    except SignInRefused as refused:
        setattr(request, _REFUSAL, refused.reason)
        raise PermissionDenied(str(refused)) from refused


def _validating(request: HttpRequest | None, user: AbstractBaseUser) -> Flow[None]:
    """Asks ``validate`` of the session and of the events classes, once for a sign-in. Raises ``SignInRefused``."""
    engine = getattr(request, "session", None)
    if not isinstance(engine, SessionStore) or engine.is_disabled or engine.validated == user.pk:
        return
    session = yield Step(engine.open, engine.aopen)
    reason = yield from hooks.ask("validate", session, request, user)
    if reason is None:
        reason = yield from limits.refusing(engine, user._meta.pk.value_to_string(user))
    if reason is not None:
        _forget_remembering(user)
        raise SignInRefused(reason)
    engine.validated = user.pk


def _announcing(
    name: str, session: TypedSession, request: HttpRequest | None, user: object, *args: object
) -> Flow[None]:
    yield from hooks.tell(name, session, request, *args)
    yield hooks.send(name, session, request, user)


def _is_provisional(user: AbstractBaseUser) -> bool:
    """Whether the account may yet be taken back by a transaction, and its key go to another."""
    alias = user._state.db
    blocks = connections[alias].atomic_blocks if alias else ()
    return any(not getattr(block, "_from_testcase", False) for block in blocks)


def _drop_what_stays_behind(session: TypedSession) -> None:
    """Fields that do not carry over from the anonymous visitor to the user start from their defaults."""
    fresh = type(session)()
    for name, options in field_options(type(session)).items():
        if not options.carry_over:
            setattr(session, name, getattr(fresh, name))
