"""The shop on the engines, each on what it runs on in production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.engines.rows import configure, use_engine
from tests.outages.visitors import Crowd, Site
from tests.servers.redis import RedisServer
from tests.web import urls
from tests.web.browser import Browser, Wsgi
from tests.web.conftest import _open_connection
from tests.web.signing import sign_in
from typed_sessions import EndReason, signals

if TYPE_CHECKING:
    from pytest_django import Settings

NewServer = Callable[..., RedisServer]
SignedIn = Callable[[int], list[Browser]]
NewCrowd = Callable[[int, bool], Crowd]

__all__ = ["_open_connection", "configure", "use_engine"]


@pytest.fixture(autouse=True)
def _shop(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.outages.urls"
    yield
    urls.forget()


@pytest.fixture
def new_crowd(db: None, database_alias: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewCrowd]:
    """`new_crowd(size, may_lose)` makes visitors of a site in this process."""
    monkeypatch.setitem(connections.settings[database_alias], "CONN_MAX_AGE", None)
    sites: list[Site] = []

    def new(size: int, may_lose: bool) -> Crowd:
        sites.append(Site(Wsgi()))  # which reads the settings
        return Crowd(size, sites[-1], may_lose)

    yield new
    for site in sites:
        site.close()
    connections.close_all()


@pytest.fixture
def new_server(valkey: RedisServer, settings: Settings) -> Iterator[NewServer]:
    """`new_server(*config)` starts a server that this test may do anything to, and that has the project's sessions."""
    with ExitStack() as stack:

        def new(*config: str) -> RedisServer:
            server = stack.enter_context(RedisServer(valkey.binary, *config))
            entry = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}
            settings.CACHES = {**settings.CACHES, "expendable": entry}
            settings.SESSION_CACHE_ALIAS = "expendable"
            return server

        yield new


@pytest.fixture
def visitors(_open_connection: None) -> SignedIn:
    """`visitors(number)` are browsers that are signed in, each with a user and a session of its own."""

    def signed_in(number: int) -> list[Browser]:
        ask, users = Wsgi(), [User.objects.create_user(f"user {each}") for each in range(number)]
        browsers = [Browser(ask) for _ in users]
        for browser, user in zip(browsers, users, strict=True):
            assert browser.visit(sign_in(user, remember=bool(user.pk % 2))).status == 200
        return browsers

    return signed_in


@pytest.fixture
def telling() -> Iterator[list[tuple[str, str]]]:
    """Everything that is told of sessions that are over: what happened, or why it ended, and the id."""
    told: list[tuple[str, str]] = []

    def hear_of_loss(session_id: str, **_: Any) -> None:
        told.append(("lost", session_id))

    def hear_of_end(session: Any, reason: EndReason, **_: Any) -> None:
        told.append((reason.value, session.id))

    signals.on_lost.connect(hear_of_loss)
    signals.on_ended.connect(hear_of_end)
    yield told
    signals.on_lost.disconnect(hear_of_loss)
    signals.on_ended.disconnect(hear_of_end)
