"""An admin site of the project's own, under a name of its own; the default one is not there."""

from django.contrib.admin import AdminSite
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from typed_sessions.admin import LiveSessionAdmin, LiveSessionsUserMixin
from typed_sessions.models import LiveSession


class PeopleAdmin(LiveSessionsUserMixin, UserAdmin):  # type: ignore[type-arg]  # not to be had at run time
    pass


site = AdminSite(name="operations")
site.site_header = "Operations"
site.register(LiveSession, LiveSessionAdmin)
site.register(User, PeopleAdmin)
urls = site.urls
