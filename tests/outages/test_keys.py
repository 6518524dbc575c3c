"""Whatever goes wrong, and whenever, no key is left in Redis for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import pytest
from django.contrib.auth.models import User
from redis.exceptions import RedisError

from tests.engines.rows import UseEngine
from tests.outages.expected import expect_every_key_to_end
from tests.servers.redis import RedisServer
from tests.stores.tools import keys
from tests.web.browser import Browser, Wsgi
from tests.web.signing import Request, cart, put_in_cart, sign_in, sign_out
from typed_sessions import live_sessions, tokens, urn
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.testing.engines import Clock, Configure, Verbs, stopped_clock, watched

pytestmark = pytest.mark.django_db

VERBS = ["load", "create", "save", "touch", "replace", "end", "claim_overdue", "settle", "clear_expired"]


def _forget(server: RedisServer, *, records: bool) -> None:
    """Drops all records, or all that is no record."""
    for key in keys(server):
        if (len(key) == len(urn("")) + 40) is records:
            server.run("DEL", key)


FAULTS: Mapping[str, Callable[[RedisServer], object]] = {
    "emptied": lambda server: server.run("FLUSHALL"),
    "records evicted": lambda server: _forget(server, records=True),
    "index evicted": lambda server: _forget(server, records=False),
    "scripts forgotten": lambda server: server.run("SCRIPT", "FLUSH"),
    "connections closed": lambda server: server.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
    "read-only": lambda server: server.run("REPLICAOF", "127.0.0.1", 1),
    "full": lambda server: server.run("CONFIG", "SET", "maxmemory", 1),
    "killed": lambda server: server.kill(),
}


def _mend(server: RedisServer) -> None:
    if not server.running:
        server.start()
    server.run("REPLICAOF", "NO", "ONE")
    server.run("CONFIG", "SET", "maxmemory", 0)


@pytest.fixture
def server(valkey: RedisServer) -> Iterator[RedisServer]:
    yield valkey
    _mend(valkey)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch)


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def verbs(
    _open_connection: None,
    use_engine: UseEngine,
    server: RedisServer,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> Verbs:
    """What is asked of the store, in which each use of a session is written."""
    verbs = watched(use_engine("redis"), monkeypatch)
    configure(TOUCH_INTERVAL=0)
    return verbs


def rotate(request: Request) -> None:
    request.session.cycle_key()


def expire(request: Request) -> None:
    """A minute ago."""
    request.session.set_expiry(-60)


def lives(server: RedisServer, user: User, clock: Clock) -> list[int]:
    """Of visitors who come, sign in, are lost, leave, expire and are ended. What the requests were answered with."""
    ask = Wsgi()
    visitor, lost, overdue = (Browser(ask) for _ in range(3))
    answers = [browser.visit(put_in_cart()) for browser in (visitor, lost, overdue)]
    clock.advance(1)
    answers += [visitor.visit(cart), visitor.visit(sign_in(user, remember=True)), overdue.visit(expire)]
    if "ss-id" in lost.cookies and (token := tokens.read(lost.token)):
        with suppress(RedisError):
            server.run("DEL", urn(token.id))
    answers += [visitor.visit(view) for view in (put_in_cart("b"), rotate, cart)]
    answers += [browser.visit(cart) for browser in (lost, overdue)]
    with suppress(StoreUnavailable):
        live_sessions.reap()
    answers += [visitor.visit(sign_out), visitor.visit(sign_in(user))]
    with suppress(StoreUnavailable):
        live_sessions.end_for_user(user)
    return [answer.status for answer in answers]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", VERBS)
def test_r09_no_key_stays(verb: str, fault: str, server: RedisServer, verbs: Verbs, user: User, clock: Clock) -> None:
    """A fault right before any command of any session leaves no key that lives for ever, then or later, and no 500."""
    verbs.before(verb, lambda: FAULTS[fault](server))
    assert set(lives(server, user, clock)) <= {200, 400, 503}
    assert verb in verbs.take(), "it was not asked for, and nothing is shown"
    _mend(server)
    expect_every_key_to_end(server)
    assert set(lives(server, user, clock)) == {200}
    expect_every_key_to_end(server)
