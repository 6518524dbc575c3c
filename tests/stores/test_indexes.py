"""The indexes of the database: by which the lists of sessions, and what is said of them, are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from tests.stores.conftest import MakeStore, stores
from typed_sessions import SessionMode, clock
from typed_sessions.models import StoredSession
from typed_sessions.stores import places
from typed_sessions.stores.database import DatabaseStore, _columns
from typed_sessions.stores.record import Client, Record
from typed_sessions.stores.selection import Selection
from typed_sessions.testing.stores import DAY, new_record

MANY = 300
_TABLE = StoredSession._meta.db_table


@pytest.fixture(params=stores("sqlite", "postgres"))
def store(request: pytest.FixtureRequest, make_store: MakeStore, database_alias: str) -> DatabaseStore:
    """A database that does as it would with a long table: of one session in ten somebody is signed in."""
    store = make_store(request.param)
    assert isinstance(store, DatabaseStore)
    records = [_record(store, number) for number in range(MANY)]
    StoredSession.objects.using(database_alias).bulk_create(
        StoredSession(pk=record.id, **_columns(record)) for record in records
    )
    if connections[database_alias].vendor == "postgresql":
        with connections[database_alias].cursor() as cursor:
            for way in ("seqscan", "bitmapscan", "sort"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
            cursor.execute(f"ANALYZE {_TABLE}")
            # What VACUUM finds out, which is not for transactions.
            cursor.execute("UPDATE pg_class SET relallvisible = relpages WHERE relname = %s", [_TABLE])
    return store


def _record(store: DatabaseStore, number: int) -> Record:
    """The first of them used, and expiring, last."""
    now = clock.now()
    return new_record(
        store,
        user=None if number % 10 else str(number),
        mode=SessionMode.PERM if number % 3 else SessionMode.TEMP,
        seen=now - number,
        expires=now + 14 * DAY - number,
        client=Client(address=f"2001:db8::{number:x}", last_address=f"::{number:x}"),
    )


def _plans(alias: str, ask: Callable[[], object]) -> list[str]:
    """How the database finds what is asked for, statement by statement."""
    with CaptureQueriesContext(connections[alias]) as queries:
        ask()
    explain = "EXPLAIN QUERY PLAN" if connections[alias].vendor == "sqlite" else "EXPLAIN"
    found = []
    for query in queries:
        with connections[alias].cursor() as cursor:
            cursor.execute(f"{explain} {query['sql']}")
            found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return found


def _is_by_index_alone(plan: str, index: str) -> bool:
    is_covered = "COVERING INDEX" in plan or "Index Only Scan" in plan
    return (
        is_covered and f"typed_sessions_by_{index}" in plan and not any(sorts in plan for sorts in ("B-TREE", "Sort"))
    )


def _selections() -> Iterator[tuple[str, Selection]]:
    """Every kind of list that there is, and a name for it."""
    now = clock.now()
    moments: dict[str, dict[str, int]] = {
        "": {},
        "since": {"since": now - DAY},
        "before": {"before": now + 15 * DAY},
        "between": {"since": now - DAY, "before": now + 15 * DAY},
    }
    for by, (name, bounds), mode, signed_in, ascending in product(
        ("seen", "expires"), moments.items(), (None, SessionMode.TEMP), (None, False), (False, True)
    ):
        words = [by, name, mode and mode.value, signed_in is False and "anonymous", ascending and "ascending"]
        selection = Selection(mode=mode, signed_in=signed_in, by=by, ascending=ascending, **bounds)  # type: ignore[arg-type]  # a literal
        yield " ".join(word for word in words if word), selection


SELECTIONS = dict(_selections())


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_page_and_count_are_read_from_an_index_alone(
    store: DatabaseStore, database_alias: str, selection: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever selection a page is a stretch of one index, and a count another: no row is looked at, and nothing is
    sorted, on the first page, deep in the list, and on the way there.
    """
    monkeypatch.setattr(places, "STEP", 5)
    now = clock.now()
    number = sum(selection.chooses(_record(store, number)) for number in range(MANY))
    index = "seen" if selection.by == "seen" else "expiry"
    for offset, statements in ((0, 1), (11, 3), (11, 1)):
        pages = _plans(database_alias, partial(store.newest, now, 50, offset, selection))
        assert len(pages) == statements
        for plan in pages:
            assert _is_by_index_alone(plan, index), plan
        assert len(store.newest(now, MANY, offset, selection)) == number - offset
    [plan] = _plans(database_alias, lambda: store.count(now, selection))
    assert _is_by_index_alone(plan, "seen") or _is_by_index_alone(plan, "expiry"), plan  # whichever has fewer to count


def test_sessions_are_counted_by_an_index_alone(store: DatabaseStore, database_alias: str) -> None:
    """To count sessions by whether somebody is signed in no row is looked at."""
    [plan] = _plans(database_alias, lambda: store.count_by_user(clock.now()))
    assert _is_by_index_alone(plan, ""), plan


def test_sessions_of_an_address_are_found_by_an_index(store: DatabaseStore, database_alias: str) -> None:
    """Each of the two columns is looked up in an index of its own, and not in the list of all sessions."""
    if connections[database_alias].vendor == "postgresql":
        with connections[database_alias].cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = on")
    first, last = _plans(database_alias, lambda: store.at_address("192.0.2.7", clock.now(), 10))
    assert "typed_sessions_by_address" in first
    assert "typed_sessions_by_last" in last


def test_tally_is_read_from_an_index_alone(store: DatabaseStore, database_alias: str) -> None:
    """What has begun and ended is told by the index of what was last used, and no row is looked at."""
    began, ended, _ = _plans(database_alias, lambda: store.tally(clock.now()))
    assert "typed_sessions_by_seen" in began
    assert "COVERING INDEX" in began or "Index Only Scan" in began
    assert "typed_sessions_by_seen" in ended, ended
