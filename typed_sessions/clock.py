"""The one place where the app asks what time it is: tests can own the clock, and a wrong one is set right."""

from __future__ import annotations

import logging
import time
from typing import Final

logger = logging.getLogger("typed_sessions")

TOLERANCE: Final = 2
"""Seconds by which this machine's clock may differ from that of the store."""
_CHECKED_FOR: Final = 60

_offset = 0
_checked: float | None = None
_started = 0.0
"""When this machine was started, as its clock said when it was compared; another value means that it was set."""
_latest = 0


def now() -> int:
    """Seconds since the epoch, rounded down: the unit of every time in a record."""
    return int(time.time()) + (_offset if _offset and not _was_set() else 0)


def milliseconds() -> int:
    """``now``, a thousand times finer, and never the same twice in this process."""
    global _latest  # a process has one clock
    moment = now() * 1000 + int(time.time() * 1000) % 1000
    _latest = _latest + 1 if 0 <= _latest - moment < 60_000 else moment
    return _latest


def machine() -> float:
    """What this machine believes; of the libraries that stop the time for a test, most leave this alone."""
    return time.clock_gettime(time.CLOCK_REALTIME) if hasattr(time, "clock_gettime") else time.time()


def is_checked() -> bool:
    """Whether ``set_by`` was called a short while ago."""
    return _checked is not None and 0 <= time.monotonic() - _checked < _CHECKED_FOR


def set_by(store: int | None, took: float = 0) -> None:
    """From now on it is as late as in the store, which all machines share; ``None`` if that has no clock (REQ-R35).

    ``took`` is how many seconds the store needed to say so: an answer that was under way for long says nothing.
    """
    global _offset, _checked, _started  # a process has one clock
    _checked = time.monotonic()
    if store is None or took > TOLERANCE:
        return
    offset = store - int(machine())
    offset = offset if abs(offset) > TOLERANCE else 0
    if offset != _offset:
        logger.warning("This machine's clock is set right by %s s, as the store has it", offset)
    _offset, _started = offset, machine() - time.monotonic()


def _was_set() -> bool:
    """Whether somebody has set this machine's clock since it was compared, so that it may be right by now."""
    return abs(machine() - time.monotonic() - _started) > TOLERANCE
