"""``reap``: announces the ends of sessions that have expired."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connections

from ... import clock
from ...exceptions import StoreUnavailable
from ...live import live_sessions
from .. import site
from ..output import Output, instant
from .base import Verb, add_json, at_least

logger = logging.getLogger("typed_sessions")

_TOLD: Final = {
    "ended": "expired and announced",
    "missed": "gone before anybody came to announce them",
    "returned": "had come back, and were ended again",
    "cleared": "remains removed",
}


class Reap(Verb):
    """Calls on_ended for the sessions that have expired, and removes what is left of them.

    As many as you like may run at once: a session is announced by one of them. SIGTERM and SIGINT let it finish the
    batch that it is at; what dies in the midst of one leaves the rest of it for others, within a minute.
    """

    name = "reap"
    help = "announce the ends of expired sessions"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--forever", action="store_true", help="go on until SIGTERM or SIGINT")
        parser.add_argument(
            "--every", type=at_least(1), default=30, metavar="SECONDS", help="with --forever: 30 if it is not said"
        )
        parser.add_argument("--limit", type=at_least(1), help="how many at most, with --forever each time")
        parser.add_argument("--batch", type=at_least(1), default=200, help="how many at a time; 200 if it is not said")
        add_json(parser)

    def run(self, out: Output, options: dict[str, Any]) -> None:
        site.listing_store()
        with _stopped_by_signals() as stopped:
            reaper = _Reaper(out, options["limit"], options["batch"], stopped)
            if not options["forever"]:
                reaper.reap(is_told_always=True)
                return
            while not stopped.is_set():
                reaper.reap_whatever_happens(options["every"])
                stopped.wait(options["every"])


class _Reaper:
    def __init__(self, out: Output, limit: int | None, batch: int, stopped: threading.Event) -> None:
        self._out, self._limit, self._batch, self._stopped = out, limit, batch, stopped

    def reap_whatever_happens(self, every: int) -> None:
        """A store that is down is no reason to stop: nobody would start again when it is back."""
        _close_old_connections()
        try:
            self.reap(is_told_always=self._out.verbosity >= 2)
        except (StoreUnavailable, DatabaseError, InterfaceError) as error:
            logger.warning("Expired sessions are not announced, and will be tried again in %s s: %s", every, error)

    def reap(self, is_told_always: bool) -> None:
        """Batch after batch, until nothing is left, or the limit reached, or somebody wants it to stop."""
        done: Counter[str] = Counter()
        while not self._stopped.is_set():
            size = self._batch if self._limit is None else min(self._batch, self._limit - done["ended"])
            reaped = live_sessions.reap(limit=size, batch=size)
            done.update(reaped._asdict())
            if reaped.ended < size or done["ended"] == self._limit:
                break
            self._out.progress(done["ended"], "sessions announced")
        if any(done.values()) or is_told_always:
            self._tell(done)

    def _tell(self, done: Counter[str]) -> None:
        self._out.close()
        if self._out.is_json:
            self._out.json({"at": instant(clock.now()), **{name: done[name] for name in _TOLD}})
        elif self._out.verbosity:
            said = (f"{done[name]:,} {what}" for name, what in _TOLD.items() if done[name] or name == "ended")
            self._out.line(f"{', '.join(said)}.")


def _close_old_connections() -> None:
    """As before a request: a database may have been restarted."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Set by the first signal; a second one is taken as if nobody had been asked."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped  # where Python handles no signals
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stopped.set()

    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
