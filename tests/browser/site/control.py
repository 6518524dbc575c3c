"""What prepares a test, from outside: the test's own process has another project, and no database."""

from __future__ import annotations

from unittest.mock import patch

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_redis import get_redis_connection

from tests.browser.site import sessions
from tests.browser.site.settings import REDIS_URL
from typed_sessions import clock
from typed_sessions.admin import ending
from typed_sessions.decorators import session_disabled
from typed_sessions.models import StoredSession

# The part of a second that some hundred sessions take, as thousands of times as many take longer on a site.
patch.object(ending, "SECONDS", 0.1).start()


@session_disabled
def empty(request: HttpRequest) -> HttpResponse:
    """No session, and no trace of one."""
    for model in apps.get_app_config("typed_sessions").get_models():
        if model._meta.managed:
            model._default_manager.all().delete()
    LogEntry.objects.all().delete()
    if REDIS_URL:
        get_redis_connection().flushdb()
    return HttpResponse(status=204)


def enter(request: HttpRequest) -> HttpResponse:
    """Signs `username` in."""
    login(request, User.objects.get(username=request.GET["username"]))
    return redirect("home")


@session_disabled
def grow(request: HttpRequest) -> HttpResponse:
    """Stores `count` sessions more."""
    sessions.grow(int(request.GET["count"]))
    return HttpResponse(status=204)


@session_disabled
def expire(request: HttpRequest) -> HttpResponse:
    """Lets the `session` in the database be as long ago as it lasts."""
    StoredSession.objects.filter(pk=request.GET["session"]).update(expires=clock.now())
    return HttpResponse(status=204)
