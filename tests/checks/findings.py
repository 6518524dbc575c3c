"""What the system checks say of settings, in this process and in a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import UserSettingsHolder
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.test import override_settings

from typed_sessions import conf

ROOT = Path(__file__).resolve().parents[2]

OURS = "typed_sessions.middleware.TypedSessionMiddleware"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}

ABSENT: Any = object()
"""The value of a setting that is not there."""


def engine(name: str) -> str:
    return f"typed_sessions.backends.{name}"


def redis(**options: Any) -> dict[str, Any]:
    """A cache of django-redis that nothing answers for, with the time limits it should have."""
    limits = {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.5}
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://nowhere.invalid:6379/0",
        "OPTIONS": {**limits, **options},
    }


def on(name: str, **cache: Any) -> dict[str, Any]:
    """The settings of an engine whose sessions are in this cache."""
    return {"SESSION_ENGINE": engine(name), "CACHES": {"default": cache}}


def typed(**keys: Any) -> dict[str, Any]:
    """The quick start's TYPED_SESSIONS, with these keys more."""
    return {"TYPED_SESSIONS": {"SESSION_CLASS": "tests.sessions.ShopSession", **keys}}


def served(**changed: Any) -> dict[str, Any]:
    """The quick start's settings on a server, of which `check --deploy` has no complaint, with these changed."""
    given = {**typed(), **changed}["TYPED_SESSIONS"]
    if isinstance(given, Mapping):
        given = {"COOKIE_PREFIX": "__Host-", **given}
    safe = {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_NAME": "__Host-ss-id"}
    return {**safe, **changed, "TYPED_SESSIONS": given}


@contextmanager
def settings_are(**changed: Any) -> Iterator[None]:
    """The settings as a module could have them, odd ones too.

    Not override_settings, which tells receivers that themselves fail for odd ones.
    """
    before = django_settings._wrapped
    holder = UserSettingsHolder(before)
    for name, value in changed.items():
        if value is ABSENT:
            delattr(holder, name)
        else:
            setattr(holder, name, value)
    django_settings._wrapped = holder
    conf.settings.cache_clear()
    try:
        yield
    finally:
        django_settings._wrapped = before
        conf.settings.cache_clear()


def found(deploy: bool = False, **changed: Any) -> list[CheckMessage]:
    """What `check`, or `check --deploy`, says of the quick start with these settings changed; ours only, by id."""
    with settings_are(**changed):
        messages = run_checks(tags=["typed_sessions"], include_deployment_checks=deploy)
    return sorted(messages, key=lambda message: str(message.id))


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("typed_sessions.") for message in messages]


def manage_py_check(*arguments: str) -> str:
    """What `manage.py check` prints, in a project with one cache: Django's own checks make an object of each."""
    out, err = StringIO(), StringIO()
    with override_settings(CACHES={"default": LOCAL}):
        call_command("check", *arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue() + err.getvalue()


def found_on_server(**changed: Any) -> list[CheckMessage]:
    """What `check --deploy` says of settings that are a server's but for these."""
    return found(deploy=True, **served(**changed))


def found_ids(deploy: bool = False, **changed: Any) -> list[str]:
    return ids(found(deploy, **changed))


_PRELUDE = """
import sys
from tests import settings
settings.DATABASES["default"]["NAME"] = ":memory:"
settings.DATABASE_ROUTERS = []
settings.CACHES = {{"default": settings.CACHES["locmem"]}}
settings.ALLOWED_HOSTS = ["testserver"]
{before}
import django
django.setup()
from django.core.management import call_command
{after}
"""


def run_in_new_process(before: str, after: str) -> str:
    """What a new process prints, in which `before` changes the module `settings` and `after` runs with it."""
    code = _PRELUDE.format(before=before, after=after)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout
