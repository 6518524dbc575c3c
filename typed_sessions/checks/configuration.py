"""The values of ``TYPED_SESSIONS`` and of Django's ``SESSION_*``, each by itself and together."""

from __future__ import annotations

import json
from collections import Counter

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .. import conf
from ..events import AuthEvents
from .messages import Messages, check, error, imported, warning


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
        "TYPED_SESSIONS['PERM_COOKIE_NAME']": settings.perm_cookie,
        "TYPED_SESSIONS['OPTION_COOKIE_NAME']": settings.option_cookie,
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


@check("TYPED_SESSIONS['COOKIE_PREFIX']")
def check_cookie_prefix() -> Messages:
    """What browsers ask of a cookie with a prefix; one that does not comply they drop."""
    settings = current_settings()
    if settings is None:
        return []
    names = (django_settings.SESSION_COOKIE_NAME, settings.perm_cookie, settings.option_cookie)
    prefixes = {prefix for prefix in ("__Host-", "__Secure-") if any(str(name).startswith(prefix) for name in names)}
    found = [
        error(18, f"A cookie with the prefix {prefix} {what}, or browsers drop it, and nobody can sign in.", hint)
        for prefix in sorted(prefixes)
        for is_wrong, what, hint in (
            (not django_settings.SESSION_COOKIE_SECURE, "goes over TLS only", "Set SESSION_COOKIE_SECURE = True."),
            (
                prefix == "__Host-" and django_settings.SESSION_COOKIE_DOMAIN,
                "has no domain",
                "Leave SESSION_COOKIE_DOMAIN out, or use __Secure-.",
            ),
            (
                prefix == "__Host-" and django_settings.SESSION_COOKIE_PATH != "/",
                "is for the whole host",
                "Leave SESSION_COOKIE_PATH out, or use __Secure-.",
            ),
        )
        if is_wrong
    ]
    if not str(django_settings.SESSION_COOKIE_NAME).startswith(settings.cookie_prefix):
        name = f"{settings.cookie_prefix}{django_settings.SESSION_COOKIE_NAME}"
        what = f"COOKIE_PREFIX is {settings.cookie_prefix!r}, and SESSION_COOKIE_NAME does not begin with it."
        found.append(error(19, what, f"Set SESSION_COOKIE_NAME = {name!r}: other packages read that setting too."))
    return found


@check("TYPED_SESSIONS['CONSENT'] or TYPED_SESSIONS['AUTH_EVENTS']")
def check_identity() -> Messages:
    """What dotted paths name is there, and of the right kind, and what is asked for can be had."""
    settings = current_settings()
    if settings is None:
        return []
    found = []
    if settings.user_snapshot_age and settings.save == "explicit":
        what = "With SAVE = 'explicit' a USER_SNAPSHOT_AGE that is over stays over until a view saves its session."
        found.append(warning(26, what, "Leave one of them out."))
    if settings.consent is not None and not callable(imported(settings.consent)):
        what = f"CONSENT {settings.consent!r} names no function, so that nobody's consent is known."
        found.append(error(24, what, "Set it to the dotted path of f(request) -> bool."))
    for path in settings.auth_events:
        cls = imported(path)
        if not (isinstance(cls, type) and issubclass(cls, AuthEvents)):
            what = f"AUTH_EVENTS names {path!r}, which is no subclass of typed_sessions.AuthEvents."
            found.append(error(25, what, "Correct the path, or have the class inherit AuthEvents."))
    return found


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
