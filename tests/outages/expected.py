"""What is to hold when an outage is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.outages.shop import found_in
from tests.outages.visitors import Crowd
from tests.servers.redis import RedisServer
from tests.stores.tools import keys
from typed_sessions import live_sessions, signals

VISITORS = 200


@contextmanager
def losses_told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The ids of lost sessions, as `on_lost` tells them; and that the log does so too."""
    told: list[str] = []

    def hear(session_id: str, **_: Any) -> None:
        told.append(session_id)

    caplog.clear()
    signals.on_lost.connect(hear)
    try:
        with caplog.at_level(logging.WARNING, "typed_sessions"):
            yield told
    finally:
        signals.on_lost.disconnect(hear)
    lines = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    for session_id in told:
        assert len([line for line in lines if session_id in line and "lost" in line]) == 1, session_id


def expect_what_was_acknowledged(crowd: Crowd) -> None:
    """Read past the site, every session holds what the journal says."""
    for visitor in crowd.visitors:
        known = crowd.journal.knowledge_of(visitor.number)
        session = live_sessions.get(visitor.session_id)
        assert known.agrees_with(found_in(session, session.gift_note)), (visitor, known)
        assert known.user == visitor.known.user


def expect_every_key_to_end(server: RedisServer) -> None:
    """REQ-R09."""
    assert [key for key, life in keys(server).items() if life == -1] == []
