"""channels: a WebSocket has the session, and the user, of the browser that opens it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest
from django.utils.module_loading import import_string

from tests.ecosystem.people import sign_in
from tests.web.browser import ID, OPT, PID, Asgi, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import cart, put_in_cart, sign_out, status, who, write_to
from tests.web.urls import View, address
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600
SITE = b"http://testserver"
SECONDS = 5
"""How long to wait for an answer."""

pytestmark = pytest.mark.usefixtures("engine", "transactional_db")


@pytest.fixture
def handler() -> str:
    return "asgi"


async def surf(browser: Browser, view: View) -> str:
    """The view's answer, as text."""
    assert isinstance(browser.ask, Asgi)
    return browser.keep(await browser.ask.ask("GET", address(view), "", browser.headers())).text


def page_views(request: HttpRequest) -> int:
    views: int = request.typed_session.page_views  # type: ignore[attr-defined]  # TypedRequest declares it
    return views


def stacked(consumer: Any) -> Any:
    """The consumer in place of the page's, behind the page's middleware."""
    cookies, session, auth = (import_string(f"channels.{name}") for name in _MIDDLEWARE)
    return cookies(sys.modules["shop.asgi"].ChosenCookie(session(auth(consumer))))


_MIDDLEWARE = ("sessions.CookieMiddleware", "sessions.SessionMiddleware", "auth.AuthMiddleware")


class Socket:
    """A WebSocket that a page of ``origin`` opens in the browser."""

    def __init__(self, browser: Browser, origin: bytes = SITE, application: Any = None) -> None:
        cookies = [(b"cookie", value.encode()) for value in browser.headers().values()]
        headers = [(b"host", b"testserver"), (b"origin", origin), *cookies]
        scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": headers, "subprotocols": []}
        application = application or sys.modules["shop.asgi"].application
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        self._running = asyncio.ensure_future(application(scope, self._sent.get, self._told.put))

    async def open(self) -> str:
        await self._sent.put({"type": "websocket.connect"})
        return str((await self._answer())["type"])

    async def ask(self) -> tuple[str, int]:
        """Has the socket count one more; it tells the user and the count."""
        await self._sent.put({"type": "websocket.receive", "text": "{}"})
        told = json.loads((await self._answer())["text"])
        return told["user"], told["page_views"]

    async def close(self) -> None:
        await self._sent.put({"type": "websocket.disconnect", "code": 1000})
        await self.finish()

    async def finish(self) -> None:
        """Waits for the application to end by itself."""
        await asyncio.wait_for(self._running, SECONDS)

    async def _answer(self) -> Any:
        """What the application says; the error that ended it is raised here."""
        answer = asyncio.ensure_future(self._told.get())
        await asyncio.wait({answer, self._running}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await self.finish()
        return await answer


@pytest.mark.parametrize("remember", [None, False, True])
async def test_session_of_the_browser(browser: Browser, user: User, remember: bool | None) -> None:
    """A socket has the user and the fields of the browser's session, whichever that is, and saves into it."""
    await surf(browser, put_in_cart())
    if remember is not None:
        await surf(browser, sign_in(user, remember))
    await surf(browser, write_to("page_views", 7))
    socket = Socket(browser)
    assert await socket.open() == "websocket.accept"
    name = "" if remember is None else "ada"
    assert [await socket.ask() for _ in range(2)] == [(name, 8), (name, 9)]
    await socket.close()
    assert await surf(browser, page_views) == "9"
    assert await surf(browser, cart) == "['a'] a"


@pytest.mark.parametrize("remember", [False, True])
async def test_requests_meanwhile(browser: Browser, user: User, remember: bool) -> None:
    """What requests save while the socket is open is kept, beside what the socket saves."""
    await surf(browser, sign_in(user, remember))
    socket = Socket(browser)
    await socket.open()
    await surf(browser, put_in_cart())
    assert await socket.ask() == ("ada", 1)
    await surf(browser, write_to("page_views", 5))
    assert await socket.ask() == ("ada", 6)
    await socket.close()
    assert await surf(browser, page_views) == "6"
    assert await surf(browser, cart) == "['a'] a"


@pytest.mark.parametrize("remember", [False, True])
async def test_signed_out_meanwhile(browser: Browser, user: User, engine: type[SessionStore], remember: bool) -> None:
    """A socket whose session has ended elsewhere cannot save, and does not bring the session back."""
    await surf(browser, sign_in(user, remember))
    socket, before = Socket(browser), browser.copy()
    await socket.open()
    await surf(browser, sign_out)
    with pytest.raises(UpdateError):
        await socket.ask()
    assert await surf(before, status) == "ended logged_out"


async def test_open_socket_is_no_use(browser: Browser, user: User, clock: Clock) -> None:
    """A session that no request uses expires behind the socket, which cannot save any more."""
    await surf(browser, sign_in(user))
    socket = Socket(browser)
    await socket.open()
    clock.advance(15 * DAY)
    with pytest.raises(UpdateError):
        await socket.ask()
    assert await surf(browser, status) == "expired expired_idle"


async def test_asking_whether_it_is_there(browser: Browser, user: User) -> None:
    """`aexists` tells a socket that saves nothing whether its session goes on."""
    told: list[bool] = []

    async def ask(scope: Any, receive: Any, send: Any) -> None:
        store = scope["session"]
        told.append(await store.aexists(store.session_key))
        await surf(browser, sign_out)
        told.append(await store.aexists(store.session_key))

    await surf(browser, sign_in(user))
    await Socket(browser, application=stacked(ask)).finish()
    assert told == [True, False]


async def test_sign_in_over_a_socket(browser: Browser, user: User, settings: Settings) -> None:
    """As the page warns: the session goes on under a token that the browser does not have."""
    settings.AXES_ENABLED = False  # which needs a request
    tokens: list[str] = []

    async def log_in(scope: Any, receive: Any, send: Any) -> None:
        login = import_string("channels.auth.login")
        await login(scope, user, backend="shop.accounts.AccountBackend")
        await scope["session"].asave()
        tokens.append(scope["session"].session_key)

    await surf(browser, put_in_cart())
    await Socket(browser, application=stacked(log_in)).finish()
    assert await surf(browser, who) == "anonymous anonymous None"
    assert await surf(browser.copy(ss_id=tokens[0]), cart) == "['a'] a"


@pytest.mark.parametrize("cookies", [{}, {ID: "unknown"}, {PID: "unknown", OPT: "perm"}, {OPT: "perm"}])
async def test_no_session(new_browser: NewBrowser, cookies: dict[str, str]) -> None:
    """A browser without a session, or with a token that opens none, is nobody."""
    socket = Socket(new_browser(**cookies))
    assert await socket.open() == "websocket.accept"
    assert await socket.ask() == ("", 1)
    await socket.close()


async def test_page_of_another_site(browser: Browser, user: User) -> None:
    """A page of another site gets no socket, with whatever cookies."""
    await surf(browser, sign_in(user))
    socket = Socket(browser, origin=b"http://elsewhere.example")
    assert await socket.open() == "websocket.close"
    await socket.close()
