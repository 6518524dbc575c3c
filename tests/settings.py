"""The quick start's settings, on every store that the tests use; conftest.py starts the servers behind them."""

import os
from pathlib import Path
from typing import Any

from tests.servers.process import new_path


def _run_directory() -> Path:
    """Of this process, or of the test process that started this one and tells it so.

    Not made here: type checkers import these settings too.
    """
    if given := os.environ.get("TYPED_SESSIONS_RUN_DIR"):
        return Path(given)
    return new_path()


def _django_redis(location: str, key_prefix: str = "", **options: Any) -> dict[str, Any]:
    backend = "django_redis.cache.RedisCache"
    return {"BACKEND": backend, "LOCATION": location, "KEY_PREFIX": key_prefix, "OPTIONS": options}


def _local_memory(name: str) -> dict[str, Any]:
    return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}


RUN_DIR = _run_directory()
SECRET_KEY = "a secret for the tests, long enough for every check of Django's"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "typed_sessions",
    "tests",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "typed_sessions.middleware.TypedSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
TEMPLATES = [
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
]

SESSION_ENGINE = "typed_sessions.backends.db"
SESSION_COOKIE_NAME = "ss-id"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]
TYPED_SESSIONS = {"SESSION_CLASS": "tests.sessions.ShopSession"}

# A file, which threads and other processes can share, and the one name, so that another process finds it by these
# settings. Transactions begin as Django begins them by default: "IMMEDIATE" would hide what fails for users.
# The alias "postgres" joins while its server runs.
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": RUN_DIR / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"},
        "TEST": {"NAME": RUN_DIR / "db.sqlite3"},
    }
}
DATABASE_ROUTERS = ["tests.routers.ActiveDatabase"]

_UNKNOWN = "redis://not-running.invalid"
_VALKEY = f"unix://{RUN_DIR}/valkey/redis.sock?db=0"
CACHES: dict[str, dict[str, Any]] = {
    "default": _local_memory("default"),
    "locmem": _local_memory("locmem"),
    "valkey": _django_redis(_VALKEY),
    # django-redis shares one pool among aliases of one URL: the options of these two have to be the same.
    "djredis_prefixed": _django_redis(_VALKEY, key_prefix="shop"),
    "redis6": _django_redis(f"unix://{RUN_DIR}/redis6/redis.sock?db=0"),
    # Their addresses are known once they run.
    "cluster": _django_redis(_UNKNOWN, CONNECTION_FACTORY="typed_sessions.redis_cluster.ClusterConnectionFactory"),
    "sentinel": _django_redis(
        _UNKNOWN,
        CLIENT_CLASS="django_redis.client.SentinelClient",
        CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory",
        SENTINELS=[("not-running.invalid", 1)],
    ),
}
