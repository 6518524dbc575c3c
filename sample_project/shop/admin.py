"""The shop's part of Django's admin. The page of live sessions is there by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User

from typed_sessions.admin import LiveSessionsUserMixin

if TYPE_CHECKING:
    BaseUserAdmin = DjangoUserAdmin[User]
else:
    BaseUserAdmin = DjangoUserAdmin

admin.site.unregister(User)


@admin.register(User)
class UserAdmin(LiveSessionsUserMixin, BaseUserAdmin):
    """A customer's page says where they are signed in."""
