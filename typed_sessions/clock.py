"""The one place where the app asks what time it is, so that tests can own the clock."""

from __future__ import annotations

import time


def now() -> int:
    """Seconds since the epoch, rounded down: the unit of every time in a record."""
    return int(time.time())
