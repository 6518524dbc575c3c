"""The one place where the app asks what time it is: tests can own the clock, and a wrong one is set right."""

from __future__ import annotations

import time
from typing import Final

TOLERANCE: Final = 2
"""Seconds by which this machine's clock may differ from that of the store."""
_CHECKED_FOR: Final = 60

_offset = 0
_checked: float | None = None
_latest = 0


def now() -> int:
    """Seconds since the epoch, rounded down: the unit of every time in a record."""
    return int(time.time()) + _offset


def milliseconds() -> int:
    """``now``, a thousand times finer, and never the same twice in this process."""
    global _latest  # a process has one clock
    moment = now() * 1000 + int(time.time() * 1000) % 1000
    _latest = _latest + 1 if 0 <= _latest - moment < 60_000 else moment
    return _latest


def machine() -> float:
    """What this machine believes, which no library has changed that stops the time for a test."""
    return time.clock_gettime(time.CLOCK_REALTIME) if hasattr(time, "clock_gettime") else time.time()


def is_checked() -> bool:
    """Whether ``set_by`` was called a short while ago."""
    return _checked is not None and time.monotonic() - _checked < _CHECKED_FOR


def set_by(store: int | None) -> None:
    """From now on it is as late as in the store, which all machines share; ``None`` if that has no clock (REQ-R35)."""
    global _offset, _checked  # a process has one clock
    _checked = time.monotonic()
    if store is not None:
        offset = store - int(machine())
        _offset = offset if abs(offset) > TOLERANCE else 0
