"""How many sessions are live, for who asks now and then, and on a thread of its own."""

from __future__ import annotations

import logging

from django.db import close_old_connections

from ..live import live_sessions

logger = logging.getLogger("typed_sessions")


def count() -> int | None:
    """``None`` if the store does not answer, which must not hide all other metrics."""
    try:
        close_old_connections()  # no request does so on the thread of an exporter
        number: int = live_sessions.count()
        close_old_connections()
    except Exception as error:
        logger.error("Live sessions could not be counted: %s", error)
        return None
    return number
