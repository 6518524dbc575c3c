"""What a project may do at the turns of a session's life in a class of its own, apart from the session class."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from . import conf
from .session import TypedSession
from .states import EndReason

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest


class AuthEvents:
    """Override what you need, and list the class in ``TYPED_SESSIONS["AUTH_EVENTS"]``.

    Each method is called right after the session's own hook of the same name, and in the same way: it may be
    ``async def``, and what it raises goes through. One instance serves all requests.
    """

    def on_created(self, session: Any, request: HttpRequest | None) -> None:
        """A session begins; what is set on it is stored with it."""

    def on_registered(self, session: Any, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        """A user has registered."""

    def validate(self, session: Any, request: HttpRequest | None, user: AbstractBaseUser) -> object:
        """Anything but ``None`` vetoes the sign-in of ``user``."""
        return None

    def on_authenticated(self, session: Any, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        """A user has signed in."""

    def on_logout(self, session: Any, request: HttpRequest | None) -> None:
        """A signed-in session is about to end."""

    def on_ended(self, session: Any, reason: EndReason) -> None:
        """A session has ended. What is raised here is logged, and stops nothing."""


@lru_cache(maxsize=1)
def configured() -> tuple[AuthEvents, ...]:
    """An instance of each class in ``AUTH_EVENTS``. Raises ``ImproperlyConfigured`` for what is none."""
    return tuple(_made(path) for path in conf.settings().auth_events)


def _made(path: str) -> AuthEvents:
    try:
        cls = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"TYPED_SESSIONS['AUTH_EVENTS']: {path!r} cannot be imported: {error}.") from error
    if not (isinstance(cls, type) and issubclass(cls, AuthEvents)):
        raise ImproperlyConfigured(f"TYPED_SESSIONS['AUTH_EVENTS']: {path!r} is no subclass of AuthEvents.")
    return cls()


def is_default(method: object) -> bool:
    """Whether ``method`` is one that nobody has overridden, so that calling it does nothing."""
    function = getattr(method, "__func__", method)
    name = getattr(function, "__name__", "")
    return any(function is getattr(base, name, None) for base in (TypedSession, AuthEvents))


def _forget(*, setting: str, **_: object) -> None:
    if setting == "TYPED_SESSIONS":
        configured.cache_clear()


setting_changed.connect(_forget, dispatch_uid="typed_sessions.events")
