"""What is compared: our engines, Django's, and bare Redis; each with the same verbs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from typing import Any
from unittest.mock import patch

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test.utils import override_settings
from django_redis import get_redis_connection

from typed_sessions import clock

from . import content, pages
from .site import DIRECT, Pages


class Engine:
    """One way to keep sessions. A key names a stored session."""

    settings: Mapping[str, Any] = {}
    views = ""
    """Where this engine's pages are."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    @contextmanager
    def in_force(self, alias: str = DIRECT, **settings: Any) -> Iterator[None]:
        """Django's settings as this engine needs them, on one of the cache aliases."""
        with override_settings(**{**self.settings, **settings, "SESSION_CACHE_ALIAS": alias}):
            yield

    @cached_property
    def pages(self) -> Pages:
        return Pages()


class NoSessions(Engine):
    """A project without sessions: what a request costs anyhow."""

    settings = {"MIDDLEWARE": []}


class StoringEngine(Engine, ABC):
    """An engine that can be told what to do without a request."""

    @abstractmethod
    def begin(self, user: str | None, age: int = 0, items: int = 10) -> str:
        """Stores a new session with the content, last used ``age`` seconds ago. Its key."""

    @abstractmethod
    def load(self, key: str) -> None:
        """Reads one value."""

    @abstractmethod
    def change(self, key: str) -> None:
        """Reads, changes one value, and saves."""

    @abstractmethod
    def create(self, key: str) -> None:
        """Stores a new session; ``key`` is not used."""

    @abstractmethod
    def delete(self, key: str) -> None: ...


class BareRedis(StoringEngine):
    """The commands alone, by redis-py on the same connection pool: the floor for whatever uses that client."""

    _client: Any
    _value = b"x" * 2048

    def begin(self, user: str | None, age: int = 0, items: int = 10) -> str:
        self._client.set("bare", self._value, ex=3600)
        return "bare"

    def load(self, key: str) -> None:
        self._client.get(key)

    def change(self, key: str) -> None:
        self._client.get(key)
        self.create(key)

    def create(self, key: str) -> None:
        self._client.set(key, self._value, ex=3600)

    def delete(self, key: str) -> None:
        self._client.delete(key)

    @contextmanager
    def in_force(self, alias: str = DIRECT, **settings: Any) -> Iterator[None]:
        self._client = get_redis_connection(alias)
        yield


class SessionEngine(StoringEngine):
    """A Django session engine, ours or Django's."""

    _content: Callable[[int], Any]

    def __init__(self, name: str, module: str, **settings: Any) -> None:
        super().__init__(name)
        self.settings = {"SESSION_ENGINE": module, **settings}
        self._store_class: Any = import_module(module).SessionStore
        self._whole = self._content(10)

    def store(self, key: str | None = None) -> Any:
        return self._store_class(key)

    def begin(self, user: str | None, age: int = 0, items: int = 10) -> str:
        store = self.store()
        self._fill(store, self._content(items))
        if user is not None:
            store[SESSION_KEY] = user
            store[BACKEND_SESSION_KEY] = self.settings["AUTHENTICATION_BACKENDS"][0]
            store[HASH_SESSION_KEY] = pages.customer().get_session_auth_hash()
        then = clock.now() - age
        with patch("typed_sessions.clock.now", lambda: then):
            store.save()
        key: str = store.session_key
        return key

    def load(self, key: str) -> None:
        self.value(key, "currency")

    def change(self, key: str) -> None:
        self.count_up(key, "page_views")

    def create(self, key: str) -> None:
        store = self.store()
        self._fill(store, self._whole)
        store.save()

    def cycle(self, key: str) -> None:
        """Loads, and moves the session to a new key."""
        self.store(key).cycle_key()

    def delete(self, key: str) -> None:
        self.store(key).delete()

    @abstractmethod
    def value(self, key: str, field: str) -> Any: ...

    @abstractmethod
    def count_up(self, key: str, field: str, view: float = 0) -> None:
        """Reads, adds one to a field, takes ``view`` seconds for it, and saves."""

    @abstractmethod
    def _fill(self, store: Any, content: Any) -> None:
        """Gives an unsaved session its content."""


class DjangoEngine(SessionEngine):
    """Of ``django.contrib.sessions``."""

    views = "plain"
    _content = staticmethod(content.plain)

    def __init__(self, name: str, backend: str) -> None:
        super().__init__(
            name,
            f"django.contrib.sessions.backends.{backend}",
            MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
            AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"],
        )

    def value(self, key: str, field: str) -> Any:
        return self.store(key)[field]

    def count_up(self, key: str, field: str, view: float = 0) -> None:
        store = self.store(key)
        store[field] += 1
        if view:
            time.sleep(view)
        store.save()

    def _fill(self, store: Any, content: Any) -> None:
        store.update(content)


class OurEngine(SessionEngine):
    """Of ``typed_sessions``."""

    views = "typed"
    _content = staticmethod(content.typed)

    def __init__(self, name: str, backend: str, codec: str = "json", **others: Any) -> None:
        settings = {
            "MIDDLEWARE": ["typed_sessions.middleware.TypedSessionMiddleware"],
            "AUTHENTICATION_BACKENDS": ["typed_sessions.auth.TypedSessionBackend"],
            "TYPED_SESSIONS": {"SESSION_CLASS": "benchmarks.content.ShopSession", "CODEC": codec},
        }
        super().__init__(name, f"typed_sessions.backends.{backend}", **{**settings, **others})

    def value(self, key: str, field: str) -> Any:
        return getattr(self.store(key).typed_session, field)

    def count_up(self, key: str, field: str, view: float = 0) -> None:
        store = self.store(key)
        session = store.typed_session
        setattr(session, field, getattr(session, field) + 1)
        if view:
            time.sleep(view)
        store.save()

    def _fill(self, store: Any, content: Any) -> None:
        store.typed_session = content
