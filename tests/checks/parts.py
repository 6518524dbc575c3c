"""What a project may name in its settings: rightly, and wrongly."""

from __future__ import annotations

import json
import pickle
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from typed_sessions import AuthEvents
from typed_sessions.auth import TypedSessionBackend
from typed_sessions.debug import TypedSessionExceptionReporterFilter
from typed_sessions.middleware import TypedSessionMiddleware


class ShopMiddleware(TypedSessionMiddleware):
    pass


class ShopBackend(TypedSessionBackend):
    pass


class ShopEvents(AuthEvents):
    pass


class ShopConsent:
    """Anything that can be called will do."""


class ShopReporterFilter(TypedSessionExceptionReporterFilter):
    pass


class ShopAuthenticationMiddleware(AuthenticationMiddleware):
    pass


class QuietLocalCache(LocMemCache):
    pass


class QuietDummyCache(DummyCache):
    pass


class CompactSerializer:
    def dumps(self, bag: dict[str, Any]) -> bytes:
        return json.dumps(bag, separators=(",", ":")).encode()


class PickleSerializer:
    def dumps(self, bag: dict[str, Any]) -> bytes:
        return pickle.dumps(bag)


class LossySerializer:
    """Writes JSON, and not what it was given."""

    def dumps(self, bag: dict[str, Any]) -> bytes:
        return b"{}"


class FailingSerializer:
    def dumps(self, bag: dict[str, Any]) -> bytes:
        raise RuntimeError("no key to encrypt with")


class NoSerializer:
    pass


a_function = json.dumps
