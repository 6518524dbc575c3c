"""The admin page on Django's own site, and on another one beside a list of users that knows their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.urls import path

from tests.web.urls import urlpatterns as views
from typed_sessions.admin import LiveSessionAdmin, LiveSessionsUserMixin
from typed_sessions.models import LiveSession

if TYPE_CHECKING:
    StockAdmin = UserAdmin[User]
else:
    StockAdmin = UserAdmin


class PersonAdmin(LiveSessionsUserMixin, StockAdmin):
    pass


office = admin.AdminSite(name="office")
office.register(LiveSession, LiveSessionAdmin)
office.register(User, PersonAdmin)

bare = admin.AdminSite(name="bare")
bare.register(User, PersonAdmin)

urlpatterns = [path("office/", office.urls), path("bare/", bare.urls), *views]
