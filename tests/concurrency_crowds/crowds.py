"""What the workers of a crowd do, whatever they are: threads of the test, or of processes of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar, cast

from django.conf import settings
from django.db import connections

from tests.concurrency_crowds.sessions import FIELDS
from typed_sessions.backends.base import SessionStore

T = TypeVar("T")

WORKERS, TIMES = 50, 20


def stored(key: str | None = None) -> SessionStore:
    """A session of the project's engine."""
    return cast("SessionStore", import_module(settings.SESSION_ENGINE).SessionStore(key))


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What the calls answer, made by as many threads that begin together, each with connections of its own."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        try:
            barrier.wait(60)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(run, call) for call in calls]
    return [future.result() for future in futures]


def count_up(key: str, times: int = TIMES) -> int:
    """Adds one to `page_views` so many times, as so many requests would. How many were acknowledged."""
    done = 0
    for _ in range(times):
        session = stored(key)
        shop: Any = session.typed_session
        shop.page_views += 1
        session.save()
        connections.close_all()  # as at the end of a request
        done += 1
    return done


def change_field(key: str, number: int) -> None:
    session = stored(key)
    setattr(session.typed_session, FIELDS[number], number + 1)
    session.save()


def change_key(key: str, number: int) -> None:
    session = stored(key)
    session[f"key {number}"] = number
    session.save()
