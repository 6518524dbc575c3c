"""What a request may cost, in commands to Redis, SQL statements and threads: exact numbers, free of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User

from tests.engines.rows import UseEngine
from tests.servers.redis import RedisServer
from tests.sessions import ShopSession
from tests.web.browser import ID, Browser, EventLoop, Wsgi
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, async_sign_in, put_in_cart, sign_in, sign_out
from tests.web.traffic import Monitor, hops, monitored, statements
from tests.web.urls import address
from typed_sessions import SessionMode, aget_session, clock, tokens
from typed_sessions.auth import alogout
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock

if TYPE_CHECKING:
    from pytest_django import Settings

READ, WRITE = "GET", "EVALSHA"


def unused(request: Request) -> str:
    return "page"


async def async_unused(request: Request) -> str:
    return "page"


def read(request: Request) -> str:
    return f"{request.typed_session.page_views} {request.session.get('x')} {request.user.is_authenticated}"


async def async_read(request: Request) -> str:
    session = await aget_session(request, ShopSession)
    return f"{session.page_views} {await request.session.aget('x')} {session.is_authenticated}"


def change(request: Request) -> None:
    request.typed_session.page_views += 1
    request.session["x"] = 1


async def async_change(request: Request) -> None:
    (await aget_session(request, ShopSession)).page_views += 1
    await request.session.aset("x", request.typed_session.page_views)


async def async_sign_out(request: Request) -> None:
    await alogout(request)


both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync view", "async view"])


@pytest.fixture
def redis(use_engine: UseEngine) -> type[SessionStore]:
    return use_engine("redis")


@pytest.fixture
def monitor(redis: type[SessionStore], valkey: RedisServer, new_browser: NewBrowser, user: User) -> Iterator[Monitor]:
    """Of a server that knows the scripts already."""
    browser = new_browser()
    for view in (change, change, sign_in(user), sign_out):
        browser.visit(view)
    unchanged = redis()
    unchanged.save()
    unchanged.save()
    unchanged.flush()
    with monitored(valkey) as monitor:
        yield monitor


@both
def test_session_is_not_used(monitor: Monitor, browser: Browser, user: User, asynchronous: bool) -> None:
    """A page that does not use the session costs nothing, whoever asks for it."""
    browser.visit(sign_in(user, remember=True))
    monitor.take()
    for visitor in (browser, Browser(browser.ask)):
        visitor.visit(async_unused if asynchronous else unused)
    assert monitor.names() == []


@both
def test_read(monitor: Monitor, browser: Browser, user: User, asynchronous: bool) -> None:
    """Reading costs one command, for fields, bag and user together, and nothing for a new visitor."""
    view = async_read if asynchronous else read
    browser.visit(sign_in(user))
    monitor.take()
    browser.visit(view)
    assert monitor.names() == [READ]
    Browser(browser.ask).visit(view)
    assert monitor.names() == []


@both
def test_read_and_change(monitor: Monitor, browser: Browser, user: User, asynchronous: bool) -> None:
    """A change costs one command more than reading."""
    browser.visit(sign_in(user))
    monitor.take()
    browser.visit(async_change if asynchronous else change)
    assert monitor.names() == [READ, WRITE]


@both
def test_first_save(monitor: Monitor, browser: Browser, redis: type[SessionStore], asynchronous: bool) -> None:
    """The first save of a session costs one command, and the index knows the session after it."""
    browser.visit(async_change if asynchronous else change)
    assert monitor.names() == [WRITE]
    assert tokens.digest(browser.token) in redis().store.newest(clock.now(), 50)


@both
@pytest.mark.parametrize("remember", [False, True])
def test_sign_in_from_an_anonymous_session(
    monitor: Monitor, browser: Browser, redis: type[SessionStore], user: User, remember: bool, asynchronous: bool
) -> None:
    """A visitor who signs in costs one read and one write: new record, end of the old one, and index."""
    browser.visit(change)
    before = browser.token
    monitor.take()
    browser.visit((async_sign_in if asynchronous else sign_in)(user, remember))
    assert monitor.names() == [READ, WRITE]
    assert list(redis().store.of_user(str(user.pk), clock.now())) == [tokens.digest(browser.token)]
    assert not redis().exists(before)


@both
@pytest.mark.parametrize("remember", [False, True])
def test_sign_in_without_a_session(
    monitor: Monitor, browser: Browser, user: User, remember: bool, asynchronous: bool
) -> None:
    """Whoever signs in without a session costs one command."""
    browser.visit((async_sign_in if asynchronous else sign_in)(user, remember))
    assert monitor.names() == [WRITE]


@both
@pytest.mark.parametrize("remember", [False, True])
def test_sign_out(
    monitor: Monitor, browser: Browser, redis: type[SessionStore], user: User, remember: bool, asynchronous: bool
) -> None:
    """Sign-out costs two commands of which one writes, and leaves nothing in the index."""
    browser.visit(sign_in(user, remember))
    monitor.take()
    browser.visit(async_sign_out if asynchronous else sign_out)
    assert monitor.names() == [READ, WRITE]
    assert redis().store.count(clock.now()) == 0
    assert list(redis().store.of_user(str(user.pk), clock.now())) == []


@both
def test_touch(monitor: Monitor, browser: Browser, user: User, clock: Clock, asynchronous: bool) -> None:
    """Extending a session costs one command more than reading, once in TOUCH_INTERVAL."""
    browser.visit(sign_in(user, remember=True))
    clock.advance(60)
    monitor.take()
    view = async_read if asynchronous else read
    browser.visit(view)
    assert monitor.names() == [READ, WRITE]
    clock.advance(59)
    browser.visit(view)
    assert monitor.names() == [READ]


def test_unknown_and_forged_tokens(monitor: Monitor, browser: Browser) -> None:
    """An unknown token costs one read, and a forged one nothing."""
    for token, cost in ((tokens.issue(SessionMode.TEMP), [READ]), ("0" * 40, [])):
        browser.copy(ss_id=token).visit(read)
        assert monitor.names() == cost


def test_s74_no_search(monitor: Monitor, browser: Browser, user: User, clock: Clock) -> None:
    """REQ-S74: no request makes the server search its keys, and none can name a pattern."""
    for view in (put_in_cart(), sign_in(user, remember=True), change, read, sign_out):
        browser.visit(view)
        browser.copy(ss_id="*" * 40, ss_pid="*").visit(view)
        clock.advance(100)
    commands = monitor.take()
    assert {command.split()[0].upper() for command in commands} == {READ, WRITE}
    assert not any("*" in command for command in commands)


# In the database


@pytest.fixture
def database(use_engine: UseEngine) -> None:
    use_engine("db")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("database")
@both
def test_statements(browser: Browser, user: User, clock: Clock, asynchronous: bool) -> None:
    """In the database a read is one statement, a change or an extension one more, and a first save one."""
    expected: list[tuple[Callable[[Any], Any], list[str]]] = [
        (async_unused if asynchronous else unused, []),
        (async_read if asynchronous else read, []),
        (async_change if asynchronous else change, ["INSERT"]),
        (async_unused if asynchronous else unused, []),
        (async_read if asynchronous else read, ["SELECT"]),
        (async_change if asynchronous else change, ["SELECT", "UPDATE"]),
        (async_sign_in(user) if asynchronous else sign_in(user), ["SELECT", "UPDATE", "INSERT"]),
        (async_sign_out if asynchronous else sign_out, ["SELECT", "SELECT", "UPDATE"]),
        (async_sign_in(user) if asynchronous else sign_in(user), ["INSERT"]),
    ]
    for view, words in expected:
        with statements() as found:
            browser.visit(view)
        assert found == words
    clock.advance(60)
    with statements() as found:
        browser.visit(async_read if asynchronous else read)
    assert found == ["SELECT", "UPDATE"]


@pytest.mark.django_db(transaction=True)
def test_statements_with_a_cache(use_engine: UseEngine, new_browser: NewBrowser, user: User) -> None:
    """With cached_db the first page that reads a session asks the database, and the next ones do not."""
    use_engine("cached_db")
    browser = new_browser()
    browser.visit(sign_in(user))
    with statements() as found:
        browser.visit(read)
    assert found == ["SELECT"]
    with statements() as found:
        for _ in range(3):
            browser.visit(read)
    assert found == []


# Threads


@pytest.fixture
def event_loop_site(settings: Settings) -> EventLoop:
    """With our middleware alone."""
    settings.MIDDLEWARE = ["typed_sessions.middleware.TypedSessionMiddleware"]
    return EventLoop()


@pytest.mark.django_db
async def test_untouched_session_costs_no_thread(
    event_loop_site: EventLoop, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An async page that does not use the session runs on the event loop alone, on every engine, token or not."""
    session = engine()
    await session.asave()
    with hops(monkeypatch) as names:
        for cookies in ({}, {ID: session.session_key or ""}):
            assert (await event_loop_site.ask(address(async_unused), cookies)).text == "page"
    assert names == []


async def test_redis_costs_no_thread(
    redis: type[SessionStore], event_loop_site: EventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the redis engine an async view reads, changes, extends and ends its session without a thread."""

    async def new_key(request: Request) -> None:
        await request.session.acycle_key()

    async def flush(request: Request) -> None:
        await request.session.aflush()

    browser = Browser(Wsgi())
    with hops(monkeypatch) as names:
        shown = [
            browser.keep(await event_loop_site.ask(address(view), browser.cookies)).text
            for view in (async_change, async_read, async_change, new_key, async_read, flush, async_read)
        ]
    assert shown == ["None", "1 1 False", "None", "None", "2 2 False", "None", "0 None False"]
    assert names == []
