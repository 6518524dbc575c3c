"""Records that somebody or something has changed past the engine, and engines that lack something."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection

from tests.engines.rows import UseEngine, rows
from typed_sessions import EndReason, SessionMode, SessionStatus, tokens
from typed_sessions.backends import base, db, stores
from typed_sessions.backends import cache as cache_engine
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.stores.cache import CacheStore

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db

JUNK = b"\x00junk"


@dataclass
class Store:
    """An engine, and hands on what it stores."""

    engine: type[SessionStore]
    alias: str

    def session(self, **items: object) -> SessionStore:
        session = self.engine()
        session.update(items)
        session.save()
        return session

    def take(self, session: SessionStore) -> Any:
        """What is stored."""
        name = tokens.digest(session.session_key or "")
        if self.engine is db.SessionStore:
            return StoredSession.objects.filter(pk=name).values().get()
        if self.engine is cache_engine.SessionStore:
            return caches[self.alias].get(tokens.urn(name))
        return get_redis_connection(self.alias).get(tokens.urn(name))

    def put(self, session: SessionStore, value: Any) -> None:
        """Stores something else under the session's key."""
        name = tokens.digest(session.session_key or "")
        if self.engine is db.SessionStore:
            columns = value if isinstance(value, dict) else {"data": "junk"}
            StoredSession.objects.filter(pk=name).update(**{**columns, "id": name})
        elif self.engine is cache_engine.SessionStore:
            caches[self.alias].set(tokens.urn(name), value)
        else:
            get_redis_connection(self.alias).set(tokens.urn(name), value)


@pytest.fixture(params=rows("db", "redis", "msgpack", "cache"))
def store(request: pytest.FixtureRequest, use_engine: UseEngine, settings: Settings) -> Store:
    engine = use_engine(request.param)
    return Store(engine, settings.SESSION_CACHE_ALIAS)


def test_s71_junk(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is stored in a record's place opens nothing, is told to the security log, and does no further harm."""
    damaged = store.session(color="red")
    store.put(damaged, JUNK)
    key = damaged.session_key
    assert key is not None
    session = store.engine(key)
    with caplog.at_level(logging.WARNING, "django.security"):
        assert session.load() == {}
    assert (session.typed_session.status, session.typed_session.end_reason) == (
        SessionStatus.ENDED,
        EndReason.UNDECODABLE,
    )
    assert damaged.typed_session.id is not None
    assert damaged.typed_session.id in caplog.text
    assert key not in caplog.text
    assert session.exists(key) is False
    session["size"] = 3
    session.save()
    assert session.session_key != key
    assert store.engine(session.session_key).load() == {"size": 3}


def test_junk_can_be_deleted(store: Store) -> None:
    """A session whose record cannot be read can be ended."""
    damaged = store.session()
    store.put(damaged, JUNK)
    store.engine(damaged.session_key).flush()
    assert not store.engine().exists(damaged.session_key)


@pytest.mark.parametrize("store", rows("redis", "msgpack", "cache"), indirect=True)
def test_s06_record_of_another_session(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A record that stands under another session's key opens nothing, and the security log is told."""
    mine, theirs = store.session(owner="me"), store.session(owner="them")
    store.put(mine, store.take(theirs))
    with caplog.at_level(logging.WARNING, "django.security"):
        assert store.engine(mine.session_key).load() == {}
    assert len(caplog.records) == 1
    assert store.engine(theirs.session_key).load() == {"owner": "them"}


def test_s07_record_of_the_other_mode(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A record that says another mode than its token opens nothing, and the security log is told."""
    session = store.session(color="red")
    stored = store.take(session)
    if isinstance(stored, dict):
        store.put(session, {**stored, "mode": "perm"})
    else:
        assert b"temp" in stored
        store.put(session, stored.replace(b"temp", b"perm", 1))
    again = store.engine(session.session_key)
    with caplog.at_level(logging.WARNING, "django.security"):
        assert again.load() == {}
    assert again.typed_session.status is SessionStatus.REJECTED
    assert "the record is perm and the token is not" in caplog.text


def test_engine_without_a_store() -> None:
    """An engine that names no store says so when it is used."""
    with pytest.raises(NotImplementedError, match="store"):
        base.SessionStore(tokens.issue(SessionMode.TEMP)).load()


def test_bag_can_be_forgotten(store: Store) -> None:
    """Django's private way to drop what was loaded makes the next look load it again."""
    session = store.session(color="red")
    again = store.engine(session.session_key)
    again["color"] = "blue"
    del again._session_cache
    assert not hasattr(again, "_session_cache")
    assert again["color"] == "red"


def test_alias_and_caches_are_read_at_use(use_engine: UseEngine, settings: Settings) -> None:
    """Another SESSION_CACHE_ALIAS, or other CACHES, count from the next store on."""
    engine = use_engine("cache")
    session = engine()
    session.save()
    first = stores.of_alias(CacheStore, "locmem")
    assert stores.of_alias(CacheStore, "locmem") is first
    settings.SESSION_CACHE_ALIAS = "default"
    assert not engine().exists(session.session_key)
    settings.SESSION_CACHE_ALIAS = "locmem"
    assert engine().exists(session.session_key)
    settings.CACHES = dict(settings.CACHES)
    assert stores.of_alias(CacheStore, "locmem") is not first
