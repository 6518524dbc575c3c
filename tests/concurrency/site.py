"""A site of nothing but sessions and users, in front of which browsers meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest
from django.contrib.auth import aupdate_session_auth_hash, update_session_auth_hash
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.concurrency.interleavings import Race, on_own_loop
from tests.concurrency.stored import found, id_of
from tests.sessions import CartLine, ShopSession
from tests.web import urls
from tests.web.browser import ID, PID, Asgi, Browser, Wsgi
from tests.web.signing import async_sign_in, async_sign_out, sign_in, sign_out
from tests.web.urls import View
from typed_sessions import clock, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Record, new_nonce
from typed_sessions.testing.engines import Configure

if TYPE_CHECKING:
    from pytest_django import Settings


class Views:
    """Views of both kinds: each handler gets those that are its own."""

    def __init__(self, is_async: bool) -> None:
        self._is_async = is_async

    def sign_in(self, user: User, remember: bool = False) -> View:
        return async_sign_in(user, remember) if self._is_async else sign_in(user, remember)

    @property
    def sign_out(self) -> View:
        return async_sign_out if self._is_async else sign_out

    def put(self, sku: str) -> View:
        """Puts something into the cart of whoever it is."""

        def change(session: ShopSession) -> str:
            session.cart.append(CartLine(sku))
            return f"{session.user_name if session.is_authenticated else 'anonymous'}"

        return self._seeing(change)

    @property
    def look(self) -> View:
        """Who is there, and what is in the cart."""
        return self._seeing(lambda session: f"{session.user_name or 'anonymous'} {[line.sku for line in session.cart]}")

    @property
    def rotate(self) -> View:
        def view(request: Any) -> None:
            request.session.cycle_key()

        async def async_view(request: Any) -> None:
            await request.session.acycle_key()

        return async_view if self._is_async else view

    @property
    def change_password(self) -> View:
        def view(request: Any) -> None:
            request.user.set_password("another")
            request.user.save()
            update_session_auth_hash(request, request.user)

        async def async_view(request: Any) -> None:
            user = await request.auser()
            user.set_password("another")
            await user.asave()
            await aupdate_session_auth_hash(request, user)

        return async_view if self._is_async else view

    def _seeing(self, act: Callable[[ShopSession], str]) -> View:
        def view(request: Any) -> str:
            return act(request.typed_session)

        async def async_view(request: Any) -> str:
            return act(await request.session.aget_typed_session())

        return async_view if self._is_async else view


@pytest.fixture(params=["wsgi", "asgi"])
def handler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def views(handler: str, race: Race) -> Iterator[Views]:
    if handler == "asgi":
        race.rounds //= 4  # they take their time, and there are far fewer orders
    yield Views(handler == "asgi")
    urls.forget()


@pytest.fixture
def new_browser(
    handler: str, engine: type[SessionStore], configure: Configure, settings: Settings
) -> Iterator[Callable[[], Browser]]:
    """Browsers in front of a site with nothing but sessions and users."""
    configure(SESSION_CLASS="tests.sessions.ShopSession")
    settings.ROOT_URLCONF = "tests.web.urls"
    settings.MIDDLEWARE = [
        "typed_sessions.middleware.TypedSessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    ask = Wsgi() if handler == "wsgi" else on_own_loop(Asgi().ask)
    for signal in (request_started, request_finished):  # lanes keep their connections
        signal.disconnect(close_old_connections)
    yield lambda: Browser(ask)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", password="one")


class SignIn(Protocol):
    def __call__(self, remember: bool = False) -> Browser: ...


@pytest.fixture
def signed_in(new_browser: Callable[[], Browser], engine: type[SessionStore], views: Views, user: User) -> SignIn:
    """Browsers in which the user has signed in, each with a session of its own."""
    first: dict[bool, tuple[Browser, Record]] = {}

    def new(remember: bool = False) -> Browser:
        if remember not in first:
            browser = new_browser()
            browser.visit(views.sign_in(user, remember))
            record = found(engine, browser.token)
            assert isinstance(record, Record)
            first[remember] = browser, record
            engine(browser.token).flush()
        browser, record = first[remember]
        text, now = tokens.issue(record.mode), clock.now()
        life = record.expires - record.seen
        copy = msgspec.structs.replace(record, id=id_of(text), nonce=new_nonce(), seen=now, expires=now + life)
        assert engine().store.create(copy)
        return browser.copy(**{PID if remember else ID: text})

    return new


def seen(engine: type[SessionStore], browser: Browser) -> str:
    """Who is there in the browser's session, and what is in the cart."""
    typed = engine(browser.token).typed_session
    assert isinstance(typed, ShopSession)
    return f"{typed.user_name or 'anonymous'} {[line.sku for line in typed.cart]}"
