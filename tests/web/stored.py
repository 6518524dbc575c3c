"""What the store of an engine holds, past the engine."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import caches
from django_redis import get_redis_connection

from tests.stores.tools import goes_by_itself
from typed_sessions import clock, tokens
from typed_sessions.backends import cache, cached_db, db
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.stores.record import Record

_IN_TABLE = (db.SessionStore, cached_db.SessionStore)


def count(engine: type[SessionStore]) -> int:
    """How many sessions live."""
    store, now = engine().store, clock.now()
    if not issubclass(engine, cache.SessionStore):
        return store.count(now)
    found = [store.load(key.rpartition(":")[2]) for key in _local_memory()]
    return sum(isinstance(record, Record) and record.is_live(now) for record in found)


def raw_records(engine: type[SessionStore]) -> list[Any]:
    """Everything that is stored of sessions, as it is stored; of copies, what they are made of."""
    if issubclass(engine, _IN_TABLE):
        return list(StoredSession.objects.order_by("pk").values_list())
    if issubclass(engine, cache.SessionStore):
        return sorted(_local_memory().items())
    client = get_redis_connection(settings.SESSION_CACHE_ALIAS)
    return [(key, client.dump(key)) for key in sorted(client.keys("*"))]


def what_stays(engine: type[SessionStore]) -> list[Any]:
    """Of all that, what does not go by itself."""
    in_table = issubclass(engine, (*_IN_TABLE, cache.SessionStore))
    return [one for one in raw_records(engine) if in_table or not goes_by_itself(one[0].decode())]


def wipe(engine: type[SessionStore]) -> None:
    """The store loses everything."""
    if issubclass(engine, _IN_TABLE):
        StoredSession.objects.all().delete()
    if not issubclass(engine, db.SessionStore):
        caches[settings.SESSION_CACHE_ALIAS].clear()


def spoil(engine: type[SessionStore], token: str, old: bytes, new: bytes) -> None:
    """Changes the bytes that are stored of a session."""
    session_id = tokens.digest(token)
    if issubclass(engine, db.SessionStore):
        row = StoredSession.objects.get(pk=session_id)
        assert old.decode() in row.data
        row.data = row.data.replace(old.decode(), new.decode())
        row.save()
        return
    client = get_redis_connection(settings.SESSION_CACHE_ALIAS)
    value: Any = client.get(tokens.urn(session_id))
    assert old in value
    client.set(tokens.urn(session_id), value.replace(old, new), keepttl=True)


def _local_memory() -> dict[str, bytes]:
    """What Django's cache in memory holds, by key."""
    memory: Any = caches[settings.SESSION_CACHE_ALIAS]
    return dict(memory._cache)
