"""A Redis Cluster of three nodes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from tests.servers.process import wait_until
from tests.servers.redis import RedisServer, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

_SLOTS = 16_384


class RedisCluster:
    """Three masters without replicas; forming takes two seconds, the time a new master waits before it serves."""

    def __init__(self, binary: Path) -> None:
        config = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        self.nodes = [RedisServer(binary, *config, port=free_port()) for _ in range(3)]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def startup_urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def client(self) -> redis.RedisCluster:
        return self._client

    @cached_property
    def _client(self) -> redis.RedisCluster:
        return redis.RedisCluster.from_url(self.url, socket_timeout=5)

    def start(self) -> Self:
        for node in self.nodes:
            node.start()
        self._form()
        return self

    def _form(self) -> None:
        for number, node in enumerate(self.nodes):
            slots = range(_SLOTS * number // 3, _SLOTS * (number + 1) // 3)
            node.run("CLUSTER ADDSLOTS", *slots)
            # Equal epochs would make the nodes argue about who owns which slot.
            node.run("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].run("CLUSTER MEET", "127.0.0.1", node.port)
        self._wait()

    def _wait(self) -> None:
        wait_until(lambda: all(map(_serves, self.nodes)), "the cluster to agree")

    def revive(self) -> Self:
        """All nodes running and empty, and of one mind."""
        for node in self.nodes:
            node.revive()
        self._wait()
        return self

    def stop(self) -> None:
        if "_client" in vars(self):
            self._client.close()
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _serves(node: RedisServer) -> bool:
    info = node.run("CLUSTER INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_size"] == "3" and info["cluster_known_nodes"] == "3")
