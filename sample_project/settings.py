"""A project with typed sessions, for a demonstration on this machine.

Three environment variables change it, and ``manage.py demo`` sets two of them from its options:

``TYPED_SESSIONS_DEMO_DIR``
    Where the database and the secret key are kept; ``.demo`` next to ``manage.py`` by default.
``TYPED_SESSIONS_DEMO_REDIS``
    The URL of a Redis or Valkey server that holds the sessions; without it, the database does.
``TYPED_SESSIONS_DEMO_HOST``
    One more name or address to serve under, beside those of this machine.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.utils import get_random_secret_key


def kept_secret(path: Path) -> str:
    """The key in ``path``, made on the first run, so that neither the repository nor two machines share one."""
    try:
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(new, "w", encoding="ascii") as file:
        file.write(secret := get_random_secret_key())
    return secret


if not find_spec("rest_framework"):
    raise SystemExit('The API of the shop needs Django REST framework. Try this: pip install -e ".[demo]"')

BASE_DIR = Path(__file__).resolve().parent.parent
DEMO_DIR = Path(os.environ.get("TYPED_SESSIONS_DEMO_DIR") or BASE_DIR / ".demo").absolute()
DEMO_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = kept_secret(DEMO_DIR / "secret_key")
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *filter(None, [os.environ.get("TYPED_SESSIONS_DEMO_HOST")])]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "typed_sessions",
    "sample_project.shop",
    "rest_framework",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "typed_sessions.middleware.TypedSessionMiddleware",  # where SessionMiddleware stood
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Typed sessions: these five, and the middleware above.
SESSION_ENGINE = "typed_sessions.backends.db"
AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]
SESSION_COOKIE_NAME = "ss-id"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
TYPED_SESSIONS = {
    "SESSION_CLASS": "sample_project.shop.sessions.ShopSession",
    "HEADERS": ["/api/"],  # there, programs may show their token in a header instead of a cookie
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["typed_sessions.rest_framework.TypedSessionAuthentication"],
}

# The demonstration speaks plain HTTP, where a browser drops cookies marked Secure. Over HTTPS, both must be True.
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

CACHES: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS_URL := os.environ.get("TYPED_SESSIONS_DEMO_REDIS"):
    SESSION_ENGINE = "typed_sessions.backends.redis"
    CACHES["default"] = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 1},
    }

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DEMO_DIR / "db.sqlite3",
        # Requests run in parallel threads: let readers and a writer at it together, and writers wait for each other.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10, "init_command": "PRAGMA journal_mode=WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Messages wait in the session, so that the account page has something to show of Django's own untyped mapping.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

ROOT_URLCONF = "sample_project.urls"
WSGI_APPLICATION = "sample_project.wsgi.application"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "account"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
