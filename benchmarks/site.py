"""A Django project for every engine in turn: the settings, and its request handlers in process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command

COOKIE = "ss-id"
DIRECT, RELAYED = "direct", "relayed"
"""Cache aliases: the server itself, for times, and through the relay, for counts."""


def sqlite(home: Path) -> dict[str, Any]:
    """An entry for DATABASES, as a busy project would have it."""
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": home / "benchmarks.sqlite3",
        "OPTIONS": {"timeout": 20, "init_command": pragmas},
    }


def configure(database: Mapping[str, Any], direct: str, relayed: str) -> None:
    """Sets Django up once; an engine's settings go over these."""
    redis = {"BACKEND": "django_redis.cache.RedisCache"}
    settings.configure(
        SECRET_KEY="a secret for the benchmarks, which protects nothing",
        USE_TZ=True,
        ALLOWED_HOSTS=["shop.example.com"],
        ROOT_URLCONF="benchmarks.pages",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "typed_sessions",
        ],
        # Connections stay open between requests, as they do in a project that cares for speed.
        DATABASES={"default": {**database, "CONN_MAX_AGE": None}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        CACHES={DIRECT: {**redis, "LOCATION": direct}, RELAYED: {**redis, "LOCATION": relayed}},
        SESSION_CACHE_ALIAS=DIRECT,
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_EXPIRE_AT_BROWSER_CLOSE=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
