"""``SESSION_ENGINE = "typed_sessions.backends.db"``: records in the database."""

from __future__ import annotations

from functools import cached_property

from ..stores.base import Store
from ..stores.database import DatabaseStore
from . import base

_STORE = DatabaseStore()


class SessionStore(base.SessionStore):
    """Keeps records in the database that the routers name."""

    @cached_property
    def store(self) -> Store:
        return _STORE
