"""The engines that tests run on, each on the store behind it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
from django.conf import settings as django_settings

from typed_sessions.backends.base import SessionStore

if TYPE_CHECKING:
    from pytest_django import Settings


class Row(NamedTuple):
    """One engine on one store."""

    module: str
    cache: str = "locmem"
    codec: str = "json"


ROWS = {
    "db": Row("db"),
    "postgres": Row("db"),
    "cached_db": Row("cached_db", "valkey"),
    "redis": Row("redis", "valkey"),
    "msgpack": Row("redis", "valkey", "msgpack"),
    "redis6": Row("redis", "redis6"),
    "cluster": Row("redis", "cluster"),
    "cache": Row("cache"),
}

UseEngine = Callable[[str], type[SessionStore]]


def rows(*names: str) -> list[Any]:
    """The named rows as parameters; without names, all of them."""
    return [pytest.param(name, marks=pytest.mark.postgres if name == "postgres" else ()) for name in names or ROWS]


@pytest.fixture
def use_engine(settings: Settings, use_cache: Callable[[str], str]) -> UseEngine:
    """`use_engine(row)` makes the row's engine SESSION_ENGINE, on a store that is empty."""

    def use(name: str) -> type[SessionStore]:
        row = ROWS[name]
        use_cache(row.cache)
        settings.SESSION_ENGINE = f"typed_sessions.backends.{row.module}"
        settings.TYPED_SESSIONS = {**django_settings.TYPED_SESSIONS, "CODEC": row.codec}
        return cast("type[SessionStore]", import_module(django_settings.SESSION_ENGINE).SessionStore)

    return use


@pytest.fixture
def configure(settings: Settings) -> Callable[..., None]:
    """`configure(SLIDING=False)` changes single keys of TYPED_SESSIONS."""

    def change(**keys: object) -> None:
        settings.TYPED_SESSIONS = {**django_settings.TYPED_SESSIONS, **keys}

    return change
