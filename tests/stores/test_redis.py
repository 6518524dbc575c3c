"""What the Redis store promises beyond the contract: its keys, one command for a verb, and errors that say so."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured
from django_redis import get_redis_connection

from tests.servers.cluster import RedisCluster
from tests.servers.process import new_path, wait_until
from tests.servers.redis import RedisServer
from tests.servers.sentinel import SERVICE, RedisSentinel
from tests.stores.conftest import MakeStore, StoreAt
from tests.stores.tools import NAMES, LossyProxy, OwnTime, clients, commands, index_of, is_tally, keys
from typed_sessions import EndReason, clock, urn
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.formats import FORMATS, Format
from typed_sessions.stores import redis as redis_store
from typed_sessions.stores import redis_connection
from typed_sessions.stores.async_redis import WAIT
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import FORMAT, GRACE, LINGER, TOMBSTONE_LIFE, Record, Tombstone
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.statistics import Sample
from typed_sessions.testing.stores import (
    DAY,
    AsyncVerbs,
    Plant,
    buried,
    created,
    full_record,
    new_id,
    new_record,
    next_save,
    saved,
    successor,
)

if TYPE_CHECKING:
    from pytest_django import Settings


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store("valkey")


@pytest.fixture(params=["sync", "async"])
def verbs(request: pytest.FixtureRequest, store: Store) -> Store:
    return store if request.param == "sync" else AsyncVerbs(store)


def every_verb(store: Store) -> Iterator[str]:
    """Goes through each verb that writes, and says which one it has just used."""
    record = created(store, new_record(store, user="7"))
    yield "create"
    record = saved(store.save(next_save(record, user="8"), record))
    yield "save"
    store.touch(record, record.seen + 1, record.expires + 1)
    yield "touch"
    record = saved(store.replace(successor(record), record))
    yield "replace"
    store.end(record.id, EndReason.LOGGED_OUT, clock.now())
    yield "end"
    created(store, full_record(store, expires=clock.now() - GRACE - 1))
    store.settle(store.claim_overdue(clock.now(), 10, 60).claims, clock.now())
    yield "settle"
    store.clear_expired(clock.now())
    yield "clear_expired"
    store.keep_sample(Sample(clock.now(), 1, 0, 1))
    yield "keep_sample"


def writes(store: Store) -> dict[str, Callable[[], object]]:
    """Every verb that writes, each on a live record of its own."""
    records = [created(store, new_record(store)) for _ in range(4)]
    return {
        "create": lambda: store.create(new_record(store)),
        "save": lambda: store.save(next_save(records[0]), records[0]),
        "touch": lambda: store.touch(records[1], records[1].seen + 1, records[1].expires + 1),
        "replace": lambda: store.replace(successor(records[2]), records[2]),
        "end": lambda: store.end(records[3].id, EndReason.LOGGED_OUT, clock.now()),
    }


def reads(store: Store) -> dict[str, Callable[[], object]]:
    record = created(store, new_record(store))
    return {
        "load": lambda: store.load(record.id),
        "newest": lambda: store.newest(clock.now(), 10),
        "of_user": lambda: store.of_user("7", clock.now()),
        "at_address": lambda: store.at_address("192.0.2.7", clock.now(), 10),
        "count": lambda: store.count(clock.now()),
        "count_by_user": lambda: store.count_by_user(clock.now()),
        "tally": lambda: store.tally(clock.now()),
        "samples": lambda: store.samples(0),
        "clear_expired": lambda: store.clear_expired(clock.now()),
    }


# Keys


def test_key_is_the_urn(store: Store, valkey: RedisServer) -> None:
    """A record lies under its URN and nothing before it, as JSON that a person can read."""
    record = created(store, full_record(store))
    lists = "urn:iauthsession:{lists}:"
    assert {key for key in keys(valkey) if not is_tally(key)} == {
        f"urn:iauthsession:{record.id}",
        f"{lists}by-seen:perm-user",
        f"{lists}by-expiry:perm-user",
        "urn:iauthsession:by-user:7",
        "urn:iauthsession:by-address:192.0.2.7",
        "urn:iauthsession:by-address:2001:db8::7",
    }
    [tally] = filter(is_tally, keys(valkey))
    assert tally in (f"{lists}tally:{hour}" for hour in (record.created // 3600, clock.now() // 3600))
    value = json.loads(valkey.run("GET", f"urn:iauthsession:{record.id}"))
    assert value["id"] == record.id
    assert value["user"] == "7"
    assert value["data"] == {"currency": "EUR", "cart": [{"sku": "tea", "quantity": 2}]}
    assert value["bag"] == {"_auth_user_id": "7"}


def test_s75_prefix_goes_in_front_of_every_key(make_store: MakeStore, valkey: RedisServer) -> None:
    """Two applications on one server, one with a KEY_PREFIX, do not see each other's sessions."""
    shop, other = make_store("prefixed"), make_store("valkey")
    record = created(shop, full_record(shop))
    found = {key.removeprefix("shop:") for key in keys(valkey)}
    assert {key for key in found if not is_tally(key)} == {urn(record.id), *index_of(record)}
    assert all(key.startswith("shop:") for key in keys(valkey))
    assert shop.load(record.id) == record
    assert other.load(record.id) is None
    assert other.end(record.id, EndReason.LOGGED_OUT, clock.now()) is None
    assert (other.count(clock.now()), shop.count(clock.now())) == (0, 1)


@pytest.mark.parametrize("name", ["valkey", "valkey msgpack", "prefixed", "redis6", "cluster", "sentinel"])
def test_r09_every_key_has_a_time_to_live(name: str, make_store: MakeStore, request: pytest.FixtureRequest) -> None:
    """There is no moment in which a key would stay for ever."""
    store = make_store(name)
    for verb in every_verb(store):
        for server in _nodes(name, request):
            for key, life in keys(server).items():
                assert 0 < life <= 28 * DAY + LINGER, (verb, key)


def _nodes(name: str, request: pytest.FixtureRequest) -> list[RedisServer]:
    if name == "cluster":
        cluster: RedisCluster = request.getfixturevalue("redis_cluster")
        return cluster.nodes
    if name == "sentinel":
        return [request.getfixturevalue("redis_sentinel").master]
    return [request.getfixturevalue("redis6" if name == "redis6" else "valkey")]


def test_record_lives_until_its_grace_is_over(store: Store, valkey: RedisServer) -> None:
    """Redis drops a record by itself, some minutes after it expired, and a tombstone after an hour."""
    record = created(store, new_record(store, expires=clock.now() + 100))
    assert _about(keys(valkey)[urn(record.id)], 100 + LINGER)
    store.touch(record, record.seen, record.expires + 50)
    assert _about(keys(valkey)[urn(record.id)], 150 + LINGER)
    store.save(next_save(record, expires=clock.now() + 10), record)
    assert _about(keys(valkey)[urn(record.id)], 10 + LINGER)
    store.end(record.id, EndReason.LOGGED_OUT, clock.now())
    assert _about(keys(valkey)[urn(record.id)], TOMBSTONE_LIFE)


def _about(seconds: int, expected: int) -> bool:
    return expected - 5 <= seconds <= expected


def test_r14_a_hundred_years_are_kept(make_store: MakeStore) -> None:
    """A lifetime beyond what four bytes hold of it is kept in both formats, and touched."""
    for name in ("valkey", "valkey msgpack"):
        store = make_store(name)
        record = created(store, new_record(store, expires=clock.now() + 36_500 * DAY))
        store.touch(record, record.seen + 1, record.expires + 60)
        assert store.load(record.id) == next_touch(record)


def next_touch(record: Record) -> Record:
    return msgspec.structs.replace(record, seen=record.seen + 1, expires=record.expires + 60)


def test_index_outlives_every_record_in_it(store: Store, valkey: RedisServer) -> None:
    """A short session does not shorten the life of an index that holds a long one."""
    record = created(store, full_record(store, expires=clock.now() + 60 * DAY))
    created(store, full_record(store, expires=clock.now() + 60))
    for key in NAMES.lists_of(record):
        assert _about(keys(valkey)[key], 60 * DAY + LINGER)
    for key in NAMES.owners_of(record):
        assert _about(keys(valkey)[key], 60 * DAY)  # what is over is not listed


# Commands


def test_verb_is_one_command_with_its_index(verbs: Store, valkey: RedisServer) -> None:
    """On one node every verb is one round trip."""
    list(every_verb(verbs))
    for read in reads(verbs).values():
        read()
    record, other = created(verbs, new_record(verbs)), full_record(verbs)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("GET", lambda: verbs.load(record.id)),
        ("EVALSHA", lambda: verbs.create(other)),
        ("EVALSHA", lambda: verbs.create(other)),
        ("EVALSHA", lambda: verbs.save(next_save(record, user="7"), record)),
        ("EVALSHA", lambda: verbs.save(next_save(record), record)),
        ("EVALSHA", lambda: verbs.touch(other, other.seen + 1, other.expires + 1)),
        ("EVALSHA", lambda: verbs.replace(successor(other), other)),
        ("EVALSHA", lambda: verbs.end(record.id, EndReason.LOGGED_OUT, clock.now(), "7")),
        ("EVALSHA", lambda: verbs.newest(clock.now(), 10)),
        ("EVALSHA", lambda: verbs.of_user("7", clock.now())),
        ("EVALSHA", lambda: verbs.count(clock.now())),
        ("EVALSHA", lambda: verbs.count_by_user(clock.now())),
        ("EVALSHA", lambda: verbs.clear_expired(clock.now())),
        ("EVALSHA", lambda: verbs.keep_sample(Sample(clock.now(), 1, 0, 1))),
        ("ZRANGEBYSCORE", lambda: verbs.samples(0)),
    ]
    for number, (command, step) in enumerate(steps):
        with commands(valkey) as seen:
            step()
        assert (number, seen) == (number, [command])


def test_s74_no_verb_looks_through_the_keys(verbs: Store, valkey: RedisServer) -> None:
    """What a verb costs does not depend on how many keys there are; an id that is a pattern is but a name."""
    with commands(valkey) as seen:
        list(every_verb(verbs))
        for read in reads(verbs).values():
            read()
        assert verbs.load("*") is None
        assert verbs.end("*", EndReason.LOGGED_OUT, clock.now()) is None
    assert seen.inside
    assert {"KEYS", "SCAN", "FLUSHALL", "FLUSHDB", "RANDOMKEY"}.isdisjoint({*seen, *seen.inside})


def test_scripts_are_sent_again_when_the_server_forgot_them(verbs: Store, valkey: RedisServer) -> None:
    """After SCRIPT FLUSH, or a restart, each verb works at the first call and is quick again at the second."""
    list(every_verb(verbs))
    for name, step in writes(verbs).items():
        valkey.run("SCRIPT FLUSH")
        with commands(valkey) as seen:
            step()
            step()
        assert seen == ["EVALSHA", "EVAL", "EVALSHA"], name


def test_s76_least_privileges_are_enough(store_at: StoreAt, valkey: RedisServer) -> None:
    """A Redis user who may touch nothing but session keys, and no dangerous command, can do all of it."""
    rights = ["~urn:iauthsession:*", "+@read", "+@write", "+@scripting", "+@connection", "-@dangerous", "-keys"]
    valkey.run("ACL", "SETUSER", "sessions", "on", ">secret", *rights)
    try:
        store = store_at(f"unix://sessions:secret@{valkey.home}/redis.sock?db=0")
        for step in (*writes(store).values(), *reads(store).values()):
            step()
        assert list(every_verb(store))[-1] == "keep_sample"
    finally:
        valkey.run("ACL", "DELUSER", "sessions")


@pytest.mark.parametrize("location", ["primary first", "replica"])
def test_r17_replica_is_never_read(location: str, store_at: StoreAt, valkey: RedisServer, redis6: RedisServer) -> None:
    """With a list of servers in LOCATION all goes to the first: a replica may not have heard of a sign-out."""
    store = store_at([f"{valkey.url}&client_name={location.split()[0]}", f"{redis6.url}&client_name=replica"])
    with commands(redis6) as seen:
        assert list(every_verb(store))
        for read in reads(store).values():
            read()
    assert (seen, seen.inside) == ([], [])


# The index


def test_r14_index_vanishes_with_the_sessions(store: Store, valkey: RedisServer) -> None:
    """When every session has ended there is no index left."""
    records = [created(store, new_record(store, user=user)) for user in (None, "7", "8")]
    for record in records:
        store.end(record.id, EndReason.LOGGED_OUT, clock.now())
    assert {key for key in keys(valkey) if not is_tally(key)} == {urn(record.id) for record in records}


def test_r14_dead_entries_are_swept_in_batches(
    verbs: Store, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep takes what Redis has dropped out of the index, a bounded number at a time, and leaves the others."""
    monkeypatch.setattr(redis_store, "_SWEEP", 2)
    now = clock.now()
    live = [created(verbs, new_record(verbs, expires=now + later)) for later in (-LINGER, -1, 60)]
    for age in range(5):
        created(verbs, new_record(verbs, expires=now - LINGER - 1 - age))
    with commands(valkey) as seen:
        assert verbs.clear_expired(now) == 5
    assert seen == ["EVALSHA"] * 4
    for key in NAMES.lists_of(live[0]):
        members = valkey.run("ZRANGE", key, 0, -1)
        assert sorted(member.decode() for member in members) == sorted(record.id for record in live)


def test_r14_dead_entries_of_a_user_go_with_the_next_sign_in(verbs: Store, valkey: RedisServer) -> None:
    """The index of a user who is always there does not grow for ever."""
    dead = [created(verbs, new_record(verbs, user="7", expires=clock.now() - GRACE - 10)) for _ in range(3)]
    ours = [created(verbs, new_record(verbs, user="7")).id]
    guest = created(verbs, new_record(verbs))
    created(verbs, new_record(verbs, user="7", expires=clock.now() - GRACE - 10))
    ours.append(saved(verbs.replace(successor(guest, user="7"), guest)).id)
    members = {member.decode() for member in valkey.run("ZRANGE", urn("by-user:7"), 0, -1)}
    assert members == set(ours)
    assert members.isdisjoint(record.id for record in dead)


def test_r14_lost_index_is_written_again(verbs: Store, valkey: RedisServer) -> None:
    """The next use of a session puts it back into an index that was lost."""
    touched, kept = (created(verbs, new_record(verbs, user="7")) for _ in range(2))
    valkey.run("DEL", *index_of(touched))
    verbs.touch(touched, touched.seen + 60, touched.expires + 60)
    verbs.save(next_save(kept, seen=kept.seen + 60, expires=kept.expires + 60), kept)
    assert set(verbs.newest(clock.now(), 10)) == set(verbs.of_user("7", clock.now())) == {touched.id, kept.id}


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_tombstone_in_another_hand_is_one(verbs: Store, plant: Plant, format: Format) -> None:
    """What reads as a tombstone is one, however it is written; there is no last state to be had from it."""
    session_id = new_id()
    plant(session_id, format.dumps({"reason": "rotated", "format": FORMAT, "ended": clock.now()}))
    assert buried(verbs, session_id) is EndReason.ROTATED
    assert verbs.end(session_id, EndReason.LOGGED_OUT, clock.now()) is None
    assert isinstance(verbs.load(session_id), Tombstone)


def test_entry_without_a_record_is_no_session(verbs: Store, valkey: RedisServer) -> None:
    """The index is never asked whether a session is valid: what it says of a dropped record brings nothing back."""
    record = created(verbs, new_record(verbs, user="7"))
    valkey.run("DEL", urn(record.id))
    assert verbs.load(record.id) is None
    assert verbs.touch(record, record.seen + 1, record.expires + 1) is False
    assert verbs.end(record.id, EndReason.LOGGED_OUT, clock.now(), "7") is None


# Configuration


def test_unknown_alias_is_explained() -> None:
    """An alias that CACHES does not have is named."""
    with pytest.raises(ImproperlyConfigured, match=r"SESSION_CACHE_ALIAS is 'nowhere', and CACHES has no such entry"):
        RedisStore("nowhere")


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache", "redis.RedisCache"])
def test_cache_without_django_redis_is_explained(backend: str, settings: Settings) -> None:
    """A cache that django-redis knows nothing of is refused with what to write in its place."""
    entry = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": "redis://127.0.0.1:1"}
    settings.CACHES = {**settings.CACHES, "other": entry}
    with pytest.raises(
        ImproperlyConfigured, match=r"CACHES\['other'\]\['BACKEND'\] to 'django_redis.cache.RedisCache'"
    ):
        RedisStore("other")


def test_connection_that_decodes_is_explained(store_at: StoreAt, valkey: RedisServer) -> None:
    """Records are bytes: a connection that makes text of them is not taken for a store full of damaged records."""
    store = store_at(f"{valkey.url}&client_name=texts", CONNECTION_POOL_KWARGS={"decode_responses": True})
    record = created(store, new_record(store))
    with pytest.raises(ImproperlyConfigured, match="decode_responses"):
        store.load(record.id)


# Errors


@contextmanager
def _nothing_but_reads(
    store: Store, refuse: Callable[[], object], allow: Callable[[], object], *, also_end: bool = True
) -> Iterator[None]:
    """That every write is refused as long as the server refuses, and that all is well before and after."""
    steps, record = writes(store), created(store, new_record(store))
    steps.pop("" if also_end else "end", None)
    refuse()
    try:
        for name, step in steps.items():
            with pytest.raises(StoreUnavailable, match="Redis did not do what was asked"):
                step()
            assert store.load(record.id) == record, name
        yield
    finally:
        allow()
    for step in steps.values():
        step()


def test_r13_full_server_refuses_writes(verbs: Store, valkey: RedisServer) -> None:
    """Without memory Redis still answers reads; a write says that it was not done, and nothing is half done."""

    def limit(size: int) -> None:
        valkey.run("CONFIG", "SET", "maxmemory", size)

    with _nothing_but_reads(verbs, lambda: limit(1), lambda: limit(0), also_end=False):
        before = keys(valkey)
        with pytest.raises(StoreUnavailable, match=r"OOM|used memory"):
            verbs.create(new_record(verbs))
        assert keys(valkey).keys() == before.keys()


def test_r07_people_can_sign_out_of_a_full_server(verbs: Store, valkey: RedisServer) -> None:
    """Where there is no memory for a tombstone a session ends without one."""
    record = created(verbs, new_record(verbs, user="7"))
    valkey.run("CONFIG", "SET", "maxmemory", 1)
    try:
        assert verbs.end(record.id, EndReason.LOGGED_OUT, clock.now()) == record
        assert verbs.load(record.id) is None
        assert verbs.end(record.id, EndReason.LOGGED_OUT, clock.now()) is None
        assert list(verbs.of_user("7", clock.now())) == []
    finally:
        valkey.run("CONFIG", "SET", "maxmemory", 0)


def test_r07_replica_refuses_writes(verbs: Store, valkey: RedisServer) -> None:
    """A master that became a replica, as after a failover, takes no writes."""
    with _nothing_but_reads(
        verbs, lambda: valkey.run("REPLICAOF", "127.0.0.1", 1), lambda: valkey.run("REPLICAOF", "NO", "ONE")
    ):
        pass


def test_r07_server_that_cannot_save_refuses_writes(store_at: StoreAt, valkey: RedisServer) -> None:
    """A server whose snapshots fail takes no writes (MISCONF)."""
    directory = new_path()
    directory.mkdir()
    try:
        with RedisServer(valkey.binary, "--dir", str(directory)) as server:
            store = store_at(server.url)

            def fail() -> None:
                server.run("CONFIG", "SET", "save", "3600 1")
                shutil.rmtree(directory)
                server.run("BGSAVE")
                wait_until(lambda: _last_save(server) == "err", "the failure of the snapshot")

            def mend() -> None:
                server.run("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")

            with _nothing_but_reads(store, fail, mend), pytest.raises(StoreUnavailable, match=r"MISCONF|RDB"):
                store.create(new_record(store))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _last_save(server: RedisServer) -> str:
    return str(server.client().info("persistence")["rdb_last_bgsave_status"])


def test_r06_server_that_is_away_is_told_from_a_session_that_is(verbs: Store, valkey: RedisServer) -> None:
    """While the server is down every verb says so, and when it is back the next one works."""
    for _ in range(2):
        steps = {**writes(verbs), **reads(verbs)}
        valkey.kill()
        for name, step in steps.items():
            with pytest.raises(StoreUnavailable) as caught:
                step()
            assert "Redis did not do what was asked" in str(caught.value), name
        valkey.start()
        assert verbs.load("x") is None
        assert verbs.create(new_record(verbs)) is True


def test_r11_emptied_server_is_nothing(verbs: Store, valkey: RedisServer) -> None:
    """After a FLUSHALL every session is nothing, and none comes back by a verb that was in flight."""
    record = created(verbs, new_record(verbs))
    valkey.client().flushall()
    assert verbs.load(record.id) is None
    assert verbs.touch(record, record.seen + 1, record.expires + 1) is False
    assert type(verbs.save(next_save(record), record)).__name__ == "Gone"
    assert type(verbs.replace(successor(record), record)).__name__ == "Gone"
    assert verbs.end(record.id, EndReason.LOGGED_OUT, clock.now()) is None
    assert keys(valkey) == {}


# Replies that are lost


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("codec", ["valkey", "valkey msgpack"])
@pytest.mark.parametrize("verb", ["create", "save", "touch", "replace", "end"])
def test_r30_verb_whose_reply_was_lost_can_be_repeated(
    verb: str, codec: str, asynchronous: bool, make_store: MakeStore, store_at: StoreAt, valkey: RedisServer
) -> None:
    """When the server has written and the answer never came, asking again finds what was done."""
    list(every_verb(make_store(codec)))
    with LossyProxy(valkey) as proxy:
        direct = store_at(proxy.url)
        store: Store = AsyncVerbs(direct) if asynchronous else direct
        base = new_record(store, user="7")
        if verb != "create":
            created(store, base)
        record = {"create": base, "save": next_save(base), "replace": successor(base)}.get(verb, base)
        calls: dict[str, Callable[[], Any]] = {
            "create": lambda: store.create(record),
            "save": lambda: saved(store.save(record, base)),
            "touch": lambda: store.touch(base, base.seen + 60, base.expires + 60),
            "replace": lambda: saved(store.replace(record, base)),
            "end": lambda: store.end(base.id, EndReason.LOGGED_OUT, clock.now()),
        }
        proxy.lose_next_reply()
        with pytest.raises(StoreUnavailable):
            calls[verb]()
        again = calls[verb]()
        assert again == {"create": True, "touch": True, "end": None}.get(verb, record)
        there = store.load(record.id)
        assert isinstance(there, Tombstone if verb == "end" else Record)
        assert list(store.newest(clock.now(), 10)) == ([] if verb == "end" else [record.id])


def test_r30_end_after_a_lost_save_ends_what_was_saved(
    make_store: MakeStore, store_at: StoreAt, valkey: RedisServer
) -> None:
    """A sign-out after a save that nobody heard of ends that save, and the save repeated does not bring it back."""
    list(every_verb(make_store("valkey")))
    with LossyProxy(valkey) as proxy:
        store = store_at(proxy.url)
        base = created(store, new_record(store))
        record = next_save(base)
        proxy.lose_next_reply()
        with pytest.raises(StoreUnavailable):
            store.save(record, base)
        assert store.end(base.id, EndReason.LOGGED_OUT, clock.now()) == record
        assert type(store.save(record, base)).__name__ == "Gone"
        assert buried(store, base.id) is EndReason.LOGGED_OUT


# Servers that hang


@pytest.mark.parametrize("name", ["valkey", "cluster", "sentinel"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_r03_hung_server_holds_nobody(
    asynchronous: bool, name: str, hasty_store: Callable[[str], RedisStore], request: pytest.FixtureRequest
) -> None:
    """Where the project has set no time limits a server that hangs is unavailable within a second."""
    store = hasty_store(name)
    verbs: Store = AsyncVerbs(store) if asynchronous else store
    record = created(verbs, new_record(verbs))
    assert verbs.load(record.id) == record
    with _frozen(_nodes(name, request), request.getfixturevalue("redis_sentinel") if name == "sentinel" else None):
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            verbs.load(record.id)
        assert time.monotonic() - begun < 1.2
    assert verbs.load(record.id) == record


@pytest.mark.parametrize("name", ["valkey", "cluster", "sentinel"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_r31_late_reply_is_nobody_elses(
    asynchronous: bool, name: str, hasty_store: Callable[[str], RedisStore], request: pytest.FixtureRequest
) -> None:
    """A reply that comes after its request gave up is not taken for the reply to the next one."""
    store = hasty_store(name)
    verbs: Store = AsyncVerbs(store) if asynchronous else store
    records = [created(verbs, new_record(verbs)) for _ in range(8)]
    with _patient(request.getfixturevalue("redis_sentinel") if name == "sentinel" else None):
        for server in _nodes(name, request):
            server.pause(0.7)
        for record in records:
            with suppress(StoreUnavailable):
                assert verbs.load(record.id) == record
        assert [verbs.load(record.id) for record in records] == records


@contextmanager
def _frozen(servers: list[RedisServer], watched: RedisSentinel | None) -> Iterator[None]:
    """The servers hang."""
    with _patient(watched):
        for server in servers:
            server.freeze()
        try:
            yield
        finally:
            for server in servers:
                server.thaw()


@contextmanager
def _patient(watched: RedisSentinel | None) -> Iterator[None]:
    """A sentinel, if there is one, does not find out that its master hangs."""
    if watched is None:
        yield
        return
    watched.sentinel.run("SENTINEL SET", SERVICE, "down-after-milliseconds", 60_000)
    try:
        yield
    finally:
        watched.sentinel.run("SENTINEL SET", SERVICE, "down-after-milliseconds", 500)


def test_r03_limits_of_the_project_stand(
    hasty_store: Callable[[str], RedisStore], store_at: StoreAt, valkey: RedisServer
) -> None:
    """Time limits in OPTIONS are kept, and our own ones are for sessions alone."""
    ours = hasty_store("valkey")
    kwargs = ours._client.connection_pool.connection_kwargs
    assert (kwargs["socket_connect_timeout"], kwargs["socket_timeout"]) == (0.25, 0.5)
    shared = get_redis_connection("elsewhere").connection_pool.connection_kwargs
    assert shared.get("socket_timeout") is None
    theirs = store_at(f"{valkey.url}&client_name=theirs", SOCKET_TIMEOUT=3, SOCKET_CONNECT_TIMEOUT=2)
    kwargs = theirs._client.connection_pool.connection_kwargs
    assert (kwargs["socket_connect_timeout"], kwargs["socket_timeout"]) == (2, 3)
    assert theirs._client.connection_pool is get_redis_connection("elsewhere").connection_pool


# Connections


def test_r05_busy_pool_is_waited_for(store_at: StoreAt, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all connections are in use a verb waits for one, and after a while the store is unavailable."""
    store = store_at(f"{valkey.url}&client_name=one", CONNECTION_POOL_KWARGS={"max_connections": 1})
    record = created(store, new_record(store))
    pool = store._client.connection_pool
    busy, own_time = [pool.get_connection()], OwnTime()

    def release() -> None:
        if busy and own_time.passed > WAIT / 2:
            pool.release(busy.pop())

    own_time.happens = release
    monkeypatch.setattr(redis_connection, "time", own_time)
    assert store.load(record.id) == record
    assert WAIT / 2 < own_time.passed < WAIT
    kept = pool.get_connection()
    with pytest.raises(StoreUnavailable, match="MaxConnectionsError"):
        store.load(record.id)
    pool.release(kept)
    assert store.load(record.id) == record


def test_r05_no_connection_is_lost(store_at: StoreAt, valkey: RedisServer) -> None:
    """Threads that share a few connections all get their answers, and open no more connections than they may."""
    store = store_at(f"{valkey.url}&client_name=few", CONNECTION_POOL_KWARGS={"max_connections": 5})
    records = [created(store, new_record(store)) for _ in range(20)]
    before = clients(valkey)
    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(store.load, [record.id for record in records * 10])) == records * 10
    assert clients(valkey) - before <= 4
