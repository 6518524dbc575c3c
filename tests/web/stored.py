"""What the store of an engine holds, past the engine."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django_redis import get_redis_connection

from typed_sessions import clock, tokens
from typed_sessions.backends import db
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession


def count(engine: type[SessionStore]) -> int:
    """How many sessions live."""
    return engine().store.count(clock.now())


def raw_records(engine: type[SessionStore]) -> list[Any]:
    """Everything that is stored of sessions, as it is stored."""
    if issubclass(engine, db.SessionStore):
        return list(StoredSession.objects.order_by("pk").values_list())
    client = get_redis_connection(settings.SESSION_CACHE_ALIAS)
    return [(key, client.dump(key)) for key in sorted(client.keys("*"))]


def wipe(engine: type[SessionStore]) -> None:
    """The store loses everything."""
    if issubclass(engine, db.SessionStore):
        StoredSession.objects.all().delete()
    else:
        get_redis_connection(settings.SESSION_CACHE_ALIAS).flushall()


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
