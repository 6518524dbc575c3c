"""Lists of sessions: their pages however deep, what those cost, and entries that lead to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from tests.servers.cluster import RedisCluster
from tests.servers.redis import RedisServer
from tests.stores.conftest import MakeStore, stores
from tests.stores.tools import NAMES, commands, index_keys, listed
from typed_sessions import EndReason, SessionMode, clock
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores import places
from typed_sessions.stores.base import Store
from typed_sessions.stores.database import DatabaseStore
from typed_sessions.stores.record import GRACE, Record
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.selection import EVERYTHING, Selection
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


@contextmanager
def _statements(alias: str, number: int) -> Iterator[None]:
    with CaptureQueriesContext(connections[alias]) as queries:
        yield
    assert len(queries) == number, [query["sql"] for query in queries]


@pytest.mark.parametrize("limit", [1, 4, 5, 7, 50])
@pytest.mark.parametrize("order", [1, -1], ids=["forward", "backward"])
def test_pages_are_the_list(rows: DatabaseStore, limit: int, order: int) -> None:
    """However long the pages are, and whichever comes first, together they are the list, with nothing twice."""
    ids, now = listed(rows, 23), clock.now()
    for offset in list(range(0, 30, limit))[::order]:
        assert list(rows.newest(now, limit, offset)) == ids[offset : offset + limit]


def test_way_to_a_deep_page_is_gone_once(rows: DatabaseStore, database_alias: str) -> None:
    """The first deep page takes a statement for each step on the way; any page before or next to it takes one."""
    ids, now = listed(rows, 33), clock.now()
    for offset, statements in ((3, 1), (22, 5), (22, 1), (12, 1), (24, 1), (30, 3), (0, 1), (31, 1)):
        with _statements(database_alias, statements):
            assert list(rows.newest(now, 3, offset)) == ids[offset : offset + 3]


def test_no_statement_passes_over_more_than_a_step(rows: DatabaseStore, database_alias: str) -> None:
    """What one statement costs does not depend on how deep the page is."""
    listed(rows, 33)
    with CaptureQueriesContext(connections[database_alias]) as queries:
        for offset in range(34):
            rows.newest(clock.now(), 3, offset)
    offsets = {query["sql"].partition(" OFFSET ")[2] for query in queries}
    assert offsets == {"", "1", "2", "3", "4"}


def test_beyond_the_end_there_is_nothing(rows: DatabaseStore, database_alias: str) -> None:
    """A page that nobody has got to is empty, and costs no more than the last one."""
    now = clock.now()
    assert list(rows.newest(now, 10, 1_000_000)) == []
    listed(rows, 12)
    assert list(rows.newest(now, 10, 1_000_000)) == []
    with _statements(database_alias, 2):
        assert list(rows.newest(now, 10, 1_000_000)) == []


def test_deep_page_is_of_live_sessions(rows: DatabaseStore) -> None:
    """What has expired or ended since the way was gone is on no page, nor is anything there twice."""
    short, now = listed(rows, 12, expires=clock.now() + 30), clock.now()
    long = listed(rows, 12)
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
    ids, now = listed(rows, 60), clock.now()
    kept, done, passed_over = set(ids[::3]), list[str](), 0
    rows.newest(now, 1, 59)
    while page := rows.newest(now, 4, passed_over):
        done += page
        passed_over += len(kept.intersection(page))
        for session_id in set(page) - kept:
            rows.end(session_id, EndReason.ENDED_BY_STAFF, now)
        now += 7
    assert done == ids


def test_ways_of_many_lists_are_remembered(rows: DatabaseStore, database_alias: str) -> None:
    """Each filter has a way of its own, and only the oldest make room for new ones."""
    ids, now = listed(rows, 12), clock.now()
    for number in range(40):
        rows.newest(now, 3, 10, Selection(since=number))
    for number, statements in ((39, 1), (8, 1), (7, 3)):
        with _statements(database_alias, statements):
            assert list(rows.newest(now, 3, 10, Selection(since=number))) == ids[10:]


@pytest.mark.parametrize("passed", [places.LIFE, -1])
def test_way_is_gone_anew_after_a_minute(rows: DatabaseStore, passed: int) -> None:
    """Deep pages move with the list a minute later at the latest, also if the clock was set back."""
    ids, now = listed(rows, 23), clock.now()
    assert list(rows.newest(now, 3, 20)) == ids[20:]
    for session_id in ids[20:]:
        rows.touch(new_record(rows, id=session_id), now, now + 600)
    assert list(rows.newest(now, 3, 20)) == []
    assert list(rows.newest(now + passed, 3, 20)) == ids[17:20]


def test_each_database_has_a_list_of_its_own(rows: DatabaseStore) -> None:
    """The way through one database is not taken for that through another."""
    ids, now = listed(rows, 12), clock.now()
    rows.newest(now, 3, 10)
    ways = rows._places._ways
    assert set(ways) == {(rows.alias, EVERYTHING)}
    ways["elsewhere", EVERYTHING] = ways.pop((rows.alias, EVERYTHING))._replace(places=())
    assert list(rows.newest(now, 3, 10)) == ids[10:]
    assert set(ways) == {("elsewhere", EVERYTHING), (rows.alias, EVERYTHING)}


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
        assert client.delete(store._names.record(record.id)) == 1


def _entries(store: RedisStore, *users: str) -> dict[str, set[str]]:
    """What is in the index, by key."""
    client: Any = get_redis_connection(store.alias)
    index = [key for key in store._names.lists if client.exists(key)]
    owners = map(store._names.user, users)
    return {key: {member.decode() for member in client.zrange(key, 0, -1)} for key in (*index, *owners)}


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
    assert not any(client.exists(key) for key in (*store._names.lists, store._names.user("7")))


def test_r14_what_ended_or_is_being_announced_is_not_gone(verbs: Store) -> None:
    """An entry that leads to anything at all stays: whoever put that there also takes the entry away."""
    store = _under(verbs)
    record = created(store, new_record(store, user="7"))
    client = get_redis_connection(store.alias)
    client.set(store._names.record(record.id), b'{"format":1,"ended":1767225600,"reason":"ended_by_staff"}', ex=60)
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
    by_seen, by_expiry = store._names.lists_of(kept)
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
    assert _entries(store) == {key: {ids[4], ids[5], ids[14]} for key in NAMES.lists_of(records[4])}


@pytest.mark.parametrize("alias", ["valkey", "redis6"])
def test_r14_a_look_at_the_list_is_bounded(make_store: MakeStore, alias: str) -> None:
    """When very much is gone, each look at the list takes its part of it out of the index."""
    store = make_store(alias)
    assert isinstance(store, RedisStore)
    now = clock.now()
    last = created(store, new_record(store, seen=now - 100))
    by_seen, _ = NAMES.lists_of(last)
    get_redis_connection(alias).zadd(by_seen, {f"{number:040}": now for number in range(30)})
    assert list(store.newest(now, 2)) == []
    assert len(_entries(store)[by_seen]) == 11
    assert list(store.newest(now, 2)) == [last.id]


@pytest.mark.parametrize("alias", ["valkey", "redis6"])
def test_r14_looking_up_a_users_sessions_is_bounded(make_store: MakeStore, alias: str) -> None:
    """Of very many sessions of one user only so many are looked up at once."""
    store = make_store(alias)
    assert isinstance(store, RedisStore)
    key = NAMES.user("7")
    get_redis_connection(alias).zadd(key, {f"{number:040}": clock.now() + 600 for number in range(1100)})
    assert len(store.of_user("7", clock.now())) == 100
    assert store.of_user("7", clock.now()) == []


# Pages of Redis


_LAST = 1_800_000_000
_TURNS = {0: 0, 40: 5}
"""By depth: how often the middle of what is left of 50 seconds is looked at, to find the second of that entry."""


@pytest.mark.parametrize("depth", _TURNS)
@pytest.mark.parametrize(
    "selection", [EVERYTHING, Selection(signed_in=False), Selection(mode=SessionMode.TEMP, signed_in=False)]
)
def test_page_is_found_by_its_score(
    make_store: MakeStore, valkey: RedisServer, selection: Selection, depth: int
) -> None:
    """Any page is one command for its ids and one for its records. What the server does for it depends on the number of
    lists that are merged, on the time that they go back, to the logarithm, and on the size of the page alone.
    """
    store = make_store("valkey")
    now, lists = clock.now(), len(NAMES.lists_for(selection)) // 2
    ids = [created(store, new_record(store, seen=_LAST - n)).id for n in range(50)]
    store.newest(now, 1)
    with commands(valkey) as seen:
        page = store.newest(now, 10, depth, selection)
        assert [record.id for record in store.load_many(page)] == ids[depth : depth + 10]
    assert seen == ["EVALSHA", "MGET"]
    sizes, ends = ["ZCOUNT"] * lists, ["ZREVRANGE", "ZRANGE"] * lists
    search = [*ends, *["ZCOUNT"] * lists * (_TURNS[depth] + 1), *["ZCOUNT"] * 2 * lists] if depth else []
    assert seen.inside == [*sizes, *search, *["ZREVRANGE"] * lists, *["ZSCORE", "EXISTS"] * 10]


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
    with_index = [node for node in redis_cluster.nodes if index_keys(node)]
    away = next((node for node in redis_cluster.nodes if node not in with_index), None)
    assert away, "all lists are on one node, and those of a user on another at most"
    away.kill()
    asked: list[Callable[[], object]] = [
        lambda: cluster_verbs.newest(clock.now(), 12),
        lambda: cluster_verbs.of_user("7", clock.now()),
        lambda: cluster_verbs.load_many([record.id for record in records]),
    ]
    with ExitStack() as stack:
        seen = [stack.enter_context(commands(node)) for node in with_index]
        for ask in asked:
            with pytest.raises(StoreUnavailable):
                ask()
    assert "ZREM" not in {name for each in seen for name in (*each, *each.inside)}


def test_expired_page_is_not_the_end(verbs: Store) -> None:
    """Where all of a page has expired, and nobody has reaped it, what comes after it is on the page."""
    store, now = _under(verbs), clock.now()
    for ago in (10, 11, 12):
        created(store, new_record(store, seen=now - ago, expires=now - 5))
    live = created(store, new_record(store, seen=now - 20))
    assert list(verbs.newest(now, 2)) == [live.id]
