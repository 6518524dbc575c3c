"""A site whose sessions end, on every engine, with somebody who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.engines.rows import UseEngine, configure, rows, use_engine
from tests.life.ears import Ears, LifeSession, receive
from tests.life.site import Site
from tests.web.conftest import (
    NewBrowser,
    _open_connection,
    _views,
    clock,
    new_browser,
    other_user,
    user,
    verbs,
)
from typed_sessions.backends.base import SessionStore
from typed_sessions.signals import on_ended
from typed_sessions.testing.engines import Clock, Configure

__all__ = [
    "_open_connection",
    "_views",
    "clock",
    "configure",
    "new_browser",
    "other_user",
    "use_engine",
    "user",
    "verbs",
]

LISTING = rows("db", "postgres", "cached_db", "redis", "msgpack", "cluster")
"""Every engine that knows its sessions."""
ON_SERVERS = rows("postgres", "redis")
FEW = rows("db", "redis")


@pytest.fixture(params=LISTING)
def engine(request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
    return use_engine(request.param)


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    """Whether views, handlers, verbs and hooks are sync or async."""
    name: str = request.param
    return name


@pytest.fixture
def handler(way: str) -> str:
    return {"sync": "wsgi", "async": "asgi"}[way]


@pytest.fixture
def ears(configure: Configure, engine: type[SessionStore], way: str) -> Iterator[Ears]:
    """A session class, an events class and a receiver, who note each end."""
    prefix = "Async" if way == "async" else ""
    module = LifeSession.__module__
    configure(SESSION_CLASS=f"{module}.{prefix}LifeSession", AUTH_EVENTS=[f"{module}.{prefix}LifeEvents"])
    on_ended.connect(receive)
    yield Ears()
    on_ended.disconnect(receive)
    for kept in (LifeSession.told, LifeSession.heard, LifeSession.acts):
        kept.clear()


@pytest.fixture
def site(ears: Ears, new_browser: NewBrowser, way: str, user: User, clock: Clock) -> Site:
    """With nobody there yet."""
    return Site(new_browser, way == "async", user, clock)


@pytest.fixture
def change_database(database_alias: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`change_database(ATOMIC_REQUESTS=True)` changes keys of the entry in DATABASES."""
    from django.db import connections

    def change(**keys: Any) -> None:
        for name, value in keys.items():
            monkeypatch.setitem(connections[database_alias].settings_dict, name, value)

    return change
