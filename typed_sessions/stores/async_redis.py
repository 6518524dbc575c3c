"""The asyncio twin of a django-redis connection: same server, same options, one client per event loop.

django-redis has no asyncio client. A connection belongs to the event loop it was made in, and a sync server that runs
async views makes a new loop for every request, so clients of closed loops are let go of when a new loop shows up.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from redis import asyncio as aioredis
from redis.asyncio import sentinel as aiosentinel
from redis.cluster import RedisCluster
from redis.connection import SSLConnection
from redis.exceptions import MaxConnectionsError
from redis.sentinel import SentinelConnectionPool

from ..conf import TIME_LIMITS

MAX_CONNECTIONS = 50
"""Commands under way at once in an event loop, and so its connections; others wait, ``WAIT`` seconds at most."""
WAIT = 1.0

_CONNECTION_CLASSES = {
    "Connection": aioredis.Connection,
    "SSLConnection": aioredis.SSLConnection,
    "UnixDomainSocketConnection": aioredis.UnixDomainSocketConnection,
}
# Options that mean the same to both kinds of connection. Parsers and retry objects do not.
_ADDRESS = {"host", "port", "path", "db"}
_OPTIONS = _ADDRESS | {
    "username", "password", "client_name", "protocol", "encoding", "encoding_errors", "health_check_interval",
    "socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options", "credential_provider",
}  # fmt: skip
_TLS_OPTIONS = {
    "ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_data", "ssl_check_hostname",
    "ssl_min_version", "ssl_ciphers",
}  # fmt: skip


class _Client(NamedTuple):
    client: Any
    under_way: asyncio.Semaphore


class AsyncClients:
    """The asyncio clients of one cache alias; ``sync_client`` gives the connection they are the twins of."""

    def __init__(self, sync_client: Callable[[], Any]) -> None:
        self._sync_client = sync_client
        self._clients: dict[AbstractEventLoop, _Client] = {}
        self._lock = threading.Lock()

    async def send(self, *command: Any) -> Any:
        """One command and its reply, by the client of the running event loop."""
        return await self._in_turn("execute_command", *command)

    async def send_each(self, name: str, keys: Sequence[str]) -> list[Any]:
        """The same command for each of many keys of a cluster, and the replies."""
        replies: list[Any] = await self._in_turn("execute_each", name, keys)
        return replies

    async def _in_turn(self, method: str, *args: Any) -> Any:
        client, under_way = self.current()
        if under_way.locked():
            try:
                await asyncio.wait_for(under_way.acquire(), WAIT)
            except asyncio.TimeoutError as error:
                raise MaxConnectionsError(f"{MAX_CONNECTIONS} commands were under way for {WAIT} s") from error
        else:
            await under_way.acquire()
        try:
            return await getattr(client, method)(*args)
        finally:
            under_way.release()

    def current(self) -> _Client:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            with self._lock:
                self._let_go_of_closed_loops()
                sync = self._sync_client()
                asked_for = getattr(getattr(sync, "connection_pool", None), "max_connections", MAX_CONNECTIONS)
                client = _Client(twin_of(sync), asyncio.Semaphore(min(asked_for, MAX_CONNECTIONS)))
                self._clients[loop] = client
        return client

    def _let_go_of_closed_loops(self) -> None:
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            _abandon(self._clients.pop(loop).client)


def twin_of(client: Any) -> Any:
    """An asyncio client for what ``client`` is connected to; one that works in threads if that cannot be known."""
    if isinstance(client, RedisCluster):
        return ClusterClient(client)
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        return _sentinel_twin(pool)
    connection_class = _CONNECTION_CLASSES.get(pool.connection_class.__name__)
    if connection_class is None:
        return ThreadedClient(client)
    options = _shared(pool.connection_kwargs, is_tls=connection_class is aioredis.SSLConnection)
    return aioredis.Redis(connection_pool=aioredis.ConnectionPool(connection_class=connection_class, **options))


def _sentinel_twin(pool: Any) -> Any:
    is_tls = issubclass(pool.connection_class, SSLConnection)
    nodes = [node.connection_pool.connection_kwargs for node in pool.sentinel_manager.sentinels]
    sentinel: Any = aiosentinel.Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
        [(node["host"], node["port"]) for node in nodes],
        sentinel_kwargs=_without_address(_shared(nodes[0], is_tls=False)),
    )
    options = _without_address(_shared(pool.connection_kwargs, is_tls)) | {"db": pool.connection_kwargs.get("db", 0)}
    return sentinel.master_for(pool.service_name, ssl=is_tls, **options)


def _shared(options: dict[str, Any], is_tls: bool) -> dict[str, Any]:
    names = _OPTIONS | _TLS_OPTIONS if is_tls else _OPTIONS
    return TIME_LIMITS | {name: value for name, value in options.items() if name in names and value is not None}


def _without_address(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _ADDRESS}


class ClusterClient:
    """The asyncio client of a cluster, which has to know the nodes before its first command."""

    def __init__(self, client: Any) -> None:
        options = client.nodes_manager.connection_kwargs
        is_tls = issubclass(options.get("connection_class") or object, SSLConnection)
        node = client.get_default_node()
        address = {"host": node.host, "port": node.port}
        self.client = aioredis.RedisCluster(**_without_address(_shared(options, is_tls)), **address, ssl=is_tls)

    async def execute_command(self, *args: Any) -> Any:
        # Tasks that begin at once would send to whichever node, be redirected, and close one another's connections.
        await self.client.initialize()
        return await self.client.execute_command(*args)

    async def execute_each(self, name: str, keys: Sequence[str]) -> list[Any]:
        """One command for each key, sent to all nodes at once."""
        await self.client.initialize()
        pipeline = self.client.pipeline()
        for key in keys:
            pipeline.execute_command(name, key)
        return list(await pipeline.execute())


class ThreadedClient:
    """A sync client for async callers, for connections whose asyncio twin cannot be known."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def execute_command(self, *args: Any) -> Any:
        return await sync_to_async(self._client.execute_command, thread_sensitive=False)(*args)


def _abandon(client: Any) -> None:
    """Closes what a client of a closed loop left open. Its own ``close`` needs that loop; the sockets do not.

    All of this is private to redis-py: what is not there any more is left to the garbage collector.
    """
    for connection in _connections_of(client):
        transport: Any = getattr(getattr(connection, "_writer", None), "transport", None)
        sock = getattr(transport, "_sock", None)
        if sock is not None:
            sock.close()
            transport._sock, transport._closing = None, True  # so that neither of them complains
        with suppress(AttributeError):
            connection._reader = connection._writer = None  # so that it does not complain of not having been closed
    if isinstance(client, ClusterClient):
        client.client._initialize = True  # likewise


def _connections_of(client: Any) -> Iterator[Any]:
    if isinstance(client, ClusterClient):
        cluster = client.client.nodes_manager
        for nodes in (cluster.nodes_cache, cluster.startup_nodes):
            for node in nodes.values():
                yield from node._connections
    elif isinstance(client, aioredis.Redis):
        pools = [client.connection_pool]
        sentinels = getattr(getattr(client.connection_pool, "sentinel_manager", None), "sentinels", ())
        pools += [sentinel.connection_pool for sentinel in sentinels]
        for pool in pools:
            yield from pool._available_connections
            yield from pool._in_use_connections
