"""The lines of settings that the quick start asks for."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware

from .messages import Messages, check, configured_engine, error, imported, warning

_MIDDLEWARE = "typed_sessions.middleware.TypedSessionMiddleware"
_BACKEND = "typed_sessions.auth.TypedSessionBackend"
_NEEDS_SESSIONS = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)


@check("MIDDLEWARE")
def check_middleware() -> Messages:
    """MIDDLEWARE = [..., "typed_sessions.middleware.TypedSessionMiddleware", ...]"""
    from ..middleware import TypedSessionMiddleware

    ours = [path for path in settings.MIDDLEWARE if _is_subclass(path, TypedSessionMiddleware)]
    others = [path for path in settings.MIDDLEWARE if path not in ours and _is_subclass(path, SessionMiddleware)]
    if not ours:
        where = f"in place of {others[0]!r}" if others else f"before {_NEEDS_SESSIONS[0]!r}"
        return [
            error(
                1,
                "MIDDLEWARE has no TypedSessionMiddleware, so requests have no typed session.",
                f"Put {_MIDDLEWARE!r} {where}.",
            )
        ]
    if len(ours) > 1:
        others = ours[1:]
    if others:
        return [
            error(
                2,
                f"MIDDLEWARE has two session middlewares, {ours[0]!r} and {others[0]!r}.",
                f"Remove {others[0]!r}: the typed one does its work.",
            )
        ]
    early = [path for path in _NEEDS_SESSIONS if path in settings.MIDDLEWARE[: settings.MIDDLEWARE.index(ours[0])]]
    return [
        error(
            3, f"{path!r} stands before {ours[0]!r} in MIDDLEWARE and finds no session.", f"Move it behind {ours[0]!r}."
        )
        for path in early
    ]


@check("SESSION_ENGINE")
def check_engine() -> Messages:
    """SESSION_ENGINE = "typed_sessions.backends.db" """
    hint = 'Set SESSION_ENGINE to "typed_sessions.backends.db", ".redis", ".cached_db" or ".cache".'
    try:
        import_module(settings.SESSION_ENGINE)
    except Exception as failure:  # whatever the project's module raises
        if getattr(failure, "name", None) in ("django_redis", "redis"):
            hint = 'Run: pip install "django-typed-sessions[redis]"'
        return [error(4, f"SESSION_ENGINE {settings.SESSION_ENGINE!r} cannot be imported: {failure}.", hint)]
    if configured_engine() is None:
        return [error(4, f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}, which does not store typed sessions.", hint)]
    return []


@check("AUTHENTICATION_BACKENDS")
def check_authentication_backends() -> Messages:
    """AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]"""
    from ..auth import TypedSessionBackend

    if any(_is_subclass(path, TypedSessionBackend) for path in settings.AUTHENTICATION_BACKENDS):
        return []
    return [
        warning(
            5,
            "AUTHENTICATION_BACKENDS has no TypedSessionBackend, so authenticate() does not take 'remember'.",
            f"Put {_BACKEND!r} in place of 'django.contrib.auth.backends.ModelBackend'.",
        )
    ]


@check("SESSION_COOKIE_NAME")
def check_temporary_cookie() -> Messages:
    """SESSION_COOKIE_NAME = "ss-id" and SESSION_EXPIRE_AT_BROWSER_CLOSE = True"""
    found = []
    if settings.SESSION_COOKIE_NAME == "sessionid":
        found.append(
            warning(
                6,
                "SESSION_COOKIE_NAME is Django's default, so browsers still send tokens of another engine.",
                'Set SESSION_COOKIE_NAME = "ss-id".',
            )
        )
    if not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE:
        found.append(
            warning(
                7,
                "Temporary sessions outlive the browser, so that not choosing 'remember me' means little.",
                "Set SESSION_EXPIRE_AT_BROWSER_CLOSE = True.",
            )
        )
    return found


def _is_subclass(path: str, base: type) -> bool:
    found = imported(path)  # Django itself says what cannot be imported
    return isinstance(found, type) and issubclass(found, base)
