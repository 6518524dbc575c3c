"""``check --deploy``: cookies, ids, and versions with known holes.

Django's own ``security.W010`` to ``W015`` look for its middleware by name, and say nothing of ours.
"""

from __future__ import annotations

import django
from django.conf import settings as django_settings

from .. import debug
from .configuration import current_settings
from .messages import Messages, check, imported, warning

_FIXED = {(5, 2): (5, 2, 19), (6, 0): (6, 0, 10), (6, 1): (6, 1, 3)}
"""The first releases of each series without the known leaks of pages and sessions through caches (REQ-S51)."""


@check("SESSION_COOKIE_SAMESITE")
def check_cookies() -> Messages:
    """Session cookies go over TLS only, scripts cannot read them, and other sites cannot send them."""
    found = []
    if not django_settings.SESSION_COOKIE_SECURE:
        found.append(
            warning(
                50,
                "SESSION_COOKIE_SECURE is not True, so the session cookies also travel unencrypted, and "
                "whoever listens can take over sessions.",
                "Set SESSION_COOKIE_SECURE = True.",
            )
        )
    if not django_settings.SESSION_COOKIE_HTTPONLY:
        found.append(
            warning(
                51,
                "SESSION_COOKIE_HTTPONLY is not True, so a script injected into a page can read the session cookies.",
                "Set SESSION_COOKIE_HTTPONLY = True.",
            )
        )
    if str(django_settings.SESSION_COOKIE_SAMESITE).lower() not in ("lax", "strict"):
        found.append(
            warning(
                52,
                f"SESSION_COOKIE_SAMESITE is {django_settings.SESSION_COOKIE_SAMESITE!r}, so that other "
                "sites can make browsers send the session cookies.",
                "Set it to 'Lax' or 'Strict'.",
            )
        )
    return found


@check("TYPED_SESSIONS")
def check_prefix() -> Messages:
    """Nobody but this host can have put the session cookies there."""
    settings = current_settings()
    if settings is None:
        return []
    names = (django_settings.SESSION_COOKIE_NAME, settings.perm_cookie, settings.option_cookie)
    if all(str(name).startswith("__Host-") for name in names):
        return []
    return [
        warning(
            55,
            "The session cookies do not begin with __Host-, so that a neighbouring subdomain can plant its own.",
            "Set SESSION_COOKIE_NAME = '__Host-ss-id' and TYPED_SESSIONS['COOKIE_PREFIX'] = '__Host-'.",
        )
    ]


@check("DEFAULT_EXCEPTION_REPORTER_FILTER")
def check_error_reports() -> Messages:
    """Error mails and the debug page show no session cookie and no session header."""
    path = django_settings.DEFAULT_EXCEPTION_REPORTER_FILTER
    if path == debug.STOCK:
        return []  # the app brings ours
    reporter_filter = imported(path)
    if isinstance(reporter_filter, type) and issubclass(reporter_filter, debug.TypedSessionExceptionReporterFilter):
        return []
    return [
        warning(
            56,
            f"DEFAULT_EXCEPTION_REPORTER_FILTER {path!r} does not hide session cookies and headers in error mails.",
            "Have it inherit typed_sessions.debug.TypedSessionExceptionReporterFilter.",
        )
    ]


@check("CORS_ALLOW_HEADERS, CORS_EXPOSE_HEADERS or CORS_ALLOWED_ORIGINS")
def check_cross_origin() -> Messages:
    """No page of another site can send session headers along with cookies, or read new tokens (REQ-S25)."""
    everybody = getattr(django_settings, "CORS_ALLOW_ALL_ORIGINS", False)
    if not everybody and not getattr(django_settings, "CORS_ALLOW_CREDENTIALS", False):
        return []
    settings = ("CORS_ALLOW_HEADERS", "CORS_EXPOSE_HEADERS")
    return [
        warning(
            57,
            f"{name} has {header!r}, and CORS is open to every origin, or with credentials.",
            f"Take {header!r} out, or name the origins in CORS_ALLOWED_ORIGINS and leave CORS_ALLOW_CREDENTIALS out.",
        )
        for name in settings
        for header in getattr(django_settings, name, ())
        if header.lower().startswith("x-ss-")
    ]


@check("REST_FRAMEWORK")
def check_authentication_order() -> Messages:
    """REST framework asks ours first, so that two users in one request are noticed (REQ-S40)."""
    ours = "typed_sessions.rest_framework.TypedSessionAuthentication"
    listed = getattr(django_settings, "REST_FRAMEWORK", {}).get("DEFAULT_AUTHENTICATION_CLASSES", ())
    names = [path if isinstance(path, str) else f"{path.__module__}.{path.__qualname__}" for path in listed]
    places = [place for place, name in enumerate(names) if name.endswith(".TypedSessionAuthentication")]
    if places in ([], [0]):
        return []
    return [
        warning(
            58,
            "TypedSessionAuthentication is not the first of DEFAULT_AUTHENTICATION_CLASSES: of a request with a "
            "session of one user and credentials of another, the other's count, and nobody is told.",
            f"Put {ours!r} first.",
        )
    ]


@check("TYPED_SESSIONS")
def check_ids() -> Messages:
    """What a store holds opens no session."""
    settings = current_settings()
    if settings is None or settings.hash_ids:
        return []
    return [
        warning(
            53,
            "HASH_IDS is False: whoever reads the store, a backup or a log can take over every session.",
            "Leave HASH_IDS out, unless another system has to read sessions by their token.",
        )
    ]


@check("Django")
def check_versions() -> Messages:
    """No Django with holes that concern sessions."""
    fixed = _FIXED.get(django.VERSION[:2])
    if fixed is None or django.VERSION[:3] >= fixed:
        return []
    return [
        warning(
            54,
            f"Django {django.get_version()} can serve one visitor's page to another through caches.",
            f"Upgrade to Django {'.'.join(map(str, fixed))} or later.",
        )
    ]
