"""The values of ``TYPED_SESSIONS`` and of Django's ``SESSION_*``, each by itself and together."""

from __future__ import annotations

import json
from collections import Counter

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .. import conf
from .messages import Messages, check, error, warning


@check("TYPED_SESSIONS")
def check_settings() -> Messages:
    """Every key known, every value of its kind."""
    problems = conf.problems(getattr(django_settings, "TYPED_SESSIONS", {}))
    return [
        error(
            10,
            f"TYPED_SESSIONS[{key!r}] {wrong}." if key else f"TYPED_SESSIONS {wrong}.",
            "Correct it, or leave it out for the default.",
        )
        for key, wrong in problems.items()
    ]


@check("SESSION_COOKIE_AGE")
def check_lifetimes() -> Messages:
    """Lifetimes that contradict each other, or what browsers do."""
    settings = current_settings()
    if settings is None:
        return []
    age: object = django_settings.SESSION_COOKIE_AGE
    if not isinstance(age, int) or age < 1:
        return [error(17, f"SESSION_COOKIE_AGE is {age!r}, and must be a whole number of seconds.", "Use int().")]
    return _contradictions(settings)


def _contradictions(settings: conf.Settings) -> Messages:
    found = []
    if settings.temp_expiry and django_settings.SESSION_COOKIE_AGE not in (1_209_600, settings.temp_seconds):
        found.append(
            warning(
                11,
                "TEMP_EXPIRY and SESSION_COOKIE_AGE say different things; TEMP_EXPIRY counts.",
                "Leave one of them out.",
            )
        )
    if settings.perm_expiry > conf.BROWSER_LIMIT:
        found.append(
            warning(
                12,
                f"PERM_EXPIRY is {settings.perm_expiry.days} days, and browsers keep no cookie longer than 400.",
                "Set it to timedelta(days=400) or less.",
            )
        )
    if settings.absolute_seconds is not None and settings.absolute_seconds < settings.perm_seconds:
        found.append(
            warning(
                13,
                "ABSOLUTE_EXPIRY is shorter than PERM_EXPIRY, which therefore is never reached.",
                "Make PERM_EXPIRY the shorter one.",
            )
        )
    if settings.touch_interval >= min(settings.temp_seconds, settings.perm_seconds):
        found.append(
            warning(
                14,
                "TOUCH_INTERVAL is no shorter than a lifetime, so sessions end in spite of being used.",
                "Set TOUCH_INTERVAL to a small part of the shortest lifetime.",
            )
        )
    return found


@check("SESSION_COOKIE_NAME, CSRF_COOKIE_NAME or LANGUAGE_COOKIE_NAME")
def check_cookie_names() -> Messages:
    """Each cookie has a name of its own."""
    settings = current_settings()
    if settings is None:
        return []
    names = {
        "SESSION_COOKIE_NAME": django_settings.SESSION_COOKIE_NAME,
        "CSRF_COOKIE_NAME": django_settings.CSRF_COOKIE_NAME,
        "LANGUAGE_COOKIE_NAME": django_settings.LANGUAGE_COOKIE_NAME,
        "TYPED_SESSIONS['PERM_COOKIE_NAME']": settings.perm_cookie_name,
        "TYPED_SESSIONS['OPTION_COOKIE_NAME']": settings.option_cookie_name,
    }
    shared = [name for name, times in Counter(names.values()).items() if times > 1]
    return [
        error(
            15,
            f"{' and '.join(key for key in names if names[key] == name)} are both {name!r}.",
            "Give each its own name.",
        )
        for name in shared
    ]


@check("SESSION_SERIALIZER")
def check_serializer() -> Messages:
    """SESSION_SERIALIZER writes JSON, since the bag is part of the record."""
    try:
        written = import_string(django_settings.SESSION_SERIALIZER)().dumps({"check": [1, "a", None]})
        if json.loads(written) == {"check": [1, "a", None]}:
            return []
    except (ImportError, ValueError, TypeError):
        pass
    return [
        error(
            16,
            f"SESSION_SERIALIZER {django_settings.SESSION_SERIALIZER!r} does not write JSON objects.",
            "Use 'django.contrib.sessions.serializers.JSONSerializer', or one that writes JSON.",
        )
    ]


def current_settings() -> conf.Settings | None:
    try:
        return conf.settings()
    except ImproperlyConfigured:
        return None  # check_settings tells
