"""``SESSION_ENGINE = "typed_sessions.backends.cache"``: records in any Django cache, which may drop them."""

from __future__ import annotations

from functools import cached_property

from django.conf import settings

from ..stores.base import Store
from ..stores.cache import CacheStore
from . import base, stores


class SessionStore(base.SessionStore):
    """Keeps records in the cache that ``SESSION_CACHE_ALIAS`` names."""

    @cached_property
    def store(self) -> Store:
        return stores.of_alias(CacheStore, settings.SESSION_CACHE_ALIAS)
