"""`check --deploy`: what Django's own checks say of its middleware and cookies, said of ours."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.test import modify_settings, override_settings

from tests.checks.findings import (
    found,
    found_ids,
    found_on_server,
    ids,
    manage_py_check,
    run_in_new_process,
    served,
    typed,
)

_CREDENTIALS = {"CORS_ALLOW_CREDENTIALS": True}


def test_the_quick_start_on_a_server_needs_secure_cookies() -> None:
    """Of Django's defaults one is not for servers, and neither are names of cookies without a prefix."""
    assert found_ids(deploy=True) == ["W050", "W055"]
    assert found_on_server() == []


@pytest.mark.parametrize(
    "unsafe",
    [
        {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": None},
        typed(HASH_IDS=False),
        {"DEFAULT_EXCEPTION_REPORTER_FILTER": "no.such"},
        {**_CREDENTIALS, "CORS_ALLOW_HEADERS": ["x-ss-id"]},
    ],
)
def test_without_deploy_nothing_is_said(unsafe: dict[str, Any]) -> None:
    """A project at its developer's desk is not told what a server needs."""
    assert found(**unsafe) == []


@pytest.mark.parametrize(
    ("name", "numbers"), [("SESSION_COOKIE_SECURE", ["E018", "W050"]), ("SESSION_COOKIE_HTTPONLY", ["W051"])]
)
@pytest.mark.parametrize("value", [False, None, "", 0])
def test_s41_the_cookies_flags_are_on(name: str, numbers: list[str], value: Any) -> None:
    """A flag that is off, however it is written, is told; without `Secure` a prefix is an error besides."""
    assert ids(found_on_server(**{name: value})) == numbers


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("Lax", []),
        ("Strict", []),
        ("lax", []),
        ("STRICT", []),
        ("None", ["W052"]),
        ("none", ["W052"]),
        (None, ["W052"]),
        (False, ["W052"]),
        ("", ["W052"]),
        ("Anything", ["W052"]),
        (5, ["W052"]),
        (b"Lax", ["W052"]),
    ],
)
def test_s41_other_sites_cannot_send_the_cookies(value: Any, numbers: list[str]) -> None:
    """Only Lax and Strict keep other sites out, in any case, as Django takes them."""
    assert ids(found_on_server(SESSION_COOKIE_SAMESITE=value)) == numbers


def test_every_fault_is_told_at_once() -> None:
    """Four faults of the cookies are four messages."""
    off = {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": "None"}
    assert found_ids(deploy=True, **off) == ["W050", "W051", "W052", "W055"]


@pytest.mark.parametrize(
    ("changed", "numbers"),
    [
        ({}, []),
        (typed(PERM_COOKIE_NAME="__Host-p", OPTION_COOKIE_NAME="__Host-o", COOKIE_PREFIX=""), []),
        (typed(COOKIE_PREFIX=""), ["W055"]),
        (typed(COOKIE_PREFIX="", PERM_COOKIE_NAME="__Host-p"), ["W055"]),
        ({"SESSION_COOKIE_NAME": "__Secure-ss-id", **typed(COOKIE_PREFIX="__Secure-")}, ["W055"]),
        ({"SESSION_COOKIE_NAME": "ss-id", **typed(COOKIE_PREFIX="")}, ["W055"]),
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, ["E018"]),
    ],
)
def test_s46_no_neighbour_can_plant_a_cookie(changed: dict[str, Any], numbers: list[str]) -> None:
    """The warning comes unless all three names begin with __Host-, wherever they got it from."""
    assert ids(found_on_server(**changed)) == numbers


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("django.views.debug.SafeExceptionReporterFilter", []),
        ("typed_sessions.debug.TypedSessionExceptionReporterFilter", []),
        ("tests.checks.parts.ShopReporterFilter", []),
        ("tests.checks.parts.ShopBackend", ["W056"]),
        ("tests.checks.parts.a_function", ["W056"]),
        ("tests.checks.broken.X", ["W056"]),
        ("no.such", ["W056"]),
        (None, ["W056"]),
    ],
)
def test_s85_reports_of_errors_hide_tokens(path: Any, numbers: list[str]) -> None:
    """Django's own filter is one that the middleware replaces; a project's has to inherit ours."""
    assert ids(found_on_server(DEFAULT_EXCEPTION_REPORTER_FILTER=path)) == numbers


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"CORS_ALLOW_HEADERS": ["x-ss-id"]}, []),
        ({"CORS_ALLOW_HEADERS": ["accept", "x-sso"], **_CREDENTIALS}, []),
        ({"CORS_ALLOW_CREDENTIALS": False, "CORS_ALLOW_ALL_ORIGINS": False, "CORS_ALLOW_HEADERS": ["x-ss-id"]}, []),
        (_CREDENTIALS, []),
        ({"CORS_ALLOW_HEADERS": ["X-SS-ID"], **_CREDENTIALS}, ["CORS_ALLOW_HEADERS has 'X-SS-ID'"]),
        ({"CORS_ALLOW_HEADERS": ("x-ss-opts",), **_CREDENTIALS}, ["CORS_ALLOW_HEADERS has 'x-ss-opts'"]),
        ({"CORS_EXPOSE_HEADERS": ["X-ss-pid"], "CORS_ALLOW_ALL_ORIGINS": True}, ["CORS_EXPOSE_HEADERS has 'X-ss-pid'"]),
        (
            {"CORS_ALLOW_HEADERS": ["x-ss-id", "x-ss-opt"], "CORS_EXPOSE_HEADERS": ["x-ss-id"], **_CREDENTIALS},
            [
                "CORS_ALLOW_HEADERS has 'x-ss-id'",
                "CORS_ALLOW_HEADERS has 'x-ss-opt'",
                "CORS_EXPOSE_HEADERS has 'x-ss-id'",
            ],
        ),
    ],
)
def test_s25_no_other_origin_gets_at_the_headers(changed: dict[str, Any], names: list[str]) -> None:
    """Each of our headers that every origin, or one with credentials, may send or read is a message."""
    messages = found_on_server(**changed)
    assert ids(messages) == ["W057"] * len(names)
    assert [message.msg.split(",")[0] for message in messages] == names


_OURS, _BASIC = (
    "typed_sessions.rest_framework.TypedSessionAuthentication",
    "rest_framework.authentication.BasicAuthentication",
)


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({}, []),
        ({"DEFAULT_AUTHENTICATION_CLASSES": []}, []),
        ({"DEFAULT_AUTHENTICATION_CLASSES": [_BASIC]}, []),
        ({"DEFAULT_AUTHENTICATION_CLASSES": [_OURS]}, []),
        ({"DEFAULT_AUTHENTICATION_CLASSES": (_OURS, _BASIC)}, []),
        ({"DEFAULT_AUTHENTICATION_CLASSES": (_BASIC, _OURS)}, ["W058"]),
        ({"DEFAULT_AUTHENTICATION_CLASSES": [_OURS, _OURS]}, ["W058"]),
    ],
)
def test_s40_a_session_is_asked_before_other_credentials(given: dict[str, Any], numbers: list[str]) -> None:
    """In REST framework ours stands first: behind another it is not asked, and could not tell of two users."""
    assert ids(found_on_server(REST_FRAMEWORK=given)) == numbers


@pytest.mark.parametrize("keys", [{}, {"HASH_IDS": True}])
def test_ids_that_open_nothing_are_fine(keys: dict[str, Any]) -> None:
    """Hashed ids, the default, are not told."""
    assert found_on_server(**typed(**keys)) == []


@pytest.mark.parametrize(
    ("version", "upgrade"),
    [
        ((5, 2, 18, "final", 0), "5.2.19"),
        ((5, 2, 0, "alpha", 1), "5.2.19"),
        ((6, 0, 9, "final", 0), "6.0.10"),
        ((6, 1, 2, "final", 0), "6.1.3"),
        ((5, 2, 19, "final", 0), None),
        ((5, 2, 20, "final", 0), None),
        ((6, 0, 10, "final", 0), None),
        ((6, 1, 3, "final", 0), None),
        ((6, 2, 0, "alpha", 0), None),
    ],
)
def test_s51_a_django_with_known_holes_is_told(
    version: tuple[int, int, int, str, int], upgrade: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each series is told up to the release that closed the holes, which the hint names; later series are not."""
    monkeypatch.setattr(django, "VERSION", version)
    messages = found_on_server()
    assert [message.hint for message in messages] == ([f"Upgrade to Django {upgrade} or later."] if upgrade else [])


def test_the_django_of_these_tests_is_not_told() -> None:
    """The versions that setup.cfg allows are the ones without known holes."""
    assert "W054" not in found_ids(deploy=True)


@pytest.mark.parametrize("deploy", [False, True])
def test_wrong_settings_are_told_once(deploy: bool) -> None:
    """While TYPED_SESSIONS itself is wrong, the checks for servers do not repeat it."""
    assert ids(found(deploy, **served(TYPED_SESSIONS={"NO": 1, "SESSION_CLASS": "a.b"}))) == ["E010"]


@pytest.mark.parametrize(
    ("name", "django_s", "ours"),
    [
        ("SESSION_COOKIE_SECURE", {"W010", "W011", "W012"}, "W050"),
        ("SESSION_COOKIE_HTTPONLY", {"W013", "W014", "W015"}, "W051"),
    ],
)
def test_django_is_silent_of_our_middleware_and_we_are_not(name: str, django_s: set[str], ours: str) -> None:
    """Without django.contrib.sessions Django's W010 to W015 do not come; ours do, under Django's tag."""
    with modify_settings(INSTALLED_APPS={"remove": "django.contrib.sessions"}), override_settings(**{name: False}):
        said = manage_py_check("--deploy", "--tag", "security")
    assert [number for number in sorted(django_s) if f"(security.{number})" in said] == []
    assert f"(typed_sessions.{ours}) {name} is not True" in said


def test_a_safe_project_passes_check_deploy_without_a_word() -> None:
    """With every flag set and ours in place, `check --deploy` has nothing to say, of Django's checks either."""
    safe = {
        "ALLOWED_HOSTS": ["shop.example"],
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SECURE_HSTS_PRELOAD": True,
        "SECURE_SSL_REDIRECT": True,
        "CSRF_COOKIE_SECURE": True,
        **served(),
    }
    with override_settings(**safe):
        assert manage_py_check("--deploy") == "System check identified no issues (0 silenced).\n"


_USE = """
from django.http import HttpResponse
from django.test import Client
from django.urls import path
import tests.urls
def view(request):
    request.typed_session.page_views += 1
    return HttpResponse(str(request.typed_session.page_views))
tests.urls.urlpatterns.append(path("", view))
call_command("check", fail_level="WARNING")
call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
User.objects.create_user("ada", password="secret")
client = Client()
views = [client.get("/").content, client.get("/").content]
views += [client.login(username="ada", password="secret"), client.get("/").content]
client.logout()
views += [client.get("/").content]
print(views)
"""


def test_the_app_works_without_djangos_sessions_installed() -> None:
    """django.contrib.sessions may be left out: `check`, `migrate`, requests, sign-in and sign-out work all the same."""
    said = run_in_new_process(before='settings.INSTALLED_APPS.remove("django.contrib.sessions")', after=_USE)
    assert said.splitlines() == [
        "System check identified no issues (0 silenced).",
        "[b'1', b'2', True, b'3', b'1']",
    ]
