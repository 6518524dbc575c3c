"""The stores on which the machine runs, each behind a gate."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from tests.engines.rows import Row
from tests.state_machine import gate as gates
from tests.state_machine.model import ABSOLUTE, IDLE
from tests.state_machine.sessions import MachineSession
from tests.state_machine.visits import Stage
from tests.state_machine.worlds import DatabaseWorld, LocalWorld, RedisWorld, World
from tests.stores.tools import OwnTime
from typed_sessions import SessionMode
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import stopped_clock

if TYPE_CHECKING:
    from pytest_django import Settings

ROWS = {
    "redis": Row("redis", "valkey"),
    "msgpack": Row("redis", "valkey", "msgpack"),
    "cluster": Row("redis", "cluster"),
    "db": Row("db"),
    "postgres": Row("db"),
    "cached_db": Row("cached_db", "valkey"),
    "cache": Row("cache"),
    "cache on valkey": Row("cache", "valkey", "msgpack"),
}


def rows(*names: str) -> list[Any]:
    """The named ones as parameters; without names, all. Several connections see only what is committed."""
    committing = pytest.mark.django_db(transaction=True)
    return [
        pytest.param(
            name,
            marks=[
                *([committing] if row.module in ("db", "cached_db") else []),
                *([pytest.mark.postgres] if name == "postgres" else []),
            ],
            id=name.replace(" ", "-"),
        )
        for name, row in ROWS.items()
        if not names or name in names
    ]


@pytest.fixture(params=rows())
def row(
    request: pytest.FixtureRequest, settings: Settings, use_cache: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Row:
    """A store, as a project would have it."""
    row = ROWS[request.param]
    use_cache(row.cache)
    settings.SESSION_ENGINE = f"typed_sessions.backends.{row.module}"
    settings.TYPED_SESSIONS = {
        "SESSION_CLASS": f"{MachineSession.__module__}.{MachineSession.__qualname__}",
        "TEMP_EXPIRY": timedelta(seconds=IDLE[SessionMode.TEMP]),
        "PERM_EXPIRY": timedelta(seconds=IDLE[SessionMode.PERM]),
        "ABSOLUTE_EXPIRY": timedelta(seconds=ABSOLUTE),
        "CODEC": row.codec,
    }
    return row


@pytest.fixture
def world(row: Row, request: pytest.FixtureRequest) -> World:
    """What is behind it."""
    if row.module == "db":
        return DatabaseWorld()
    if row.cache == "cluster":
        nodes = request.getfixturevalue("redis_cluster").nodes
        return RedisWorld([node.client() for node in nodes], breaks_rotations=True, sends_twice=True)
    if row.cache == "locmem":
        return LocalWorld(row.cache)
    client, is_redis = request.getfixturevalue("valkey").client(), row.module == "redis"
    valkey = RedisWorld([client], breaks_rotations=not is_redis, sends_twice=is_redis)
    return DatabaseWorld(valkey) if row.module == "cached_db" else valkey


@pytest.fixture
def stage(row: Row, world: World, monkeypatch: pytest.MonkeyPatch, database_alias: str) -> Iterator[Stage]:
    time = OwnTime()
    monkeypatch.setattr("typed_sessions.clock.is_checked", lambda: True)  # against the store's, which is not stopped
    monkeypatch.setattr("typed_sessions.stores.cache.time", time)
    monkeypatch.setattr("typed_sessions.backends.base.time", time)
    gate = gates.Gate()
    gates.install(gate, monkeypatch)
    loop = asyncio.new_event_loop()

    def hang_up(is_async: bool) -> None:
        if isinstance(world, DatabaseWorld):
            _where(is_async, lambda: connections[database_alias].close())

    def _where(is_async: bool, act: Callable[[], object]) -> object:
        """A thread has a connection of its own, and what is async asks the database in a thread."""
        return loop.run_until_complete(sync_to_async(act)()) if is_async else act()

    with ExitStack() as stack:
        stack.callback(loop.close)
        if isinstance(world, DatabaseWorld):
            stack.callback(_where, True, connections.close_all)
            remove = gates.install_sql(gate, database_alias)
            stack.callback(remove)
            _where(True, lambda: gates.install_sql(gate, database_alias))
        engine = cast("type[SessionStore]", import_module(f"typed_sessions.backends.{row.module}").SessionStore)
        yield Stage(world, gate, engine, stopped_clock(monkeypatch), time, loop, hang_up, Counter())
