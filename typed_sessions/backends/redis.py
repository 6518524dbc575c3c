"""``SESSION_ENGINE = "typed_sessions.backends.redis"``: records in Redis or Valkey, through django-redis."""

from __future__ import annotations

from django.conf import settings

from ..stores.redis import RedisStore
from . import base, stores


class SessionStore(base.SessionStore):
    """Keeps records in the django-redis cache that ``SESSION_CACHE_ALIAS`` names."""

    @property
    def store(self) -> RedisStore:
        store: RedisStore = stores.of_alias(RedisStore, settings.SESSION_CACHE_ALIAS)
        return store
