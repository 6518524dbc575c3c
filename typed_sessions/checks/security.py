"""``check --deploy``: cookies, ids, and versions with known holes.

Django's own ``security.W010`` to ``W015`` look for its middleware by name, and say nothing of ours.
"""

from __future__ import annotations

import django
from django.conf import settings as django_settings

from .configuration import current_settings
from .messages import Messages, check, warning

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
