"""Copies in the cache of cached_db: none outlives what it is a copy of, however slow its reader is (REQ-R29)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import caches

from tests.concurrency.interleavings import Race, at_once, stop
from tests.concurrency.stored import id_of, stored
from typed_sessions import EndReason, urn
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.base import Store
from typed_sessions.stores.byte_cache import byte_cache
from typed_sessions.stores.cached_database import MARK, MARK_LIFE, CachedDatabaseStore
from typed_sessions.stores.database import DatabaseStore
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import next_save, successor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize(
        "engine", ["cached_db", pytest.param("cached_db", marks=pytest.mark.postgres, id="postgres")], indirect=True
    ),
]


def lapse(session_id: str, clock: Clock) -> None:
    """The time passes after which the cache lets go of a mark that is there now."""
    clock.advance(MARK_LIFE)
    cache = byte_cache("valkey")
    if cache.get(urn(session_id)) == MARK:
        cache.delete(urn(session_id))


WRITES: dict[str, Callable[[Store, Record], object]] = {
    "end": lambda store, record: store.end(record.id, EndReason.LOGGED_OUT, 0),
    "replace": lambda store, record: store.replace(successor(record), record),
    "save": lambda store, record: store.save(next_save(record), record),
    "touch": lambda store, record: store.touch(record, record.seen + 60, record.expires + 60),
}


@pytest.mark.parametrize("write", WRITES)
def test_r29_no_copy_of_what_was(race: Race, engine: type[SessionStore], write: str, clock: Clock) -> None:
    """Whatever was written, and wherever its reader and its writer were kept waiting until no mark was left: who reads
    afterwards gets what the database holds.
    """
    store = engine().store
    assert isinstance(store, CachedDatabaseStore)
    for round in race:
        session_id = id_of(stored(engine))
        record = store.load(session_id)
        assert isinstance(record, Record)
        caches["valkey"].clear()

        def wait(session_id: str = session_id) -> None:
            stop("time passes")
            with at_once():
                lapse(session_id, clock)

        done = round.run(
            reader=lambda s=session_id: store.load(s),  # type: ignore[misc]
            writer=lambda r=record: WRITES[write](store, r),  # type: ignore[misc]
            time=wait,
        )
        assert [outcome.error for outcome in done.values()] == [None] * 3
        lapse(session_id, clock)
        truth = DatabaseStore().load(session_id)
        assert store.load(session_id) == truth, round.trace
        assert store.load(session_id) == truth  # from the copy that was made of it
        round.count(type(done["reader"].value).__name__)
    assert race.outcomes["Record"]
