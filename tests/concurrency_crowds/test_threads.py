"""A crowd of threads at one session, on every engine: every change is there in the end."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.concurrency_crowds.crowds import TIMES, WORKERS, at_once, change_field, change_key, count_up, stored
from tests.concurrency_crowds.sessions import CROWD, FIELDS
from typed_sessions.backends import patience


def test_r26_every_increment_counts(key: str) -> None:
    """Fifty workers that add one twenty times make a thousand, and each of them was acknowledged."""
    acknowledged = at_once([partial(count_up, key)] * WORKERS)
    session: Any = stored(key).typed_session
    assert (sum(acknowledged), session.page_views) == (WORKERS * TIMES, WORKERS * TIMES)


def test_r26_every_field_is_there(key: str) -> None:
    """Of 64 workers that change a field of their own, at the same moment, all are heard."""
    at_once([partial(change_field, key, number) for number in range(CROWD)])
    session = stored(key).typed_session
    assert [getattr(session, name) for name in FIELDS] == [number + 1 for number in range(CROWD)]


def test_r26_every_key_is_there(key: str) -> None:
    """Of 64 workers that set a key of their own in the bag, at the same moment, all are heard."""
    at_once([partial(change_key, key, number) for number in range(CROWD)])
    session = stored(key)
    assert {name: session[name] for name in session.keys()} == {  # noqa: SIM118  # a session is no dict
        "begun": True,
        **{f"key {number}": number for number in range(CROWD)},
    }


def test_nobody_loses_again_and_again(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost to another save is let through soon: no save in a crowd takes more than a few dozen tries."""
    most = 0
    tries = patience.tries

    def counted(*args: Any) -> Any:
        nonlocal most
        for tried, step in enumerate(tries(*args), start=1):
            most = max(most, tried)
            yield step

    monkeypatch.setattr(patience, "tries", counted)
    at_once([partial(count_up, key, 5)] * WORKERS)
    assert 1 < most <= 30
