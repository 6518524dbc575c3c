"""What went wrong once between requests of one session: leases and lines that stayed, saves that counted twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from django.core.cache import caches

from tests.concurrency.classes import OpenTab, RaceSession, Tab
from tests.concurrency.stored import fields_of, found, stored
from tests.core.records import record_of
from tests.servers.cluster import RedisCluster
from typed_sessions import EndReason, clock, session_field
from typed_sessions.backends import patience
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import SessionFieldError, SessionTooLarge, StoreUnavailable
from typed_sessions.flows import adrive, drive
from typed_sessions.stores import scripts
from typed_sessions.stores.base import Outcome, Store
from typed_sessions.stores.cache import CacheStore
from typed_sessions.stores.record import LONGEST_LEASE, Lease, Record
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.scripts import Command
from typed_sessions.testing.engines import Configure
from typed_sessions.testing.stores import AsyncVerbs, buried, created, new_record, saved, successor

pytestmark = pytest.mark.django_db(transaction=True)

two_engines = pytest.mark.parametrize("engine", ["db", "redis"], indirect=True)


def lease_of(engine: type[SessionStore], key: str) -> Lease | None:
    record = found(engine, key)
    assert isinstance(record, Record)
    return record.lease


def failing(verb: Callable[..., Any], times: int, *, is_done: bool) -> Callable[..., Any]:
    """`verb`, which is done or not, and whose reply is lost the first `times`."""
    lost = [StoreUnavailable("the reply was lost")] * times

    def call(*args: Any) -> Any:
        if not lost:
            return verb(*args)
        if is_done:
            verb(*args)
        raise lost.pop()

    return call


# Saves


@two_engines
def test_save_after_one_that_was_refused(open_tab: OpenTab, engine: type[SessionStore]) -> None:
    """What was too large and was taken back has left nothing behind: later saves change what they say, and no more."""
    key = stored(engine)
    session = open_tab(key)
    typed = session.typed
    typed.views += 7
    typed.name = "x" * 100_000
    with pytest.raises(SessionTooLarge):
        session.save()
    typed.views -= 7
    typed.name = ""
    session["mine"] = 1
    session.save()
    other = Tab(engine(key))
    other.typed.views += 1
    other.typed.name = "theirs"
    other.save()
    session["also"] = 2
    session.save()
    there = fields_of(engine, key)
    assert (there.views, there.name) == (1, "theirs")


@dataclass
class MistakenSession(RaceSession):
    wrong: str = session_field(default="", merge="add")


@two_engines
def test_save_after_one_that_could_not_be_merged(
    open_tab: OpenTab, engine: type[SessionStore], configure: Configure
) -> None:
    """Who gives up the field whose rule cannot work, and saves again, is counted once, and brings back no key that was
    removed meanwhile.
    """
    configure(SESSION_CLASS=f"{__name__}.MistakenSession")
    key = stored(engine)
    session, other, third = open_tab(key), Tab(engine(key)), open_tab(key)
    mine, theirs = session.typed, other.typed
    assert isinstance(mine, MistakenSession) and isinstance(theirs, MistakenSession)
    assert "kept" in session
    mine.views, mine.wrong = 1, "mine"
    theirs.views, theirs.wrong = 5, "theirs"
    other["theirs"] = 1
    other.save()
    with pytest.raises(SessionFieldError, match=r"MistakenSession\.wrong: merge='add'"):
        session.save()
    mine.wrong = ""
    third.pop("theirs")
    third.save()
    session.save()
    assert fields_of(engine, key).views == 6
    assert "theirs" not in Tab(engine(key))


# Leases


def test_lease_is_over() -> None:
    """When its seconds are over, or are more than any lease has: it was made by a clock that was wrong."""
    lease = Lease(holder="somebody", until=10_000)
    assert [lease.is_over(now) for now in (9_999, 10_000, 10_001)] == [False, True, True]
    first = 10_000 - 1 - LONGEST_LEASE
    assert [lease.is_over(now) for now in (first - 1, first, 0)] == [True, False, True]


@two_engines
@pytest.mark.parametrize("is_done", [False, True])
def test_lease_whose_reply_is_lost(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, is_done: bool) -> None:
    """Who does not know whether it was taken gives it back."""
    key = stored(engine)
    store = type(engine().store)
    monkeypatch.setattr(store, "save", failing(store.save, 1, is_done=is_done))
    with pytest.raises(StoreUnavailable, match="the reply was lost"):
        drive(engine(key).take_lease(0, 30))
    assert lease_of(engine, key) is None
    drive(engine(key).take_lease(0, 30))


@two_engines
async def test_lease_of_a_task_that_is_cancelled(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes away while the lease is being taken keeps nobody out."""
    session = engine()
    await session.acreate()
    store, is_stored = type(engine().store), asyncio.Event()
    asave = store.asave

    async def slow(self: Any, *args: Any) -> Outcome:
        outcome: Outcome = await asave(self, *args)
        if not is_stored.is_set():
            is_stored.set()
            await asyncio.Event().wait()
        return outcome

    monkeypatch.setattr(store, "asave", slow)
    task = asyncio.create_task(adrive(engine(session.session_key).take_lease(5, 30)))
    await is_stored.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await adrive(engine(session.session_key).take_lease(0, 30))


@two_engines
@pytest.mark.parametrize("is_good", [True, False])
def test_what_a_view_leaves_open(open_tab: OpenTab, engine: type[SessionStore], is_good: bool) -> None:
    """A turn that was begun twice and never ended, within what is read-only or disabled, ends with the view."""
    key = stored(engine)
    session = open_tab(key)
    for _ in range(2):
        drive(session.store.take_lease(0, 30))
    session.typed.views = 1
    for _ in range(2):
        session.store.begin_read_only()
    session.typed.cart.append("nested")
    session.leave(is_good)
    assert lease_of(engine, key) is None
    there = fields_of(engine, key)
    assert (there.views, there.cart) == (int(is_good), [])
    session.typed.views = 5  # nothing is refused any more
    session.save()
    assert fields_of(engine, key).views == 5


# The line of those who try again


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_line_in_a_forked_process() -> None:
    """Who stood in line when a process was forked does not stand there in the child, and no lock is held there."""
    line = patience.tries("a session")
    others = patience.tries("a session")
    for each in (line, line, others):
        next(each)  # the first one is in line, and the other behind it
    with patience._guard:
        child = os.fork()
        if not child:
            try:
                is_free = patience._guard.acquire(timeout=5)
                os._exit(0 if is_free and not patience._lines else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(patience._lines["a session"]) == 2
    for each in (line, others):
        each.close()  # type: ignore[attr-defined]  # it is a generator
    assert "a session" not in patience._lines


def test_line_that_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what a child does first; another lock, and nobody in line."""
    lock = patience._guard
    monkeypatch.setattr(patience, "_guard", lock)  # and back
    monkeypatch.setattr(patience, "_lines", {"a session": "others"})
    with lock:
        patience._begin_anew()
        assert patience._lines == {}
        assert not patience._guard.locked()


# Replies that are lost


def test_record_knows_the_saves_before_it() -> None:
    """The last three, each as a whole, and neither itself nor what follows it."""
    records = [record_of()]
    for number in range(2, 7):
        base = records[-1]
        records.append(msgspec.structs.replace(base, revision=number, nonce=f"{number:08}", earlier=base.marks()))
    assert [records[-1].follows(record) for record in records] == [False, False, True, True, True, False]
    assert records[0].marks() == records[0].nonce
    assert not any(records[0].follows(record) for record in records)
    assert not records[-1].follows(msgspec.structs.replace(records[0], nonce=records[-1].earlier[4:12]))


@pytest.mark.parametrize("is_done", [False, True])
def test_cache_that_loses_a_reply(monkeypatch: pytest.MonkeyPatch, is_done: bool) -> None:
    """The end under the old token is written once more if its reply is lost; and if that is lost too, there is no
    session under the new one.
    """
    caches["locmem"].clear()
    store = CacheStore("locmem")
    base = created(store, new_record(store))
    record = successor(base)
    bury = store._bury
    monkeypatch.setattr(store, "_bury", failing(bury, 1, is_done=is_done))
    assert saved(store.replace(record, base)) == record
    assert (store.load(record.id), buried(store, base.id)) == (record, EndReason.ROTATED)
    base, record = record, successor(record)
    monkeypatch.setattr(store, "_bury", failing(bury, 2, is_done=is_done))
    with pytest.raises(StoreUnavailable, match="the reply was lost"):
        store.replace(record, base)
    assert store.load(record.id) is None
    assert isinstance(store.load(base.id), Record) is not is_done


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_done", [False, True])
def test_cluster_that_loses_a_reply(
    redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch, is_async: bool, is_done: bool
) -> None:
    """Likewise on a cluster, where the two sessions may be on two nodes."""
    store = RedisStore("cluster")
    verbs: Store = AsyncVerbs(store) if is_async else store
    base = created(verbs, new_record(verbs, user="7"))
    record = successor(base)
    execute, aexecute, lost = store._execute, store._aexecute, [StoreUnavailable("the reply was lost")]

    def sync(command: Command) -> Any:
        reply = execute(command) if is_done or command.name is not scripts.BURY or not lost else None
        if command.name is scripts.BURY and lost:
            raise lost.pop()
        return reply

    async def asynchronous(command: Command) -> Any:
        reply = await aexecute(command) if is_done or command.name is not scripts.BURY or not lost else None
        if command.name is scripts.BURY and lost:
            raise lost.pop()
        return reply

    monkeypatch.setattr(store, "_execute", sync)
    monkeypatch.setattr(store, "_aexecute", asynchronous)
    assert saved(verbs.replace(record, base)) == record
    assert not lost
    assert (verbs.load(record.id), buried(verbs, base.id)) == (record, EndReason.ROTATED)
    assert list(verbs.of_user("7", clock.now())) == [record.id]
