"""Lists of sessions: their pages however deep, the indexes they are read from, and entries that lead to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from tests.servers.cluster import RedisCluster
from tests.servers.redis import RedisServer
from tests.stores.conftest import MakeStore, stores
from tests.stores.tools import commands, keys
from typed_sessions import EndReason, clock, urn
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores import places
from typed_sessions.stores.base import Store
from typed_sessions.stores.database import DatabaseStore
from typed_sessions.stores.record import GRACE, Record
from typed_sessions.stores.redis import RedisStore
from typed_sessions.testing.stores import AsyncVerbs, created, new_record

SERVERS = stores("valkey", "redis6", "valkey msgpack", "prefixed", "cluster")


@pytest.fixture(params=["sync", "async"])
def verbs(request: pytest.FixtureRequest, store: Store) -> Store:
    return store if request.param == "sync" else AsyncVerbs(store)


# Deep pages of the database


@pytest.fixture(params=stores("sqlite", "postgres"))
def rows(request: pytest.FixtureRequest, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> DatabaseStore:
    """A database, in which five entries are a long way."""
    monkeypatch.setattr(places, "STEP", 5)
    store = make_store(request.param)
    assert isinstance(store, DatabaseStore)
    return store


def _listed(store: Store, number: int, **changes: Any) -> list[str]:
    """The ids of as many new sessions, the one last used first; three of them in every second."""
    now = clock.now()
    records = [created(store, new_record(store, seen=now - 10 - n // 3, **changes)) for n in range(number)]
    return [record.id for record in sorted(records, key=lambda record: (record.seen, record.id), reverse=True)]


@contextmanager
def _statements(alias: str, number: int) -> Iterator[None]:
    with CaptureQueriesContext(connections[alias]) as queries:
        yield
    assert len(queries) == number, [query["sql"] for query in queries]


@pytest.mark.parametrize("limit", [1, 4, 5, 7, 50])
@pytest.mark.parametrize("order", [1, -1], ids=["forward", "backward"])
def test_pages_are_the_list(rows: DatabaseStore, limit: int, order: int) -> None:
    """However long the pages are, and whichever comes first, together they are the list, with nothing twice."""
    ids, now = _listed(rows, 23), clock.now()
    for offset in list(range(0, 30, limit))[::order]:
        assert list(rows.newest(now, limit, offset)) == ids[offset : offset + limit]


def test_way_to_a_deep_page_is_gone_once(rows: DatabaseStore, database_alias: str) -> None:
    """The first deep page takes a statement for each step on the way; any page before or next to it takes one."""
    ids, now = _listed(rows, 33), clock.now()
    for offset, statements in ((3, 1), (22, 5), (22, 1), (12, 1), (24, 1), (30, 3), (0, 1), (31, 1)):
        with _statements(database_alias, statements):
            assert list(rows.newest(now, 3, offset)) == ids[offset : offset + 3]


def test_no_statement_passes_over_more_than_a_step(rows: DatabaseStore, database_alias: str) -> None:
    """What one statement costs does not depend on how deep the page is."""
    _listed(rows, 33)
    with CaptureQueriesContext(connections[database_alias]) as queries:
        for offset in range(34):
            rows.newest(clock.now(), 3, offset)
    offsets = {query["sql"].partition(" OFFSET ")[2] for query in queries}
    assert offsets == {"", "1", "2", "3", "4"}


def test_beyond_the_end_there_is_nothing(rows: DatabaseStore, database_alias: str) -> None:
    """A page that nobody has got to is empty, and costs no more than the last one."""
    now = clock.now()
    assert list(rows.newest(now, 10, 1_000_000)) == []
    _listed(rows, 12)
    assert list(rows.newest(now, 10, 1_000_000)) == []
    with _statements(database_alias, 2):
        assert list(rows.newest(now, 10, 1_000_000)) == []


def test_deep_page_is_of_live_sessions(rows: DatabaseStore) -> None:
    """What has expired or ended since the way was gone is on no page, nor is anything there twice."""
    short, now = _listed(rows, 12, expires=clock.now() + 30), clock.now()
    long = _listed(rows, 12)
    everything = sorted([*short, *long], key=lambda session_id: _clock_of(rows, session_id), reverse=True)
    assert list(rows.newest(now, 50, 10)) == everything[10:]
    rows.end(long[-1], EndReason.LOGGED_OUT, now)
    page = rows.newest(now + 40, 50, 10)
    assert set(page) <= set(long[:-1])
    assert len(set(page)) == len(page)


def _clock_of(store: Store, session_id: str) -> tuple[int, str]:
    record = store.load(session_id)
    assert isinstance(record, Record)
    return record.seen, record.id


def test_r19_who_ends_all_but_some_misses_none(rows: DatabaseStore) -> None:
    """Going on behind those that were left alone, while others end, passes over nothing, also when the way is new."""
    ids, now = _listed(rows, 60), clock.now()
    kept, done, passed_over = set(ids[::3]), list[str](), 0
    rows.newest(now, 1, 59)
    while page := rows.newest(now, 4, passed_over):
        done += page
        passed_over += len(kept.intersection(page))
        for session_id in set(page) - kept:
            rows.end(session_id, EndReason.ENDED_BY_STAFF, now)
        now += 7
    assert done == ids


@pytest.mark.parametrize("passed", [places.LIFE, -1])
def test_way_is_gone_anew_after_a_minute(rows: DatabaseStore, passed: int) -> None:
    """Deep pages move with the list a minute later at the latest, also if the clock was set back."""
    ids, now = _listed(rows, 23), clock.now()
    assert list(rows.newest(now, 3, 20)) == ids[20:]
    for session_id in ids[20:]:
        rows.touch(new_record(rows, id=session_id), now, now + 600)
    assert list(rows.newest(now, 3, 20)) == []
    assert list(rows.newest(now + passed, 3, 20)) == ids[17:20]


def test_each_database_has_a_list_of_its_own(rows: DatabaseStore) -> None:
    """The way through one database is not taken for that through another."""
    ids, now = _listed(rows, 12), clock.now()
    rows.newest(now, 3, 10)
    kept = rows._places._known
    assert set(kept) == {rows.alias}
    kept["elsewhere"] = (now, ())
    assert list(rows.newest(now, 3, 10)) == ids[10:]


# The indexes of the database


@pytest.fixture(params=stores("sqlite", "postgres"))
def plans(request: pytest.FixtureRequest, make_store: MakeStore, database_alias: str) -> DatabaseStore:
    """A database that does as it would with a long table."""
    store = make_store(request.param)
    assert isinstance(store, DatabaseStore)
    if connections[database_alias].vendor == "postgresql":
        with connections[database_alias].cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
    return store


def _plan(store: DatabaseStore, monkeypatch: pytest.MonkeyPatch, offset: int = 0) -> str:
    """How the database finds a page."""
    seen: list[QuerySet[Any]] = []
    slices = places._in_order

    def watched(live: QuerySet[Any]) -> QuerySet[Any]:
        seen.append(slices(live).values_list("pk", flat=True))
        return slices(live)

    monkeypatch.setattr(places, "_in_order", watched)
    store.newest(clock.now(), 50, offset)
    return seen[-1][:50].explain()


@pytest.mark.parametrize("offset", [0, 7], ids=["first", "deep"])
def test_page_is_read_from_an_index_alone(plans: DatabaseStore, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is a stretch of one index: no row is looked at, and nothing is sorted."""
    monkeypatch.setattr(places, "STEP", 5)
    _listed(plans, 12)
    plan = _plan(plans, monkeypatch, offset)
    assert "typed_sessions_by_seen" in plan
    assert ("COVERING INDEX" in plan) or ("Index Only Scan Backward" in plan)
    assert ("seen<?" in plan or "seen <= " in plan) == bool(offset)
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def test_sessions_are_counted_by_an_index_alone(plans: DatabaseStore) -> None:
    """To count sessions no row is looked at."""
    plan = plans._live(clock.now()).values_list("expires").explain()
    assert "typed_sessions_by_" in plan
    assert "COVERING INDEX" in plan or "Index Only Scan" in plan


# Entries of the Redis index that lead to nothing (REQ-R14)


@pytest.fixture(params=SERVERS)
def store(request: pytest.FixtureRequest, make_store: MakeStore) -> RedisStore:
    store = make_store(request.param)
    assert isinstance(store, RedisStore)
    return store


def _drop(store: RedisStore, *records: Record) -> None:
    """What eviction does."""
    client = get_redis_connection(store.alias)
    for record in records:
        assert client.delete(store._key(record.id)) == 1


def _entries(store: RedisStore, *users: str) -> dict[str, set[str]]:
    """What is in the index, by key."""
    client: Any = get_redis_connection(store.alias)
    index = [*store._index_keys(None), *map(store._user_key, users)]
    return {key: {member.decode() for member in client.zrange(key, 0, -1)} for key in index}


def _under(verbs: Store) -> RedisStore:
    store = verbs._store if isinstance(verbs, AsyncVerbs) else verbs
    assert isinstance(store, RedisStore)
    return store


def test_r14_list_drops_what_is_gone(verbs: Store) -> None:
    """An entry whose record is gone is not listed, and leaves the index as somebody looks."""
    store = _under(verbs)
    live, lost = (created(store, new_record(store)) for _ in range(2))
    _drop(store, lost)
    assert verbs.count(clock.now()) == 2
    assert list(verbs.newest(clock.now(), 10)) == [live.id]
    assert all(members == {live.id} for members in _entries(store).values())
    assert verbs.count(clock.now()) == 1


def test_r14_list_of_a_user_drops_what_is_gone(verbs: Store) -> None:
    """A record that is gone is none of its user's sessions, and no entry of it stays anywhere."""
    store = _under(verbs)
    live, lost = (created(store, new_record(store, user="7")) for _ in range(2))
    _drop(store, lost)
    assert list(verbs.of_user("7", clock.now())) == [live.id]
    assert all(members == {live.id} for members in _entries(store, "7").values())


def test_r14_keys_of_the_index_go_with_their_last_entry(verbs: Store) -> None:
    """When every record is gone, looking at the lists leaves no key of the index behind."""
    store = _under(verbs)
    _drop(store, *(created(store, new_record(store, user="7")) for _ in range(3)))
    assert list(verbs.newest(clock.now(), 10)) == list(verbs.of_user("7", clock.now())) == []
    client = get_redis_connection(store.alias)
    assert not any(client.exists(key) for key in (*store._index_keys(None), store._user_key("7")))


def test_r14_what_ended_or_is_being_announced_is_not_gone(verbs: Store) -> None:
    """An entry that leads to anything at all stays: whoever put that there also takes the entry away."""
    store = _under(verbs)
    record = created(store, new_record(store, user="7"))
    client = get_redis_connection(store.alias)
    client.set(store._key(record.id), b'{"format":1,"ended":1767225600,"reason":"ended_by_staff"}', ex=60)
    assert list(verbs.newest(clock.now(), 10)) == list(verbs.of_user("7", clock.now())) == [record.id]
    assert list(verbs.load_many([record.id])) == []
    assert all(members == {record.id} for members in _entries(store, "7").values())


def test_r14_what_was_missed_stays_for_who_counts_it(verbs: Store) -> None:
    """An expired session whose record is gone is not listed, but its entries stay until that has been reported."""
    store, now = _under(verbs), clock.now()
    record = created(store, new_record(store, user="7", expires=now + 60))
    _drop(store, record)
    assert list(verbs.newest(now + 60, 10)) == list(verbs.of_user("7", now + 60)) == []
    assert all(members == {record.id} for members in _entries(store, "7").values())
    assert verbs.claim_overdue(now + 61 + GRACE, 10, 60).missed == 1


def test_r14_half_an_entry_is_dropped(verbs: Store) -> None:
    """Who died between two keys of the index leaves an entry in one: it is not listed, and goes if its record did."""
    store = _under(verbs)
    kept, lost = (created(store, new_record(store)) for _ in range(2))
    by_seen, by_expiry = store._index_keys(None)
    get_redis_connection(store.alias).zrem(by_expiry, kept.id, lost.id)
    _drop(store, lost)
    assert list(verbs.newest(clock.now(), 10)) == []
    assert _entries(store)[by_seen] == {kept.id}


def test_lists_can_be_read_where_nothing_can_be_written(verbs: Store, request: pytest.FixtureRequest) -> None:
    """A server that has lost its replicas, and takes no writes, still lists what is there, and only that."""
    store = _under(verbs)
    live, lost = (created(store, new_record(store, user="7")) for _ in range(2))
    _drop(store, lost)
    client: Any = get_redis_connection(store.alias)
    nodes: list[Any] = [client]
    if store._is_cluster:
        nodes = [node.client() for node in request.getfixturevalue("redis_cluster").nodes]
    for node in nodes:
        node.config_set("min-replicas-to-write", 1)
    try:
        assert list(verbs.newest(clock.now(), 10)) == list(verbs.of_user("7", clock.now())) == [live.id]
    finally:
        for node in nodes:
            node.config_set("min-replicas-to-write", 0)
    assert all(lost.id in members for members in _entries(store, "7").values())


@pytest.mark.parametrize("alias", ["valkey", "redis6"])
def test_r14_page_is_filled_up(make_store: MakeStore, alias: str) -> None:
    """Sessions that are there take the places of those that are not, and a look does a bounded amount of work."""
    store = make_store(alias)
    assert isinstance(store, RedisStore)
    now = clock.now()
    records = [created(store, new_record(store, seen=now - n)) for n in range(20)]
    ids = [record.id for record in records]
    _drop(store, *records[:4], *records[6:14])
    assert list(store.newest(now, 3)) == [ids[4], ids[5], ids[14]]
    assert list(store.newest(now, 3, 3)) == ids[15:18]
    _drop(store, *records[15:])
    assert list(store.newest(now, 3, 1)) == [ids[5], ids[14]]
    assert _entries(store)[urn("by-seen")] == {ids[4], ids[5], ids[14]}


@pytest.mark.parametrize("alias", ["valkey", "redis6"])
def test_r14_a_look_at_the_list_is_bounded(make_store: MakeStore, alias: str) -> None:
    """When very much is gone, each look at the list takes its part of it out of the index."""
    store = make_store(alias)
    assert isinstance(store, RedisStore)
    now = clock.now()
    last = created(store, new_record(store, seen=now - 100))
    by_seen, _ = store._index_keys(None)
    get_redis_connection(alias).zadd(by_seen, {f"{number:040}": now for number in range(30)})
    assert list(store.newest(now, 2)) == []
    assert len(_entries(store)[by_seen]) == 11
    assert list(store.newest(now, 2)) == [last.id]


@pytest.mark.parametrize("alias", ["valkey", "redis6"])
def test_r14_looking_up_a_users_sessions_is_bounded(make_store: MakeStore, alias: str) -> None:
    """Of very many sessions of one user only so many are looked up at once."""
    store = make_store(alias)
    assert isinstance(store, RedisStore)
    key = store._user_key("7")
    get_redis_connection(alias).zadd(key, {f"{number:040}": clock.now() + 600 for number in range(1100)})
    assert len(store.of_user("7", clock.now())) == 100
    assert store.of_user("7", clock.now()) == []


# Pages of Redis


@pytest.mark.parametrize("depth", [0, 40])
def test_page_is_found_by_its_rank(make_store: MakeStore, valkey: RedisServer, depth: int) -> None:
    """Any page is one command for its ids and one for its records; what the server does is the same at any depth."""
    store = make_store("valkey")
    now = clock.now()
    ids = [created(store, new_record(store, seen=now - n)).id for n in range(50)]
    store.newest(now, 1)
    with commands(valkey) as seen:
        assert [record.id for record in store.load_many(store.newest(now, 10, depth))] == ids[depth : depth + 10]
    assert seen == ["EVALSHA", "MGET"]
    assert seen.inside == ["ZREVRANGE", *["ZSCORE", "EXISTS"] * 10]


@pytest.fixture(params=["sync", "async"])
def cluster_verbs(request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
    store = make_store("cluster")
    return store if request.param == "sync" else AsyncVerbs(store)


def test_page_of_a_cluster(cluster_verbs: Store) -> None:
    """Records of a page are in the order of the list, whichever nodes they are on; so are those of a user."""
    store, now = _under(cluster_verbs), clock.now()
    records = [created(store, new_record(store, seen=now - n, expires=now + 900 - n, user="7")) for n in range(30)]
    ids = [record.id for record in records]
    assert list(cluster_verbs.load_many(cluster_verbs.newest(now, 10, 15))) == records[15:25]
    assert list(cluster_verbs.of_user("7", now)) == ids
    assert list(cluster_verbs.load_many([])) == []
    assert list(cluster_verbs.newest(now, 10, 30)) == []
    assert list(cluster_verbs.of_user("8", now)) == []


def test_r14_nothing_is_gone_while_a_node_is_away(cluster_verbs: Store, redis_cluster: RedisCluster) -> None:
    """If a node does not answer, lists are unavailable, and no session there is taken for gone."""
    store = _under(cluster_verbs)
    records = [created(store, new_record(store, user="7")) for _ in range(12)]
    assert len(cluster_verbs.newest(clock.now(), 12)) == len(records)
    with_index = [node for node in redis_cluster.nodes if any("by-" in key for key in keys(node))]
    away = next((node for node in redis_cluster.nodes if node not in with_index), None)
    assert away, "an index has three keys: two of them are in slots of one node"
    away.kill()
    asked: list[Callable[[], object]] = [
        lambda: cluster_verbs.newest(clock.now(), 12),
        lambda: cluster_verbs.of_user("7", clock.now()),
        lambda: cluster_verbs.load_many([record.id for record in records]),
    ]
    with commands(with_index[0]) as first, commands(with_index[1]) as second:
        for ask in asked:
            with pytest.raises(StoreUnavailable):
                ask()
    assert "ZREM" not in {*first, *second}
