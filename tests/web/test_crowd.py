"""Many at once: nobody ever sees what is another's, and no worker or event loop is left with anything of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncRequestFactory

from tests.engines.rows import UseEngine, rows
from tests.servers.redis import RedisServer
from tests.web.browser import Answer, Asgi, Browser, EventLoop, Wsgi
from tests.web.everywhere.visitors import Visitor, client_of
from tests.web.signing import Request, sign_in, who
from tests.web.urls import address
from typed_sessions.backends import cached_db, db
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores.async_redis import MAX_CONNECTIONS
from typed_sessions.testing.engines import Configure

if TYPE_CHECKING:
    from pytest_django import Settings

ROUNDS = 2


def write(request: Request) -> None:
    canary = request.GET["canary"]
    request.typed_session.gift_note = canary
    request.typed_session.page_views += 1
    request.session["canary"] = canary


def read(request: Request) -> str:
    session = request.typed_session
    return f"{session.gift_note} {request.session.get('canary')} {session.page_views} {session.id}"


async def async_write(request: Any) -> None:
    canary = request.GET["canary"]
    session = await request.session.aget_typed_session()
    session.gift_note = canary
    await asyncio.sleep(0)
    session.page_views += 1
    await request.session.aset("canary", canary)


async def async_read(request: Any) -> str:
    session = await request.session.aget_typed_session()
    await asyncio.sleep(0)
    return f"{session.gift_note} {await request.session.aget('canary')} {session.page_views} {session.id}"


def _nowhere(*args: object) -> Answer:
    raise AssertionError("on the event loop nobody asks this way")


class AnyVisitor(EventLoop):
    """Answers visitors by either transport."""

    async def serve(self, visitor: Visitor, path: str) -> Answer:
        request = AsyncRequestFactory().get(path)
        for name, value in visitor.headers().items():
            request.META["HTTP_" + name.upper().replace("-", "_")] = value
        response = await self._handler.get_response_async(request)
        lines = [("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values()]
        return Answer(response.status_code, [*response.items(), *lines], response.text)


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Asks again while all connections to the store are in use."""
    for _ in range(50):
        answer = ask()
        if answer.status != 503:
            return answer
    raise AssertionError("503 each time")


def expected(canary: int, views: int) -> str:
    return f"{canary} {canary} {views}"


@pytest.fixture
def crowd(request: pytest.FixtureRequest, use_engine: UseEngine) -> Iterator[type[SessionStore]]:
    yield use_engine(request.param)
    connections.close_all()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("crowd", "transport"),
    [
        ("redis", "cookie"),
        ("redis", "header"),
        ("cache", "cookie"),
        ("db", "cookie"),
        ("db", "header"),
        ("cached_db", "cookie"),
    ],
    indirect=["crowd"],
)
def test_s96_threads(crowd: type[SessionStore], transport: str, configure: Configure) -> None:
    """Two hundred visitors, each in a thread of its own, find what they wrote, and nothing else."""
    configure(HEADERS=["/"])
    ask = Wsgi()
    paths = address(write), address(read)

    def visit(canary: int) -> set[str]:
        visitor = client_of(transport, ask)
        ids = set()
        try:
            for views in range(1, ROUNDS + 1):
                assert patiently(lambda: visitor.get(f"{paths[0]}?canary={canary}")).status == 200
                found = patiently(lambda: visitor.get(paths[1])).text.rsplit(maxsplit=1)
                assert found[0] == expected(canary, views)
                ids.add(found[1])
        finally:
            connections.close_all()
        return ids

    writes_one_file = crowd in (db.SessionStore, cached_db.SessionStore)
    with ThreadPoolExecutor(max_workers=20 if writes_one_file else 200) as pool:
        ids = list(pool.map(visit, range(200)))
    assert {len(found) for found in ids} == {1}
    assert len(set.union(*ids)) == 200


@pytest.mark.parametrize("transport", ["cookie", "header"])
@pytest.mark.parametrize("crowd", rows("redis"), indirect=True)
async def test_s96_tasks(crowd: type[SessionStore], transport: str, settings: Settings, configure: Configure) -> None:
    """Five hundred visitors on one event loop find what they wrote, and nothing else."""
    configure(HEADERS=["/"])
    settings.MIDDLEWARE = ["typed_sessions.middleware.TypedSessionMiddleware"]
    site = AnyVisitor()
    paths = address(async_write), address(async_read)

    async def ask(visitor: Visitor, path: str) -> Answer:
        for _ in range(50):
            answer = visitor.keep(await site.serve(visitor, path))
            if answer.status != 503:
                return answer
        raise AssertionError("503 each time")

    async def visit(canary: int) -> set[str]:
        visitor = client_of(transport, _nowhere)
        ids = set()
        for views in range(1, ROUNDS + 1):
            assert (await ask(visitor, f"{paths[0]}?canary={canary}")).status == 200
            found = (await ask(visitor, paths[1])).text.rsplit(maxsplit=1)
            assert found[0] == expected(canary, views)
            ids.add(found[1])
        return ids

    ids = await asyncio.gather(*(visit(canary) for canary in range(500)))
    assert {len(found) for found in ids} == {1}
    assert len(set.union(*ids)) == 500


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("crowd", rows("db", "redis", "cached_db", "cache"), indirect=True)
def test_s96_one_worker_for_many_users(crowd: type[SessionStore]) -> None:
    """One worker that serves users in turn mixes none of them up."""
    ask = Wsgi()
    users = [User.objects.create_user(f"user{number}") for number in range(5)]
    browsers = [Browser(ask) for _ in users]
    for user, browser in zip(users, browsers, strict=True):
        browser.visit(sign_in(user))
    for _ in range(3):
        for user, browser in zip(users, browsers, strict=True):
            assert browser.visit(who).text.startswith(f"{user.username} {user.username}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("crowd", rows("db", "redis", "cached_db", "cache", "cluster"), indirect=True)
def test_async_view_on_a_sync_server(crowd: type[SessionStore]) -> None:
    """An async view under WSGI, with an event loop for each request, works on every engine, time and again."""
    browser = Browser(Wsgi())
    for views in range(1, 6):
        assert browser.get(f"{address(async_write)}?canary=7").status == 200
        assert browser.visit(async_read).text.startswith(expected(7, views))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("crowd", rows("db", "redis", "cached_db", "cache", "cluster"), indirect=True)
def test_sync_view_on_an_async_server(crowd: type[SessionStore]) -> None:
    """A sync view under ASGI works on every engine."""
    browser = Browser(Asgi())
    for views in range(1, 6):
        assert browser.get(f"{address(write)}?canary=7").status == 200
        assert browser.visit(read).text.startswith(expected(7, views))


def test_connections_do_not_pile_up(use_engine: UseEngine, valkey: RedisServer, db: None) -> None:
    """A hundred requests, each with an event loop of its own, leave a handful of connections to Redis."""
    use_engine("redis")
    browser = Browser(Asgi())
    before = len(valkey.client().client_list())
    for _ in range(100):
        browser.get(f"{address(async_write)}?canary=7")
    assert len(valkey.client().client_list()) <= before + 3


async def test_r31_cancelled_requests(use_engine: UseEngine, valkey: RedisServer) -> None:
    """A request that is cancelled while it reads leaves its answer to nobody: the next ones get their own session."""
    engine = use_engine("redis")
    before = len(valkey.client().client_list())
    sessions = [engine() for _ in range(10)]
    for number, session in enumerate(sessions):
        await session.aset("canary", number)
        await session.asave()

    async def load(number: int) -> object:
        return await engine(sessions[number % 10].session_key).aget("canary")

    for round in range(20):
        tasks = [asyncio.create_task(load(number)) for number in range(50)]
        for _ in range(round % 7):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for number, value in list(enumerate(found))[1::2]:
            assert value == number % 10 or isinstance(value, StoreUnavailable)  # a busy machine
        assert [await load(number) for number in range(10)] == list(range(10))
    assert len(valkey.client().client_list()) <= before + MAX_CONNECTIONS + 1
