"""The quick start of the README, and what is said when a line of it is missing, wrong, or in the wrong place."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.apps import apps
from django.conf import global_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.core.management.base import SystemCheckError
from django.http import HttpRequest, HttpResponse
from django.test import modify_settings, override_settings

from tests.checks.conftest import MakeModule
from tests.checks.findings import (
    ABSENT,
    DJANGOS,
    OURS,
    engine,
    found,
    found_ids,
    found_on_server,
    ids,
    manage_py_check,
    on,
    redis,
    run_in_new_process,
)
from typed_sessions.backends import base, cache, cached_db, db
from typed_sessions.backends import redis as redis_engine
from typed_sessions.middleware import TypedSessionMiddleware

_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
_STARTPROJECT = [
    "django.middleware.security.SecurityMiddleware",
    DJANGOS,
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    _AUTHENTICATION,
    _MESSAGES,
]


def _without(name: str) -> dict[str, Any]:
    """The setting as it is in a project whose settings do not mention it."""
    return {name: getattr(global_settings, name)}


@pytest.mark.parametrize("name", ["db", "redis", "cached_db"])
def test_the_quick_start_is_complete(name: str) -> None:
    """A project that wrote the seven lines hears nothing of us, with any engine that is meant for servers."""
    memcached = {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": "nowhere.invalid:11211"}
    shared = redis() if name == "redis" else memcached
    assert found_on_server(**on(name, **shared)) == []


@pytest.mark.parametrize(
    ("missing", "number"),
    [
        ({"MIDDLEWARE": _STARTPROJECT}, "E001"),
        ({"MIDDLEWARE": [path for path in _STARTPROJECT if path != DJANGOS]}, "E001"),
        (_without("MIDDLEWARE"), "E001"),
        (_without("SESSION_ENGINE"), "E004"),
        (_without("AUTHENTICATION_BACKENDS"), "W005"),
        (_without("SESSION_COOKIE_NAME"), "W006"),
        (_without("SESSION_EXPIRE_AT_BROWSER_CLOSE"), "W007"),
        ({"TYPED_SESSIONS": ABSENT}, "W023"),
        ({"TYPED_SESSIONS": {}}, "W023"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_one_missing_line_is_one_message(missing: dict[str, Any], number: str) -> None:
    """Each line that is missing is told by one id of its own, and by nothing else of ours."""
    assert found_ids(**missing) == [number]


def test_a_project_that_wrote_nothing_hears_every_line() -> None:
    """An app that was only installed lists all that is still to be written."""
    names = ["SESSION_ENGINE", "AUTHENTICATION_BACKENDS", "SESSION_COOKIE_NAME", "SESSION_EXPIRE_AT_BROWSER_CLOSE"]
    nothing = {name: getattr(global_settings, name) for name in names}

    numbers = found_ids(MIDDLEWARE=_STARTPROJECT, TYPED_SESSIONS=ABSENT, **nothing)

    assert numbers == ["E001", "E004", "W005", "W006", "W007", "W023"]


def test_an_app_that_is_not_installed_is_told_by_the_middleware() -> None:
    """Without the line in INSTALLED_APPS no check of ours exists, so the middleware says what to add."""

    def view(request: HttpRequest) -> HttpResponse:
        raise AssertionError("no request gets here")

    with (
        modify_settings(INSTALLED_APPS={"remove": "typed_sessions"}),
        pytest.raises(ImproperlyConfigured, match=r'INSTALLED_APPS has no "typed_sessions"; add it\.'),
    ):
        TypedSessionMiddleware(view)
    assert apps.is_installed("typed_sessions")


@pytest.mark.parametrize("name", ["db", "cached_db", "cache", "redis"])
def test_a_new_process_without_the_app_ends_with_the_line_to_add(name: str) -> None:
    """The server of a project that forgot the app dies with that line as its last, whichever the engine."""
    said = run_in_new_process(
        before=f'settings.INSTALLED_APPS.remove("typed_sessions"); settings.SESSION_ENGINE = "{engine(name)}"',
        after="from django.core.wsgi import get_wsgi_application; get_wsgi_application()",
    )
    assert said.splitlines()[-1].endswith('ImproperlyConfigured: INSTALLED_APPS has no "typed_sessions"; add it.'), said


# The middleware


def test_django_s_middleware_is_to_be_replaced() -> None:
    """Who has Django's middleware is told to put ours in its place, and who has none, where it belongs."""
    (stock,) = found(MIDDLEWARE=_STARTPROJECT)
    (none,) = found(MIDDLEWARE=[])

    assert stock.hint == f"Put {OURS!r} in place of {DJANGOS!r}."
    assert none.hint == f"Put {OURS!r} before {_AUTHENTICATION!r}."


def test_a_derived_middleware_is_ours() -> None:
    """A project's subclass of our middleware is as good as ours, alone."""
    derived = "tests.checks.parts.ShopMiddleware"
    assert found(MIDDLEWARE=[derived, _AUTHENTICATION, _MESSAGES]) == []
    (early,) = found(MIDDLEWARE=[_AUTHENTICATION, derived])
    assert early.msg == f"{_AUTHENTICATION!r} stands before {derived!r} in MIDDLEWARE and finds no session."


@pytest.mark.parametrize("second", [OURS, DJANGOS, "tests.checks.parts.ShopMiddleware"])
@pytest.mark.parametrize("reverse", [False, True])
def test_two_session_middlewares_are_one_too_many(second: str, reverse: bool) -> None:
    """Ours beside another session middleware, itself included, is refused, and the other is to go, in either order."""
    middleware = [second, OURS] if reverse else [OURS, second]
    (message,) = found(MIDDLEWARE=middleware)
    assert message.id == "typed_sessions.E002"
    if second == DJANGOS:
        assert message.hint == f"Remove {DJANGOS!r}: the typed one does its work."


def test_every_middleware_that_comes_too_early_is_named() -> None:
    """Authentication and messages before ours are two messages, and only those that are early are named."""
    both = found(MIDDLEWARE=[_MESSAGES, _AUTHENTICATION, OURS])
    one = found(MIDDLEWARE=[_MESSAGES, OURS, _AUTHENTICATION])

    assert ids(both) == ["E003", "E003"]
    assert sorted(message.msg.split("'")[1] for message in both) == [_AUTHENTICATION, _MESSAGES]
    assert [message.msg.split("'")[1] for message in one] == [_MESSAGES]


@pytest.mark.parametrize("path", ["no.such", "nodots", "", ".x", "..x", "tests.checks.broken.Middleware", None, 5])
def test_a_middleware_that_cannot_be_imported_is_left_to_django(path: Any) -> None:
    """Django says at its start what it cannot import; ours is found beside it."""
    assert found(MIDDLEWARE=[path, OURS, _AUTHENTICATION]) == []
    assert found_ids(MIDDLEWARE=[path]) == ["E001"]


# The engine


@pytest.mark.parametrize("name", ["db", "redis", "cached_db", "cache"])
def test_every_engine_of_ours_is_one(name: str) -> None:
    """None of the four is refused as an engine."""
    assert "E004" not in found_ids(SESSION_ENGINE=engine(name))


@pytest.mark.parametrize(
    "given",
    [
        "django.contrib.sessions.backends.cached_db",
        "django.contrib.sessions.backends.signed_cookies",
        "typed_sessions.backends",
        "typed_sessions.backends.database",
        "typed_sessions.backends.db.SessionStore",
        "tests.checks.parts",
        "tests.checks.broken",
        "nonsense",
        "",
        ".x",
        "..x",
        None,
        5,
        b"typed_sessions.backends.db",
    ],
)
def test_what_is_no_engine_is_refused(given: Any) -> None:
    """The message repeats what SESSION_ENGINE is, and the hint lists the four that it could be."""
    (message,) = found(SESSION_ENGINE=given)

    assert message.id == "typed_sessions.E004"
    assert message.msg.startswith("SESSION_ENGINE ")
    assert repr(given) in message.msg
    assert message.hint == 'Set SESSION_ENGINE to "typed_sessions.backends.db", ".redis", ".cached_db" or ".cache".'


def test_an_engine_s_own_failure_is_repeated() -> None:
    """A module that fails while it is imported is not reported as one that is not there."""
    (message,) = found(SESSION_ENGINE="tests.checks.broken")
    assert "this module is broken" in message.msg


@pytest.mark.parametrize("content", [{}, {"SessionStore": 5}, {"SessionStore": base.SessionStore()}])
def test_an_engine_needs_a_session_store_class(content: dict[str, Any], make_module: MakeModule) -> None:
    """A module whose SessionStore is missing, or no class of ours, is no engine."""
    assert found_ids(SESSION_ENGINE=make_module("shop_engine", **content)) == ["E004"]


@pytest.mark.parametrize(
    ("parent", "cache_entry", "numbers"),
    [
        (db, {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, ["W041"]),
        (cached_db, {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, ["E035", "W041"]),
        (cache, {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, ["E036"]),
        (redis_engine, {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, ["E031"]),
    ],
    ids=["db", "cached_db", "cache", "redis"],
)
def test_a_derived_engine_gets_its_parent_s_checks(
    parent: Any, cache_entry: dict[str, Any], numbers: list[str], make_module: MakeModule
) -> None:
    """A project's engine stands on the same store, so its cache is looked at in the same way, however far derived."""
    child = type("SessionStore", (parent.SessionStore,), {"__module__": "shop_engine"})
    grandchild = type("SessionStore", (child,), {"__module__": "shop_engine"})
    codec = {"SESSION_CLASS": "tests.sessions.ShopSession", "CODEC": "msgpack"}

    path = make_module("shop_engine", SessionStore=grandchild)

    assert found_ids(SESSION_ENGINE=path, CACHES={"default": cache_entry}, TYPED_SESSIONS=codec) == numbers


def test_an_engine_on_a_store_of_its_own_is_left_alone(make_module: MakeModule) -> None:
    """What a third party's store needs is the third party's to check."""
    own = type("SessionStore", (base.SessionStore,), {"__module__": "shop_engine"})
    assert found_on_server(SESSION_ENGINE=make_module("shop_engine", SessionStore=own), CACHES={}) == []


_WITHOUT_DJANGO_REDIS = """
for name in ("django_redis", "redis", "hiredis"):
    sys.modules[name] = None
"""
_DERIVED_ENGINE = """
import importlib.abc, importlib.util
class Shop(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == "shop_engine" else None
    def exec_module(self, module):
        exec("from typed_sessions.backends.redis import SessionStore", vars(module))
sys.meta_path.insert(0, Shop())
"""


@pytest.mark.parametrize(
    ("path", "before"),
    [(engine("redis"), _WITHOUT_DJANGO_REDIS), ("shop_engine", _WITHOUT_DJANGO_REDIS + _DERIVED_ENGINE)],
    ids=["ours", "derived"],
)
def test_the_redis_engine_without_django_redis_says_what_to_install(path: str, before: str) -> None:
    """Where the extra is not installed, `check` fails with the pip command, for a derived engine too."""
    said = run_in_new_process(
        before=f'{before}\nsettings.SESSION_ENGINE = "{path}"',
        after='call_command("check", "--deploy")',
    )
    assert f"(typed_sessions.E004) SESSION_ENGINE '{path}' cannot be imported" in said
    assert 'HINT: Run: pip install "django-typed-sessions[redis]"' in said
    assert said.count("typed_sessions.E") == 1


def test_the_missing_extra_is_told_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint comes for a package that is missing; a typing error in our own package's name has the other hint."""
    monkeypatch.setitem(sys.modules, "django_redis", None)
    for name in ("backends.redis", "stores.redis", "stores.redis_claims", "stores.redis_connection"):
        monkeypatch.delitem(sys.modules, f"typed_sessions.{name}", raising=False)

    (message,) = found(SESSION_ENGINE=engine("redis"))

    assert message.id == "typed_sessions.E004"
    assert message.hint == 'Run: pip install "django-typed-sessions[redis]"'


# The other lines


@pytest.mark.parametrize(
    ("backends", "numbers"),
    [
        (["typed_sessions.auth.TypedSessionBackend"], []),
        (["django.contrib.auth.backends.ModelBackend", "typed_sessions.auth.TypedSessionBackend"], []),
        (["tests.checks.parts.ShopBackend"], []),
        (["no.such", "tests.checks.broken.Backend", ".x", None, "typed_sessions.auth.TypedSessionBackend"], []),
        (["django.contrib.auth.backends.RemoteUserBackend"], ["W005"]),
        (["typed_sessions.auth.login"], ["W005"]),
        (["no.such", ".x", "..x", None, 5], ["W005"]),
        ([], ["W005"]),
    ],
)
def test_one_of_the_authentication_backends_is_ours(backends: list[Any], numbers: list[str]) -> None:
    """Ours or one derived from it, at any place of the list, is enough."""
    assert found_ids(AUTHENTICATION_BACKENDS=backends) == numbers


@pytest.mark.parametrize(("name", "numbers"), [("sessionid", ["W006"]), ("ss-id", []), ("shop", [])])
def test_the_temporary_cookie_s_name_is_free_but_for_djangos(name: str, numbers: list[str]) -> None:
    """Any name but the one under which browsers may still keep another engine's token is fine."""
    assert found_ids(SESSION_COOKIE_NAME=name) == numbers


# The command


def test_manage_py_check_of_the_quick_start_finds_nothing() -> None:
    """`manage.py check` has nothing to say of a project with the seven lines."""
    assert manage_py_check() == "System check identified no issues (0 silenced).\n"


def test_manage_py_check_fails_for_an_error_of_ours() -> None:
    """An E of ours ends `check` with a failure that shows id, message and hint."""
    with (
        override_settings(MIDDLEWARE=[DJANGOS, _AUTHENTICATION, _MESSAGES]),
        pytest.raises(SystemCheckError) as failure,
    ):
        manage_py_check("--tag", "typed_sessions")
    assert "(typed_sessions.E001) MIDDLEWARE has no TypedSessionMiddleware" in str(failure.value)
    assert f"HINT: Put {OURS!r} in place of {DJANGOS!r}." in str(failure.value)


def test_manage_py_check_passes_with_a_warning_of_ours() -> None:
    """A W of ours is shown and does not fail `check`, unless warnings are asked to."""
    with override_settings(SESSION_COOKIE_NAME="sessionid"):
        assert "(typed_sessions.W006)" in manage_py_check()
        with pytest.raises(CommandError):
            manage_py_check("--fail-level", "WARNING")


def test_a_check_of_ours_can_be_silenced() -> None:
    """SILENCED_SYSTEM_CHECKS takes our ids as it takes Django's."""
    with override_settings(SESSION_COOKIE_NAME="sessionid", SILENCED_SYSTEM_CHECKS=["typed_sessions.W006"]):
        assert manage_py_check() == "System check identified no issues (1 silenced).\n"


def test_a_field_that_cannot_be_stored_is_shown_with_its_class() -> None:
    """`manage.py check` puts the session class in front of the message, as it does with a model."""
    with (
        override_settings(TYPED_SESSIONS={"SESSION_CLASS": "tests.checks.classes.WithModel"}),
        pytest.raises(SystemCheckError) as failure,
    ):
        manage_py_check()
    assert "<class 'tests.checks.classes.WithModel'>: (typed_sessions.E021) WithModel.owner is a model" in str(
        failure.value
    )
