"""How many sessions are live, for who asks now and then, and on a thread of its own."""

from __future__ import annotations

import logging

from django.db import connections

from ..live import live_sessions

logger = logging.getLogger("typed_sessions")


def count() -> int | None:
    """``None`` if the store does not answer, which must not hide all other metrics."""
    try:
        _close_old_connections()
        number = live_sessions.count()
        _close_old_connections()
    except Exception as error:
        logger.error("Live sessions could not be counted: %s", error)
        return None
    return number


def _close_old_connections() -> None:
    """As Django does before and after a request, because the thread of an exporter has none."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # of a request that somebody scrapes by
            connection.close_if_unusable_or_obsolete()
