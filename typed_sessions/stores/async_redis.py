"""The asyncio twin of a django-redis connection: same server, same options, one connection pool per event loop.

django-redis has no asyncio client. A pool belongs to the event loop it was made in, and a sync server that runs async
views makes a new loop for every request, so pools of closed loops are let go of when a new loop shows up.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from redis import asyncio as aioredis
from redis.asyncio import sentinel as aiosentinel
from redis.cluster import RedisCluster
from redis.sentinel import SentinelConnectionPool

MAX_CONNECTIONS = 50
"""Per event loop; a request beyond that waits for a connection, ``WAIT`` seconds at most."""
WAIT = 1.0
TIME_LIMITS = {"socket_connect_timeout": 0.25, "socket_timeout": 0.5}
"""Seconds, where the project has set none: a Redis that hangs must not hold a worker (REQ-R03)."""

_CONNECTION_CLASSES = {
    "Connection": aioredis.Connection,
    "SSLConnection": aioredis.SSLConnection,
    "UnixDomainSocketConnection": aioredis.UnixDomainSocketConnection,
}
# Options that mean the same to both kinds of connection. Parsers and retry objects do not.
_OPTIONS = frozenset(
    [
        "host",
        "port",
        "path",
        "db",
        "username",
        "password",
        "client_name",
        "protocol",
        "encoding",
        "encoding_errors",
        "health_check_interval",
        "socket_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_keepalive_options",
        "credential_provider",
        "ssl_keyfile",
        "ssl_certfile",
        "ssl_cert_reqs",
        "ssl_ca_certs",
        "ssl_ca_data",
        "ssl_check_hostname",
        "ssl_min_version",
        "ssl_ciphers",
    ]
)


class AsyncClients:
    """The asyncio clients of one cache alias; ``sync_client`` gives the connection they are the twins of."""

    def __init__(self, sync_client: Callable[[], Any]) -> None:
        self._sync_client = sync_client
        self._clients: dict[AbstractEventLoop, Any] = {}
        self._lock = threading.Lock()

    def current(self) -> Any:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            with self._lock:
                self._let_go_of_closed_loops()
                client = self._clients[loop] = twin_of(self._sync_client())
        return client

    def _let_go_of_closed_loops(self) -> None:
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            _close_sockets(self._clients.pop(loop))


def twin_of(client: Any) -> Any:
    """An asyncio client for what ``client`` is connected to; one that works in threads if it cannot be known."""
    if isinstance(client, RedisCluster):
        return _cluster_twin(client)
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return _sentinel_twin(pool)
    connection_class = _CONNECTION_CLASSES.get(pool.connection_class.__name__)
    if connection_class is None:
        return ThreadedClient(client)
    options = _shared_options(pool.connection_kwargs)
    return aioredis.Redis(
        connection_pool=aioredis.BlockingConnectionPool(
            max_connections=min(pool.max_connections, MAX_CONNECTIONS),
            timeout=WAIT,
            connection_class=connection_class,
            **options,
        )
    )


def _sentinel_twin(pool: Any) -> Any:
    manager = pool.sentinel_manager
    addresses = [
        (kwargs["host"], kwargs["port"])
        for kwargs in (node.connection_pool.connection_kwargs for node in manager.sentinels)
    ]
    sentinel_options = _shared_options(manager.sentinels[0].connection_pool.connection_kwargs)
    sentinel: Any = aiosentinel.Sentinel(  # type: ignore[no-untyped-call]
        addresses,
        sentinel_kwargs={name: value for name, value in sentinel_options.items() if name not in ("host", "port", "db")},
        **{
            name: value
            for name, value in _shared_options(pool.connection_kwargs).items()
            if name not in ("host", "port")
        },
    )
    return sentinel.master_for(pool.service_name)


def _cluster_twin(client: Any) -> Any:
    node = client.get_default_node()
    options = _shared_options(client.nodes_manager.connection_kwargs)
    return aioredis.RedisCluster(**{**options, "host": node.host, "port": node.port})


def _shared_options(options: dict[str, Any]) -> dict[str, Any]:
    return TIME_LIMITS | {name: value for name, value in options.items() if name in _OPTIONS and value is not None}


def _close_sockets(client: Any) -> None:
    """Closes what a client of a closed loop left open. Its own ``close`` needs that loop; the sockets do not."""
    pools = [client.connection_pool] if hasattr(client, "connection_pool") else _node_pools(client)
    for pool in pools:
        for connection in [*getattr(pool, "_available_connections", ()), *getattr(pool, "_in_use_connections", ())]:
            transport = getattr(getattr(connection, "_writer", None), "transport", None)
            sock = getattr(transport, "_sock", None)
            if sock is not None:
                sock.close()


def _node_pools(client: Any) -> list[Any]:
    manager = getattr(client, "nodes_manager", None)
    return [] if manager is None else [_NodeConnections(node) for node in manager.nodes_cache.values()]


class _NodeConnections:
    """The connections of a cluster node, which is its own pool, under the names that a pool has."""

    def __init__(self, node: Any) -> None:
        self._available_connections = list(getattr(node, "_connections", ()))


class ThreadedClient:
    """A sync client for async callers, for connections whose asyncio twin cannot be known."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def execute_command(self, *args: Any) -> Any:
        return await sync_to_async(self._client.execute_command, thread_sensitive=False)(*args)
