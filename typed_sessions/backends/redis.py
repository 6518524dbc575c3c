"""``SESSION_ENGINE = "typed_sessions.backends.redis"``: records in Redis or Valkey, through django-redis."""

from __future__ import annotations

from functools import cached_property

from django.conf import settings

from ..stores.base import Store
from ..stores.redis import RedisStore
from . import base, stores


class SessionStore(base.SessionStore):
    """Keeps records in the django-redis cache that ``SESSION_CACHE_ALIAS`` names."""

    @cached_property
    def store(self) -> Store:
        return stores.of_alias(RedisStore, settings.SESSION_CACHE_ALIAS)
