"""What this process has done with sessions: counters, and a log line for each turn of a session's life.

Counters are of this process alone; ``typed_sessions.exporters`` hands them to what adds up those of all. Log lines are
of the logger ``typed_sessions.events``, at level INFO, with ids and never a token, and have the parts of each line as
attributes of the record: ``session_event``, ``session_id``, ``session_reason``, ``session_user``.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

logger = logging.getLogger("typed_sessions")
events_logger = logging.getLogger("typed_sessions.events")

Listener = Callable[[str, str], object]

NAMES: Final = (
    "reads",
    "writes",
    "touches",
    "created",
    "conflicts",
    "lost",
    "rejected",
    "unavailable",
    "missed",
    "ended",
)
"""What is counted: records read, written and touched; sessions that began; saves that another request's came before;
sessions that the store no longer had; tokens that are none; requests whose session the store did not answer for;
sessions that expired and were gone before a reaper came; and sessions that ended, by reason.
"""


class Counters:
    """Counts of what happened since the process began. Safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._listeners: tuple[Listener, ...] = ()

    def add(self, name: str, reason: str = "", times: int = 1) -> None:
        """Counts ``name``, one of ``NAMES``; ``reason`` is why, for sessions that ended."""
        if not times:
            return
        key = f"{name}.{reason}" if reason else name
        with self._lock:
            self._counts[key] += times
        for listener in self._listeners:
            for _ in range(times):
                self._tell(listener, name, reason)

    def snapshot(self) -> dict[str, int]:
        """The counts by name; those with a reason as ``ended.logged_out``. Every name is there, from 0."""
        with self._lock:
            return {**dict.fromkeys(NAMES[:-1], 0), **self._counts}

    def subscribe(self, listener: Listener) -> None:
        """``listener(name, reason)`` is called with each count from now on. A second time changes nothing."""
        with self._lock:
            if listener not in self._listeners:
                self._listeners += (listener,)

    def unsubscribe(self, listener: Listener) -> None:
        """The end of ``subscribe``."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)

    def reset(self) -> None:
        """Begins from nothing, as tests may want it."""
        with self._lock:
            self._counts.clear()

    def _tell(self, listener: Listener, name: str, reason: str) -> None:
        try:
            listener(name, reason)
        except Exception:  # whatever counts along must not break a request
            logger.exception("A listener of typed_sessions.telemetry raised an error")


counters = Counters()
"""Those of this process."""


def log(event: str, session_id: str | None, *, reason: str = "", user: str | None = None) -> None:
    """One line of the events log: what became of the session ``session_id``."""
    if events_logger.isEnabledFor(logging.INFO):
        words = [f"session {event}", f"id={session_id}"]
        words += [f"reason={reason}"] if reason else []
        words += [f"user={user}"] if user is not None else []
        extra = {"session_event": event, "session_id": session_id, "session_reason": reason, "session_user": user}
        events_logger.info("%s", " ".join(words), extra=extra)
