"""The cache of cached_db is emptied at the worst moment: what it then answers wrongly it answers for a while only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.process import wait_until
from tests.servers.redis import RedisServer
from typed_sessions import EndReason, clock
from typed_sessions.stores import cached_database
from typed_sessions.stores.base import Store
from typed_sessions.stores.cached_database import CachedDatabaseStore
from typed_sessions.stores.record import Record, Tombstone
from typed_sessions.testing.stores import created, new_record, next_save, saved

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store(use_cache: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> CachedDatabaseStore:
    """Its copies live for a second."""
    monkeypatch.setattr(cached_database, "COPY_LIFE", 1)
    return CachedDatabaseStore(use_cache("valkey"))


def load_while(
    happens: Callable[[], object], store: CachedDatabaseStore, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Loads the session; between the read of the database and its copy, something `happens`."""
    load = store._database.load

    def load_and_wait(session_id: str) -> Record | Tombstone | None:
        found = load(session_id)
        monkeypatch.setattr(store._database, "load", load)
        happens()
        return found

    monkeypatch.setattr(store._database, "load", load_and_wait)
    return store.load(session_id)


def _save(store: Store, record: Record) -> None:
    saved(store.save(next_save(record), record))


def _end(store: Store, record: Record) -> None:
    store.end(record.id, EndReason.LOGGED_OUT, clock.now())


def expect_truth_in_the_end(store: CachedDatabaseStore, record: Record) -> None:
    """The old copy is not kept alive by those who read it."""
    there = store._database.load(record.id)
    assert there != record
    wait_until(lambda: store.load(record.id) == there, "the end of the copy", 10)


@pytest.mark.parametrize("write", [_save, _end])
def test_r29_cache_emptied_between_a_read_and_its_copy(
    write: Callable[[Store, Record], None],
    store: CachedDatabaseStore,
    valkey: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy of what was before a write, whose mark the cache has forgotten, is gone when a copy's life is over."""
    record = created(store, new_record(store))
    writer = CachedDatabaseStore(store.alias)

    def happens() -> None:
        write(writer, record)
        valkey.client().flushall()

    assert load_while(happens, store, record.id, monkeypatch) == record
    expect_truth_in_the_end(store, record)


@pytest.mark.parametrize("write", [_save, _end])
def test_r29_cache_emptied_between_a_mark_and_its_write(
    write: Callable[[Store, Record], None],
    store: CachedDatabaseStore,
    valkey: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who reads between a mark, which is forgotten, and its write leaves a copy that is gone when its life is over."""
    record = created(store, new_record(store))
    writer = CachedDatabaseStore(store.alias)
    mark = writer._mark

    def mark_and_wait(session_id: str) -> bool:
        done = mark(session_id)
        monkeypatch.setattr(writer, "_mark", mark)
        valkey.client().flushall()
        assert store.load(session_id) == record
        return done

    monkeypatch.setattr(writer, "_mark", mark_and_wait)
    write(writer, record)
    expect_truth_in_the_end(store, record)
