"""Every engine and both transports; each answer of every test in this folder is inspected on its way."""

from __future__ import annotations

import pytest

from tests.engines.rows import UseEngine
from tests.web.browser import HANDLERS, Ask, Browser
from tests.web.conftest import NewBrowser
from tests.web.everywhere.inspected import Inspected
from tests.web.everywhere.visitors import NewVisitor, client_of
from tests.web.matrix import ENGINES
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Configure


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
    """Every engine that a project can choose."""
    return use_engine(request.param)


@pytest.fixture(params=["cookie", "header"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def new_browser(_open_connection: None, handler: str) -> NewBrowser:
    made: list[Ask] = []

    def new(**cookies: str) -> Browser:
        if not made:
            made.append(Inspected(HANDLERS[handler]()))
        return Browser(made[0], {name.replace("_", "-"): value for name, value in cookies.items()})

    return new


@pytest.fixture
def new_visitor(
    transport: str, engine: type[SessionStore], new_browser: NewBrowser, configure: Configure
) -> NewVisitor:
    """Another visitor by the transport: a browser, or a client that sends headers."""
    if transport == "header":
        configure(HEADERS=["/"])
    return lambda: client_of(transport, new_browser().ask)
