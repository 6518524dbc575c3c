"""The settings of the tests with the redis engine, for a process of its own."""

from tests.settings import *  # noqa: F403  # all of them

SESSION_ENGINE = "typed_sessions.backends.redis"
SESSION_CACHE_ALIAS = "valkey"
LOGGING_CONFIG = None
