"""Several threads at one session, on every kind of store: nothing lost, nothing brought back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from tests.stores.conftest import KINDS, MakeStore
from typed_sessions import EndReason, clock
from typed_sessions.stores.base import Conflict, Gone, Saved, Store
from typed_sessions.stores.record import Record, Tombstone
from typed_sessions.testing.stores import created, fields, new_record, next_save, saved, successor

_NAMES = ("sqlite", "postgres", "sqlite+valkey", "valkey", "cluster", "cache locmem", "cache valkey")


def _committing(name: str) -> list[pytest.MarkDecorator]:
    """Threads have connections of their own, and see what was committed."""
    others = [mark for mark in KINDS[name].marks if mark.name != "django_db"]
    return [pytest.mark.django_db(transaction=True), *others] if KINDS[name].marks else others


@pytest.fixture(params=[pytest.param(name, marks=_committing(name), id=name.replace(" ", "-")) for name in _NAMES])
def store(request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
    return make_store(request.param)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls answer, made by as many threads that begin together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(10)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        futures: list[Future[Any]] = [pool.submit(run, call) for call in calls]
    return [future.result() for future in futures]


def _counted(store: Store, record: Record) -> int:
    return int(store.format.loads(bytes(record.bag))["count"])


def test_r26_no_save_is_lost(store: Store) -> None:
    """When threads count in one session, each merging after a conflict, every count is there in the end."""
    first = created(store, new_record(store, bag=fields(store.format, count=0)))

    def count(times: int) -> None:
        for _ in range(times):
            base = store.load(first.id)
            while True:
                assert isinstance(base, Record)
                mine = next_save(base, bag=fields(store.format, count=_counted(store, base) + 1))
                outcome = store.save(mine, base)
                if isinstance(outcome, Saved):
                    break
                assert isinstance(outcome, Conflict)
                base = outcome.record

    at_once(*[lambda: count(8)] * 6)
    last = store.load(first.id)
    assert isinstance(last, Record)
    assert (_counted(store, last), last.revision) == (48, 49)


def test_r22_r23_nothing_brings_an_ended_session_back(store: Store) -> None:
    """Whoever comes first: after an end there is a tombstone, and it told the last state that was saved."""
    for _ in range(12):
        base = created(store, new_record(store))
        record = next_save(base)
        outcome, touched, last = at_once(
            lambda base=base, record=record: store.save(record, base),  # type: ignore[misc]
            lambda base=base: store.touch(base, base.seen + 60, base.expires + 60),  # type: ignore[misc]
            lambda base=base: store.end(base.id, EndReason.LOGGED_OUT, clock.now()),  # type: ignore[misc]
        )
        assert isinstance(store.load(base.id), Tombstone)
        assert isinstance(outcome, Saved | Gone)
        assert isinstance(touched, bool)
        assert last.revision == (2 if isinstance(outcome, Saved) else 1)


def test_r27_r28_one_rotation_wins(store: Store) -> None:
    """Of several rotations of one session at once, one is stored and the others know."""
    for _ in range(6):
        base = created(store, new_record(store))
        records = [successor(base) for _ in range(4)]
        outcomes = at_once(*[lambda r=record, b=base: store.replace(r, b) for record in records])
        winners = [saved(outcome) for outcome in outcomes if isinstance(outcome, Saved)]
        assert len(winners) == 1
        assert [store.load(record.id) for record in records if record.id != winners[0].id] == [None] * 3
        assert store.load(winners[0].id) == winners[0]
        assert isinstance(store.load(base.id), Tombstone)


def test_create_is_done_once(store: Store) -> None:
    """Of several that create under one id, one succeeds."""
    first = new_record(store)
    records = [first, *(new_record(store, id=first.id) for _ in range(3))]
    answers = at_once(*[lambda r=record: store.create(r) for record in records])
    assert sorted(answers) == [False, False, False, True]
    assert store.load(first.id) == records[answers.index(True)]


def test_session_is_ended_once(store: Store) -> None:
    """Of several that end a session at once, one gets its last state."""
    record = created(store, new_record(store))
    answers = at_once(*[lambda: store.end(record.id, EndReason.LOGGED_OUT, clock.now())] * 4)
    assert sorted(answer is None for answer in answers) == [False, True, True, True]
    assert record in answers
