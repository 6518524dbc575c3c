"""More requests at once than there are connections to Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.rows import UseEngine
from tests.servers.redis import RedisServer
from tests.web.browser import Browser, EventLoop, Wsgi
from tests.web.signing import Request, cart, put_in_cart
from tests.web.urls import address
from typed_sessions import aget_session
from typed_sessions.session import AuthUserSession

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = [pytest.mark.django_db, pytest.mark.hasty]

CONNECTIONS, AT_ONCE, ROUNDS = 5, 100, 3
NAME = "few"


@pytest.fixture
def few(use_engine: UseEngine, valkey: RedisServer, settings: Settings) -> RedisServer:
    """A server to which the site has a handful of connections, with the time limits that sites have."""
    use_engine("redis")
    options = {"CONNECTION_POOL_KWARGS": {"max_connections": CONNECTIONS}}
    entry = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{valkey.url}&client_name={NAME}",
        "OPTIONS": options,
    }
    settings.CACHES = {**settings.CACHES, NAME: entry}
    settings.SESSION_CACHE_ALIAS = NAME
    settings.MIDDLEWARE = ["typed_sessions.middleware.TypedSessionMiddleware"]
    return valkey


def connections_to(server: RedisServer) -> int:
    return sum(client["name"] == NAME for client in server.client().client_list())


def expect_order(statuses: list[int], server: RedisServer, before: int) -> None:
    """Everybody had an answer, the page each third time at least, and no connection was lost over it."""
    counts = Counter(statuses)
    assert counts.keys() <= {200, 503}
    assert counts[200] >= AT_ONCE
    assert connections_to(server) - before <= CONNECTIONS


def test_r05_threads(few: RedisServer) -> None:
    """A hundred threads share five connections: they wait for one, or are told to come again, and none is lost."""
    ask = Wsgi()
    browsers = [Browser(ask) for _ in range(AT_ONCE)]

    def visit(browser: Browser) -> list[int]:
        return [browser.visit(put_in_cart()).status for _ in range(ROUNDS)]

    before = connections_to(few)
    few.pause(0.2)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = [status for each in threads.map(visit, browsers) for status in each]
    expect_order(statuses, few, before)
    assert {browser.visit(cart).status for browser in browsers} == {200}


async def test_r05_tasks(few: RedisServer) -> None:
    """A hundred requests on an event loop share five connections likewise."""
    site = EventLoop()

    async def put(request: Any) -> None:
        (await aget_session(request, AuthUserSession)).user_name = "x"

    async def look(request: Request) -> str:
        return str((await aget_session(request, AuthUserSession)).user_name)

    paths = address(put), address(look)

    async def visit() -> list[int]:
        statuses = []
        for _ in range(ROUNDS):
            answer = await site.ask(paths[0], {})
            statuses.append(answer.status)
            if answer.status == 200:
                read = await site.ask(paths[1], {"ss-id": answer.ours["ss-id"]})
                assert read.status == 503 or read.text == "x"
        return statuses

    before = connections_to(few)
    few.pause(0.2)
    statuses = await asyncio.gather(*(visit() for _ in range(AT_ONCE)))
    expect_order([status for each in statuses for status in each], few, before)
    assert await visit() == [200] * ROUNDS
