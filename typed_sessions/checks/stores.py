"""The store behind the engine: that it is there, and that it keeps what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings

from .messages import Messages, check, configured_engine, error, warning

_LOCAL = "django.core.cache.backends.locmem."
_DUMMY = "django.core.cache.backends.dummy."
_LOCAL_OR_DUMMY = (_LOCAL, _DUMMY)
_CULLED = (_LOCAL, "django.core.cache.backends.db.", "django.core.cache.backends.filebased.")


@check("CACHES or SESSION_CACHE_ALIAS")
def check_store() -> Messages:
    """The cache that the engine needs, and its options."""
    engine = _engine()
    if engine not in ("redis", "cached_db", "cache"):
        return _check_codec(engine)
    alias = django_settings.SESSION_CACHE_ALIAS
    if alias not in django_settings.CACHES:
        return [
            error(
                30,
                f"SESSION_CACHE_ALIAS is {alias!r}, and CACHES has no such entry.",
                f"Add CACHES[{alias!r}], or name another.",
            )
        ]
    cache = django_settings.CACHES[alias]
    check = {"redis": _check_redis, "cached_db": _check_cached_db, "cache": _check_cache}[engine]
    return [*check(alias, cache), *_check_codec(engine)]


@check("CACHES or SESSION_CACHE_ALIAS")
def check_store_deployed() -> Messages:
    """What is good enough at a desk, and not on a server."""
    engine, cache = _engine(), django_settings.CACHES.get(django_settings.SESSION_CACHE_ALIAS, {})
    if engine == "cache" and cache.get("BACKEND", "").startswith(_LOCAL):
        return [
            error(
                37,
                "The session cache is the memory of one process: another worker does not know its sessions.",
                "Use the db, redis or cached_db engine.",
            )
        ]
    return []


def _check_redis(alias: str, cache: Mapping[str, Any]) -> Messages:
    from django.utils.module_loading import import_string
    from django_redis.cache import RedisCache

    backend = import_string(cache["BACKEND"])
    if not (isinstance(backend, type) and issubclass(backend, RedisCache)):
        return [
            error(
                31,
                f"The redis engine needs django-redis, and CACHES[{alias!r}] is {cache['BACKEND']!r}.",
                f"Set CACHES[{alias!r}]['BACKEND'] = 'django_redis.cache.RedisCache'.",
            )
        ]
    options = cache.get("OPTIONS", {})
    found = []
    if options.get("CONNECTION_POOL_KWARGS", {}).get("decode_responses"):
        found.append(
            error(
                32,
                f"CACHES[{alias!r}] has decode_responses=True, and records are bytes.",
                "Remove it from CONNECTION_POOL_KWARGS.",
            )
        )
    if not (options.get("SOCKET_TIMEOUT") and options.get("SOCKET_CONNECT_TIMEOUT")):
        found.append(
            warning(
                33,
                f"CACHES[{alias!r}] has no time limits, so that a Redis that hangs holds every worker.",
                "Set OPTIONS SOCKET_CONNECT_TIMEOUT = 0.25 and SOCKET_TIMEOUT = 0.5 (seconds).",
            )
        )
    return [*found, *_check_shared_pool(alias, cache)]


def _check_shared_pool(alias: str, cache: Mapping[str, Any]) -> Messages:
    # django-redis keeps one pool for each URL: the alias that connects first decides on the options of the others.
    def pool_options(entry: Mapping[str, Any]) -> dict[str, Any]:
        own = (
            "SOCKET_TIMEOUT",
            "SOCKET_CONNECT_TIMEOUT",
            "CONNECTION_POOL_KWARGS",
            "CONNECTION_POOL_CLASS",
            "PASSWORD",
        )
        return {name: entry.get("OPTIONS", {}).get(name) for name in own}

    return [
        warning(
            34,
            f"CACHES[{alias!r}] and CACHES[{other!r}] have one LOCATION and different connection options, "
            "and django-redis gives both the options of whichever connects first.",
            "Give both the same options, or different database numbers.",
        )
        for other, entry in django_settings.CACHES.items()
        if other != alias
        and entry.get("LOCATION") == cache.get("LOCATION")
        and pool_options(entry) != pool_options(cache)
    ]


def _check_cached_db(alias: str, cache: Mapping[str, Any]) -> Messages:
    if cache["BACKEND"].startswith(_LOCAL_OR_DUMMY) and not django_settings.DEBUG:
        return [
            error(
                35,
                f"cached_db needs a cache that all processes share, and CACHES[{alias!r}] is "
                f"{cache['BACKEND']!r}: a process would serve sessions that another has ended.",
                "Use Redis or memcached for it, or the db engine.",
            )
        ]
    return []


def _check_cache(alias: str, cache: Mapping[str, Any]) -> Messages:
    if cache["BACKEND"].startswith(_DUMMY):
        return [
            error(36, f"CACHES[{alias!r}] stores nothing, so there are no sessions.", "Use another cache or engine.")
        ]
    found = [
        warning(
            38,
            "The cache engine may lose sessions whenever its cache drops them, and cannot list them.",
            "For anything but development use the db, redis or cached_db engine.",
        )
    ]
    if cache.get("OPTIONS", {}).get("IGNORE_EXCEPTIONS") or getattr(
        django_settings, "DJANGO_REDIS_IGNORE_EXCEPTIONS", False
    ):
        found.append(
            error(
                39,
                f"CACHES[{alias!r}] hides errors, so that an outage would look like a sign-out to everybody.",
                "Turn IGNORE_EXCEPTIONS off for this alias.",
            )
        )
    if cache["BACKEND"].startswith(_CULLED) and "MAX_ENTRIES" not in cache.get("OPTIONS", {}):
        found.append(
            warning(
                40,
                f"CACHES[{alias!r}] holds 300 entries and then drops a third of them, sessions included.",
                "Set OPTIONS MAX_ENTRIES to more than the sessions you expect.",
            )
        )
    return found


def _check_codec(engine: str) -> Messages:
    given = getattr(django_settings, "TYPED_SESSIONS", {})
    if engine in ("db", "cached_db") and isinstance(given, Mapping) and given.get("CODEC") == "msgpack":
        return [warning(41, "CODEC is 'msgpack', and the database holds JSON whatever it says.", "Leave CODEC out.")]
    return []


def _engine() -> str:
    """``db``, ``redis``, ``cached_db`` or ``cache``, for engines derived from them too; empty for another."""
    engine = configured_engine()
    for ancestor in engine.__mro__ if engine else ():
        package, _, name = ancestor.__module__.rpartition(".")
        if package == "typed_sessions.backends" and name != "base":
            return name
    return ""
