"""The shipped contract on every engine we ship."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines.rows import UseEngine, rows
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Awaiting, Driven, EngineContract, OpenSession


@pytest.mark.django_db
class TestEngines(EngineContract):
    """Every engine, on each of the stores behind it."""

    @pytest.fixture(params=rows("db", "postgres", "cached_db", "redis", "msgpack", "redis6", "cache"))
    def engine(self, request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
        return use_engine(request.param)


class TestCluster(EngineContract):
    """The cluster, where each new event loop costs a look at the cluster's map: one loop for a whole test."""

    @pytest.fixture
    def engine(self, use_engine: UseEngine) -> type[SessionStore]:
        return use_engine("cluster")

    @pytest.fixture(params=["sync", "async"])
    def open_session(self, engine: type[SessionStore], request: pytest.FixtureRequest) -> Iterator[OpenSession]:
        loop = asyncio.new_event_loop()

        def on_the_loop(twin: Any) -> Any:
            return lambda *args, **kwargs: loop.run_until_complete(twin(*args, **kwargs))

        awaiting: Awaiting | None = on_the_loop if request.param == "async" else None
        yield lambda key=None: Driven(engine(key), awaiting)
        loop.close()
