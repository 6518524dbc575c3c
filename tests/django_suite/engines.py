"""What the rows of the score table are: an engine, and what it stores in."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.servers import postgres
from tests.servers.redis import RedisServer, binaries

Settings = dict[str, Any]
Storage = Callable[[], AbstractContextManager[Settings]]

SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
QUICK_START: Settings = {
    "SESSION_COOKIE_NAME": "ss-id",
    "SESSION_EXPIRE_AT_BROWSER_CLOSE": True,
    "TYPED_SESSIONS": {"SESSION_CLASS": "tests.sessions.ShopSession"},
}
"""What our documentation tells a project to set, besides the engine's own settings."""


class Unavailable(Exception):
    """The server that a row needs is not installed here; the message says which."""


@contextmanager
def in_process(**extra: object) -> Iterator[Settings]:
    yield {"DATABASES": {"default": SQLITE}, "CACHES": {"default": LOCMEM}, **extra}


@contextmanager
def postgresql() -> Iterator[Settings]:
    if reason := postgres.unavailable():
        raise Unavailable(reason)
    with postgres.PostgresServer() as server:
        yield {"DATABASES": {"default": server.database}, "CACHES": {"default": LOCMEM}}


@contextmanager
def redis(flavour: str) -> Iterator[Settings]:
    if flavour not in binaries():
        raise Unavailable(f"no {flavour} server is installed")
    with RedisServer(binaries()[flavour]) as server:
        limits = {"SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.5}
        cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url, "OPTIONS": limits}
        yield {"DATABASES": {"default": SQLITE}, "CACHES": {"default": cache}}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One row."""

    name: str
    module: str
    """Dotted path, as ``SESSION_ENGINE`` has it."""
    storage: Storage
    """Starts what the engine stores in; the settings hold as long as the context is open."""
    uses_database: bool = True
    """Whether the store may touch the database; where not, Django fails a test during which it does."""
    middleware: str = "typed_sessions.middleware.TypedSessionMiddleware"
    backend: str = "typed_sessions.auth.TypedSessionBackend"
    apps: tuple[str, ...] = ("django.contrib.auth", "django.contrib.contenttypes", "typed_sessions")
    """What ``INSTALLED_APPS`` has to have."""
    settings: Settings = field(default_factory=QUICK_START.copy, hash=False)
    """Whatever else a project with this engine has in its settings."""


VALKEY = partial(redis, "valkey")
REDIS_6 = partial(redis, "redis6")
_OURS = "typed_sessions.backends"

CONTROL = Engine(
    name="control: Django's db on SQLite",
    module="django.contrib.sessions.backends.db",
    middleware="django.contrib.sessions.middleware.SessionMiddleware",
    backend="django.contrib.auth.backends.ModelBackend",
    apps=(),
    settings={},
    storage=in_process,
)
_DB = Engine(name="db on SQLite", module=f"{_OURS}.db", storage=in_process)
_REDIS = Engine(name="redis on Valkey", module=f"{_OURS}.redis", storage=VALKEY, uses_database=False)

ENGINES = (
    CONTROL,
    _DB,
    Engine(name="db on SQLite, USE_TZ=False", module=f"{_OURS}.db", storage=partial(in_process, USE_TZ=False)),
    Engine(name="db on PostgreSQL", module=f"{_OURS}.db", storage=postgresql),
    Engine(name="cached_db on SQLite and LocMem", module=f"{_OURS}.cached_db", storage=in_process),
    Engine(name="cached_db on SQLite and Valkey", module=f"{_OURS}.cached_db", storage=VALKEY),
    Engine(name="cache on LocMem", module=f"{_OURS}.cache", storage=in_process, uses_database=False),
    Engine(name="cache on Valkey", module=f"{_OURS}.cache", storage=VALKEY, uses_database=False),
    _REDIS,
    Engine(name="redis on Redis 6", module=f"{_OURS}.redis", storage=REDIS_6, uses_database=False),
)
"""Those that run Django's session tests."""

SWAPPED = (_DB, _REDIS)
"""Those that run whole packages of Django's tests, each of which the control runs first."""
