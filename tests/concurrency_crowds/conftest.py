"""The engines, each on what it runs on in production."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.concurrency_crowds.crowds import stored
from tests.engines.rows import UseEngine, configure, use_engine

__all__ = ["configure", "use_engine"]

_ROWS = {
    "redis": ("redis", False),
    "db-sqlite": ("db", False),
    "db-postgres": ("db", True),
    "cached_db-sqlite": ("cached_db", False),
    "cached_db-postgres": ("cached_db", True),
}
"""The engine, and whether its database is PostgreSQL."""


def _marks(on_postgres: bool) -> list[pytest.MarkDecorator]:
    # Workers have connections of their own, and see what was committed.
    committing = pytest.mark.django_db(transaction=True)
    return [committing, pytest.mark.postgres] if on_postgres else [committing]


@pytest.fixture(params=[pytest.param(name, marks=_marks(row[1])) for name, row in _ROWS.items()])
def engine(request: pytest.FixtureRequest, use_engine: UseEngine, configure: Callable[..., None]) -> str:
    """The project's engine, with what is behind it."""
    use_engine(_ROWS[request.param][0])
    configure(SESSION_CLASS="tests.concurrency_crowds.sessions.CrowdSession")
    return str(request.param)


@pytest.fixture
def key(engine: str) -> str:
    """Of the one session that everybody comes to."""
    session = stored()
    session["begun"] = True
    session.save()
    return str(session.session_key)
