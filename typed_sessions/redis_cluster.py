"""Redis Cluster for django-redis, which has no client for it.

CACHES = {"default": {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": "redis://node-1:6379",
    "OPTIONS": {"CONNECTION_FACTORY": "typed_sessions.redis_cluster.ClusterConnectionFactory"},
}}
"""

from __future__ import annotations

import threading
from typing import Any

from django_redis.pool import ConnectionFactory
from redis.cluster import RedisCluster

from .conf import TIME_LIMITS

# A cluster client tries other nodes before it gives up, each with this limit.
_TIME_LIMITS = TIME_LIMITS | {"socket_timeout": TIME_LIMITS["socket_timeout"] / 2}


class ClusterConnectionFactory(ConnectionFactory):  # type: ignore[misc]  # django-redis has no types
    """Gives every alias with the same ``LOCATION`` one cluster client, which finds the other nodes by itself.

    It takes ``USERNAME``, ``PASSWORD``, the time limits and ``CONNECTION_POOL_KWARGS`` from ``OPTIONS``.
    """

    _clients: dict[str, RedisCluster] = {}
    _lock = threading.Lock()

    # The base class says Redis; a cluster client has the same commands, and is none.
    def connect(self, url: str) -> Any:
        client = self._clients.get(url)
        if client is None:
            with self._lock:
                if url not in self._clients:
                    self._clients[url] = RedisCluster.from_url(url, **self._options(url))
                client = self._clients[url]
        return client

    def disconnect(self, connection: Any) -> None:
        """Nothing: the client is shared by all threads of the process, and closed with it."""

    def _options(self, url: str) -> dict[str, Any]:
        # No parser_class: a cluster client brings its own, which understands redirections. The url is given by itself.
        return {
            name: value
            for name, value in {**_TIME_LIMITS, **self.make_connection_params(url), **self.pool_cls_kwargs}.items()
            if name not in ("url", "parser_class")
        }
