"""Every store on everything that it runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection

from typed_sessions import conf, redis_cluster, urn
from typed_sessions.stores import async_redis, cached_database
from typed_sessions.stores.base import Store
from typed_sessions.stores.byte_cache import byte_cache
from typed_sessions.stores.cache import CacheStore
from typed_sessions.stores.cached_database import CachedDatabaseStore
from typed_sessions.stores.database import DatabaseStore
from typed_sessions.stores.redis import RedisStore
from typed_sessions.testing.stores import Plant

if TYPE_CHECKING:
    from pytest_django import Settings

MakeStore = Callable[[str], Store]


class StoreAt(Protocol):
    def __call__(self, location: str | list[str], **options: Any) -> RedisStore: ...


class Kind(NamedTuple):
    """A store on a certain server; ``alias`` is its cache, if it has one."""

    make: Callable[[str], Store]
    alias: str = ""
    codec: str = "json"
    marks: tuple[pytest.MarkDecorator, ...] = ()
    copies: bool = False
    """Whether copies are read at once, as they are some seconds after a write."""


def _database(alias: str) -> Store:
    assert not alias
    return DatabaseStore()


_SQLITE, _POSTGRES = (pytest.mark.django_db,), (pytest.mark.django_db, pytest.mark.postgres)
# Copies are for readers outside transactions.
_COMMITTING = (pytest.mark.django_db(transaction=True),)
_POSTGRES_COMMITTING = (*_COMMITTING, pytest.mark.postgres)

_LIMITS = [(limits, dict(limits)) for limits in (conf.TIME_LIMITS, redis_cluster._TIME_LIMITS)]

KINDS = {
    "sqlite": Kind(_database, marks=_SQLITE),
    "postgres": Kind(_database, marks=_POSTGRES),
    "sqlite+locmem": Kind(CachedDatabaseStore, "locmem", marks=_COMMITTING, copies=True),
    "sqlite+valkey": Kind(CachedDatabaseStore, "valkey", marks=_COMMITTING),
    "postgres+valkey": Kind(CachedDatabaseStore, "valkey", marks=_POSTGRES_COMMITTING),
    "valkey": Kind(RedisStore, "valkey"),
    "valkey msgpack": Kind(RedisStore, "valkey", codec="msgpack"),
    "redis6": Kind(RedisStore, "redis6"),
    "redis6 msgpack": Kind(RedisStore, "redis6", codec="msgpack"),
    "prefixed": Kind(RedisStore, "djredis_prefixed"),
    "cluster": Kind(RedisStore, "cluster"),
    "sentinel": Kind(RedisStore, "sentinel"),
    "cache locmem": Kind(CacheStore, "locmem"),
    "cache valkey": Kind(CacheStore, "valkey", codec="msgpack"),
}


def stores(*names: str) -> list[object]:
    """Parameters for a fixture or test that takes the name of a store."""
    return [pytest.param(name, marks=KINDS[name].marks, id=name.replace(" ", "-")) for name in names]


@pytest.fixture
def made() -> Iterator[list[Store]]:
    """The stores of a test. A process has each only once, and never has to close it; here there are hundreds."""
    stores: list[Store] = []
    yield stores
    for store in stores:
        if isinstance(store, RedisStore):
            for client in store._async_clients._clients.values():
                async_redis._abandon(client.client)


@pytest.fixture
def make_store(
    use_cache: Callable[[str], str], settings: Settings, monkeypatch: pytest.MonkeyPatch, made: list[Store]
) -> MakeStore:
    """`make_store(name)` gives the store of that name, empty."""

    def make(name: str) -> Store:
        kind = KINDS[name]
        settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "CODEC": kind.codec}
        if kind.copies:
            monkeypatch.setattr(cached_database, "MARK_LIFE", 0)
        made.append(kind.make(use_cache(kind.alias) if kind.alias else ""))
        return made[-1]

    return make


@pytest.fixture
def hasty_store(
    use_cache: Callable[[str], str], store_at: StoreAt, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], RedisStore]:
    """`hasty_store(alias)` gives a Redis store with the time limits that sites have, and connections of its own."""
    for limits, original in _LIMITS:
        for name, limit in original.items():
            monkeypatch.setitem(limits, name, limit)
    monkeypatch.setattr(redis_cluster.ClusterConnectionFactory, "_clients", {})

    def make(alias: str) -> RedisStore:
        entry = settings.CACHES[use_cache(alias)]
        location = entry["LOCATION"] + ("&" if "?" in entry["LOCATION"] else "?") + "client_name=hasty"
        return store_at(location, **entry["OPTIONS"])

    return make


@pytest.fixture
def plant(store: Store) -> Plant:
    """Puts a value where the store has a record, past the store."""

    def put(session_id: str, value: bytes) -> None:
        if isinstance(store, RedisStore):
            prefix = caches[store.alias].key_prefix
            get_redis_connection(store.alias).set(f"{prefix}:" * bool(prefix) + urn(session_id), value, ex=600)
        else:
            assert isinstance(store, CacheStore)
            byte_cache(store.alias).set(urn(session_id), value, 600)

    return put


@pytest.fixture
def store_at(settings: Settings, made: list[Store]) -> StoreAt:
    """`store_at(location, **options)` gives a Redis store there; `options` are those of django-redis."""

    def make(location: str | list[str], **options: Any) -> RedisStore:
        entry = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}
        settings.CACHES = {**settings.CACHES, "elsewhere": entry}
        store = RedisStore("elsewhere")
        made.append(store)
        return store

    return make
