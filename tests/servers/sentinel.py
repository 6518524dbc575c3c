"""Redis Sentinel: a master, its replica, and one sentinel that watches both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.process import wait_until
from tests.servers.redis import RedisServer, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

SERVICE = "main"


class _Sentinel(RedisServer):
    def __init__(self, binary: Path, master: RedisServer) -> None:
        super().__init__(binary, port=free_port())
        self._master = master

    def command(self) -> list[str]:
        return [str(self.binary), f"{self.home}/sentinel.conf", "--sentinel"]

    def start(self) -> Self:
        # A sentinel writes what it learns into this file: each start begins anew.
        self.home.mkdir(mode=0o700, exist_ok=True)
        (self.home / "sentinel.conf").write_text(
            f"port {self.port}\n"
            "bind 127.0.0.1\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        return super().start()

    def view(self) -> dict[str, Any]:
        """What the sentinel takes for the master."""
        return dict(self.run("SENTINEL MASTER", SERVICE))


class RedisSentinel:
    """After `kill_master()` the sentinel promotes the replica, in about a second."""

    def __init__(self, binary: Path) -> None:
        # A replica is served at once, not after the five seconds in which a master waits for more of them.
        self.master = RedisServer(binary, "--repl-diskless-sync-delay", "0", port=free_port())
        self.replica = RedisServer(binary, "--replicaof", "127.0.0.1", str(self.master.port), port=free_port())
        self.sentinel = _Sentinel(binary, self.master)
        self._servers = (self.master, self.replica, self.sentinel)

    @property
    def url(self) -> str:
        """The location as django-redis wants it, with the name of the service for the host."""
        return f"redis://{SERVICE}/0"

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Of the sentinels."""
        return [("127.0.0.1", self.sentinel.port)]

    def start(self) -> Self:
        self.master.start()
        self.replica.start()
        wait_until(self._replicates, "the replica to follow its master")
        self.sentinel.start()
        wait_until(self._knows_the_replica, "the sentinel to know the replica")
        return self

    def _replicates(self) -> bool:
        return bool(self.replica.client().info("replication").get("master_link_status") == "up")

    def _knows_the_replica(self) -> bool:
        view = self.sentinel.view()
        return bool(view["port"] == self.master.port and view["flags"] == "master" and view["num-slaves"] == 1)

    def kill_master(self) -> None:
        """Return when the replica has taken over."""
        self.master.kill()
        wait_until(lambda: self.sentinel.view()["port"] == self.replica.port, "the failover")

    def revive(self) -> Self:
        """The first master is master again, and empty."""
        whole = all(server.answers() for server in self._servers)
        if not (whole and self._knows_the_replica() and self._replicates()):
            self.stop()
            self.start()
        self.master.client().flushall()
        return self

    def stop(self) -> None:
        for server in self._servers:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
