"""The page of live sessions in Django's admin: ``LiveSessionAdmin``, which Django's own site has by itself, and
``LiveSessionsUserMixin`` for the project's admin of users.
"""

from __future__ import annotations

from django.contrib import admin

from ..models import LiveSession
from .sessions import LiveSessionAdmin
from .users import LiveSessionsUserMixin

__all__ = ["LiveSessionAdmin", "LiveSessionsUserMixin"]

admin.site.register(LiveSession, LiveSessionAdmin)
