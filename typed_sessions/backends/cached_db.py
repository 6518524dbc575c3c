"""``SESSION_ENGINE = "typed_sessions.backends.cached_db"``: records in the database, read from a shared cache."""

from __future__ import annotations

from functools import cached_property

from django.conf import settings

from ..stores.base import Store
from ..stores.cached_database import CachedDatabaseStore
from . import base, stores


class SessionStore(base.SessionStore):
    """Keeps records in the database, and copies of them in the cache that ``SESSION_CACHE_ALIAS`` names."""

    @cached_property
    def store(self) -> Store:
        return stores.of_alias(CachedDatabaseStore, settings.SESSION_CACHE_ALIAS)
