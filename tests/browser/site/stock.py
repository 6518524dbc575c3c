"""Django's own admin site, with the users of the project in it."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from typed_sessions.admin import LiveSessionsUserMixin

admin.site.unregister(User)


@admin.register(User)
class PeopleAdmin(LiveSessionsUserMixin, UserAdmin):  # type: ignore[type-arg]  # not to be had at run time
    pass


urls = admin.site.urls
