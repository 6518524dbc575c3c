"""The quick start's settings, with headers; what differs from server to server comes by the environment."""

import os
from pathlib import Path
from typing import Any

HOME = Path(os.environ["TYPED_SESSIONS_SITE_HOME"])
REDIS_URL = os.environ.get("TYPED_SESSIONS_SITE_REDIS", "")
"""Of the server that holds the sessions; without it, the database does."""
ASYNC_VIEWS = os.environ.get("TYPED_SESSIONS_SITE_VIEWS") == "async"

SECRET_KEY = "a secret for the tests, long enough for every check of Django's"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.web_servers.site.urls"

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "typed_sessions"]
MIDDLEWARE = [
    "tests.web_servers.site.middleware.WorkerMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "typed_sessions.middleware.TypedSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

SESSION_ENGINE = "typed_sessions.backends.redis" if REDIS_URL else "typed_sessions.backends.db"
SESSION_COOKIE_NAME = "ss-id"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]
TYPED_SESSIONS = {"SESSION_CLASS": "tests.sessions.ShopSession", "HEADERS": ["/api/"]}

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME / "db.sqlite3",
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF"},
    }
}
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Everything that is said, so that the tests can tell that no token is.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
