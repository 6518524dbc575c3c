"""A Redis that runs full, and one that makes room by dropping what is used least."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User

from tests.engines.rows import UseEngine
from tests.outages.conftest import NewServer, SignedIn
from tests.outages.expected import expect_every_key_to_end
from tests.servers.redis import RedisServer
from tests.web.browser import Browser
from tests.web.signing import Request, cart, put_in_cart, sign_out, status, who
from typed_sessions import live_sessions
from typed_sessions.auth import login
from typed_sessions.exceptions import StoreUnavailable

pytestmark = pytest.mark.django_db

USERS, FLOOD = 40, 2_000
PAYLOAD = "x" * 1_000
Told = list[tuple[str, str]]


@pytest.fixture
def small(new_server: NewServer, use_engine: UseEngine) -> Callable[[str], RedisServer]:
    """`small(policy)` is a server with room for some hundred sessions, that makes room by that policy."""
    use_engine("redis")

    def new(policy: str) -> RedisServer:
        server = new_server()
        size = server.client().info("memory")["used_memory"] + 1_000_000
        server.run("CONFIG", "SET", "maxmemory", size, "maxmemory-policy", policy)
        return server

    return new


def sign_in_again(request: Request) -> None:
    assert isinstance(request.user, User)
    login(request, request.user)


def flood() -> int:
    """Many new sessions with something in them, as bots begin them. How many were stored."""
    engine = import_module(django_settings.SESSION_ENGINE).SessionStore
    stored = 0
    for _ in range(FLOOD):
        session = engine()
        session["payload"] = PAYLOAD
        try:
            session.save()
        except StoreUnavailable:
            continue
        stored += 1
    return stored


def states(browsers: list[Browser]) -> Counter[str]:
    """What becomes of them, each asked twice."""
    first = [browser.visit(status).text for browser in browsers]
    assert [browser.visit(status).text for browser in browsers] == first
    return Counter(first)


def test_r12_flood_where_nothing_is_evicted(
    small: Callable[[str], RedisServer], visitors: SignedIn, telling: Told
) -> None:
    """With `noeviction` a flood of new sessions is refused, and those that are there stay: not one of them is lost."""
    server = small("noeviction")
    browsers = visitors(USERS)
    assert 0 < flood() < FLOOD
    assert states(browsers) == {"live -": USERS}
    assert telling == []
    expect_every_key_to_end(server)


def test_r12_flood_where_the_least_used_is_evicted(
    small: Callable[[str], RedisServer], visitors: SignedIn, telling: Told
) -> None:
    """With `allkeys-lru` a flood drives sessions out, signed in or not; each that is lost is told so, and told once."""
    server = small("allkeys-lru")
    browsers = visitors(USERS)
    ids = [session.id for session in live_sessions.recent(USERS)]
    assert len(ids) == USERS
    assert flood() == FLOOD
    lost = [session_id for session_id in ids if live_sessions.get(session_id) is None]
    found = states(browsers)
    assert found == Counter({"live -": USERS - len(lost), "lost -": len(lost)})
    assert lost, "nothing was driven out, and nothing is shown"
    assert Counter(telling) == Counter(("lost", session_id) for session_id in lost)
    expect_every_key_to_end(server)


def test_r13_full(small: Callable[[str], RedisServer], visitors: SignedIn, telling: Told) -> None:
    """Of a full server people can read and sign out; whoever signs in or saves is asked to come again."""
    server = small("noeviction")
    browser, leaver = visitors(2)
    browser.visit(put_in_cart())
    server.run("CONFIG", "SET", "maxmemory", 1)
    before = dict(browser.cookies)
    for view in (put_in_cart("b"), sign_in_again):
        answer = browser.visit(view)
        assert (answer.status, answer["Retry-After"], answer.ours) == (503, "1", {})
    assert browser.cookies == before
    assert browser.visit(cart).text == "['a'] a"
    thief = leaver.copy()
    assert leaver.visit(sign_out).status == 200
    assert thief.visit(who).text == "anonymous anonymous None"
    server.run("CONFIG", "SET", "maxmemory", 0)
    assert browser.visit(put_in_cart("b")).status == 200
    assert browser.visit(cart).text == "['a', 'b'] b"
    assert [what for what, _ in telling if what != "rotated"] == ["logged_out", "lost"]
    expect_every_key_to_end(server)
