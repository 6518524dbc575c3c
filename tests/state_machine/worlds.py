"""The stores that the machine runs on: what is in them, past the package, and how time passes there."""

from __future__ import annotations

import pickle
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from django.core.cache import caches

from typed_sessions.stores import database, wire
from typed_sessions.stores.record import Record, Tombstone

if TYPE_CHECKING:
    from redis import Redis

Stored = dict[str, Record | Tombstone]

_KEY = re.compile(rb"urn:iauthsession:([0-9a-f]{40})$")


class World(ABC):
    """One store, with what tests need of the server behind it."""

    breaks_rotations = False
    """Whether a rotation is more than one act, so that a worker can die between them."""
    sends_twice = False
    """Whether the client sends again what got no reply, so that others can have done something meanwhile."""

    @abstractmethod
    def clear(self) -> None:
        """Empties it."""

    @abstractmethod
    def stored(self) -> Stored:
        """Everything that is there."""

    @abstractmethod
    def age(self, seconds: int) -> None:
        """Lets so much time pass there: what has lived long enough is gone."""


_ALL = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*urn:iauthsession:*')) do
  if redis.call('TYPE', key).ok == 'string' then
    table.insert(found, key)
    table.insert(found, redis.call('GET', key))
  end
end
return found
"""
_AGE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key) - ARGV[1] * 1000
  if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
end
"""


class RedisWorld(World):
    """Redis or Valkey, or the nodes of a cluster. A key without a time to live would be gone as soon as time passes."""

    def __init__(self, nodes: Iterable[Redis], breaks_rotations: bool, sends_twice: bool) -> None:
        self._nodes = list(nodes)
        self.breaks_rotations = breaks_rotations
        self.sends_twice = sends_twice

    def clear(self) -> None:
        for node in self._nodes:
            node.flushall()

    def stored(self) -> Stored:
        pairs: list[bytes] = [part for node in self._nodes for part in cast("list[bytes]", node.eval(_ALL, 0))]
        return _decoded(zip(pairs[::2], pairs[1::2], strict=True))

    def age(self, seconds: int) -> None:
        for node in self._nodes:
            node.eval(_AGE, 0, str(seconds))


class LocalWorld(World):
    """The memory of this process."""

    breaks_rotations = True

    def __init__(self, alias: str) -> None:
        self._cache: Any = caches[alias]

    def clear(self) -> None:
        self._cache.clear()

    def stored(self) -> Stored:
        now = time.time()
        lives = self._cache._expire_info
        values = self._cache._cache.items()
        return _decoded(
            (key.encode(), pickle.loads(value))
            for key, value in list(values)
            if lives[key] is not None and lives[key] > now
        )

    def age(self, seconds: int) -> None:
        for key in self._cache._expire_info:
            self._cache._expire_info[key] -= seconds


class DatabaseWorld(World):
    """A table, and for `cached_db` a cache beside it."""

    def __init__(self, cache: World | None = None) -> None:
        self._cache = cache

    def clear(self) -> None:
        database.DatabaseStore()._rows.all().delete()
        if self._cache:
            self._cache.clear()

    def stored(self) -> Stored:
        rows = database.DatabaseStore()._rows.values_list(*database._COLUMNS)
        return {row[0]: database._found(row[0], row) for row in rows}

    def age(self, seconds: int) -> None:
        if self._cache:  # rows go when they are swept
            self._cache.age(seconds)


def _decoded(pairs: Iterable[tuple[bytes, bytes]]) -> Stored:
    return dict(_records(pairs))


def _records(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, Record | Tombstone]]:
    for key, value in pairs:
        if found := _KEY.search(key):
            session_id = found[1].decode()
            yield session_id, wire.decode(session_id, value)
