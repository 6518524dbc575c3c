"""What a request costs: commands that reach Redis, SQL statements, and hops between the event loop and threads."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asgiref.sync
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.servers.redis import RedisServer

_HANDSHAKE = {"HELLO", "CLIENT", "SELECT", "AUTH", "PING"}
"""What a client says when it connects."""


class Monitor:
    """Everything a server is asked, as it sees it; what its own scripts do does not count."""

    def __init__(self, server: RedisServer, monitor: Any) -> None:
        self._server, self._monitor = server, monitor

    def take(self) -> list[str]:
        """The commands since the last time this was asked, with all their arguments."""
        mark = secrets.token_hex(8)
        self._server.run("ECHO", mark)
        commands: list[str] = []
        while True:
            heard = self._monitor.next_command()
            if mark in heard["command"]:
                return commands
            if heard["client_type"] != "lua" and heard["command"].split()[0].upper() not in _HANDSHAKE:
                commands.append(heard["command"])

    def names(self) -> list[str]:
        return [command.split()[0].upper() for command in self.take()]


@contextmanager
def monitored(server: RedisServer) -> Iterator[Monitor]:
    with server.client().monitor() as monitor:  # type: ignore[no-untyped-call]
        yield Monitor(server, monitor)


@contextmanager
def statements(table: str = "typed_sessions_storedsession") -> Iterator[list[str]]:
    """The first words of the statements about a table; filled in at the end."""
    words: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield words
    words.extend(query["sql"].split()[0] for query in captured if table in query["sql"])


@contextmanager
def hops(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The functions that async code has had run in a thread, by name."""
    names: list[str] = []
    original = asgiref.sync.SyncToAsync.__call__

    async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(getattr(self.func, "__qualname__", repr(self.func)))
        return await original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(asgiref.sync.SyncToAsync, "__call__", counted)
        yield names
