"""Requests that want a session for themselves, and those that do not ask, in every order (``session_exclusive``)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.interleavings import Race, at_once, stop
from tests.concurrency.site import SignIn, seen
from tests.sessions import CartLine
from tests.web.urls import View
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_exclusive
from typed_sessions.testing.engines import Clock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("views"),
    pytest.mark.parametrize("handler", ["wsgi"], indirect=True),
]

LEASE = 30


def order(sku: str) -> View:
    """Adds to a list whose later save would win, for who has the session alone or finds it taken at once."""

    @session_exclusive(wait=0, lease=LEASE)
    def view(request: Any) -> None:
        stop("works")
        request.typed_session.cart = [*request.typed_session.cart, CartLine(sku)]

    return view


def count(request: Any) -> None:
    request.typed_session.page_views += 1


def test_one_at_a_time(race: Race, engine: type[SessionStore], signed_in: SignIn) -> None:
    """Of two, what each has done is there if it was answered 200; the other one is told 503, and has done nothing. Who
    does not ask for the session alone saves as always, and fails nobody.
    """
    race.changes = 1
    one, other, third = order("one"), order("other"), count
    for round in race:
        browser = signed_in()
        tabs = [browser.copy() for _ in range(3)]
        done = round.run(
            one=lambda t=tabs: t[0].visit(one),  # type: ignore[misc]
            other=lambda t=tabs: t[1].visit(other),  # type: ignore[misc]
            third=lambda t=tabs: t[2].visit(third),  # type: ignore[misc]
        )
        statuses = {name: outcome.value.status for name, outcome in done.items()}
        assert statuses["third"] == 200
        assert set(statuses.values()) <= {200, 503}
        answered = sorted(name for name in ("one", "other") if statuses[name] == 200)
        assert seen(engine, browser) in {f"ada {list(way)}" for way in (answered, answered[::-1])}
        typed: Any = engine(browser.token).typed_session
        assert typed.page_views == 1
        record = engine(browser.token).store.load(typed.id)
        assert getattr(record, "lease", None) is None
        round.count(" ".join(answered))
    assert set(race.outcomes) == {"one", "other", "one other"}


def test_a_turn_that_is_over(race: Race, engine: type[SessionStore], signed_in: SignIn, time: Clock) -> None:
    """Whose lease ran out while it worked has done nothing, if another one has had the session since: 409."""
    one, other = order("one"), order("other")

    def wait() -> None:
        stop("time passes")
        with at_once():
            time.advance(LEASE + 1)

    race.changes = 1
    for round in race:
        browser = signed_in()
        tabs = [browser.copy() for _ in range(2)]
        done = round.run(
            one=lambda t=tabs: t[0].visit(one),  # type: ignore[misc]
            other=lambda t=tabs: t[1].visit(other),  # type: ignore[misc]
            time=wait,
        )
        assert done["time"].error is None
        statuses = {name: done[name].value.status for name in ("one", "other")}
        assert set(statuses.values()) <= {200, 409, 503}
        answered = sorted(name for name, status in statuses.items() if status == 200)
        assert seen(engine, browser) in {f"ada {list(way)}" for way in (answered, answered[::-1])}
        round.count(str(sorted(statuses.values())))
    assert set(race.outcomes) == {"[200, 200]", "[200, 409]", "[200, 503]"}
