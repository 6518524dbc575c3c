"""Every id: when it comes, and that it says which setting is meant and what to write instead."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import django
import pytest
from django.core.checks import Error, Warning
from django.core.checks.registry import registry

import typed_sessions.checks
from tests.checks.findings import DJANGOS, LOCAL, OURS, engine, found, found_on_server, ids, on, redis, served, typed

_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_BASIC = "rest_framework.authentication.BasicAuthentication"
_OURS_OF_REST = "typed_sessions.rest_framework.TypedSessionAuthentication"
_DUMMY = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
_UNLIMITED = redis(SOCKET_TIMEOUT=None)


class Case(NamedTuple):
    changed: dict[str, Any]
    """From the quick start."""
    names: str
    """What the message calls the culprit."""
    advises: str
    """In the hint: what to write."""
    also: tuple[str, ...] = ()
    """What else these settings bring."""
    deploy: bool = False


CASES = {
    "E001": Case({"MIDDLEWARE": [_AUTHENTICATION]}, "MIDDLEWARE", repr(OURS)),
    "E002": Case({"MIDDLEWARE": [DJANGOS, OURS]}, repr(DJANGOS), f"Remove {DJANGOS!r}"),
    "E003": Case({"MIDDLEWARE": [_AUTHENTICATION, OURS]}, repr(_AUTHENTICATION), f"behind {OURS!r}"),
    "E004": Case({"SESSION_ENGINE": "django.contrib.sessions.backends.db"}, "SESSION_ENGINE", f'"{engine("db")}"'),
    "W005": Case(
        {"AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.ModelBackend"]},
        "AUTHENTICATION_BACKENDS",
        "'typed_sessions.auth.TypedSessionBackend'",
    ),
    "W006": Case({"SESSION_COOKIE_NAME": "sessionid"}, "SESSION_COOKIE_NAME", 'SESSION_COOKIE_NAME = "ss-id"'),
    "W007": Case({"SESSION_EXPIRE_AT_BROWSER_CLOSE": False}, "Temporary", "SESSION_EXPIRE_AT_BROWSER_CLOSE = True"),
    "E010": Case(typed(SAVE="often"), "TYPED_SESSIONS['SAVE'] must be one of 'auto', 'explicit'", "Correct it"),
    "W011": Case(
        {**typed(TEMP_EXPIRY=timedelta(hours=1)), "SESSION_COOKIE_AGE": 7200}, "SESSION_COOKIE_AGE", "one of them"
    ),
    "W012": Case(
        typed(PERM_EXPIRY=timedelta(days=730), ABSOLUTE_EXPIRY=None),
        "PERM_EXPIRY is 730 days",
        "timedelta(days=400)",
    ),
    "W013": Case(typed(ABSOLUTE_EXPIRY=timedelta(days=27)), "ABSOLUTE_EXPIRY", "PERM_EXPIRY"),
    "W014": Case(typed(TOUCH_INTERVAL=1_209_600), "TOUCH_INTERVAL", "TOUCH_INTERVAL"),
    "E015": Case(
        typed(PERM_COOKIE_NAME="ss-id"),
        "SESSION_COOKIE_NAME and TYPED_SESSIONS['PERM_COOKIE_NAME'] are both 'ss-id'",
        "its own name",
    ),
    "E016": Case(
        {"SESSION_SERIALIZER": "tests.checks.parts.PickleSerializer"},
        "SESSION_SERIALIZER 'tests.checks.parts.PickleSerializer'",
        "'django.contrib.sessions.serializers.JSONSerializer'",
    ),
    "E017": Case({"SESSION_COOKIE_AGE": "3600"}, "SESSION_COOKIE_AGE is '3600'", "int()"),
    "E018": Case(
        served(SESSION_COOKIE_PATH="/shop/"), "prefix __Host- is for the whole host", "Leave SESSION_COOKIE_PATH out"
    ),
    "E019": Case(
        {"SESSION_COOKIE_SECURE": True, **typed(COOKIE_PREFIX="__Secure-")},
        "COOKIE_PREFIX is '__Secure-'",
        "SESSION_COOKIE_NAME = '__Secure-ss-id'",
    ),
    "E020": Case(typed(SESSION_CLASS="shop.sessions.Shop"), "SESSION_CLASS 'shop.sessions.Shop'", "dotted path"),
    "E021": Case(typed(SESSION_CLASS="tests.checks.classes.WithModel"), "WithModel.owner", "corrected"),
    "W022": Case(typed(SESSION_CLASS="tests.checks.classes.WithAny"), "WithAny.anything", "plain JSON"),
    "W023": Case(
        {"TYPED_SESSIONS": {}}, "TYPED_SESSIONS names no SESSION_CLASS", 'TYPED_SESSIONS = {"SESSION_CLASS": '
    ),
    "E024": Case(typed(CONSENT="shop.privacy.ask"), "CONSENT 'shop.privacy.ask'", "f(request) -> bool"),
    "E025": Case(
        typed(AUTH_EVENTS=["tests.checks.parts.ShopBackend"]), "'tests.checks.parts.ShopBackend'", "inherit AuthEvents"
    ),
    "W026": Case(
        typed(USER_SNAPSHOT_AGE=60, SAVE="explicit"),
        "With SAVE = 'explicit' a USER_SNAPSHOT_AGE",
        "Leave one of them out",
    ),
    "E030": Case(
        {"SESSION_ENGINE": engine("redis"), "SESSION_CACHE_ALIAS": "nowhere"},
        "SESSION_CACHE_ALIAS is 'nowhere'",
        "CACHES['nowhere']",
    ),
    "E031": Case(
        on("redis", **LOCAL), "CACHES['default']", "CACHES['default']['BACKEND'] = 'django_redis.cache.RedisCache'"
    ),
    "E032": Case(
        on("redis", **redis(CONNECTION_POOL_KWARGS={"decode_responses": True})),
        "CACHES['default'] has decode_responses=True",
        "CONNECTION_POOL_KWARGS",
    ),
    "W033": Case(
        on("redis", **_UNLIMITED), "CACHES['default']", "SOCKET_CONNECT_TIMEOUT = 0.25 and SOCKET_TIMEOUT = 0.5"
    ),
    "W034": Case(
        {"SESSION_ENGINE": engine("redis"), "CACHES": {"default": redis(), "pages": _UNLIMITED}},
        "CACHES['default'] and CACHES['pages']",
        "same options",
    ),
    "E035": Case(on("cached_db", **LOCAL), "CACHES['default']", "Redis or memcached"),
    "E036": Case(on("cache", **_DUMMY), "CACHES['default']", "another cache or engine"),
    "E037": Case(
        on("cache", **LOCAL), "memory of one process", "db, redis or cached_db engine", ("W038",), deploy=True
    ),
    "W038": Case(on("cache", **LOCAL), "cache engine", "db, redis or cached_db engine"),
    "E039": Case(on("cache", **redis(IGNORE_EXCEPTIONS=True)), "CACHES['default']", "IGNORE_EXCEPTIONS", ("W038",)),
    "W040": Case(
        on("cache", **{**LOCAL, "OPTIONS": {}}), "CACHES['default'] holds 300 entries", "MAX_ENTRIES", ("W038",)
    ),
    "W041": Case(typed(CODEC="msgpack"), "CODEC is 'msgpack'", "Leave CODEC out"),
    "E042": Case(
        {**on("cache", **LOCAL), **typed(MAX_SESSIONS_PER_USER=3)},
        "MAX_SESSIONS_PER_USER is set",
        "db, redis or cached_db engine",
        ("W038",),
    ),
    "W043": Case(
        typed(REVOCATION_JOURNAL=True), "REVOCATION_JOURNAL is about replicas", "Leave REVOCATION_JOURNAL out"
    ),
    "W050": Case(
        {"SESSION_COOKIE_SECURE": False},
        "SESSION_COOKIE_SECURE",
        "SESSION_COOKIE_SECURE = True",
        ("E018",),
        deploy=True,
    ),
    "W051": Case(
        {"SESSION_COOKIE_HTTPONLY": False}, "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_HTTPONLY = True", deploy=True
    ),
    "W052": Case(
        {"SESSION_COOKIE_SAMESITE": "None"}, "SESSION_COOKIE_SAMESITE is 'None'", "'Lax' or 'Strict'", deploy=True
    ),
    "W053": Case(typed(HASH_IDS=False), "HASH_IDS is False", "Leave HASH_IDS out", deploy=True),
    "W054": Case({}, "Django", "Upgrade to Django 6.0.10", deploy=True),
    "W055": Case(
        {"SESSION_COOKIE_NAME": "ss-id", **typed(COOKIE_PREFIX="")},
        "__Host-",
        "SESSION_COOKIE_NAME = '__Host-ss-id' and TYPED_SESSIONS['COOKIE_PREFIX'] = '__Host-'",
        deploy=True,
    ),
    "W056": Case(
        {"DEFAULT_EXCEPTION_REPORTER_FILTER": "shop.debug.Filter"},
        "DEFAULT_EXCEPTION_REPORTER_FILTER 'shop.debug.Filter'",
        "typed_sessions.debug.TypedSessionExceptionReporterFilter",
        deploy=True,
    ),
    "W057": Case(
        {"CORS_ALLOW_ALL_ORIGINS": True, "CORS_ALLOW_HEADERS": ["accept", "x-ss-id"]},
        "CORS_ALLOW_HEADERS has 'x-ss-id'",
        "CORS_ALLOWED_ORIGINS",
        deploy=True,
    ),
    "W058": Case(
        {"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [_BASIC, _OURS_OF_REST]}},
        "DEFAULT_AUTHENTICATION_CLASSES",
        f"Put {_OURS_OF_REST!r} first",
        deploy=True,
    ),
    "E090": Case({"SESSION_ENGINE": engine("redis"), "CACHES": None}, "CACHES", "Correct the value of CACHES"),
}

RANGES = {
    "quickstart": range(1, 10),
    "configuration": (*range(10, 20), *range(24, 30)),
    "session_class": range(20, 24),
    "stores": range(30, 50),
    "security": range(50, 60),
    "messages": range(90, 100),
}
"""Of the numbers that each module of the package gives out."""


def _given_out(module: str) -> Iterator[str]:
    """The ids in the source of a module: the calls of error() and warning()."""
    source = Path(typed_sessions.checks.__path__[0], f"{module}.py").read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("error", "warning"):
            assert isinstance(node.args[0], ast.Constant), "a number is written where it is given out"
            yield f"{node.func.id[0].upper()}{node.args[0].value!r:0>3}"


def _is_ours(check: Any) -> bool:
    return "typed_sessions" in check.tags


def _path(check: Any) -> str:
    return f"{check.__module__}.{check.__name__}"


@pytest.mark.parametrize("number", CASES)
def test_a_check_comes_when_its_setting_is_wrong(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each id comes with the settings it is about and alone, names the culprit, and hints at what to write."""
    case = CASES[number]
    if number == "W054":
        monkeypatch.setattr(django, "VERSION", (6, 0, 9, "final", 0))
    messages = found_on_server(**case.changed) if case.deploy else found(**case.changed)

    assert ids(messages) == sorted([number, *case.also])
    (message,) = (message for message in messages if message.id == f"typed_sessions.{number}")
    assert case.names in message.msg
    assert case.advises in (message.hint or "")


@pytest.mark.parametrize("number", CASES)
def test_a_desk_is_not_told_what_a_server_needs(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ids from 50 on, and E037, come with `check --deploy` alone, as documented, and all others with `check`."""
    case = CASES[number]
    monkeypatch.setattr(django, "VERSION", (6, 0, 9, "final", 0))
    is_for_servers = number == "E037" or number in set(_given_out("security"))

    assert case.deploy is is_for_servers
    assert (number in ids(found(**case.changed))) is not is_for_servers


@pytest.mark.parametrize("number", CASES)
def test_an_id_tells_how_serious_it_is(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """E is an error, for which `check` fails, and W a warning."""
    case = CASES[number]
    monkeypatch.setattr(django, "VERSION", (6, 0, 9, "final", 0))
    messages = {str(message.id): message for message in found(deploy=True, **case.changed)}

    assert type(messages[f"typed_sessions.{number}"]) is {"E": Error, "W": Warning}[number[0]]


@pytest.mark.parametrize("number", CASES)
def test_texts_are_sentences(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Message and hint each are one line that ends with a full stop."""
    case = CASES[number]
    monkeypatch.setattr(django, "VERSION", (6, 0, 9, "final", 0))
    for message in found(deploy=True, **case.changed):
        for text in (message.msg, message.hint or ""):
            assert text.endswith("."), text
            assert "\n" not in text
            assert "  " not in text


def test_every_id_has_a_case_here() -> None:
    """No check is without a test, and no test without a check."""
    assert sorted(number for module in RANGES for number in set(_given_out(module))) == sorted(CASES)


def test_a_number_is_given_out_once() -> None:
    """One number has one meaning: E037 beside W037 would be two, and so would one id in two modules."""
    given_out = [(module, number) for module in RANGES for number in set(_given_out(module))]
    assert [number for number, times in Counter(number[1:] for _, number in given_out).items() if times > 1] == []


@pytest.mark.parametrize("module", RANGES)
def test_a_module_keeps_to_its_range(module: str) -> None:
    """A number tells which module it comes from, so that a new one cannot collide with another's."""
    assert [number for number in _given_out(module) if int(number[1:]) not in RANGES[module]] == []


def test_the_modules_are_all_looked_at() -> None:
    """A new module of checks gets a range here."""
    modules = {path.stem for path in Path(typed_sessions.checks.__path__[0]).glob("*.py")}
    assert modules - {"__init__"} == set(RANGES)


def test_every_check_is_registered() -> None:
    """Each function named check_… of the package runs with `check` or `check --deploy`, under our tag."""
    ours = {_path(check) for check in registry.registered_checks | registry.deployment_checks if _is_ours(check)}
    written = {
        f"typed_sessions.checks.{module}.{node.name}"
        for module in RANGES
        for node in ast.parse(Path(typed_sessions.checks.__path__[0], f"{module}.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
    }
    assert ours == written


def test_checks_for_servers_carry_djangos_tag_for_security() -> None:
    """`check --deploy --tag security` runs our checks for servers with Django's."""
    ours = [check for check in registry.deployment_checks if _is_ours(check)]
    assert ours
    assert [_path(check) for check in ours if "security" not in check.tags] == []
