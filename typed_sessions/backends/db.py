"""``SESSION_ENGINE = "typed_sessions.backends.db"``: records in the database."""

from __future__ import annotations

from ..stores.database import DatabaseStore
from . import base

_STORE = DatabaseStore()


class SessionStore(base.SessionStore):
    """Keeps records in the database that the routers name."""

    @property
    def store(self) -> DatabaseStore:
        return _STORE
