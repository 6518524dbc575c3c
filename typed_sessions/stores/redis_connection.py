"""The connection of the Redis store: one command at a time, by the pools of django-redis, with limits of time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection
from django_redis.cache import RedisCache
from django_redis.exceptions import ConnectionInterrupted
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import MaxConnectionsError, NoScriptError, RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from ..conf import TIME_LIMITS
from ..exceptions import StoreUnavailable
from ..flows import Step
from .async_redis import WAIT, AsyncClients
from .scripts import Command


class RedisConnection:
    """``alias`` names a cache of django-redis. Its ``KEY_PREFIX``, if any, goes in front of every key."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._prefix = _prefix_of(alias)
        self._async_clients = AsyncClients(lambda: self._client)

    @cached_property
    def _client(self) -> Any:
        # Client and pool live as long as the process. write=True: a replica may not have heard of a sign-out yet.
        with store_errors():
            client = get_redis_connection(self.alias, write=True)
        return client if isinstance(client, RedisCluster) else with_time_limits(client)

    @cached_property
    def _is_cluster(self) -> bool:
        return isinstance(self._client, RedisCluster)

    def _step(self, command: Command) -> Step:
        return Step(self._execute, self._aexecute, (command,))

    def _execute(self, command: Command) -> Any:
        name, keys, args = command
        try:
            if isinstance(name, str):
                return self._send(name, *keys, *args)
            try:
                return self._send("EVALSHA", name.sha, len(keys), *keys, *args)
            except NoScriptError:
                return self._send("EVAL", name.source, len(keys), *keys, *args)
        except STORE_ERRORS as error:
            raise unavailable(error) from error

    def _send(self, *command: Any) -> Any:
        """One command and its reply, without what a client does beyond that for commands of every kind."""
        return self._client.execute_command(*command) if self._is_cluster else self._send_all(command)[-1]

    def _send_all(self, *commands: Sequence[Any]) -> list[Any]:
        """Commands one after the other, by one connection."""
        pool = self._client.connection_pool
        connection = _wait_for_connection(pool)
        replies = []
        try:
            for command in commands:
                # Both disconnect if they fail half way, so that no reply is left for the next command
                # (CVE-2023-28858). It has to be said: a connection of Sentinel does not by itself.
                connection.send_command(*command)
                replies.append(connection.read_response(disconnect_on_error=True))
        finally:
            pool.release(connection)
        return replies

    async def _aexecute(self, command: Command) -> Any:
        name, keys, args = command
        try:
            send = self._async_clients.send
            if isinstance(name, str):
                return await send(name, *keys, *args)
            try:
                return await send("EVALSHA", name.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await send("EVAL", name.source, len(keys), *keys, *args)
        except STORE_ERRORS as error:
            raise unavailable(error) from error

    def _execute_each(self, name: str, keys: Sequence[str]) -> Sequence[Any]:
        with store_errors():
            pipeline = self._client.pipeline()
            for key in keys:
                pipeline.execute_command(name, key)
            return list(pipeline.execute())

    async def _aexecute_each(self, name: str, keys: Sequence[str]) -> Sequence[Any]:
        with store_errors():
            return await self._async_clients.send_each(name, keys)


def _prefix_of(alias: str) -> str:
    try:
        cache = caches[alias]
    except InvalidCacheBackendError as error:
        raise ImproperlyConfigured(f"SESSION_CACHE_ALIAS is {alias!r}, and CACHES has no such entry.") from error
    if not isinstance(cache, RedisCache):
        raise ImproperlyConfigured(
            f"The redis session engine needs django-redis: set CACHES[{alias!r}]['BACKEND'] to "
            "'django_redis.cache.RedisCache', or SESSION_CACHE_ALIAS to a cache that has it."
        )
    return f"{cache.key_prefix}:" if cache.key_prefix else ""


def _wait_for_connection(pool: Any) -> Any:
    """A connection of ``pool``; one that has none free is waited for, as it is for a moment only."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return pool.get_connection()
        except MaxConnectionsError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def with_time_limits(client: Any) -> Any:
    """``client``, or its twin with a pool of its own if the project has set no time limits (REQ-R03).

    The alias' own pool stays as it is, as what else the project keeps in this Redis may take its time. The pool of a
    Sentinel cannot be made again, and takes the limits itself.
    """
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        for limited in (pool, *(sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels)):
            limited.connection_kwargs.update(TIME_LIMITS | limited.connection_kwargs)
    if type(pool) is not ConnectionPool:
        return client
    missing = {name: limit for name, limit in TIME_LIMITS.items() if pool.connection_kwargs.get(name) is None}
    if not missing:
        return client
    options = {**pool.connection_kwargs, "retry": Retry(NoBackoff(), 0), **missing}
    return Redis(connection_pool=ConnectionPool(pool.connection_class, pool.max_connections, **options))


STORE_ERRORS = (RedisError, RedisClusterException, ConnectionInterrupted, OSError)


@contextmanager
def store_errors() -> Iterator[None]:
    try:
        yield
    except STORE_ERRORS as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(f"Redis did not do what was asked: {type(error).__name__}: {error}")
