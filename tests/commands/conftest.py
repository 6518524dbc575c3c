"""The command, called in this process, and sessions for it, on every engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django_redis import get_redis_connection

from tests.engines.rows import UseEngine, configure, rows, use_engine
from tests.servers.redis import RedisServer
from tests.web.browser import Browser
from tests.web.conftest import NewBrowser, _open_connection, _views, clock, new_browser, other_user, user
from tests.web.signing import put_in_cart, sign_in
from typed_sessions import tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.models import StoredSession
from typed_sessions.stores.base import Store
from typed_sessions.testing.engines import Clock

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["_open_connection", "_views", "clock", "configure", "new_browser", "other_user", "use_engine", "user"]

LISTING = rows("db", "postgres", "redis", "msgpack", "cluster", "cached_db")
"""Every engine that knows its sessions."""
REDIS = rows("redis", "msgpack", "redis6", "cluster")
UNKNOWN = "0" * 40


@dataclass(frozen=True)
class Said:
    """What the command said to whom, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        """The answer by lines, and those by columns."""
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()]


class Terminal(StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


class Run(Protocol):
    """Runs the command with these arguments; with `terminal` somebody looks at what goes to stderr."""

    def __call__(self, *arguments: object, terminal: bool = False) -> Said: ...


class Foreign(Store):
    """The least that a store can be."""

    lists_sessions = False
    load = create = save = touch = replace = end = clear_expired = None  # type: ignore[assignment]  # not asked


def run_command(*arguments: object, terminal: bool = False) -> Said:
    out, err = StringIO(), Terminal() if terminal else StringIO()
    code, message = 0, ""
    try:
        call_command("typed_sessions", *map(str, arguments), stdout=out, stderr=err, no_color=True)
    except CommandError as error:
        code, message = error.returncode, str(error)
    return Said(code, out.getvalue(), err.getvalue() + message)


@pytest.fixture
def run(db: None) -> Run:
    return run_command


@pytest.fixture(params=LISTING)
def engine(request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
    return use_engine(request.param)


@pytest.fixture
def handler() -> str:
    """The command comes from outside: how the requests were served before makes no difference."""
    return "wsgi"


@pytest.fixture
def visitor(engine: type[SessionStore], new_browser: NewBrowser, clock: Clock) -> Callable[[], Browser]:
    """`visitor()` has something in its cart, a minute after whoever came before."""

    def new() -> Browser:
        clock.advance(60)
        browser = new_browser()
        browser.visit(put_in_cart("tea"))
        return browser

    return new


@pytest.fixture
def signed_in(visitor: Callable[[], Browser]) -> Callable[..., Browser]:
    """`signed_in(user)` is a visitor who has signed in."""

    def new(user: User, remember: bool = False) -> Browser:
        browser = visitor()
        browser.visit(sign_in(user, remember))
        return browser

    return new


def id_of(browser: Browser) -> str:
    return tokens.digest(browser.token)


@pytest.fixture
def restrict(use_engine: UseEngine, valkey: RedisServer, settings: Settings) -> Iterator[Callable[..., None]]:
    """`restrict(rule)` has the engine connect as a user of Valkey with keys of sessions alone, and these rules."""

    def connect_as(*rules: str) -> None:
        valkey.run("ACL SETUSER", "limited", "reset", "on", ">secret", "~urn:iauthsession:*", *rules)
        location = f"unix://limited@{valkey.home}/redis.sock?db=0&password=secret"
        limited = {**settings.CACHES["valkey"], "LOCATION": location}
        settings.CACHES = {**settings.CACHES, "limited": limited}
        settings.SESSION_CACHE_ALIAS = "limited"

    use_engine("redis")
    yield connect_as
    valkey.run("ACL DELUSER", "limited")


@pytest.fixture
def least_privilege(restrict: Callable[..., None]) -> None:
    """The engine connects as somebody who may not ask the server about itself."""
    restrict("+@all", "-@dangerous")


def damage(engine: type[SessionStore], session_id: str) -> None:
    """What is stored of the session is none any more."""
    if engine.__module__.endswith("redis"):
        get_redis_connection(django_settings.SESSION_CACHE_ALIAS).set(tokens.urn(session_id), b"junk", keepttl=True)
    else:
        StoredSession.objects.filter(pk=session_id).update(mode="odd")
