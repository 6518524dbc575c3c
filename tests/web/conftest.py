"""Browsers, users and engines of the web tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import Client

from tests.engines.rows import UseEngine, configure, rows, use_engine
from tests.web import urls
from tests.web.browser import HANDLERS, Ask, Browser
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, Verbs, stopped_clock, watched

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["configure", "use_engine"]

PASSWORD = "a good one"


class NewBrowser(Protocol):
    """Another browser, in front of the same site; settings that the handler reads once are to be made before."""

    def __call__(self, **cookies: str) -> Browser: ...


@pytest.fixture(autouse=True)
def _views(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.web.urls"
    yield
    urls.forget()


@pytest.fixture(params=rows("db", "redis"))
def engine(request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
    """The project's engine: the default one and the fastest one."""
    return use_engine(request.param)


@pytest.fixture(params=["wsgi", "asgi"])
def handler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def _open_connection(db: None) -> Iterator[None]:
    """Before and after a request Django closes the connection in whose transaction the test runs."""
    signals = (request_started, request_finished) if connection.in_atomic_block else ()
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def new_browser(_open_connection: None, handler: str) -> NewBrowser:
    made: list[Ask] = []

    def new(**cookies: str) -> Browser:
        if not made:
            made.append(HANDLERS[handler]())
        return Browser(made[0], {name.replace("_", "-"): value for name, value in cookies.items()})

    return new


@pytest.fixture
def browser(new_browser: NewBrowser) -> Browser:
    return new_browser()


@pytest.fixture
def new_site(_open_connection: None, handler: str, settings: Settings) -> Callable[..., Browser]:
    """`new_site(*middleware)` is a browser in front of a site with other middleware."""

    def new(*middleware: str) -> Browser:
        settings.MIDDLEWARE = list(middleware)
        return Browser(HANDLERS[handler]())

    return new


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.com", PASSWORD, first_name="Ada", last_name="Lovelace")


@pytest.fixture
def other_user(db: None) -> User:
    return User.objects.create_user("grace", password=PASSWORD)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch)


@pytest.fixture
def verbs(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """What is asked of the store."""
    return watched(engine, monkeypatch)


@pytest.fixture
def client() -> Client:
    """Django's own, which hides no error of a view."""
    return Client()
