"""The settings of ``TYPED_SESSIONS``, as one typed object that is read when it is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, Literal, cast

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

BROWSER_LIMIT = timedelta(days=400)
"""The longest life that browsers grant a cookie (RFC 6265bis, 5.6.2)."""

TIME_LIMITS = {"socket_connect_timeout": 0.25, "socket_timeout": 0.5}
"""Seconds, for Redis where the project has set none: one that hangs must not hold a worker (REQ-R03)."""

UNIX = "unix"
"""In ``TRUSTED_PROXIES``: whoever connects to the server's Unix socket."""

LONGEST_LIFETIME = timedelta(days=3653)
_RESERVED = {
    "expires",
    "path",
    "comment",
    "domain",
    "max-age",
    "secure",
    "httponly",
    "version",
    "samesite",
    "partitioned",
}
_SITE_DATA = ("cache", "cookies", "storage", "executionContexts", "*")  # of Clear-Site-Data
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a token of RFC 9110, 5.6.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every key of ``settings.TYPED_SESSIONS`` with its default; a key is the field's name in capitals."""

    session_class: str = "typed_sessions.AuthUserSession"
    """Dotted path of the project's session dataclass."""
    temp_expiry: timedelta | None = None
    """Idle lifetime of a temporary session; ``None`` is ``SESSION_COOKIE_AGE``, which is 14 days unless set."""
    perm_expiry: timedelta = timedelta(days=28)
    """Idle lifetime of a permanent ("remember me") session, on the server and in the cookie."""
    absolute_expiry: timedelta | None = timedelta(days=90)
    """From sign-in; no activity carries a session past it. ``None`` for no such limit."""
    sliding: bool = True
    """Whether use extends the idle lifetime. Without it, only a save does."""
    touch_interval: int = 60
    """Seconds; an otherwise unchanged session is extended at most this often."""
    save: Literal["auto", "explicit"] = "auto"
    """``"explicit"`` saves only after ``request.session.save()`` or ``request.session.modified = True``."""
    perm_cookie_name: str = "ss-pid"
    option_cookie_name: str = "ss-opt"
    cookie_prefix: Literal["", "__Host-", "__Secure-"] = ""
    """What browsers check a cookie by (RFC 6265bis, 4.1.3); goes before the two names above. ``SESSION_COOKIE_NAME``,
    which other packages read too, has to have it already."""
    permanent_id: Literal["on_remember", "always"] = "on_remember"
    """``"always"`` gives every browser a permanent cookie, signed in or not, to recognise it by. See ``consent``."""
    consent: str | None = None
    """Dotted path of ``f(request) -> bool``: whether this visitor may be given a cookie that signs nobody in."""
    user_cookie: bool = False
    """Whether a signed-in browser also gets the cookie ``X-UAId`` with the user's primary key, for proxies."""
    clear_site_data: Sequence[str] = ()
    """What a sign-out asks the browser to clear, such as ``("cache", "storage")``."""
    headers: Sequence[str] = ()
    """Path prefixes, such as ``("/api/",)``, under which tokens may come by ``X-ss-*`` headers instead of cookies."""
    hash_ids: bool = True
    """``False`` makes id and token equal, so that whoever reads the store can take over every session."""
    codec: Literal["json", "msgpack"] = "json"
    """How Redis and caches hold records. The database holds JSON."""
    max_bytes: int = 65_536
    """The largest encoded record, in bytes."""
    remember_default: bool = False
    """What ``remember=None`` means at sign-in."""
    user_snapshot_age: int = 0
    """Seconds for which ``request.user`` is taken from the session instead of the database; 0 always asks."""
    auth_events: Sequence[str] = ()
    """Dotted paths of ``AuthEvents`` classes, called in this order after the session's own hooks."""
    max_sessions_per_user: int | None = None
    """In how many sessions a user may be signed in at once; ``None`` for no limit."""
    on_limit: Literal["end_oldest", "refuse"] = "end_oldest"
    """What a sign-in beyond that does: end the session with the oldest sign-in, or fail."""
    on_store_error: Literal["error", "anonymous"] = "error"
    """What a request gets whose session cannot be read: 503, or an anonymous session that cannot be changed."""
    revocation_journal: bool = False
    """Whether ends are also written to the database, so that a Redis that fails over to a replica that lags, or is
    restored from a backup, brings no ended session back for longer than until the next reaping."""
    replica_acks: int = 0
    """How many Redis replicas must have heard of an end before it counts as done."""
    trusted_proxies: Sequence[str] = ()
    """Networks, such as ``"10.0.0.0/8"``, whose word of ``X-Forwarded-For`` is believed, and ``"unix"`` for whoever
    connects to the server's Unix socket."""

    @property
    def perm_cookie(self) -> str:
        return self._prefixed(self.perm_cookie_name)

    @property
    def option_cookie(self) -> str:
        return self._prefixed(self.option_cookie_name)

    def _prefixed(self, name: str) -> str:
        return name if name.startswith(self.cookie_prefix) else self.cookie_prefix + name

    @property
    def temp_seconds(self) -> int:
        return _seconds(self.temp_expiry) if self.temp_expiry else django_settings.SESSION_COOKIE_AGE

    @property
    def perm_seconds(self) -> int:
        return _seconds(self.perm_expiry)

    @property
    def absolute_seconds(self) -> int | None:
        return _seconds(self.absolute_expiry) if self.absolute_expiry else None


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _lifetime(value: object) -> str | None:
    if not isinstance(value, timedelta):
        return "must be a timedelta, such as timedelta(days=14)"
    return None if timedelta(seconds=1) <= value <= LONGEST_LIFETIME else "must be between one second and ten years"


def _lifetime_or_none(value: object) -> str | None:
    return None if value is None else _lifetime(value)


def _truth(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be True or False"


def _cookie_name(value: object) -> str | None:
    # http.cookies refuses the names of a cookie's attributes.
    good = isinstance(value, str) and _COOKIE_NAME.fullmatch(value) and value.lower() not in _RESERVED
    return None if good else "must be a cookie name: letters, digits and !#$%&'*+-.^_`|~"


def _whole(least: int) -> Callable[[object], str | None]:
    def rule(value: object) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if good else f"must be a whole number, {least} or more"

    return rule


def _whole_or_none(least: int) -> Callable[[object], str | None]:
    def rule(value: object) -> str | None:
        wrong = None if value is None else _whole(least)(value)
        return wrong and f"{wrong}, or None"

    return rule


def _one_of(*choices: str) -> Callable[[object], str | None]:
    return lambda value: None if value in choices else f"must be one of {', '.join(map(repr, choices))}"


def _dotted_path(value: object) -> str | None:
    return None if _is_path(value) else "must be the dotted path of a class, such as 'shop.sessions.ShopSession'"


def _function_or_none(value: object) -> str | None:
    good = value is None or _is_path(value)
    return None if good else "must be the dotted path of a function, such as 'shop.privacy.may_recognise'"


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "." in value.strip(".") and value == value.strip(".")


def _list_of(good: Callable[[Any], bool], what: str) -> Callable[[object], str | None]:
    def rule(value: object) -> str | None:
        is_list = isinstance(value, (list, tuple))  # a text is a sequence too, of letters
        return None if is_list and all(map(good, cast("Sequence[object]", value))) else f"must be a list of {what}"

    return rule


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


def _is_proxy(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return value == UNIX or ip_network(value).prefixlen > 0  # everybody would mean that anybody may say anything
    except ValueError:
        return False


RULES: Mapping[str, Callable[[object], str | None]] = {
    "SESSION_CLASS": _dotted_path,
    "TEMP_EXPIRY": _lifetime_or_none,
    "PERM_EXPIRY": _lifetime,
    "ABSOLUTE_EXPIRY": _lifetime_or_none,
    "SLIDING": _truth,
    "TOUCH_INTERVAL": _whole(0),
    "SAVE": _one_of("auto", "explicit"),
    "PERM_COOKIE_NAME": _cookie_name,
    "OPTION_COOKIE_NAME": _cookie_name,
    "HASH_IDS": _truth,
    "CODEC": _one_of("json", "msgpack"),
    "MAX_BYTES": _whole(1024),
    "REMEMBER_DEFAULT": _truth,
    "COOKIE_PREFIX": _one_of("", "__Host-", "__Secure-"),
    "PERMANENT_ID": _one_of("on_remember", "always"),
    "CONSENT": _function_or_none,
    "USER_COOKIE": _truth,
    "CLEAR_SITE_DATA": _list_of(lambda value: value in _SITE_DATA, f"some of {', '.join(map(repr, _SITE_DATA))}"),
    "HEADERS": _list_of(_is_prefix, "path prefixes, such as '/api/'"),
    "USER_SNAPSHOT_AGE": _whole(0),
    "AUTH_EVENTS": _list_of(_is_path, "dotted paths of classes, such as 'shop.events.ShopEvents'"),
    "MAX_SESSIONS_PER_USER": _whole_or_none(1),
    "ON_LIMIT": _one_of("end_oldest", "refuse"),
    "ON_STORE_ERROR": _one_of("error", "anonymous"),
    "REVOCATION_JOURNAL": _truth,
    "REPLICA_ACKS": _whole(0),
    "TRUSTED_PROXIES": _list_of(_is_proxy, f"networks or addresses, such as '10.0.0.0/8', and {UNIX!r}"),
}
"""What each key must be; a rule answers with what is wrong, or nothing."""


def problems(given: object) -> dict[str, str]:
    """What is wrong with a ``TYPED_SESSIONS`` setting, by key; empty when nothing is."""
    if not isinstance(given, Mapping):
        return {"": "must be a dict"}
    found = {}
    for key, value in given.items():
        rule = RULES.get(key)
        wrong = rule(value) if rule else "is not a setting of this version; the settings are " + ", ".join(RULES)
        if wrong:
            found[str(key)] = wrong
    return found


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings in force.

    Raises ``ImproperlyConfigured`` for the first wrong one; ``manage.py check`` lists them all.
    """
    given: Mapping[str, Any] = getattr(django_settings, "TYPED_SESSIONS", {})
    for key, wrong in problems(given).items():
        raise ImproperlyConfigured(f"TYPED_SESSIONS[{key!r}] {wrong}." if key else f"TYPED_SESSIONS {wrong}.")
    return Settings(
        **{field.name: given[field.name.upper()] for field in fields(Settings) if field.name.upper() in given}
    )


def _forget(*, setting: str, **_: object) -> None:
    if setting == "TYPED_SESSIONS":
        settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="typed_sessions.conf")
