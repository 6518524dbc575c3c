"""The Redis store on a cluster, where record and index lie on different nodes, and the factory that reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection

from tests.servers.cluster import RedisCluster
from tests.servers.redis import RedisServer
from tests.stores.conftest import MakeStore, StoreAt
from tests.stores.tools import NAMES, index_keys, index_of, is_tally, keys
from typed_sessions import EndReason, clock, urn
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.redis_cluster import ClusterConnectionFactory
from typed_sessions.stores import scripts
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import Record
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.scripts import Command
from typed_sessions.testing.stores import (
    AsyncVerbs,
    buried,
    created,
    full_record,
    gone,
    new_record,
    next_save,
    saved,
    successor,
)

FACTORY = "typed_sessions.redis_cluster.ClusterConnectionFactory"


@pytest.fixture
def store(make_store: MakeStore) -> RedisStore:
    store = make_store("cluster")
    assert isinstance(store, RedisStore)
    return store


@pytest.fixture(params=["sync", "async"])
def verbs(request: pytest.FixtureRequest, store: Store) -> Store:
    return store if request.param == "sync" else AsyncVerbs(store)


def _node_of(cluster: RedisCluster, key: str) -> RedisServer:
    (node,) = (node for node in cluster.nodes if key in keys(node))
    return node


def _elsewhere(cluster: RedisCluster, base: Record) -> Record:
    """A successor whose slot is on another node than that of ``base``."""
    client: Any = cluster.client()
    node = client.get_node_from_key(urn(base.id))
    while True:
        record = successor(base)
        if client.get_node_from_key(urn(record.id)) != node:
            return record


# Slots


def test_records_and_index_are_spread(verbs: Store, redis_cluster: RedisCluster) -> None:
    """Records lie on all nodes, the lists of all sessions on one, and those of users and addresses on theirs."""
    records = [created(verbs, full_record(verbs, user="7")) for _ in range(12)]
    assert all(any(not NAMES.is_own(key) for key in keys(node)) for node in redis_cluster.nodes)
    assert len(records) == sum(not NAMES.is_own(key) for node in redis_cluster.nodes for key in keys(node))
    index = [key for node in redis_cluster.nodes for key in index_keys(node)]
    assert sorted(index) == sorted(index_of(records[0]))
    lists = {node for node in redis_cluster.nodes for key in keys(node) if key in NAMES.lists or is_tally(key)}
    assert len(lists) == 1
    assert verbs.count(clock.now()) == len(verbs.of_user("7", clock.now())) == len(verbs.newest(clock.now(), 50)) == 12


def test_replacement_moves_between_nodes(verbs: Store, redis_cluster: RedisCluster) -> None:
    """A rotation whose ids lie on two nodes leaves one live record, and may be repeated."""
    base = created(verbs, new_record(verbs, user="7"))
    record = _elsewhere(redis_cluster, base)
    for _ in range(2):
        assert saved(verbs.replace(record, base)) == record
        assert verbs.load(record.id) == record
        assert buried(verbs, base.id) is EndReason.ROTATED
        assert list(verbs.of_user("7", clock.now())) == list(verbs.newest(clock.now(), 10)) == [record.id]
    assert _node_of(redis_cluster, urn(base.id)) is not _node_of(redis_cluster, urn(record.id))


@contextmanager
def _failing(store: RedisStore, monkeypatch: pytest.MonkeyPatch, *, done: bool) -> Iterator[None]:
    """The second half of a replacement fails: ``done`` or not, its reply does not come."""
    execute, aexecute = store._execute, store._aexecute

    def sync(command: Command) -> Any:
        if command.name is scripts.BURY:
            if done:
                execute(command)
            raise StoreUnavailable("the second node is away")
        return execute(command)

    async def asynchronous(command: Command) -> Any:
        if command.name is scripts.BURY:
            if done:
                await aexecute(command)
            raise StoreUnavailable("the second node is away")
        return await aexecute(command)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_execute", sync)
        patch.setattr(store, "_aexecute", asynchronous)
        yield


def test_half_a_replacement_is_taken_back(verbs: Store, store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the old record cannot be buried there is no second live session, and the old one goes on."""
    base = created(verbs, new_record(verbs, user="7"))
    record = successor(base)
    with _failing(store, monkeypatch, done=False), pytest.raises(StoreUnavailable, match="second node"):
        verbs.replace(record, base)
    assert verbs.load(record.id) is None
    assert verbs.load(base.id) == base
    assert list(verbs.newest(clock.now(), 10)) == list(verbs.of_user("7", clock.now())) == [base.id]
    assert saved(verbs.replace(record, base)) == record


def test_replacement_of_unknown_outcome_leaves_no_live_record(
    verbs: Store, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the old record was buried and nobody heard of it, the visitor signs in again; no session is left behind."""
    base = created(verbs, new_record(verbs, user="7"))
    record = successor(base)
    with _failing(store, monkeypatch, done=True), pytest.raises(StoreUnavailable):
        verbs.replace(record, base)
    assert verbs.load(record.id) is None
    assert buried(verbs, base.id) is EndReason.ROTATED


def test_taken_id_is_no_replacement(verbs: Store) -> None:
    """A new id that is taken leaves both records alone."""
    base, other = created(verbs, new_record(verbs)), created(verbs, new_record(verbs))
    assert gone(verbs.replace(successor(base, id=other.id), base)) is None
    assert (verbs.load(base.id), verbs.load(other.id)) == (base, other)


def test_r18_moving_slot_is_followed(verbs: Store, redis_cluster: RedisCluster) -> None:
    """While a slot moves from one node to another, and after it, its sessions are found, saved and ended."""
    base = created(verbs, new_record(verbs))
    key = urn(base.id)
    slot = redis_cluster.nodes[0].run("CLUSTER KEYSLOT", key)
    source = _node_of(redis_cluster, key)
    target = next(node for node in redis_cluster.nodes if node is not source)
    names = {node: node.run("CLUSTER MYID").decode() for node in (source, target)}
    target.run("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
    source.run("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
    source.run("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    try:
        assert verbs.load(base.id) == base
        record = saved(verbs.save(next_save(base), base))
    finally:
        for node in (target, source):
            node.run("CLUSTER SETSLOT", slot, "NODE", names[target])
    assert verbs.load(base.id) == record
    assert verbs.end(base.id, EndReason.LOGGED_OUT, clock.now()) == record


# Errors


def test_cluster_that_is_away_is_unavailable(verbs: Store, redis_cluster: RedisCluster) -> None:
    """When no node answers every verb says so, and when they are back the next one works."""
    record = created(verbs, new_record(verbs))
    for node in redis_cluster.nodes:
        node.kill()
    steps: list[Callable[[], object]] = [
        lambda: verbs.load(record.id),
        lambda: verbs.save(next_save(record), record),
        lambda: verbs.end(record.id, EndReason.LOGGED_OUT, clock.now()),
        lambda: verbs.count(clock.now()),
    ]
    for step in steps:
        with pytest.raises(StoreUnavailable, match="Redis did not do what was asked"):
            step()
    redis_cluster.revive()
    assert verbs.load(record.id) is None
    assert verbs.create(record) is True


def test_cluster_that_is_not_up_yet_is_unavailable(
    store_at: StoreAt, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that starts before its cluster waits for nothing: the verbs say so until the cluster is there."""
    monkeypatch.setattr(ClusterConnectionFactory, "_clients", {})
    for node in redis_cluster.nodes:
        node.kill()
    store = store_at(redis_cluster.url, CONNECTION_FACTORY=FACTORY)
    for verbs in (store, AsyncVerbs(store)):
        with pytest.raises(StoreUnavailable):
            verbs.load("x")
        with pytest.raises(StoreUnavailable):
            verbs.create(new_record(verbs))
    redis_cluster.revive()
    record = created(store, full_record(store))
    assert AsyncVerbs(store).load(record.id) == record


# The factory


def test_client_is_shared_by_location(redis_cluster: RedisCluster) -> None:
    """Aliases of one LOCATION share a client, which knows the cluster and need not ask again."""
    first, second = ClusterConnectionFactory({}), ClusterConnectionFactory({})
    one, other = redis_cluster.startup_urls[:2]
    assert first.connect(one) is first.connect(one) is second.connect(one)
    assert first.connect(one) is not first.connect(other)


def test_client_is_made_once_by_threads(redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waited for another to connect takes its client."""
    monkeypatch.setattr(ClusterConnectionFactory, "_clients", {})
    factory = ClusterConnectionFactory({})
    lock = _Meanwhile(lambda: factory._clients.setdefault(redis_cluster.url, redis_cluster.client()))
    monkeypatch.setattr(ClusterConnectionFactory, "_lock", lock)
    assert factory.connect(redis_cluster.url) is redis_cluster.client()


class _Meanwhile:
    """A lock during the wait for which something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens

    def __enter__(self) -> None:
        self._happens()

    def __exit__(self, *_: object) -> None: ...


def test_disconnected_client_connects_again(redis_cluster: RedisCluster) -> None:
    """DJANGO_REDIS_CLOSE_CONNECTION, which closes after each request, does not break the shared client."""
    factory = ClusterConnectionFactory({})
    client = factory.connect(redis_cluster.url)
    factory.disconnect(client)
    assert factory.connect(redis_cluster.url).set("key", "value")
    caches["cluster"].set("key", "value")
    assert get_redis_connection("cluster").exists(caches["cluster"].make_key("key"))


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_options_reach_every_node(
    asynchronous: bool, store_at: StoreAt, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User, password, time limits and pool options are those of the alias, on all nodes, sync and async."""
    monkeypatch.setattr(ClusterConnectionFactory, "_clients", {})
    for node in redis_cluster.nodes:
        node.run("ACL", "SETUSER", "sessions", "on", ">secret", "~*", "+@all")
    # The user in the location, and not in OPTIONS, which django-redis 6 does not know.
    location = redis_cluster.url.replace("//", "//sessions@")
    limits = {"SOCKET_TIMEOUT": 3, "SOCKET_CONNECT_TIMEOUT": 2}
    pool = {"CONNECTION_POOL_KWARGS": {"client_name": "shop"}}
    try:
        store = store_at(location, CONNECTION_FACTORY=FACTORY, PASSWORD="secret", **limits, **pool)
        verbs: Store = AsyncVerbs(store) if asynchronous else store
        for _ in range(40):
            created(verbs, new_record(verbs))
        users = [{client["user"] for client in node.client().client_list()} for node in redis_cluster.nodes]
    finally:
        for node in redis_cluster.nodes:
            node.run("ACL", "DELUSER", "sessions")
    assert all("sessions" in found for found in users)
    kwargs = store._client.nodes_manager.connection_kwargs
    assert (kwargs["socket_timeout"], kwargs["socket_connect_timeout"], kwargs["client_name"]) == (3, 2, "shop")


def test_wrong_password_is_unavailable(
    store_at: StoreAt, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that does not let us in is a store that is unavailable."""
    monkeypatch.setattr(ClusterConnectionFactory, "_clients", {})
    location = redis_cluster.url.replace("//", "//nobody@")
    store = store_at(location, CONNECTION_FACTORY=FACTORY, PASSWORD="wrong")
    for verbs in (store, AsyncVerbs(store)):
        with pytest.raises(StoreUnavailable):
            verbs.load("x")
