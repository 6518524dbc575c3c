"""`typed_sessions stats`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from django.contrib.auth.models import User

from tests.commands.conftest import REDIS, Foreign, Run
from tests.engines.rows import UseEngine
from tests.web.browser import Browser
from typed_sessions import live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.management import site
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import new_record


def test_counts(
    run: Run,
    engine: type[SessionStore],
    visitor: Callable[[], Browser],
    signed_in: Callable[..., Browser],
    user: User,
    clock: Clock,
) -> None:
    """How many are live, how many ends nobody has begun to announce and since when, and how many somebody has."""
    facts = run("stats", "--json").json
    names = ("live", "unannounced", "unannounced_since", "claimed")
    assert [facts[name] for name in names] == [0, 0, None, 0]
    assert facts["engine"] == engine.__module__
    visitor()
    first_over = datetime.fromtimestamp(clock.now + 14 * 86_400, tz=timezone.utc)
    clock.advance(86_400)
    visitor()
    signed_in(user)
    clock.advance(13 * 86_400 - 120 + 10)
    facts = run("stats", "--json").json
    assert [facts[name] for name in names] == [2, 0, None, 0]
    clock.advance(60)
    facts = run("stats", "--json").json
    assert [facts[name] for name in names] == [2, 1, first_over.isoformat(), 0]
    assert len(engine().store.claim_overdue(clock.now, 10, 60).claims) == 1
    facts = run("stats", "--json").json
    assert [facts[name] for name in names] == [2, 0, None, 1]
    live_sessions.end_all()
    assert run("stats", "--json").json["live"] == 0


def test_for_people(run: Run, visitor: Callable[[], Browser], engine: type[SessionStore], clock: Clock) -> None:
    """One fact a line, in units that can be read."""
    visitor()
    clock.advance(20 * 86_400)
    lines = {line[0]: line[1] for line in run("stats").lines}
    assert lines["live"] == "0"
    assert lines["unannounced"] == "1"
    assert lines["unannounced since"].startswith("2027-01-29 ")


@pytest.mark.parametrize("engine", ["db", "postgres", "cached_db"], indirect=True)
def test_database(
    run: Run,
    engine: type[SessionStore],
    visitor: Callable[[], Browser],
    signed_in: Callable[..., Browser],
    user: User,
    database_alias: str,
) -> None:
    """A database tells its rows, who is signed in, and its size if it knows it without counting."""
    visitor()
    for _ in range(3):
        signed_in(user)
    facts = run("stats", "--json").json
    # Each sign-in leaves a tombstone of what it has replaced.
    assert (facts["live"], facts["rows"], facts["signed_in"], facts["users"]) == (4, 7, 3, 1)
    assert (facts["database"], facts["vendor"]) == (
        database_alias,
        "postgresql" if database_alias == "postgres" else "sqlite",
    )
    assert (facts["bytes"] or 0) > 0 if database_alias == "postgres" else facts["bytes"] is None
    assert facts.get("cache") == ("valkey" if engine.__module__.endswith("cached_db") else None)


@pytest.mark.parametrize("engine", REDIS, indirect=True)
def test_redis(run: Run, engine: type[SessionStore], visitor: Callable[[], Browser]) -> None:
    """Redis tells its version, its memory and the limit of that, its policy and its persistence."""
    visitor()
    facts = run("stats", "--json").json
    assert facts["used_memory"] > 0
    assert (facts["max_memory"], facts["policy"], facts["append_only"]) == (0, "noeviction", 0)
    assert facts["version"].split(".")[0].isdecimal()
    assert run("stats").lines[5][0] == "version"


def test_cache(run: Run, use_engine: UseEngine) -> None:
    """A cache can tell its name."""
    use_engine("cache")
    facts = run("stats", "--json").json
    assert (facts["live"], facts["unannounced"], facts["claimed"], facts["alias"]) == (None, None, None, "locmem")
    assert run("stats").lines[1] == ["live", "-"]


def test_store_of_somebody_else(run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a store that is none of ours there is less to tell."""
    monkeypatch.setattr(engine, "store", Foreign())
    facts = run("stats", "--json").json
    assert (facts["engine"], facts["live"], facts["claimed"]) == (engine.__module__, None, None)


def test_s76_least_privilege(run: Run, least_privilege: None) -> None:
    """Who may not ask the server about itself is told the rest."""
    store = site.store()
    store.create(new_record(store))
    facts = run("stats", "--json").json
    assert (facts["live"], facts["used_memory"], facts["version"]) == (1, None, None)
