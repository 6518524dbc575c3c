"""What the store over any Django cache promises: a short lease in place of compare-and-set, and errors that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

from tests.servers.redis import RedisServer
from tests.stores.conftest import MakeStore
from tests.stores.tools import OwnTime, keys
from typed_sessions import EndReason, clock, urn
from typed_sessions.exceptions import StoreUnavailable, UnreadableRecord
from typed_sessions.stores import cache as cache_module
from typed_sessions.stores import wire
from typed_sessions.stores.base import Store
from typed_sessions.stores.cache import LEASE, WAIT, CacheStore
from typed_sessions.stores.record import LINGER, TOMBSTONE_LIFE, Record, Tombstone
from typed_sessions.testing.stores import created, new_record, next_save, saved, successor

if TYPE_CHECKING:
    from pytest_django import Settings


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store("cache locmem")


def _lease_of(session_id: str) -> str:
    return f"{urn(session_id)}:lease"


def _writes(store: Store, record: Record) -> dict[str, Callable[[], object]]:
    return {
        "save": lambda: store.save(next_save(record), record),
        "touch": lambda: store.touch(record, record.seen, record.expires),
        "replace": lambda: store.replace(successor(record), record),
        "end": lambda: store.end(record.id, EndReason.LOGGED_OUT, clock.now()),
    }


WRITES = pytest.mark.parametrize("verb", ["save", "touch", "replace", "end"])


@pytest.fixture
def own_time(monkeypatch: pytest.MonkeyPatch) -> OwnTime:
    own = OwnTime()
    monkeypatch.setattr(cache_module, "time", own)
    return own


# The lease


@WRITES
def test_write_waits_for_the_lease(store: Store, own_time: OwnTime, verb: str) -> None:
    """A write that finds another one at work goes on as soon as that one is done."""
    record = created(store, new_record(store))
    caches["locmem"].add(_lease_of(record.id), "somebody's")

    def release() -> None:
        if own_time.passed > WAIT / 2:
            caches["locmem"].delete(_lease_of(record.id))

    own_time.happens = release
    assert _writes(store, record)[verb]()
    assert WAIT / 2 < own_time.passed < WAIT


@WRITES
def test_waiting_for_the_lease_ends(store: Store, own_time: OwnTime, verb: str) -> None:
    """A write that waited in vain was not done, and leaves the lease to whom it belongs."""
    record = created(store, new_record(store))
    caches["locmem"].add(_lease_of(record.id), "somebody's")
    with pytest.raises(StoreUnavailable, match=f"{record.id}: another request has been writing it"):
        _writes(store, record)[verb]()
    assert WAIT <= own_time.passed < WAIT + 0.1
    assert caches["locmem"].get(_lease_of(record.id)) == "somebody's"
    assert store.load(record.id) == record


@WRITES
def test_lease_is_released(store: Store, verb: str) -> None:
    """After a write, and after one that failed, the next need not wait."""
    record = created(store, new_record(store))
    _writes(store, record)[verb]()
    assert caches["locmem"].get(_lease_of(record.id)) is None
    caches["locmem"].set(urn(record.id), b"damaged")
    try:
        _writes(store, record)[verb]()
    except UnreadableRecord:
        assert verb != "end"
    assert caches["locmem"].get(_lease_of(record.id)) is None


@pytest.mark.parametrize("verb", ["save", "touch", "replace"])
def test_write_that_outlived_its_lease_is_not_done(store: Store, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Who was too slow and lost the lease writes nothing over what another writes, and leaves that one's lease."""
    record = created(store, new_record(store))
    load = store.load

    def slow_load(session_id: str) -> object:
        caches["locmem"].set(_lease_of(record.id), b"another's")
        return load(session_id)

    monkeypatch.setattr(store, "load", slow_load)
    with pytest.raises(StoreUnavailable, match="too slow, and another has gone on"):
        _writes(store, record)[verb]()
    assert caches["locmem"].get(_lease_of(record.id)) == b"another's"
    assert load(record.id) == record


def test_lease_of_a_dead_worker_ends(
    make_store: MakeStore, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies while it writes holds others up for some seconds only."""
    store = make_store("cache valkey")
    record = created(store, new_record(store))
    lives: list[int] = []

    def look(self: CacheStore, session_id: str, *rest: Any) -> None:
        lives.append(keys(valkey)[caches["valkey"].make_key(_lease_of(session_id))])

    monkeypatch.setattr(CacheStore, "_bury", look)
    store.end(record.id, EndReason.LOGGED_OUT, clock.now())
    assert len(lives) == 1
    assert 0 < lives[0] <= LEASE


def test_leases_are_of_one_session(store: Store) -> None:
    """A write waits for its own session's, and for no other."""
    record, other = created(store, new_record(store)), created(store, new_record(store))
    caches["locmem"].add(_lease_of(other.id), "somebody's")
    assert saved(store.save(next_save(record), record)).revision == 2
    assert store.load(other.id) == other


# What is in the cache


def test_values_live_as_long_as_their_sessions(make_store: MakeStore, valkey: RedisServer) -> None:
    """The cache drops a record when its grace is over, and a tombstone after an hour."""
    store = make_store("cache valkey")
    short, ended = (created(store, new_record(store, expires=clock.now() + 60)) for _ in range(2))
    store.end(ended.id, EndReason.LOGGED_OUT, clock.now())
    lives = keys(valkey)
    for session_id, life in ((short.id, 60 + LINGER), (ended.id, TOMBSTONE_LIFE)):
        assert life - 5 <= lives[caches["valkey"].make_key(urn(session_id))] <= life
    assert store.clear_expired(clock.now() + TOMBSTONE_LIFE) == 0


def test_s67_record_is_not_pickled(make_store: MakeStore, valkey: RedisServer) -> None:
    """Where the cache is django-redis its serializer is passed by, in both directions."""
    store = make_store("cache valkey")
    record = created(store, new_record(store))
    assert valkey.run("GET", caches["valkey"].make_key(urn(record.id))) == wire.encode(record)


@pytest.mark.parametrize("value", ["text", 7, {"id": "x"}, ["x"], True])
def test_s67_value_of_another_kind_is_unreadable(store: Store, value: object) -> None:
    """Something else that is stored under a session's key is not a record, and can be ended."""
    record = new_record(store)
    caches["locmem"].set(urn(record.id), value)
    with pytest.raises(UnreadableRecord, match="not a record"):
        store.load(record.id)
    assert store.create(record) is False
    assert store.end(record.id, EndReason.UNDECODABLE, clock.now()) is None
    assert isinstance(store.load(record.id), Tombstone)


# Errors


class BrokenCache(LocMemCache):
    """A cache whose server is away."""

    def _away(self, *args: object, **kwargs: object) -> Any:
        raise ZeroDivisionError("an error of the backend's own")

    get = add = set = delete = _away


def test_any_error_of_a_cache_is_unavailable(settings: Settings) -> None:
    """Each backend has errors of its own; for us they are one."""
    settings.CACHES = {**settings.CACHES, "broken": {"BACKEND": "tests.stores.test_cache.BrokenCache"}}
    store = CacheStore("broken")
    record = new_record(store)
    for verb in (lambda: store.load(record.id), lambda: store.create(record), *_writes(store, record).values()):
        with pytest.raises(StoreUnavailable, match="The cache 'broken' did not answer: ZeroDivisionError"):
            verb()


def test_r06_cache_that_is_away_is_told_from_a_session_that_is(make_store: MakeStore, valkey: RedisServer) -> None:
    """While the cache's server is down every verb says so, and when it is back the next one works."""
    store = make_store("cache valkey")
    record = created(store, new_record(store))
    valkey.kill()
    for verb in (lambda: store.load(record.id), lambda: store.create(record), *_writes(store, record).values()):
        with pytest.raises(StoreUnavailable, match="The cache 'valkey' did not answer"):
            verb()
    valkey.start()
    assert store.load(record.id) is None
    assert store.create(record) is True
