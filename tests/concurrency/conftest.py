"""Engines, lanes and clocks of the tests of requests that meet."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.backends.signals import connection_created
from django_redis import get_redis_connection
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import AbstractConnection

from tests.concurrency.classes import OpenTab, RaceSession, Tab
from tests.concurrency.interleavings import Race, close_own_loop, on_own_loop, stop
from tests.concurrency.site import handler, new_browser, signed_in, user, views
from tests.engines.rows import UseEngine, configure, rows, use_engine
from typed_sessions.backends import patience
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.stores import cached_database, scripts
from typed_sessions.stores.base import Store
from typed_sessions.stores.scripts import Script
from typed_sessions.testing.engines import Clock, Configure, Verbs, stopped_clock, watched

__all__ = ["configure", "handler", "new_browser", "signed_in", "use_engine", "user", "views"]

_SCRIPTS = {script: name for name, script in vars(scripts).items() if isinstance(script, Script)}
_NAMES = {script.sha: name for script, name in _SCRIPTS.items()}
_WRITES = {"create", "save", "touch", "replace", "end"}
_HANDSHAKE = {"HELLO", "AUTH", "CLIENT", "SELECT", "PING", "INFO", "COMMAND"}
_repeats_commands: ContextVar[bool] = ContextVar("repeats_commands", default=False)
_repeats_verbs: ContextVar[bool] = ContextVar("repeats_verbs", default=False)

Losing = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=rows("redis", "postgres", "db", "cached_db"))
def engine(request: pytest.FixtureRequest, use_engine: UseEngine, configure: Configure) -> type[SessionStore]:
    engine = use_engine(request.param)
    if request.param == "redis":
        for script in _SCRIPTS:
            get_redis_connection("valkey").script_load(script.source)  # nobody has to send one twice
    configure(SESSION_CLASS=f"{RaceSession.__module__}.{RaceSession.__qualname__}")
    return engine


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of this app, of Django, and of the reader who measures how long he was away."""
    clock = stopped_clock(monkeypatch)
    monkeypatch.setattr(cached_database, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def time(clock: Clock) -> Clock:
    """The same."""
    return clock


@pytest.fixture(params=["sync", "async"])
def open_tab(engine: type[SessionStore], request: pytest.FixtureRequest) -> Iterator[OpenTab]:
    """`open_tab(key)` is a session of the engine, used through its sync methods or through their async twins."""
    if request.param == "sync":
        yield lambda key=None: Tab(engine(key))
        return
    yield lambda key=None: Tab(engine(key), on_own_loop)
    close_own_loop()


@pytest.fixture
def race(engine: type[SessionStore], request: pytest.FixtureRequest, stops: None) -> Iterator[Race]:
    race = Race()
    yield race
    race.close()
    request.node.user_properties.append(("race", f"{len(race.met)} {race.schedules.changes} {dict(race.outcomes)}"))


@pytest.fixture
def verbs(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """What is asked of the store."""
    return watched(engine, monkeypatch)


@pytest.fixture
def losing(request: pytest.FixtureRequest, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> Losing:
    """`with losing():` the reply to each write is lost, and the write sent again: by whoever asked the store, or by the
    client library. Others may come in between.
    """
    if request.param == "command":
        return lambda: _set(_repeats_commands)
    store = inspect.getattr_static(engine, "store")
    monkeypatch.setattr(engine, "store", property(lambda session: _Repeating(store.__get__(session, engine))))
    return lambda: _set(_repeats_verbs)


@contextmanager
def _set(repeats: ContextVar[bool]) -> Iterator[None]:
    token = repeats.set(True)
    yield
    repeats.reset(token)


class _Repeating:
    """A store whose writes are asked for twice."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._store, name)
        if name.removeprefix("a") not in _WRITES or not _repeats_verbs.get():
            return verb
        return partial(self._atwice if inspect.iscoroutinefunction(verb) else self._twice, verb)

    def _twice(self, verb: Callable[..., Any], *args: Any) -> Any:
        verb(*args)
        return verb(*args)

    async def _atwice(self, verb: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        await verb(*args)
        return await verb(*args)


@pytest.fixture
def stops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lanes stop before each command to Redis and each statement on the table of sessions."""
    send: Any = AbstractConnection.send_command
    asend: Any = AsyncConnection.send_command

    def send_command(connection: Any, *args: Any, **kwargs: Any) -> None:
        if stop_before_command(args) and _repeats_commands.get():
            send(connection, *args, **kwargs)
            connection.read_response()
            stop_before_command(args)
        send(connection, *args, **kwargs)

    async def asend_command(connection: Any, *args: Any, **kwargs: Any) -> None:
        if stop_before_command(args) and _repeats_commands.get():
            await asend(connection, *args, **kwargs)
            await connection.read_response()
            stop_before_command(args)
        await asend(connection, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_command", send_command)
    monkeypatch.setattr(AsyncConnection, "send_command", asend_command)
    # Who waits in line for its turn may jump it; here everybody does, so that orders are met that a line would hide.
    monkeypatch.setattr(patience, "_wait", lambda *_: None)
    monkeypatch.setattr(patience, "_await", _nothing)
    connection_created.connect(_watch_statements, weak=False)
    yield
    connection_created.disconnect(_watch_statements)


async def _nothing(*_: object) -> None:
    pass


def stop_before_command(args: tuple[Any, ...]) -> bool:
    """Lanes stop at a script by its name, and at any other command by its own. Whether it is a command that writes."""
    if args[0] in _HANDSHAKE:
        return False
    stop(_NAMES[args[1]] if args[0] == "EVALSHA" else args[0])
    return bool(args[0] != "GET")


def _watch_statements(connection: Any, **_: object) -> None:
    if _stop_before_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_stop_before_statement)


def _stop_before_statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """A transaction has one stop, before it begins: others that write would wait for its end."""
    about_sessions = sql == "BEGIN" or StoredSession._meta.db_table in sql
    if about_sessions and not _is_in_transaction(context["connection"]):
        stop(sql.split(maxsplit=1)[0])
    return execute(sql, params, many, context)


def _is_in_transaction(connection: Any) -> bool:
    if connection.vendor == "sqlite":
        return bool(connection.connection.in_transaction)
    return bool(connection.connection.info.transaction_status)
