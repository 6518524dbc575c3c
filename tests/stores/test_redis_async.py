"""The asyncio twin of a django-redis connection: the same server, one pool for an event loop, none left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from redis import asyncio as aioredis

from tests.servers.cluster import RedisCluster
from tests.servers.redis import RedisServer, free_port
from tests.stores.conftest import MakeStore, StoreAt
from tests.stores.tools import LossyProxy, clients
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores import async_redis
from typed_sessions.stores.async_redis import AsyncClients, ThreadedClient, twin_of
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import Record
from typed_sessions.stores.redis import RedisStore
from typed_sessions.testing.stores import AsyncVerbs, created, full_record, new_record, next_save, saved, successor

SERVERS = ["valkey", "cluster", "sentinel"]


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store("valkey")


def _servers(name: str, request: pytest.FixtureRequest) -> list[RedisServer]:
    if name == "cluster":
        nodes: list[RedisServer] = request.getfixturevalue("redis_cluster").nodes
        return nodes
    if name == "sentinel":
        sentinel = request.getfixturevalue("redis_sentinel")
        return [sentinel.master, sentinel.sentinel]
    return [request.getfixturevalue(name)]


# Event loops


@pytest.mark.parametrize("name", SERVERS)
def test_closed_loops_are_let_go_of(name: str, make_store: MakeStore, request: pytest.FixtureRequest) -> None:
    """A loop for each request, as a sync server has it, leaves no connection behind but those of the last loop."""
    store = make_store(name)
    records = [created(store, new_record(store)) for _ in range(6)]

    async def request_all() -> list[object]:
        return await asyncio.gather(*(store.aload(record.id) for record in records))

    servers = _servers(name, request)
    assert asyncio.run(request_all()) == records
    before = [clients(server) for server in servers]
    for _ in range(20):
        assert asyncio.run(request_all()) == records
    assert max(clients(server) - count for server, count in zip(servers, before, strict=True)) <= 1


def test_first_commands_of_a_loop_are_not_redirected(make_store: MakeStore, redis_cluster: RedisCluster) -> None:
    """Requests that begin at once on a cluster know its nodes, and do not disturb each other while they find out."""
    store = make_store("cluster")
    records = [created(store, new_record(store)) for _ in range(9)]
    for node in redis_cluster.nodes:
        node.run("CONFIG", "RESETSTAT")

    async def request_all() -> list[object]:
        return await asyncio.gather(*(store.aload(record.id) for record in records))

    for _ in range(3):
        assert asyncio.run(request_all()) == records
    assert not any("errorstat_MOVED" in node.client().info("errorstats") for node in redis_cluster.nodes)


def test_loop_has_one_client(store: Store) -> None:
    """A loop keeps its client, and two loops at once have one each."""
    assert isinstance(store, RedisStore)
    made = AsyncClients(lambda: store._client)

    async def both() -> tuple[object, object]:
        return made.current(), made.current()

    (first, again), (second, _) = asyncio.run(both()), asyncio.run(both())
    assert first is again
    assert first is not second


def test_loops_in_threads_do_not_disturb_each_other(store: Store) -> None:
    """Threads with a loop of their own load at the same time, while others come and go."""
    records = [created(store, new_record(store, user=str(number))) for number in range(8)]
    answers: dict[str, list[object]] = {record.id: [] for record in records}

    def serve(record: Record) -> None:
        for _ in range(10):
            answers[record.id].append(asyncio.run(store.aload(record.id)))

    threads = [threading.Thread(target=serve, args=(record,)) for record in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {record.id: [record] * 10 for record in records}


# Many at once


@pytest.mark.parametrize("name", SERVERS)
async def test_many_loads_wait_for_a_connection(
    name: str, make_store: MakeStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hundred loads at once are all answered, each with its own record, over a bounded number of connections."""
    monkeypatch.setattr(async_redis, "WAIT", 30.0)  # how long at most is another test
    store = make_store(name)
    records = [created(store, new_record(store)) for _ in range(30)]
    server = _servers(name, request)[0]
    before = clients(server)
    assert await asyncio.gather(*(store.aload(record.id) for record in records * 10)) == records * 10
    assert clients(server) - before <= async_redis.MAX_CONNECTIONS


async def test_r05_waiting_for_a_connection_ends(
    store: Store, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no connection comes free in time the store is unavailable, and the connection works for the next."""
    monkeypatch.setattr(async_redis, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(async_redis, "WAIT", 0.05)
    record = await asyncio.to_thread(created, store, new_record(store))
    assert await store.aload(record.id) == record
    valkey.pause(0.2)
    answer, refusal = await asyncio.gather(store.aload(record.id), store.aload(record.id), return_exceptions=True)
    assert answer == record
    assert isinstance(refusal, StoreUnavailable)
    assert "1 commands were under way" in str(refusal)
    assert await store.aload(record.id) == record


async def test_r31_cancelled_loads_cross_nothing(store: Store) -> None:
    """A request that is cancelled while it waits leaves no reply for the next one on its connection."""
    records = [created(store, new_record(store)) for _ in range(10)]

    async def cancelled(record: Record, after: int) -> None:
        task = asyncio.create_task(store.aload(record.id))
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for after in range(12):
        await asyncio.gather(*(cancelled(record, after) for record in records * 2))
        assert await asyncio.gather(*(store.aload(record.id) for record in records)) == records


# Ways to the server


async def _works(store: RedisStore) -> None:
    """Goes once through the life of a session."""
    base = full_record(store)
    assert await store.acreate(base)
    record = next_save(base)
    assert saved(await store.asave(record, base)) == record
    new = successor(record)
    assert saved(await store.areplace(new, record)) == new
    assert await store.aload(new.id) == new
    assert await store.acount(new.seen) == 1


async def test_unix_socket(store: Store, valkey: RedisServer) -> None:
    """The twin of a connection over a Unix socket uses that socket."""
    assert isinstance(store, RedisStore)
    await _works(store)
    assert store._async_clients.current().client.connection_pool.connection_class is aioredis.UnixDomainSocketConnection


async def test_tcp(store_at: StoreAt, valkey: RedisServer) -> None:
    """The twin of a connection over TCP has its host, port, database, password and time limits."""
    valkey.run("ACL", "SETUSER", "twin", "on", ">secret", "~*", "+@all")
    try:
        with LossyProxy(valkey) as proxy:
            url = proxy.url.replace("//", "//twin:secret@").removesuffix("0") + "3"
            store = store_at(url, SOCKET_TIMEOUT=3, SOCKET_CONNECT_TIMEOUT=2)
            await _works(store)
            pool = store._async_clients.current().client.connection_pool
    finally:
        valkey.run("ACL", "DELUSER", "twin")
    kwargs = pool.connection_kwargs
    assert (kwargs["username"], kwargs["db"], kwargs["socket_timeout"]) == ("twin", 3, 3)
    assert kwargs["socket_connect_timeout"] == 2
    assert valkey.client().info("keyspace").keys() == {"db3"}


async def test_fewer_connections_can_be_asked_for(store_at: StoreAt, valkey: RedisServer) -> None:
    """A limit in CONNECTION_POOL_KWARGS holds for the twin too."""
    store = store_at(f"{valkey.url}&client_name=two", CONNECTION_POOL_KWARGS={"max_connections": 2})
    before = clients(valkey)
    await asyncio.gather(*(store.aload("x") for _ in range(50)))
    assert clients(valkey) - before <= 2


def test_tls_stays_tls() -> None:
    """The twin of an encrypted connection is encrypted, and checks what the other checks."""
    client = redis.Redis.from_url("rediss://redis.example:6380/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required")
    pool = asyncio.run(_awaited(lambda: twin_of(client))).connection_pool
    assert pool.connection_class is aioredis.SSLConnection
    assert (pool.connection_kwargs["host"], pool.connection_kwargs["ssl_ca_certs"]) == ("redis.example", "/ca.pem")


def test_tls_of_sentinel_and_cluster_stays_tls() -> None:
    """The twins of an encrypted Sentinel or Cluster connection do not fall back to plain text."""
    make: Any = redis.Sentinel
    master = make([("sentinel.example", 26379)]).master_for("main", ssl=True, ssl_ca_certs="/ca.pem")
    twin = asyncio.run(_awaited(lambda: twin_of(master)))
    assert issubclass(twin.connection_pool.connection_class, aioredis.SSLConnection)
    assert twin.connection_pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    cluster = redis.RedisCluster.__new__(redis.RedisCluster)
    node = SimpleNamespace(host="node.example", port=6379)
    kwargs = {"connection_class": redis.SSLConnection, "ssl_ca_certs": "/ca.pem"}
    manager: Any = SimpleNamespace(connection_kwargs=kwargs, default_node=node)
    cluster.nodes_manager = manager
    twin = asyncio.run(_awaited(lambda: twin_of(cluster)))
    assert issubclass(twin.client.connection_kwargs["connection_class"], aioredis.SSLConnection)


async def _awaited(make: Callable[[], Any]) -> Any:
    return make()


class OddConnection(redis.Connection):
    """One that no asyncio class is known for."""


async def test_unknown_connection_works_in_threads(store_at: StoreAt, valkey: RedisServer) -> None:
    """A connection class of somebody else is used as it is, in threads."""
    with LossyProxy(valkey) as proxy:
        store = store_at(proxy.url, CONNECTION_POOL_KWARGS={"connection_class": OddConnection})
        await _works(store)
        client = store._async_clients.current().client
        assert isinstance(client, ThreadedClient)
        valkey.run("SCRIPT FLUSH")
        await _works_again(store)
        valkey.kill()
        with pytest.raises(StoreUnavailable):
            await store.aload("x")


async def _works_again(store: RedisStore) -> None:
    record = full_record(store)
    assert await store.acreate(record)
    assert await store.aload(record.id) == record


def test_loop_of_threads_is_let_go_of(store_at: StoreAt, valkey: RedisServer) -> None:
    """A client in threads has no connection of the loop's, and is let go of like any other."""
    with LossyProxy(valkey) as proxy:
        store = store_at(proxy.url, CONNECTION_POOL_KWARGS={"connection_class": OddConnection})
        for _ in range(3):
            assert asyncio.run(store.aload("x")) is None
        assert len(store._async_clients._clients) == 1


async def test_r16_twin_follows_a_failover(make_store: MakeStore, redis_sentinel: Any) -> None:
    """After a failover both kinds of client use the new master, and never read a replica."""
    store = make_store("sentinel")
    record = created(store, new_record(store))
    assert await store.aload(record.id) == record
    redis_sentinel.kill_master()
    for use in (_eventually(store), _eventually(AsyncVerbs(store))):
        await asyncio.to_thread(use)


def _eventually(store: Store) -> Callable[[], None]:
    """The first answers after a failover may be errors; then all works."""

    def use() -> None:
        for _ in range(3):
            try:
                store.load("x")
            except StoreUnavailable:
                continue
        created(store, new_record(store))

    return use


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_r17_replica_of_a_sentinel_is_never_read(
    asynchronous: bool, make_store: MakeStore, redis_sentinel: Any
) -> None:
    """With a replica at hand, every read goes to the master."""
    store = make_store("sentinel")
    verbs: Store = AsyncVerbs(store) if asynchronous else store
    redis_sentinel.replica.run("CONFIG", "RESETSTAT")
    record = created(verbs, new_record(verbs))
    for _ in range(3):
        assert verbs.load(record.id) == record
        assert verbs.count(record.seen) == 1
    used = redis_sentinel.replica.client().info("commandstats")
    assert {"cmdstat_get", "cmdstat_zcount"}.isdisjoint(used)


async def test_tcp_server_that_never_was(store_at: StoreAt) -> None:
    """An address where nobody listens is a store that is unavailable."""
    store = store_at(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreUnavailable):
        await store.aload("x")
    with pytest.raises(StoreUnavailable):
        store.load("x")
