"""A Django project for every engine in turn: the settings, and its request handlers in process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
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
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
            "typed_sessions",
        ],
        STATIC_URL="static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
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


class Pages:
    """Requests to the pages under the settings in force when this was made, without a server between."""

    def __init__(self) -> None:
        self._wsgi = WSGIHandler()
        self._asgi = ASGIHandler()

    def get(self, page: str, key: str | None = None) -> None:
        """A GET with the session's cookie, or without one. Raises ``RuntimeError`` unless the answer is 200."""
        status = self.status(page, key)
        if status != 200:
            raise RuntimeError(f"{page}: {status}")

    def status(self, page: str, key: str | None) -> int:
        """What is answered to a GET."""
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/{page}",
            "QUERY_STRING": "",
            "SERVER_NAME": "shop.example.com",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.7",
            "HTTP_HOST": "shop.example.com",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "wsgi.input": BytesIO(),
            "wsgi.errors": BytesIO(),
            "wsgi.url_scheme": "https",
        }
        if key is not None:
            environ["HTTP_COOKIE"] = f"{COOKIE}={key}"
        response = self._wsgi(environ, _start_response)
        response.close()
        return response.status_code

    async def aget(self, page: str, key: str | None = None) -> None:
        """The same by ASGI."""
        headers = [(b"host", b"shop.example.com"), (b"user-agent", b"Mozilla/5.0 Firefox/140.0")]
        if key is not None:
            headers.append((b"cookie", f"{COOKIE}={key}".encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": f"/{page}",
            "query_string": b"",
            "headers": headers,
            "client": ("192.0.2.7", 40_000),
            "server": ("shop.example.com", 443),
        }
        channel = _Channel()
        await self._asgi(scope, channel.receive, channel.send)  # type: ignore[arg-type]  # plain dicts will do
        if channel.status != 200:
            raise RuntimeError(f"{page}: {channel.status}")


def _start_response(status: str, headers: list[tuple[str, str]], error: object = None, /) -> Callable[[bytes], object]:
    """A WSGI server's, without the server."""
    return len


class _Channel:
    """What an ASGI server gives to the handler: a request without a body, from a client that stays."""

    def __init__(self) -> None:
        self.status = 0
        self._has_sent = False

    async def receive(self) -> dict[str, Any]:
        if self._has_sent:
            await asyncio.Event().wait()
        self._has_sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
