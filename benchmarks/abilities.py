"""What is not a matter of one operation: parallel changes, memory, and listing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.db import connections

from typed_sessions import clock
from typed_sessions.exceptions import StoreUnavailable

from .content import COUNTERS
from .engines import SessionEngine
from .timing import seconds_of

_VIEW = 0.005
"""Seconds that a view takes between reading the session and saving it."""
PAGE = 50
_DEVICES = 4
"""Sessions of one user."""

# Entries as old as time itself, so that the sessions that are really there are the newest.
_CROWD = """
for i = ARGV[1], ARGV[2] do redis.call('ZADD', KEYS[1], i, string.format('%040x', i)) end
"""
_BATCH = 100_000


@dataclass(frozen=True)
class LostUpdates:
    updates: int
    lost: int
    refused: int
    """Updates that raised an error, so that the visitor was told."""


def lost_updates(engine: SessionEngine, each: int) -> LostUpdates:
    """Parallel requests of one session, ``each`` in every thread, each thread counting up a field of its own."""
    key = engine.begin(None)
    before = [engine.value(key, field) for field in COUNTERS]

    def count_up(field: str) -> int:
        refused = 0
        for _ in range(each):
            try:
                engine.count_up(key, field, _VIEW)
            except (UpdateError, StoreUnavailable):
                refused += 1
        connections.close_all()
        return refused

    with ThreadPoolExecutor(len(COUNTERS)) as threads:
        refused = sum(threads.map(count_up, COUNTERS))
    kept = sum(engine.value(key, field) for field in COUNTERS) - sum(before)
    updates = each * len(COUNTERS)
    return LostUpdates(updates, updates - refused - kept, refused)


def memory_per_session(engine: SessionEngine, client: Any, sessions: int, items: int) -> float:
    """Bytes in an otherwise empty Redis, indices included, of signed-in sessions."""
    for number in range(sessions):
        engine.begin(str(number // _DEVICES), items=items)
    total: int = sum(client.memory_usage(key, samples=0) for key in client.scan_iter(count=1000))
    return total / sessions


def newest(engine: SessionEngine) -> None:
    """Finds the ids of the sessions last used."""
    if len(engine.store().store.newest(clock.now(), PAGE)) != PAGE:
        raise RuntimeError("The newest sessions were not found.")


def listing_seconds(engine: SessionEngine, client: Any, sizes: Sequence[int]) -> Iterator[tuple[int, float]]:
    """How long ``newest`` takes among so many sessions."""
    indices = list(client.scan_iter(_type="zset"))
    crowd = 0
    for size in sizes:
        for first in range(crowd + 1, size + 1, _BATCH):
            for index in indices:
                client.eval(_CROWD, 1, index, first, min(first + _BATCH - 1, size))
        crowd = size
        yield size, median(seconds_of(newest, engine) for _ in range(100))
