"""How long a save goes on when others keep coming first, and who of this process is next."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from contextvars import ContextVar
from typing import Final

from ..flows import Step

SECONDS: Final = 5.0
TRIES: Final = 200
"""Both have to be over before a save gives up. Each of the others got its own save done meanwhile."""
AT_ONCE: Final = 3
"""Tries without a pause between them."""
PAUSE: Final = 0.02
"""Seconds at most before each further try, which grow to ``LONGEST_PAUSE``."""
LONGEST_PAUSE: Final = 0.2
LONGEST_IN_LINE: Final = SECONDS
"""Seconds that a save waits for its turn, before it tries without."""


_lines: dict[str, deque[Future[None]]] = {}
"""By session, those of this process that lost to others and try again. To wait in line is polite and no more: what
makes a save safe is the store's compare-and-set, so whoever has waited for long may jump it. Without a line most tries
of a crowd fail, and whoever is slow never gets through.
"""
_guard = threading.Lock()
_standing: ContextVar[frozenset[str]] = ContextVar("typed_sessions_in_line", default=frozenset())
"""The sessions for which this very request is in line. A save within a save must not wait for the outer one."""


def _begin_anew() -> None:
    """In a process that was forked: nobody who stood in line before is there to leave it."""
    global _guard  # the old one may be held by a thread that does not exist here
    _guard = threading.Lock()
    _lines.clear()


with suppress(AttributeError):  # of Windows, where nothing is forked
    os.register_at_fork(after_in_child=_begin_anew)


def pause(longest: float = PAUSE) -> Step:
    """A wait of random length, so that whoever lost meets others the next time."""
    return Step(time.sleep, asyncio.sleep, (random.uniform(0, longest),))


def tries(session_id: str) -> Iterator[Step | None]:
    """What to wait for before each try: nothing before the first, unless others are in line already, and one's turn
    before the second.
    """
    begun = time.monotonic()
    tried = 0
    ticket, is_within = None, session_id in _standing.get()
    try:
        if session_id not in _lines:
            yield None
            tried += 1
        ticket = _join(session_id)
        yield None if is_within else Step(_wait, _await, (ticket,))
        tried += 1
        while tried < TRIES or time.monotonic() - begun < SECONDS:
            # Not even a sleep of 0: the kernel rounds it up.
            yield None if tried < AT_ONCE else pause(min(PAUSE * tried / AT_ONCE, LONGEST_PAUSE))
            tried += 1
    finally:
        if ticket is not None:
            _leave(session_id, ticket)
            if not is_within:
                _standing.set(_standing.get() - {session_id})


def _join(session_id: str) -> Future[None]:
    """A place in the line, which is done when it is the first one."""
    ticket: Future[None] = Future()
    _standing.set(_standing.get() | {session_id})
    with _guard:
        line = _lines.setdefault(session_id, deque())
        line.append(ticket)
        if len(line) == 1:
            ticket.set_result(None)
    return ticket


def _leave(session_id: str, ticket: Future[None]) -> None:
    with _guard:
        line = _lines[session_id]
        line.remove(ticket)
        if not line:
            del _lines[session_id]
        elif not line[0].done():
            with suppress(InvalidStateError):  # cancelled just now: it leaves by itself
                line[0].set_result(None)


def _wait(ticket: Future[None]) -> None:
    with suppress(FutureTimeout):
        ticket.result(LONGEST_IN_LINE)


async def _await(ticket: Future[None]) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(ticket)), LONGEST_IN_LINE)
