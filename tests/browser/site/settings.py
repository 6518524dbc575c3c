"""The quick start's settings with Django's own admin, in production's manner; themes and admin sites build on them."""

import os
from pathlib import Path
from typing import Any

HOME = Path(os.environ["TYPED_SESSIONS_SITE_HOME"])
REDIS_URL = os.environ.get("TYPED_SESSIONS_SITE_REDIS", "")
"""Of the server that holds the sessions; without it, the database does."""
ADMIN = "tests.browser.site.stock"
"""The module whose `urls` are the admin's."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of every page."""

SECRET_KEY = "a secret for the tests, long enough for every check of Django's"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.browser.site.urls"
STATIC_URL = "static/"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "typed_sessions",
]
MIDDLEWARE = [
    "tests.browser.site.middleware.RecordingMiddleware",
    "tests.browser.site.middleware.AddressMiddleware",
    "tests.browser.site.middleware.PolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "typed_sessions.middleware.TypedSessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
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

SESSION_ENGINE = "typed_sessions.backends.redis" if REDIS_URL else "typed_sessions.backends.db"
SESSION_COOKIE_NAME = "ss-id"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]
TYPED_SESSIONS = {"SESSION_CLASS": "tests.sessions.ShopSession"}

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME / "db.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
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
