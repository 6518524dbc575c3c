"""Another request at a chosen moment of a request: before its first command to a store, its second, and so on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from django.db import connections
from redis.connection import Connection

T = TypeVar("T")

_PATIENCE = 60
"""Seconds until what should have come is not waited for any more."""
_HANDSHAKE = (b"HELLO", b"CLIENT", b"AUTH", b"SELECT", b"PING")


class _Stop:
    """Stops the thread that it belongs to before one command."""

    def __init__(self, moment: int) -> None:
        self._left = moment
        self.reached, self.goes_on = threading.Event(), threading.Event()
        self.has_ended = False

    def command(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            self.goes_on.wait(_PATIENCE)

    def execute(self, execute: Callable[..., Any], sql: str, params: object, many: bool, context: object) -> Any:
        self.command()
        return execute(sql, params, many, context)


_of_thread = threading.local()


def between(moment: int, request: Callable[[], object], other: Callable[[], T]) -> T | None:
    """What ``other`` answers, done when ``request`` is about to send its command number ``moment``.

    ``None`` if it sends less, and ``other`` was not done.
    """
    stop = _Stop(moment)

    def run() -> None:
        _of_thread.stop = stop
        try:
            with connections["default"].execute_wrapper(stop.execute):
                request()
        finally:
            connections.close_all()
            stop.has_ended = True
            stop.reached.set()

    with _watched():
        thread = threading.Thread(target=run)
        thread.start()
        stop.reached.wait(_PATIENCE)
        try:
            return None if stop.has_ended else other()
        finally:
            stop.goes_on.set()
            thread.join(_PATIENCE)


@contextmanager
def _watched() -> Iterator[None]:
    send = Connection.send_command

    def send_command(connection: Connection, *args: Any, **options: Any) -> None:
        stop = getattr(_of_thread, "stop", None)
        if stop is not None and str(args[0]).encode().upper().split()[0] not in _HANDSHAKE:
            stop.command()
        send(connection, *args, **options)  # type: ignore[no-untyped-call]  # redis-py has it untyped

    with patch.object(Connection, "send_command", send_command):
        yield
