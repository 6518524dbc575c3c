"""The store behind the engine: that it is there, and that it keeps what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from ..conf import problems
from .messages import Messages, check, configured_engine, error, imported, warning

Cache = Mapping[str, Any]
"""One entry of ``CACHES``."""

# What django-redis makes a pool of; the pool itself it finds by the URL alone.
_POOL_OPTIONS = (
    "USERNAME", "PASSWORD", "SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT", "PARSER_CLASS", "CONNECTION_FACTORY",
    "CONNECTION_POOL_CLASS", "CONNECTION_POOL_KWARGS", "SENTINELS", "SENTINEL_KWARGS",
)  # fmt: skip


@check("CACHES or SESSION_CACHE_ALIAS")
def check_store() -> Messages:
    """The cache that the engine needs, and its options."""
    engine = _engine()
    if engine not in _CHECKS:
        return [*_check_codec(engine), *_check_abilities(engine)]
    alias = django_settings.SESSION_CACHE_ALIAS
    if alias not in django_settings.CACHES:
        what, hint = f"SESSION_CACHE_ALIAS is {alias!r}, and CACHES has no such entry.", f"Add CACHES[{alias!r}]."
        return [error(30, what, hint)]
    cache = django_settings.CACHES[alias]
    return [*_CHECKS[engine](alias, cache), *_check_codec(engine), *_check_abilities(engine)]


@check("CACHES or SESSION_CACHE_ALIAS")
def check_store_deployed() -> Messages:
    """What is good enough at a desk, and not on a server."""
    if _engine() == "cache" and _is(django_settings.CACHES.get(django_settings.SESSION_CACHE_ALIAS, {}), LocMemCache):
        what = "The session cache is the memory of one process: another worker does not know its sessions."
        return [error(37, what, "Use the db, redis or cached_db engine.")]
    return []


def _check_redis(alias: str, cache: Cache) -> Messages:
    redis_cache = imported("django_redis.cache.RedisCache")
    if not _is(cache, redis_cache):
        what = f"The redis engine needs django-redis, and CACHES[{alias!r}] is {cache.get('BACKEND')!r}."
        return [error(31, what, f"Set CACHES[{alias!r}]['BACKEND'] = 'django_redis.cache.RedisCache'.")]
    found = []
    pool = _options(cache).get("CONNECTION_POOL_KWARGS") or {}
    if pool.get("decode_responses"):
        what = f"CACHES[{alias!r}] has decode_responses=True, and records are bytes."
        found.append(error(32, what, "Remove it from CONNECTION_POOL_KWARGS."))
    if not all(_has_time_limit(cache, name) for name in ("socket_timeout", "socket_connect_timeout")):
        what = (
            f"CACHES[{alias!r}] has no time limits: sessions bring limits and connections of their own, and whatever "
            "else uses this cache waits for a Redis that hangs."
        )
        found.append(warning(33, what, "Set OPTIONS SOCKET_CONNECT_TIMEOUT = 0.25 and SOCKET_TIMEOUT = 0.5 (seconds)."))
    for other, entry in django_settings.CACHES.items():
        if other != alias and _is(entry, redis_cache) and _shares_pool_wrongly(cache, entry):
            what = (
                f"CACHES[{alias!r}] and CACHES[{other!r}] have a LOCATION in common and different connection options, "
                "and django-redis gives both the options of whichever connects first."
            )
            found.append(warning(34, what, "Give both the same options, or different database numbers."))
    return found


def _check_cached_db(alias: str, cache: Cache) -> Messages:
    found = _check_errors_are_told(alias, cache)
    if _is(cache, LocMemCache, DummyCache) and not django_settings.DEBUG:
        what = (
            f"cached_db needs a cache that all processes share, and CACHES[{alias!r}] is {cache['BACKEND']!r}: "
            "a process would serve sessions that another has ended."
        )
        found.append(error(35, what, "Use Redis or memcached for it, or the db engine."))
    return found


def _check_cache(alias: str, cache: Cache) -> Messages:
    if _is(cache, DummyCache):
        what = f"CACHES[{alias!r}] stores nothing, so there are no sessions."
        return [error(36, what, "Use another cache or engine.")]
    what = "The cache engine may lose sessions whenever its cache drops them, and cannot list them."
    found = [warning(38, what, "For anything but development use the db, redis or cached_db engine.")]
    if _is(cache, LocMemCache, DatabaseCache, FileBasedCache) and "MAX_ENTRIES" not in _options(cache):
        what = f"CACHES[{alias!r}] holds 300 entries and then drops a third of them, sessions included."
        found.append(warning(40, what, "Set OPTIONS MAX_ENTRIES to more than the sessions you expect."))
    return [*found, *_check_errors_are_told(alias, cache)]


def _check_errors_are_told(alias: str, cache: Cache) -> Messages:
    hidden = getattr(django_settings, "DJANGO_REDIS_IGNORE_EXCEPTIONS", False)
    if not _options(cache).get("IGNORE_EXCEPTIONS", hidden):
        return []
    what = f"CACHES[{alias!r}] hides errors, so that an outage looks like a sign-out, or an old copy like the truth."
    return [error(39, what, "Turn IGNORE_EXCEPTIONS off for this alias.")]


def _check_codec(engine: str) -> Messages:
    given = getattr(django_settings, "TYPED_SESSIONS", {})
    if engine in ("db", "cached_db") and isinstance(given, Mapping) and given.get("CODEC") == "msgpack":
        return [warning(41, "CODEC is 'msgpack', and the database holds JSON whatever it says.", "Leave CODEC out.")]
    return []


def _check_abilities(engine: str) -> Messages:
    """Settings that ask of a store what only another one does."""
    given = getattr(django_settings, "TYPED_SESSIONS", {})
    asked = given if isinstance(given, Mapping) and not problems(given) else {}
    found = []
    if engine == "cache" and asked.get("MAX_SESSIONS_PER_USER"):
        what = "MAX_SESSIONS_PER_USER is set, and the cache engine does not know the sessions of a user."
        found.append(error(42, what, "Use the db, redis or cached_db engine, or leave MAX_SESSIONS_PER_USER out."))
    for name in ("REVOCATION_JOURNAL", "REPLICA_ACKS"):
        if engine and engine != "redis" and asked.get(name):
            what = f"{name} is about replicas of Redis, and the engine is {engine}."
            found.append(warning(43, what, f"Leave {name} out."))
    return found


_CHECKS = {"redis": _check_redis, "cached_db": _check_cached_db, "cache": _check_cache}


def _engine() -> str:
    """``db``, ``redis``, ``cached_db`` or ``cache``, for engines derived from them too; empty for another."""
    engine = configured_engine()
    for ancestor in engine.__mro__ if engine else ():
        package, _, name = ancestor.__module__.rpartition(".")
        if package == "typed_sessions.backends" and name != "base":
            return name
    return ""


def _is(cache: Cache, *backends: Any) -> bool:
    backend = imported(cache.get("BACKEND"))
    return isinstance(backend, type) and issubclass(backend, tuple(filter(None, backends)))


def _options(cache: Cache) -> Mapping[str, Any]:
    return cache.get("OPTIONS") or {}


def _locations(cache: Cache) -> set[str]:
    location = cache.get("LOCATION") or ()
    return set(location.split(",")) if isinstance(location, str) else set(location)


def _has_time_limit(cache: Cache, name: str) -> bool:
    """In any of the three places that redis-py takes it from."""
    options = _options(cache)
    locations = _locations(cache)
    in_every_url = bool(locations) and all(f"{name}=" in location for location in locations)
    return bool(options.get(name.upper()) or (options.get("CONNECTION_POOL_KWARGS") or {}).get(name) or in_every_url)


def _shares_pool_wrongly(one: Cache, other: Cache) -> bool:
    def pool_options(cache: Cache) -> list[Any]:
        return [_options(cache).get(name) or None for name in _POOL_OPTIONS]

    return bool(_locations(one) & _locations(other)) and pool_options(one) != pool_options(other)
