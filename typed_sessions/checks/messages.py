"""How the checks say what they found."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from ..backends.base import SessionStore

Messages = list[CheckMessage]


def error(number: int, message: str, hint: str, obj: Any = None) -> CheckMessage:
    return Error(message, hint=hint, obj=obj, id=f"typed_sessions.E{number:03}")


def warning(number: int, message: str, hint: str, obj: Any = None) -> CheckMessage:
    return Warning(message, hint=hint, obj=obj, id=f"typed_sessions.W{number:03}")


def check(about: str) -> Callable[[Callable[[], Messages]], Callable[..., Messages]]:
    """Makes a system check of a function that looks at ``about``, and is not prepared for every nonsense in it."""

    def decorate(look: Callable[[], Messages]) -> Callable[..., Messages]:
        @wraps(look)
        def checked(app_configs: Any = None, **kwargs: Any) -> Messages:
            try:
                return look()
            except Exception as failure:  # a check tells; it never ends `manage.py check` for the others
                said = f"{type(failure).__name__}: {failure}"
                return [error(90, f"{about} cannot be checked ({said}).", f"Correct the value of {about}.")]

        del checked.__wrapped__  # Django looks there for keyword arguments
        return checked

    return decorate


def imported(path: Any) -> Any:
    """What a dotted path names; nothing if that cannot be imported, for whatever reason."""
    try:
        return import_string(path)
    except Exception:  # whatever the project's module raises
        return None


def configured_engine() -> type[SessionStore] | None:
    """The engine in force, if it is one of ours; another check tells if it is not."""
    try:
        engine: object = import_module(settings.SESSION_ENGINE).SessionStore
    except Exception:  # whatever the project's module raises
        return None
    return engine if isinstance(engine, type) and issubclass(engine, SessionStore) else None
