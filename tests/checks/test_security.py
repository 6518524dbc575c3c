"""`check --deploy`: what Django's own checks say of its middleware and cookies, said of ours."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.test import modify_settings, override_settings

from tests.checks.findings import found, found_ids, ids, manage_py_check, run_in_new_process, typed

_SAFE = {"SESSION_COOKIE_SECURE": True}


def test_the_quick_start_on_a_server_needs_secure_cookies() -> None:
    """Of Django's defaults, one is not for servers."""
    assert found_ids(deploy=True) == ["W050"]
    assert found(deploy=True, **_SAFE) == []


@pytest.mark.parametrize(
    "unsafe",
    [
        {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": None},
        typed(HASH_IDS=False),
    ],
)
def test_without_deploy_nothing_is_said(unsafe: dict[str, Any]) -> None:
    """A project at its developer's desk is not told what a server needs."""
    assert found(**unsafe) == []


@pytest.mark.parametrize(("name", "number"), [("SESSION_COOKIE_SECURE", "W050"), ("SESSION_COOKIE_HTTPONLY", "W051")])
@pytest.mark.parametrize("value", [False, None, "", 0])
def test_s41_the_cookies_flags_are_on(name: str, number: str, value: Any) -> None:
    """A flag that is off, however it is written, is told."""
    assert found_ids(deploy=True, **{**_SAFE, name: value}) == [number]


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
    assert found_ids(deploy=True, SESSION_COOKIE_SAMESITE=value, **_SAFE) == numbers


def test_every_fault_is_told_at_once() -> None:
    """Three faults of the cookies are three messages."""
    off = {"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": "None"}
    assert found_ids(deploy=True, **off) == ["W050", "W051", "W052"]


@pytest.mark.parametrize("keys", [{}, {"HASH_IDS": True}])
def test_ids_that_open_nothing_are_fine(keys: dict[str, Any]) -> None:
    """Hashed ids, the default, are not told."""
    assert found(deploy=True, **_SAFE, **typed(**keys)) == []


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
    messages = found(deploy=True, **_SAFE)
    assert [message.hint for message in messages] == ([f"Upgrade to Django {upgrade} or later."] if upgrade else [])


def test_the_django_of_these_tests_is_not_told() -> None:
    """The versions that setup.cfg allows are the ones without known holes."""
    assert "W054" not in found_ids(deploy=True)


@pytest.mark.parametrize("deploy", [False, True])
def test_wrong_settings_are_told_once(deploy: bool) -> None:
    """While TYPED_SESSIONS itself is wrong, the checks for servers do not repeat it."""
    assert ids(found(deploy, SESSION_COOKIE_SECURE=True, TYPED_SESSIONS={"NO": 1, "SESSION_CLASS": "a.b"})) == ["E010"]


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
        **_SAFE,
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
