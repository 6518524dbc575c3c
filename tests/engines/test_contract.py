"""The shipped contract on every engine we ship."""

from __future__ import annotations

import pytest

from tests.engines.rows import UseEngine, rows
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import EngineContract


@pytest.mark.django_db
class TestEngines(EngineContract):
    """Every engine, on each of the stores behind it."""

    @pytest.fixture(params=rows())
    def engine(self, request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
        return use_engine(request.param)
