"""The servers that the other tests stand on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import BaseCache, caches
from django.db import connections
from django_redis import get_redis_connection

from tests.servers import postgres as postgresql
from tests.servers.cluster import RedisCluster
from tests.servers.postgres import PostgresServer
from tests.servers.process import Server, wait_until
from tests.servers.redis import RedisServer, binaries
from tests.servers.sentinel import RedisSentinel

ROOT = Path(__file__).parent.parent


def _gone(pid: int) -> bool:
    """Also when nobody has yet collected what the kernel keeps of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and only Linux ends orphans")


@pytest.fixture(params=["valkey", "redis6", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest) -> Server:
    """One that nobody else uses, not yet started."""
    if request.param == "postgres":
        return PostgresServer()
    if request.param not in binaries():
        pytest.skip(f"no {request.param}")
    return RedisServer(binaries()[request.param])


@needs_proc
def test_stopped_server_is_gone(server: Server) -> None:
    """A server answers inside its context, and leaves neither process nor directory."""
    with server:
        assert server.answers()
        pid, home = server.pid, server.home
        assert not _gone(pid)
    assert _gone(pid)
    assert not home.exists()


@needs_proc
def test_frozen_server_can_be_stopped(server: Server) -> None:
    """A server that was frozen ends like any other."""
    with server:
        server.freeze()
    assert _gone(server.pid)


def test_killed_server_starts_again(server: Server) -> None:
    """A killed server answers no more until it is started again."""
    with server:
        server.kill()
        assert not server.answers()
        server.start()
        assert server.answers()


@needs_proc
@pytest.mark.parametrize(
    "make",
    [
        pytest.param("redis.RedisServer(next(iter(redis.binaries().values())))", id="redis"),
        pytest.param("postgres.PostgresServer()", id="postgres", marks=pytest.mark.postgres),
    ],
)
def test_server_ends_with_its_killed_parent(make: str) -> None:
    """Not even SIGKILL to the process that started a server leaves it running."""
    tell = "print(server.pid, server.home, flush=True)"
    program = f"from tests.servers import redis, postgres\nserver = {make}.start()\n{tell}\ninput()"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        pid, home = parent.stdout.readline().decode().split()
        assert not _gone(int(pid))
        parent.kill()
    wait_until(lambda: _gone(int(pid)), "the end of the server")
    shutil.rmtree(home)


def test_server_that_cannot_start_says_why() -> None:
    """The server's own words are in the error."""
    server = RedisServer(next(iter(binaries().values())), "--no-such-option", "1")
    with pytest.raises(RuntimeError, match="no-such-option"):
        server.start()
    server.stop()


@pytest.mark.parametrize("attempt", [1, 2])
def test_redis_begins_empty(valkey: RedisServer, attempt: int) -> None:
    """What one test wrote, killed and left is not there for the next."""
    connection = get_redis_connection("valkey")
    assert connection.dbsize() == 0
    connection.set("left", attempt)
    if attempt == 1:
        valkey.kill()
    else:
        valkey.freeze()


@pytest.mark.parametrize("alias", ["locmem", "valkey", "djredis_prefixed", "redis6", "cluster", "sentinel"])
def test_cache_alias_works(alias: str, use_cache: Callable[[str], str]) -> None:
    """Each alias reaches its server, even if the cache was made before the server ran."""
    assert isinstance(caches[alias], BaseCache)
    cache = caches[use_cache(alias)]
    assert cache.get("key") is None
    cache.set("key", "value")
    assert cache.get("key") == "value"
    assert alias == settings.SESSION_CACHE_ALIAS


def test_prefix_keeps_applications_apart(valkey: RedisServer) -> None:
    """Two aliases on one server differ in their keys alone."""
    caches["djredis_prefixed"].set("key", "value")
    assert caches["valkey"].get("key") is None
    assert valkey.client().keys() == [b"shop:1:key"]


def test_cluster_serves_every_slot(redis_cluster: RedisCluster) -> None:
    """Keys spread over three nodes, and the cluster comes back from the loss of one."""
    client = redis_cluster.client()
    for number in range(30):
        client.set(f"key:{number}", number)
    assert all(node.client().dbsize() for node in redis_cluster.nodes)
    redis_cluster.nodes[1].kill()
    redis_cluster.revive()
    assert client.get("key:1") is None


def test_sentinel_promotes_the_replica(redis_sentinel: RedisSentinel) -> None:
    """After the loss of its master, the alias writes to the replica."""
    get_redis_connection("sentinel").set("before", 1)
    redis_sentinel.kill_master()
    get_redis_connection("sentinel").set("after", 1)
    assert redis_sentinel.replica.client().get("after") == b"1"


@pytest.mark.django_db
@pytest.mark.parametrize("vendor", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_marker_chooses_the_database(vendor: str, database_alias: str) -> None:
    """One and the same test runs on SQLite, or marked `postgres` on PostgreSQL."""
    user = User.objects.create_user("ada")
    assert user._state.db == database_alias
    assert connections[database_alias].vendor == vendor
    assert User.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("vendor", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def test_async_rows_do_not_stay(vendor: str, attempt: int) -> None:
    """What an async test writes, in a thread and so outside any transaction of the test, is removed after it."""
    await User.objects.acreate(username="ada")
    assert await User.objects.acount() == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="others never change the user")
def test_private_environment_is_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs that `nobody` cannot reach are reported, and no directory is opened for them."""
    pytest.importorskip("psycopg")
    program = tmp_path / "postgres"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(postgresql, "_programs", lambda: tmp_path)
    assert "cannot reach" in postgresql.unavailable.__wrapped__()
