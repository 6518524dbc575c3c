"""A site whose sessions end, on every engine, with somebody who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.db import connections

from tests.engines.rows import UseEngine, configure, use_engine
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


class World(NamedTuple):
    """What a test runs on."""

    row: str
    """The engine's, in tests/engines/rows.py."""
    way: str
    """Whether views, handlers, verbs and hooks are sync or async."""


def worlds(*names: str) -> list[Any]:
    """Parameters for the fixture `world`, such as "redis-async"."""
    marks = {"postgres": pytest.mark.postgres}
    return [pytest.param(World(*name.split("-")), id=name, marks=marks.get(name.split("-")[0], ())) for name in names]


LISTING = [
    "db-sync",
    "db-async",
    "postgres-async",
    "cached_db-sync",
    "redis-sync",
    "redis-async",
    "msgpack-sync",
    "cluster-async",
]
"""Every engine that knows its sessions, and both ways."""


def on(*names: str) -> pytest.MarkDecorator:
    """The test runs on these worlds."""
    return pytest.mark.parametrize("world", worlds(*names), indirect=True)


few = on("db-sync", "redis-async")
"""For what no store has a part in."""


@pytest.fixture(params=worlds(*LISTING))
def world(request: pytest.FixtureRequest) -> World:
    world: World = request.param
    return world


@pytest.fixture
def engine(world: World, use_engine: UseEngine) -> type[SessionStore]:
    return use_engine(world.row)


@pytest.fixture
def way(world: World) -> str:
    return world.way


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

    def change(**keys: Any) -> None:
        for name, value in keys.items():
            monkeypatch.setitem(connections[database_alias].settings_dict, name, value)

    return change
