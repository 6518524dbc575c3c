"""Counters that begin from nothing, and a site that makes them count."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.web.conftest import (
    _open_connection,
    _views,
    browser,
    clock,
    configure,
    engine,
    handler,
    new_browser,
    use_engine,
    user,
    verbs,
)
from typed_sessions.telemetry import counters

__all__ = [
    "_open_connection",
    "_views",
    "browser",
    "clock",
    "configure",
    "engine",
    "handler",
    "new_browser",
    "use_engine",
    "user",
    "verbs",
]

Counted = Callable[[], dict[str, int]]


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever subscribes in a test is told of nothing after it."""
    monkeypatch.setattr(counters, "_listeners", ())
    counters.reset()
    yield
    counters.reset()


@pytest.fixture
def counted() -> Counted:
    """`counted()` is what has been counted since it was asked last, without what has not."""

    def take() -> dict[str, int]:
        found = {name: number for name, number in counters.snapshot().items() if number}
        counters.reset()
        return found

    return take
