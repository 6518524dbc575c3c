"""Where a worker can die, a reply get lost, or somebody else come first: before and after each command to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import OperationalError, connections

from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.models import StoredSession
from typed_sessions.stores import cache, cached_database
from typed_sessions.stores.byte_cache import ByteCache, byte_cache
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.scripts import Command

if TYPE_CHECKING:
    import pytest


class Crash(BaseException):
    """The worker is killed here. No `except Exception` sees it, and what a `finally` asks of a server is not done."""


class Cancelled(BaseException):
    """The request is given up here, because its client has gone; what it has to put away it does."""


class Kind(Enum):
    """What happens at a command; the last two are about the whole verb of the store."""

    NOTHING = "nothing"
    CRASH_BEFORE = "the worker dies before it"
    CRASH_AFTER = "the worker dies after it"
    CANCELLED_BEFORE = "the request is given up before it"
    CANCELLED_AFTER = "the request is given up after it"
    REFUSED = "the server does not get it"
    LOST = "the server has done it, and the reply is lost"
    REPEATED = "the reply is lost, and the client sends it again"
    MEANWHILE = "somebody else comes first"
    POSTPONED = "it arrives later"
    VERB_REPEATED = "the verb is repeated"
    VERB_REPEATED_LATER = "the verb is repeated, after somebody else"


class Fault(NamedTuple):
    kind: Kind = Kind.NOTHING
    at: int = 0
    """Before or after which of the verb's commands."""
    deed: str = ""
    """What somebody else does."""


class Gate:
    """All commands to servers go through it. It lets them pass, but for the fault that it is armed with."""

    def __init__(self) -> None:
        self.fault = Fault()
        self.passed = 0
        self.is_dead = False
        self.has_happened = False
        self.meanwhile: Callable[[], object] = int
        self.postponed: list[Callable[[], object]] = []

    @contextmanager
    def armed(self, fault: Fault, meanwhile: Callable[[], object]) -> Iterator[None]:
        """For one verb. Within `meanwhile`, others are armed with their own."""
        before = self.fault, self.passed, self.is_dead, self.has_happened, self.meanwhile
        self.fault, self.passed, self.is_dead, self.has_happened, self.meanwhile = fault, 0, False, False, meanwhile
        try:
            yield
        finally:
            self.fault, self.passed, self.is_dead, self.has_happened, self.meanwhile = before

    @contextmanager
    def open(self) -> Iterator[None]:
        """For who looks at what is stored, and is no part of the story."""
        with self.armed(Fault(), int):
            yield

    def arrive(self, error: Exception, is_free: bool = True) -> int:
        """How often the command that is about to be sent is to be sent. `is_free` if others can do something now."""
        if self.is_dead:
            raise Crash
        self.passed += 1
        match self._due():
            case Kind.CRASH_BEFORE:
                self.is_dead = True
                raise Crash
            case Kind.CANCELLED_BEFORE:
                raise Cancelled
            case Kind.REFUSED:
                raise error
            case Kind.MEANWHILE if is_free:
                self.meanwhile()
            case Kind.REPEATED:
                return 2
        return 1

    def leave(self, error: Exception) -> None:
        match self._due():
            case Kind.CRASH_AFTER:
                self.is_dead = True
                raise Crash
            case Kind.CANCELLED_AFTER:
                raise Cancelled
            case Kind.LOST:
                raise error

    def is_postponed(self, command: Callable[[], object]) -> bool:
        """Whether `command` is kept for later."""
        if self.fault.kind is not Kind.POSTPONED:
            return False
        self.postponed.append(command)
        return True

    def _due(self) -> Kind | None:
        if self.passed - 1 != self.fault.at:
            return None
        self.has_happened = True
        return self.fault.kind


def install(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the gate before Redis and caches. `install_sql` is for a database."""
    send, asend = RedisStore._execute, RedisStore._aexecute

    def execute(store: RedisStore, command: Command) -> Any:
        error = StoreUnavailable("injected")
        answer: Any = None
        for _ in range(gate.arrive(error)):
            answer = send(store, command)
        gate.leave(error)
        return answer

    async def aexecute(store: RedisStore, command: Command) -> Any:
        error = StoreUnavailable("injected")
        answer: Any = None
        for _ in range(gate.arrive(error)):
            answer = await asend(store, command)
        gate.leave(error)
        return answer

    monkeypatch.setattr(RedisStore, "_execute", execute)
    monkeypatch.setattr(RedisStore, "_aexecute", aexecute)
    monkeypatch.setattr(cache, "byte_cache", lambda alias: GatedCache(byte_cache(alias), gate))
    monkeypatch.setattr(cached_database, "byte_cache", lambda alias: GatedCache(byte_cache(alias), gate, copies=True))
    # A story is repeated step by step, and nothing in it may depend on how long a step takes.
    monkeypatch.setattr(cached_database, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(cached_database, "LEFT_ALONE", 0.0)


class GatedCache:
    """A cache behind the gate. If it holds `copies`, what a reader adds may come late."""

    def __init__(self, cache: ByteCache, gate: Gate, copies: bool = False) -> None:
        self._cache = cache
        self._gate = gate
        self._copies = copies

    def get(self, key: str) -> Any:
        return self._pass(lambda: self._cache.get(key))

    def add(self, key: str, value: bytes, life: int) -> bool:
        return bool(self._pass(lambda: self._cache.add(key, value, life), is_late=self._copies))

    def set(self, key: str, value: bytes, life: int) -> None:
        is_copy = self._copies and value != cached_database.MARK
        self._pass(lambda: self._cache.set(key, value, life), is_late=is_copy)

    def delete(self, key: str) -> None:
        self._pass(lambda: self._cache.delete(key))

    def _pass(self, command: Callable[[], Any], is_late: bool = False) -> Any:
        error = ConnectionError("injected")
        answer: Any = None
        for _ in range(self._gate.arrive(error)):
            if is_late and self._gate.is_postponed(command):
                return True
            answer = command()
        self._gate.leave(error)
        return answer


def install_sql(gate: Gate, alias: str) -> Callable[[], object]:
    """Puts the gate before this thread's connection. Answers with how to take it away."""
    connection = connections[alias]
    table = StoredSession._meta.db_table

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if table not in sql:
            return run(sql, params, many, context)
        error = OperationalError("injected")
        gate.arrive(error, is_free=not connection.in_atomic_block)
        answer = run(sql, params, many, context)
        gate.leave(error)
        return answer

    connection.execute_wrappers.append(execute)
    return lambda: connection.execute_wrappers.remove(execute)
