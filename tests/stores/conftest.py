"""Every store on everything that it runs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection

from typed_sessions import urn
from typed_sessions.stores import cached_database
from typed_sessions.stores.base import Store
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
def make_store(
    use_cache: Callable[[str], str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Store]:
    """`make_store(name)` gives the store of that name, empty."""

    def make(name: str) -> Store:
        kind = KINDS[name]
        settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "CODEC": kind.codec}
        if kind.copies:
            monkeypatch.setattr(cached_database, "MARK_LIFE", 0)
        return kind.make(use_cache(kind.alias) if kind.alias else "")

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
            caches[store.alias].set(urn(session_id), value)

    return put


@pytest.fixture
def store_at(settings: Settings) -> StoreAt:
    """`store_at(location, **options)` gives a Redis store there; `options` are those of django-redis."""

    def make(location: str | list[str], **options: Any) -> RedisStore:
        entry = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}
        settings.CACHES = {**settings.CACHES, "elsewhere": entry}
        return RedisStore("elsewhere")

    return make
