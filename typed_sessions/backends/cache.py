"""``SESSION_ENGINE = "typed_sessions.backends.cache"``: records in any Django cache, which may drop them."""

from __future__ import annotations

from django.conf import settings

from ..stores.cache import CacheStore
from . import base, stores


class SessionStore(base.SessionStore):
    """Keeps records in the cache that ``SESSION_CACHE_ALIAS`` names."""

    @property
    def store(self) -> CacheStore:
        store: CacheStore = stores.of_alias(CacheStore, settings.SESSION_CACHE_ALIAS)
        return store
