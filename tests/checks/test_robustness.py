"""Whatever the settings are, the checks say something and end; and they only look, at settings and classes."""

from __future__ import annotations

import socket
from typing import Any, NoReturn

import pytest
from django.core.cache import caches
from django.core.checks import CheckMessage
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks.findings import ABSENT, engine, found, ids, redis, served, settings_are
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.base import Store


class _Odd:
    def __repr__(self) -> str:
        return "odd"


_ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    ".x",
    "..x",
    "no.such",
    b"x",
    [],
    (),
    {},
    {1: 2},
    [None],
    _Odd(),
    set(),
]
_SETTINGS = [
    "MIDDLEWARE",
    "SESSION_ENGINE",
    "AUTHENTICATION_BACKENDS",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_AGE",
    "SESSION_EXPIRE_AT_BROWSER_CLOSE",
    "SESSION_SERIALIZER",
    "SESSION_CACHE_ALIAS",
    "SESSION_COOKIE_SECURE",
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_SAMESITE",
    "SESSION_COOKIE_DOMAIN",
    "SESSION_COOKIE_PATH",
    "CSRF_COOKIE_NAME",
    "LANGUAGE_COOKIE_NAME",
    "TYPED_SESSIONS",
    "CACHES",
    "DEBUG",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "DJANGO_REDIS_IGNORE_EXCEPTIONS",
    "INSTALLED_APPS",
    "DEFAULT_EXCEPTION_REPORTER_FILTER",
    "CORS_ALLOW_ALL_ORIGINS",
    "REST_FRAMEWORK",
    "CORS_ALLOW_CREDENTIALS",
    "CORS_ALLOW_HEADERS",
    "CORS_EXPOSE_HEADERS",
]
_ENGINES = ["db", "redis", "cached_db", "cache"]


def _are_told(messages: list[CheckMessage]) -> bool:
    return all(str(message.id).startswith("typed_sessions.") and message.msg and message.hint for message in messages)


@pytest.mark.parametrize("value", _ODD, ids=repr)
@pytest.mark.parametrize("name", _SETTINGS)
def test_no_value_of_a_setting_ends_the_checks(name: str, value: Any) -> None:
    """Each setting may be anything at all: what comes is messages with hints, and no exception."""
    assert _are_told(found(deploy=True, **{name: value}))
    assert _are_told(found(deploy=True, **{"CORS_ALLOW_ALL_ORIGINS": True, **served(**{name: value})}))


@pytest.mark.parametrize(
    "name", ["MIDDLEWARE", "AUTHENTICATION_BACKENDS", "CACHES", "SESSION_COOKIE_SAMESITE", "TYPED_SESSIONS"]
)
def test_no_missing_setting_ends_the_checks(name: str) -> None:
    """A setting that was deleted is a message, not an exception."""
    assert _are_told(found(deploy=True, SESSION_ENGINE=engine("cache"), **{name: ABSENT}))


@pytest.mark.parametrize("path", ["tests.checks.broken", "tests.checks.broken.Anything"])
@pytest.mark.parametrize("name", ["SESSION_ENGINE", "SESSION_SERIALIZER", "MIDDLEWARE", "AUTHENTICATION_BACKENDS"])
def test_no_broken_module_ends_the_checks(name: str, path: str) -> None:
    """A project's module that raises while it is imported is a message about the setting that names it."""
    value: Any = [path] if name in ("MIDDLEWARE", "AUTHENTICATION_BACKENDS") else path
    (message,) = found(**{name: value})
    assert name in message.msg


_ENTRIES: list[Any] = [
    None,
    "redis://nowhere.invalid",
    {},
    {"BACKEND": None},
    {"BACKEND": "no.such"},
    {"BACKEND": ".x"},
    {"BACKEND": 5},
    {"BACKEND": "django_redis.cache.RedisCache"},
    {**redis(), "OPTIONS": None},
    {**redis(), "OPTIONS": []},
    {**redis(), "OPTIONS": "none"},
    {**redis(), "LOCATION": None},
    {**redis(), "LOCATION": 5},
    {**redis(), "LOCATION": ["redis://a", "redis://b"]},
    {**redis(), "LOCATION": [None]},
    redis(CONNECTION_POOL_KWARGS=None),
    redis(CONNECTION_POOL_KWARGS=["decode_responses"]),
    {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": None},
    {"BACKEND": "django.core.cache.backends.dummy.DummyCache", "OPTIONS": 5},
]


@pytest.mark.parametrize("entry", _ENTRIES, ids=repr)
@pytest.mark.parametrize("name", _ENGINES)
def test_no_cache_ends_the_checks(name: str, entry: Any) -> None:
    """The sessions' cache, and another one beside it, may be anything at all."""
    assert _are_told(found(deploy=True, SESSION_ENGINE=engine(name), CACHES={"default": entry}))
    assert _are_told(found(deploy=True, SESSION_ENGINE=engine(name), CACHES={"default": redis(), "other": entry}))


@given(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(_ODD) for name in _SETTINGS if name != "SESSION_ENGINE"}),
    st.sampled_from(_ENGINES),
    st.dictionaries(st.sampled_from(["default", "other", "third"]), st.sampled_from(_ENTRIES)),
    st.booleans(),
)
@settings(derandomize=True, max_examples=200, deadline=None, database=None)
def test_no_combination_ends_the_checks(
    odd: dict[str, Any], name: str, entries: dict[str, Any], with_entries: bool
) -> None:
    """Any number of odd settings together, with any engine, is messages and no exception."""
    if with_entries:
        odd["CACHES"] = entries
    assert _are_told(found(deploy=True, **{"SESSION_ENGINE": engine(name), **odd}))


def test_what_cannot_be_checked_is_told_with_its_setting_and_the_reason() -> None:
    """A value that no check was prepared for is an error that names the setting and repeats what went wrong."""
    (message,) = found(MIDDLEWARE=5)
    assert message.id == "typed_sessions.E090"
    assert message.msg == "MIDDLEWARE cannot be checked (TypeError: 'int' object is not iterable)."
    assert message.hint == "Correct the value of MIDDLEWARE."


@pytest.mark.parametrize("key", [b"bytes are a secret key too", "text", None, ""])
def test_the_secret_key_is_none_of_our_business(key: Any) -> None:
    """The checks sign nothing, so that a project without a key yet hears of it from Django alone."""
    assert found(SECRET_KEY=key) == []


@pytest.mark.parametrize("name", _ENGINES)
def test_checks_touch_neither_network_nor_store(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` runs where no server can be reached: no engine, store, cache or connection is made, and no query."""

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError("a check went to work")

    for owner, method in (
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (socket, "getaddrinfo"),
        (SessionStore, "__init__"),
        (Store, "__init__"),
    ):
        monkeypatch.setattr(owner, method, refuse)
    with override_settings(SESSION_ENGINE=engine(name), CACHES={"default": redis(), "other": redis()}):
        numbers = ids(found(deploy=True))
        assert caches.all(initialized_only=True) == []
    assert "E090" not in numbers


def test_checks_leave_the_settings_alone() -> None:
    """Looking changes nothing: the same settings give the same answer twice, and CACHES is as it was."""
    cache = redis(CONNECTION_FACTORY="django_redis.pool.SentinelConnectionFactory")
    before = repr(cache)
    with settings_are(SESSION_ENGINE=engine("redis"), CACHES={"default": cache}):
        assert ids(found(deploy=True)) == ids(found(deploy=True))
    assert repr(cache) == before
