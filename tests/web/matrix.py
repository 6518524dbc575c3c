"""What the tests of requirements run on: each engine, or each pair of engine, transport and handler that matters."""

from __future__ import annotations

import pytest

from tests.engines.rows import rows

TRANSACTIONAL = pytest.mark.django_db(transaction=True)
"""In a transaction that the test rolls back, cached_db would make no copies."""

ENGINES = [*rows("db", "redis", "cache"), pytest.param("cached_db", marks=TRANSACTIONAL)]

each_engine = pytest.mark.parametrize("engine", ENGINES, indirect=True)

each_engine_once = pytest.mark.parametrize(
    ("engine", "handler"),
    [("db", "wsgi"), ("redis", "asgi"), ("cache", "wsgi"), pytest.param("cached_db", "asgi", marks=TRANSACTIONAL)],
    indirect=True,
)
"""Every engine with one of the handlers, for what does not depend on the two together."""

two_engines = pytest.mark.parametrize(("engine", "handler"), [("db", "wsgi"), ("redis", "asgi")], indirect=True)
"""For what no store has a part in."""

each_way = pytest.mark.parametrize(
    ("engine", "transport", "handler"),
    [
        ("db", "cookie", "wsgi"),
        ("db", "header", "asgi"),
        ("redis", "cookie", "asgi"),
        ("redis", "header", "wsgi"),
        ("cache", "cookie", "wsgi"),
        ("cache", "header", "asgi"),
        pytest.param("cached_db", "cookie", "asgi", marks=TRANSACTIONAL),
        pytest.param("cached_db", "header", "wsgi", marks=TRANSACTIONAL),
    ],
    indirect=True,
)
"""Every engine with both transports, and either of both with both handlers."""

half_of_the_ways = pytest.mark.parametrize(
    ("engine", "transport", "handler"),
    [
        ("db", "header", "wsgi"),
        ("redis", "cookie", "asgi"),
        ("cache", "header", "asgi"),
        pytest.param("cached_db", "cookie", "wsgi", marks=TRANSACTIONAL),
    ],
    indirect=True,
)
"""Every engine, transport and handler, for what is repeated for many paths."""
