"""Django's own admin site in django-unfold's look, which the project's users have by its class."""

from importlib import import_module

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from typed_sessions.admin import LiveSessionsUserMixin

# It is not there for every type checker.
_ModelAdmin = import_module("unfold.admin").ModelAdmin

admin.site.unregister(User)
admin.site.register(User, type("PeopleAdmin", (LiveSessionsUserMixin, UserAdmin, _ModelAdmin), {}))
urls = admin.site.urls
