"""Signing in and out: which lifetime a session gets, what it says of its user, and the hooks and signals of both."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from . import conf, hooks
from .backends.base import SessionStore
from .flows import drive
from .session import AuthUserSession, TypedSession, field_options
from .states import SessionMode

_REMEMBER = "_typed_sessions_remember"


class TypedSessionBackend(ModelBackend):
    """Django's own backend, which also takes ``remember`` among the credentials.

    ``authenticate(request, username=…, password=…, remember=True)`` makes the sign-in that follows a permanent one,
    whoever calls ``login()``.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        remember: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        user = super().authenticate(request, username, password, **kwargs)
        if user is not None:
            _remember(user, remember)
        return user

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        remember: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        user = await super().aauthenticate(request, username, password, **kwargs)
        if user is not None:
            _remember(user, remember)
        return user


def login(
    request: HttpRequest, user: AbstractBaseUser, remember: bool | None = None, backend: str | None = None
) -> None:
    """Django's ``login`` with a choice of lifetime.

    ``remember`` makes the session permanent or temporary; ``None`` leaves it to what ``authenticate`` was told, and
    then to ``REMEMBER_DEFAULT``.
    """
    _remember(user, remember)
    auth.login(request, cast("Any", user), backend)


async def alogin(
    request: HttpRequest, user: AbstractBaseUser, remember: bool | None = None, backend: str | None = None
) -> None:
    """``login`` for async views."""
    _remember(user, remember)
    await auth.alogin(request, cast("Any", user), backend)


def logout(request: HttpRequest) -> None:
    """Django's ``logout``: the session ends, in the store and in the browser."""
    auth.logout(request)


async def alogout(request: HttpRequest) -> None:
    """``logout`` for async views."""
    await auth.alogout(request)


def _remember(user: object, remember: bool | None) -> None:
    if remember is not None:
        setattr(user, _REMEMBER, remember)


def begin(sender: object, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: object) -> None:
    """Receives Django's ``user_logged_in``, by whatever path the user came."""
    engine = getattr(request, "session", None)
    if request is None or not isinstance(engine, SessionStore):
        return
    if engine.get(auth.SESSION_KEY) != user._meta.pk.value_to_string(user):
        return  # a package that hands out API tokens sends the signal too, and signs nobody into the session
    session = engine.typed_session
    remember = getattr(user, _REMEMBER, None)
    if remember is None:
        remember = conf.settings().remember_default
    else:
        delattr(user, _REMEMBER)
    if not engine.facts.was_authenticated:
        _drop_what_stays_behind(session)
    engine.begin_authenticated(SessionMode.PERM if remember else SessionMode.TEMP)
    if getattr(user, "backend", None) is None:
        user.backend = engine[auth.BACKEND_SESSION_KEY]  # where authenticate() puts it
    if isinstance(session, AuthUserSession):
        session.fill_from_user(user)
    try:
        drive(_announcing("on_authenticated", session, request, user))
    except Exception:
        # Whatever becomes of the exception, and of the response: nobody has signed in.
        engine.roll_back()
        request.user = auth.get_user(request)
        raise


def end(sender: object, request: HttpRequest | None, user: AbstractBaseUser | None, **kwargs: object) -> None:
    """Receives Django's ``user_logged_out``, which comes before the session is flushed."""
    engine = getattr(request, "session", None)
    if isinstance(engine, SessionStore) and user is not None and engine.typed_session.is_authenticated:
        drive(_announcing("on_logout", engine.typed_session, request, user))


def _announcing(name: str, session: TypedSession, request: HttpRequest | None, user: AbstractBaseUser) -> Any:
    hook = getattr(session, name)
    yield hooks.call(hook, request, user) if name == "on_authenticated" else hooks.call(hook, request)
    yield hooks.send(name, session, request, user)


def _drop_what_stays_behind(session: TypedSession) -> None:
    """Fields that do not carry over from the anonymous visitor to the user start from their defaults."""
    fresh = type(session)()
    for name, options in field_options(type(session)).items():
        if not options.carry_over:
            setattr(session, name, getattr(fresh, name))
