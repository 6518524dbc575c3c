"""What is counted when: by requests, by code outside them, and by what goes wrong; on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django_redis import get_redis_connection

from tests.servers.redis import RedisServer
from tests.telemetry.conftest import Counted
from tests.web.browser import X_ID, X_OPT, ApiClient, Browser
from tests.web.matrix import each_engine_once
from tests.web.options.test_passive import count
from tests.web.signing import put_in_cart, sign_in, sign_out, status
from typed_sessions import EndReason, SessionMode, live_sessions, tokens, urn
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_passive
from typed_sessions.telemetry import counters
from typed_sessions.testing.engines import Clock, Configure, Verbs

pytestmark = pytest.mark.usefixtures("engine", "clock")

DAY = 86_400
on_redis = pytest.mark.parametrize("engine", ["redis"], indirect=True)


@each_engine_once
def test_life(browser: Browser, clock: Clock, user: User, counted: Counted) -> None:
    """Each request counts what it did: a read, a write, a touch, a session that began, and one that ended."""
    steps: tuple[tuple[Callable[[Any], Any], dict[str, int]], ...] = (
        (status, {}),  # a visitor, of whom nothing is stored
        (put_in_cart(), {"created": 1, "writes": 1}),
        (status, {"reads": 1}),
        (put_in_cart("b"), {"reads": 1, "writes": 1}),
        (session_passive(status), {"reads": 1}),
        (sign_in(user), {"reads": 1, "writes": 1, "ended.rotated": 1}),
        (status, {"reads": 1}),
        (sign_out, {"reads": 1, "ended.logged_out": 1}),
        (status, {}),
    )
    for view, expected in steps:
        assert browser.visit(view).status == 200
        assert counted() == expected
    browser.visit(put_in_cart())
    clock.advance(3600)
    counted()
    browser.visit(status)
    assert counted() == {"reads": 1, "touches": 1}


@each_engine_once
@pytest.mark.parametrize("reason", [EndReason.ENDED_BY_STAFF, EndReason.OVER_LIMIT])
def test_ended_from_outside(browser: Browser, counted: Counted, reason: EndReason) -> None:
    """A session that is ended from outside counts by its reason, and only if there was one to end."""
    browser.visit(put_in_cart())
    counted()
    assert live_sessions.end(tokens.digest(browser.token), reason)
    assert counted() == {f"ended.{reason.value}": 1}
    assert not live_sessions.end(tokens.digest(browser.token), reason)
    assert counted() == {}
    browser.visit(status)
    assert counted() == {"reads": 1}


@pytest.mark.parametrize("comes_first", [False, True])
def test_expired(browser: Browser, clock: Clock, counted: Counted, comes_first: bool) -> None:
    """A session that expires has ended when the reaper tells of it, once, whether or not its visitor comes before."""
    browser.visit(put_in_cart())
    clock.advance(15 * DAY)
    counted()
    if comes_first:
        assert browser.visit(status).text == "expired expired_idle"
        assert counted() == {"reads": 1}
    live_sessions.reap()
    live_sessions.reap()
    assert counted() == {"ended.expired_idle": 1}


@on_redis
def test_missed(browser: Browser, clock: Clock, counted: Counted) -> None:
    """Expired sessions that were gone before the reaper came are counted, all of them."""
    for _ in range(3):
        visitor = browser.copy()
        visitor.visit(put_in_cart())
        get_redis_connection("valkey").delete(urn(tokens.digest(visitor.token)))
    clock.advance(15 * DAY)
    counted()
    live_sessions.reap()
    assert counted() == {"missed": 3}


@each_engine_once
def test_lost(browser: Browser, counted: Counted) -> None:
    """A genuine token whose record is not there counts as lost, and its read as a read."""
    browser.copy(ss_id=tokens.issue(SessionMode.TEMP)).visit(status)
    assert counted() == {"reads": 1, "lost": 1}


REJECTED = {
    "junk": {"ss_id": "junk"},
    "forged": {"ss_id": tokens.issue(SessionMode.TEMP)[:-1] + "*"},
    "wrong check code": {"ss_id": "0" * 40},
    "of the other cookie": {"ss_id": tokens.issue(SessionMode.PERM)},
}


@pytest.mark.parametrize("cookies", REJECTED.values(), ids=REJECTED)
def test_rejected(browser: Browser, counted: Counted, cookies: dict[str, str]) -> None:
    """A token that is none of ours counts once for the request, and no read."""
    visitor = browser.copy(**cookies)
    assert visitor.visit(lambda request: status(request) + status(request)).text == "rejected -rejected -"
    assert counted() == {"rejected": 1}


def test_rejected_header(browser: Browser, configure: Configure, counted: Counted) -> None:
    """So does one that came by header."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask, {X_ID: "junk", X_OPT: "temp"})
    assert client.visit(status).status == 401
    assert counted() == {"rejected": 1}


def test_conflict(browser: Browser, engine: type[SessionStore], verbs: Verbs, counted: Counted) -> None:
    """A save that another request's came before counts as a conflict, and is written when it is merged."""
    browser.visit(put_in_cart())

    def other() -> None:
        session = engine(browser.token)
        session["other"] = 1
        session.save()
        counted()

    verbs.before("save", other)
    browser.visit(count)
    assert counted() == {"conflicts": 1, "writes": 1}


def test_update_from_outside(browser: Browser, counted: Counted) -> None:
    """A change by `live_sessions` is a read and a write like any other, and one that changes nothing is a read."""
    browser.visit(put_in_cart())
    counted()
    session_id = tokens.digest(browser.token)
    live_sessions.update(session_id, lambda session: session.visited.add("x"))
    assert counted() == {"reads": 1, "writes": 1}
    live_sessions.update(session_id, lambda session: None)
    assert counted() == {"reads": 1}


@pytest.fixture
def refuses_writes(valkey: RedisServer) -> Iterator[Callable[[], None]]:
    """Makes the server answer NOREPLICAS to whatever would write."""
    yield lambda: valkey.run("CONFIG SET", "min-replicas-to-write", 1)
    valkey.run("CONFIG SET", "min-replicas-to-write", 0)


@pytest.mark.hasty
@on_redis
def test_store_is_down(browser: Browser, valkey: RedisServer, configure: Configure, counted: Counted) -> None:
    """A request for whose session the store does not answer counts as that, also if it goes on without."""
    browser.visit(put_in_cart())
    valkey.kill()
    counted()
    assert browser.visit(status).status == 503
    assert counted() == {"unavailable": 1}
    configure(ON_STORE_ERROR="anonymous")
    assert browser.visit(status).text == "unavailable -"
    assert counted() == {"unavailable": 1}


@pytest.mark.hasty
@on_redis
def test_store_refuses_to_write(browser: Browser, refuses_writes: Callable[[], None], counted: Counted) -> None:
    """So does one whose session cannot be saved."""
    browser.visit(put_in_cart())
    refuses_writes()
    counted()
    assert browser.visit(put_in_cart("b")).status == 503
    assert counted() == {"reads": 1, "unavailable": 1}


def test_listener_breaks_no_request(browser: Browser, counted: Counted) -> None:
    """A listener that raises is an error in the log, and the visitor's page is as always."""

    def broken(name: str, reason: str) -> None:
        raise RuntimeError

    counters.subscribe(broken)
    assert browser.visit(put_in_cart()).status == 200
    assert browser.visit(status).text == "live -"
    assert counted() == {"created": 1, "writes": 1, "reads": 1}
