"""What the copies of the cached database store promise: never to answer with what the database no longer holds."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction

from tests.servers.redis import RedisServer
from tests.stores.conftest import MakeStore, stores
from tests.stores.tools import OwnTime
from typed_sessions import EndReason, clock, urn
from typed_sessions.exceptions import StoreUnavailable, UnreadableRecord
from typed_sessions.models import StoredSession
from typed_sessions.stores import cached_database, wire
from typed_sessions.stores.base import Store
from typed_sessions.stores.byte_cache import ByteCache, byte_cache
from typed_sessions.stores.cached_database import COPY_LIFE, MARK, MARK_LIFE, SLOW_READ, SLOW_WRITE, CachedDatabaseStore
from typed_sessions.stores.record import GRACE, LINGER, Record, Tombstone
from typed_sessions.testing.stores import (
    UNREADABLE_VALUES,
    buried,
    created,
    full_record,
    new_record,
    next_save,
    saved,
    successor,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def valkey_store(make_store: MakeStore) -> CachedDatabaseStore:
    store = make_store("sqlite+valkey")
    assert isinstance(store, CachedDatabaseStore)
    return store


@pytest.fixture(params=stores("sqlite+valkey", "postgres+valkey"))
def store(request: pytest.FixtureRequest, make_store: MakeStore) -> CachedDatabaseStore:
    store = make_store(request.param)
    assert isinstance(store, CachedDatabaseStore)
    return store


def _cache() -> ByteCache:
    return byte_cache("valkey")


def _copy(record: Record) -> object:
    """What the cache holds in the place of a record."""
    return _cache().get(urn(record.id))


def _forget_mark(record: Record) -> None:
    """As if the mark's time were over."""
    if _copy(record) == MARK:
        _cache().delete(urn(record.id))


@contextmanager
def during(store: CachedDatabaseStore, verb: str, happens: Callable[[], object]) -> Iterator[None]:
    """Something happens once, when the database has answered a verb, before the store goes on."""
    inner = store._database
    answer = getattr(inner, verb)
    todo = [happens]

    def slow(*args: Any) -> Any:
        there = answer(*args)
        while todo:
            todo.pop()()
        return there

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, verb, slow)
        yield
    assert not todo


def _write(store: Store, verb: str, base: Record) -> None:
    """Does to a session what makes an older copy of it a lie."""
    now = clock.now()
    if verb == "save":
        saved(store.save(next_save(base), base))
    elif verb == "touch":
        store.touch(base, base.seen + 60, base.expires + 60)
    elif verb == "replace":
        saved(store.replace(successor(base), base))
    else:
        store.end(base.id, EndReason.LOGGED_OUT, now)


WRITES = pytest.mark.parametrize("verb", ["save", "touch", "replace", "end"])


# Copies


def test_second_read_asks_the_cache_alone(store: CachedDatabaseStore, database_alias: str) -> None:
    """A record that was read once is read from the cache, as it was."""
    record = created(store, full_record(store))
    assert store.load(record.id) == record
    StoredSession.objects.filter(pk=record.id).delete()
    assert store.load(record.id) == record


def test_copy_lives_a_minute(valkey_store: CachedDatabaseStore, valkey: RedisServer) -> None:
    """What went past the store, such as SQL by hand, is hidden for a minute at most, and never beyond the record."""
    now = clock.now()
    long, short = (created(valkey_store, new_record(valkey_store, expires=now + life)) for life in (600, 20 - LINGER))
    over = created(valkey_store, new_record(valkey_store, expires=now - LINGER))
    for record in (long, short, over):
        assert valkey_store.load(record.id) == record
    lives = [valkey.run("TTL", caches["valkey"].make_key(urn(record.id))) for record in (long, short, over)]
    assert COPY_LIFE - 5 <= lives[0] <= COPY_LIFE
    assert 15 <= lives[1] <= 20
    assert lives[2] == -2


def test_nothing_and_tombstones_are_not_copied(store: CachedDatabaseStore) -> None:
    """That there is no session is asked of the database each time."""
    ended, unknown = created(store, new_record(store)), new_record(store)
    store.end(ended.id, EndReason.LOGGED_OUT, clock.now())
    _forget_mark(ended)
    assert buried(store, ended.id) is EndReason.LOGGED_OUT
    assert store.load(unknown.id) is None
    assert (_copy(ended), _copy(unknown)) == (None, None)
    assert store.create(unknown) is True
    assert store.load(unknown.id) == unknown


def test_s71_damaged_copy_is_left_aside(store: CachedDatabaseStore, caplog: pytest.LogCaptureFixture) -> None:
    """A copy that is not the record costs a read of the database and a line in the log, not the session."""
    record = created(store, new_record(store))
    for value in (b"\x80\x04nonsense", b"", b"text", wire.encode(new_record(store))):
        _cache().set(urn(record.id), value, COPY_LIFE)
        assert store.load(record.id) == record
    assert [message.partition(":")[0] for message in caplog.messages] == ["The cached copy was left aside"] * 4


def test_unreadable_row_is_no_copy(store: CachedDatabaseStore) -> None:
    """A damaged row is told as such, and ended, with a cache in front of it too."""
    record = created(store, new_record(store))
    StoredSession.objects.filter(pk=record.id).update(data="[")
    with pytest.raises(UnreadableRecord):
        store.load(record.id)
    assert _copy(record) is None
    assert store.end(record.id, EndReason.UNDECODABLE, clock.now()) is None
    assert buried(store, record.id) is EndReason.UNDECODABLE


# A reader that is slower than a writer


@WRITES
def test_r29_copy_goes_with_a_write(store: CachedDatabaseStore, verb: str) -> None:
    """A write that is done is seen by the next read, however fresh the copy was."""
    base = created(store, new_record(store))
    assert store.load(base.id) == base
    assert _copy(base) == wire.encode(base)
    _write(store, verb, base)
    assert _copy(base) == MARK
    there = store.load(base.id)
    assert there != base
    _forget_mark(base)
    assert store.load(base.id) == store.load(base.id) == there


@WRITES
def test_r29_slow_reader_does_not_refill(store: CachedDatabaseStore, verb: str) -> None:
    """A reader that has the old row in its hand while another writes leaves no copy of it."""
    base = created(store, new_record(store))
    with during(store, "load", lambda: _write(store, verb, base)):
        assert store.load(base.id) == base
    _forget_mark(base)
    assert store.load(base.id) != base


@WRITES
def test_r29_reader_during_a_write_does_not_refill(store: CachedDatabaseStore, verb: str) -> None:
    """Between the mark and the write nobody makes a copy of what is about to be old."""
    base = created(store, new_record(store))
    with pytest.MonkeyPatch.context() as patch:
        write = getattr(store._database, verb)

        def after_a_read(*args: Any) -> Any:
            assert store.load(base.id) == base
            return write(*args)

        patch.setattr(store._database, verb, after_a_read)
        _write(store, verb, base)
    _forget_mark(base)
    assert store.load(base.id) != base


@pytest.fixture
def own_time(monkeypatch: pytest.MonkeyPatch) -> OwnTime:
    own = OwnTime()
    monkeypatch.setattr(cached_database, "time", own)
    return own


def test_r29_reader_that_took_too_long_makes_no_copy(store: CachedDatabaseStore, own_time: OwnTime) -> None:
    """A reader that was held up for longer than a mark may last does not trust what it read."""

    def write_and_wait() -> None:
        _write(store, "end", base)
        _forget_mark(base)
        own_time.sleep(SLOW_READ)

    base = created(store, new_record(store))
    with during(store, "load", write_and_wait):
        assert store.load(base.id) == base
    assert _copy(base) is None
    assert buried(store, base.id) is EndReason.LOGGED_OUT


def test_r29_write_that_took_too_long_marks_again(store: CachedDatabaseStore, own_time: OwnTime) -> None:
    """When the first mark may have been over before the write was done, a second one removes what readers copied."""
    base = created(store, new_record(store))

    def hold_up() -> None:
        _cache().set(urn(base.id), wire.encode(base), COPY_LIFE)
        own_time.sleep(SLOW_WRITE + 0.1)

    with during(store, "end", hold_up):
        _write(store, "end", base)
    assert _copy(base) == MARK
    assert buried(store, base.id) is EndReason.LOGGED_OUT


def test_r29_quick_write_marks_once(store: CachedDatabaseStore, own_time: OwnTime) -> None:
    """A write within its time costs the cache one command."""
    base = created(store, new_record(store))
    with during(store, "end", lambda: _cache().delete(urn(base.id))):
        _write(store, "end", base)
    assert _copy(base) is None


def test_limits_leave_no_gap() -> None:
    """A mark outlasts the slowest write that marks once and the slowest read that still copies."""
    assert SLOW_WRITE + SLOW_READ < MARK_LIFE


def test_failed_write_is_marked_too(store: CachedDatabaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write of which nobody knows whether it was done is treated as if it was."""
    base = created(store, new_record(store))
    store.load(base.id)

    def fail(*_: object) -> None:
        raise StoreUnavailable("nobody knows")

    monkeypatch.setattr(store._database, "end", fail)
    with pytest.raises(StoreUnavailable):
        _write(store, "end", base)
    assert _copy(base) == MARK


# Transactions


@WRITES
def test_r29_write_in_a_transaction_marks_when_it_ends(
    store: CachedDatabaseStore, database_alias: str, verb: str
) -> None:
    """Until a transaction ends others copy what is old; with its end their copies are over."""
    base = created(store, new_record(store))
    with transaction.atomic(using=database_alias):
        _write(store, verb, base)
        # By another process, after the mark was over.
        _cache().set(urn(base.id), wire.encode(base), COPY_LIFE)
    assert _copy(base) == MARK
    assert store.load(base.id) != base


@pytest.mark.parametrize("verb", ["create", "save"])
def test_r29_uncommitted_record_is_not_copied(store: CachedDatabaseStore, database_alias: str, verb: str) -> None:
    """What a transaction sees of its own writes is not shown to others, since it may never come true."""
    base, other = new_record(store), created(store, new_record(store))
    with transaction.atomic(using=database_alias):
        if verb == "create":
            store.create(base)
        else:
            _write(store, "save", other)
            _forget_mark(other)
        for record in (base, other):
            store.load(record.id)
            assert _copy(record) is None
        transaction.set_rollback(True, using=database_alias)
    assert store.load(base.id) is None
    assert store.load(other.id) == other


def test_r29_old_snapshot_is_not_copied(valkey_store: CachedDatabaseStore) -> None:
    """A transaction that still sees what has ended meanwhile does not bring it back for the others."""
    import threading

    store = valkey_store
    base = created(store, new_record(store))

    def end() -> None:
        try:
            _write(store, "end", base)
        finally:
            connection.close()

    with transaction.atomic():
        assert StoredSession.objects.count() == 1
        thread = threading.Thread(target=end)
        thread.start()
        thread.join()
        _forget_mark(base)
        assert store.load(base.id) == base
        assert _copy(base) is None
    _forget_mark(base)
    assert buried(store, base.id) is EndReason.LOGGED_OUT


def test_read_in_a_transaction_is_copied_after_it(store: CachedDatabaseStore, database_alias: str) -> None:
    """With ATOMIC_REQUESTS reads are quick too: copied is what the database holds when the transaction is over."""
    record, damaged = created(store, new_record(store)), created(store, new_record(store))
    with transaction.atomic(using=database_alias):
        assert store.load(record.id) == record
        assert store.load(damaged.id) == damaged
        StoredSession.objects.filter(pk=damaged.id).update(data="[")
    assert _copy(record) == wire.encode(record)
    assert _copy(damaged) is None


# A cache that is away


@pytest.fixture
def broken_cache(valkey_store: CachedDatabaseStore, valkey: RedisServer) -> CachedDatabaseStore:
    record = created(valkey_store, new_record(valkey_store))
    valkey_store.load(record.id)
    valkey.kill()
    return valkey_store


def test_cache_that_is_away_costs_a_read(
    broken_cache: CachedDatabaseStore, valkey: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its cache the store reads and saves, says so in the log, and uses the cache again when it is back."""
    store = broken_cache
    caplog.set_level(logging.WARNING, "typed_sessions")
    base = created(store, new_record(store))
    assert store.load(base.id) == base
    record = saved(store.save(next_save(base), base))
    assert store.touch(record, record.seen, record.expires) is True
    said = {message.partition(":")[0] for message in caplog.messages}
    assert said == {
        "Sessions are read from the database alone",
        f"Session {base.id} may be read as it was for {COPY_LIFE} seconds",
    }
    valkey.start()
    store._left_alone_until = 0.0  # as after a second
    record = created(store, new_record(store))
    assert store.load(record.id) == record
    assert _copy(record) == wire.encode(record)


@pytest.mark.parametrize("verb", ["end", "replace"])
def test_r29_session_does_not_end_while_its_copy_may_stay(
    broken_cache: CachedDatabaseStore, valkey: RedisServer, verb: str
) -> None:
    """Where a copy cannot be removed nobody is told that the session is over: it would go on for a minute."""
    store = broken_cache
    record = created(store, new_record(store))
    with pytest.raises(StoreUnavailable, match=f"{record.id} cannot be ended while the cache 'valkey' does not answer"):
        _write(store, verb, record)
    assert store.load(record.id) == record
    valkey.start()
    _write(store, verb, record)
    assert isinstance(store.load(record.id), Tombstone)


@WRITES
def test_r29_full_cache_lets_go_of_the_copy(store: CachedDatabaseStore, valkey: RedisServer, verb: str) -> None:
    """A cache that takes nothing more still lets a copy be removed."""
    base = created(store, new_record(store))
    store.load(base.id)
    valkey.run("CONFIG", "SET", "maxmemory", 1)
    try:
        _write(store, verb, base)
        assert _copy(base) is None
        assert store.load(base.id) != base
    finally:
        valkey.run("CONFIG", "SET", "maxmemory", 0)


def test_s67_copy_is_not_pickled(store: CachedDatabaseStore, valkey: RedisServer) -> None:
    """What is in Redis is the record as JSON, and a pickle that somebody put there is not loaded."""
    record = created(store, new_record(store))
    store.load(record.id)
    key = caches["valkey"].make_key(urn(record.id))
    assert valkey.run("GET", key) == wire.encode(record)
    bomb = UNREADABLE_VALUES["pickle"]
    with pytest.raises(SystemExit):
        pickle.loads(bomb)
    valkey.client().set(key, bomb)
    assert store.load(record.id) == record


def test_listing_is_the_database_s(store: CachedDatabaseStore) -> None:
    """Lists, counts and sweeps do not ask the cache."""
    now = clock.now()
    record = created(store, new_record(store, user="7"))
    over = created(store, new_record(store, expires=now - GRACE - 1))
    caches["valkey"].clear()
    assert list(store.newest(now, 10)) == list(store.of_user("7", now)) == [record.id]
    claims = store.claim_overdue(now, 10, 60).claims
    assert [claim.session_id for claim in claims] == [over.id]
    store.settle(claims, now)
    assert (store.count(now), store.clear_expired(now)) == (1, 0)
