"""Large counts of the database, which are remembered for a moment."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from tests.stores.conftest import MakeStore, stores
from typed_sessions import EndReason, Selection, SessionMode, clock
from typed_sessions.stores import counts
from typed_sessions.stores.base import Store
from typed_sessions.testing.stores import created, new_record

SIGNED_IN = Selection(signed_in=True)


@pytest.fixture(params=stores("sqlite", "postgres"))
def rows(request: pytest.FixtureRequest, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A database, in which four sessions are very many."""
    monkeypatch.setattr(counts, "LARGE", 4)
    return make_store(request.param)


@pytest.fixture
def asked(database_alias: str) -> Any:
    """Calls what it is given, and answers with that and the number of statements."""

    def ask(question: Any, *arguments: Any) -> tuple[Any, int]:
        with CaptureQueriesContext(connections[database_alias]) as queries:
            answer = question(*arguments)
        return answer, len(queries)

    return ask


def _new(store: Store, number: int, **changes: Any) -> list[Any]:
    return [created(store, new_record(store, **changes)) for _ in range(number)]


def test_small_counts_are_exact(rows: Store, asked: Any) -> None:
    """What is counted quickly is counted each time."""
    now = clock.now()
    _new(rows, 3, user="7")
    assert asked(rows.count, now) == (3, 1)
    _new(rows, 1)
    assert asked(rows.count, now) == (4, 1)
    assert asked(rows.count, now, SIGNED_IN) == (3, 1)
    assert asked(rows.count, now, SIGNED_IN) == (3, 1)


def test_large_counts_are_remembered(rows: Store, asked: Any) -> None:
    """For ten seconds, for each selection by itself; and not where a clock was set back."""
    now = clock.now()
    _new(rows, 5, user="7", mode=SessionMode.PERM)
    for later, count, statements in ((0, 5, 1), (0, 5, 0)):
        assert asked(rows.count, now + later) == (count, statements)
    assert asked(rows.count, now, SIGNED_IN) == (5, 1)
    _new(rows, 1)
    for later, count, statements in ((counts.LIFE - 1, 5, 0), (counts.LIFE, 6, 1), (0, 6, 1), (0, 6, 0)):
        assert asked(rows.count, now + later) == (count, statements)
    assert asked(rows.count, now, SIGNED_IN) == (5, 0)


def test_one_question_answers_both(rows: Store, asked: Any) -> None:
    """Who has asked how many are signed in knows how many there are."""
    now = clock.now()
    _new(rows, 4, user="7")
    _new(rows, 2)
    assert asked(rows.count, now) == (6, 1)
    assert asked(rows.count_by_user, now) == ((6, 4), 1)
    assert asked(rows.count_by_user, now) == ((6, 4), 0)
    assert asked(rows.count, now) == (6, 0)


def test_what_ends_here_is_taken_off(rows: Store, asked: Any) -> None:
    """Whoever ends sessions sees them go, from those lists that they were in."""
    now = clock.now()
    signed_in, anonymous = _new(rows, 5, user="7"), _new(rows, 5)
    assert (rows.count_by_user(now), rows.count(now, SIGNED_IN)) == ((10, 5), 5)
    rows.end(signed_in[0].id, EndReason.ENDED_BY_STAFF, now)
    rows.end(anonymous[0].id, EndReason.ENDED_BY_STAFF, now)
    rows.end(anonymous[0].id, EndReason.ENDED_BY_STAFF, now)
    assert asked(rows.count_by_user, now) == ((8, 4), 0)
    assert asked(rows.count, now, SIGNED_IN) == (4, 0)


def test_only_so_many_are_remembered(rows: Store, asked: Any) -> None:
    """Filters by time are others every minute, and the oldest make room."""
    now = clock.now()
    _new(rows, 4)
    for number in range(40):
        rows.count(now, Selection(since=number))
    assert asked(rows.count, now, Selection(since=39)) == (4, 0)
    assert asked(rows.count, now, Selection(since=8)) == (4, 0)
    assert asked(rows.count, now, Selection(since=7)) == (4, 1)
