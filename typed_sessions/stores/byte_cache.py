"""A Django cache as a place for bytes.

Most caches pickle what they are given, and unpickle whatever they find: whoever can write to one can run code in every
process that reads it (REQ-S67). Where the cache is django-redis, records go past its serializer.
"""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakKeyDictionary

from django.core.cache import BaseCache, caches

from ..conf import TIME_LIMITS


class ByteCache(Protocol):
    """Keys to bytes, with a life in seconds."""

    def get(self, key: str) -> Any: ...
    def add(self, key: str, value: bytes, life: int) -> bool: ...
    def set(self, key: str, value: bytes, life: int) -> None: ...
    def delete(self, key: str) -> None: ...


def byte_cache(alias: str) -> ByteCache:
    """The cache ``alias``, without its serializer where that can be had."""
    cache = caches[alias]
    return _RawRedis(cache) if is_django_redis(cache) else _Plain(cache)


def is_django_redis(cache: BaseCache) -> bool:
    """Told without importing it, since this store does not need it."""
    return any(ancestor.__module__ == "django_redis.client.default" for ancestor in type(_client_of(cache)).__mro__)


def _client_of(cache: BaseCache) -> Any:
    return getattr(cache, "client", None)


_twins: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""Limits of time and clients that have them, by the pool of the client that has none."""


def _limited(client: Any) -> Any:
    from .redis_connection import with_time_limits  # which needs what other caches do not

    pool = getattr(client, "connection_pool", None)
    if pool is None:
        return client  # of a cluster, which is made with limits
    limits, twin = _twins.get(pool, (None, None))
    if limits != TIME_LIMITS:
        twin = with_time_limits(client)
        _twins[pool] = dict(TIME_LIMITS), twin
    return twin


class _RawRedis:
    def __init__(self, cache: BaseCache) -> None:
        self._make_key = cache.make_key
        self._redis = _limited(_client_of(cache).get_client(write=True))

    def get(self, key: str) -> Any:
        return self._redis.get(self._make_key(key))

    def add(self, key: str, value: bytes, life: int) -> bool:
        return bool(self._redis.set(self._make_key(key), value, ex=life, nx=True))

    def set(self, key: str, value: bytes, life: int) -> None:
        self._redis.set(self._make_key(key), value, ex=life)

    def delete(self, key: str) -> None:
        self._redis.delete(self._make_key(key))


class _Plain:
    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache

    def get(self, key: str) -> Any:
        return self._cache.get(key)

    def add(self, key: str, value: bytes, life: int) -> bool:
        return self._cache.add(key, value, life)

    def set(self, key: str, value: bytes, life: int) -> None:
        self._cache.set(key, value, life)

    def delete(self, key: str) -> None:
        self._cache.delete(key)
