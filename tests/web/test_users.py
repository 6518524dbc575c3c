"""`request.user`: the session's user as long as the account is good for it, and what happens when it is not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.http import HttpRequest
from django.test import Client

from tests.engines.rows import UseEngine
from tests.servers.redis import RedisServer
from tests.web.browser import ID, OPT, ApiClient, Browser
from tests.web.signing import put_in_cart, sign_in, state, status, who
from tests.web.stored import count
from tests.web.traffic import statements
from tests.web.urls import View
from typed_sessions import EndReason, aget_session, live_sessions, users
from typed_sessions.auth import TypedSessionBackend
from typed_sessions.backends.base import SessionStore
from typed_sessions.session import AuthUserSession
from typed_sessions.testing.engines import Configure, Verbs

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

OURS = "typed_sessions.middleware.TypedSessionMiddleware"
USERS = "django.contrib.auth.middleware.AuthenticationMiddleware"


@pytest.fixture
def engine(use_engine: UseEngine, handler: str) -> type[SessionStore]:
    """Who the user is does not depend on the engine: each handler has another one."""
    return use_engine({"wsgi": "db", "asgi": "redis"}[handler])


def user_name(request: Any) -> str:
    return request.user.get_username() or "anonymous"


async def async_user_name(request: Any) -> str:
    return (await request.auser()).get_username() or "anonymous"


each_way = pytest.mark.parametrize("ask", [user_name, async_user_name])


@each_way
def test_user_of_a_session(browser: Browser, user: User, ask: View) -> None:
    """The user is who has signed in."""
    assert browser.visit(ask).text == "anonymous"
    browser.visit(sign_in(user))
    assert browser.visit(ask).text == "ada"


@each_way
def test_visitor_costs_nothing(browser: Browser, verbs: Verbs, ask: View) -> None:
    """Who has no session is anonymous without a question to any store, and no session begins."""
    browser.get("/admin/login/")
    verbs.take()
    with statements("auth_user") as asked:
        answer = browser.visit(ask)
    assert (answer.text, answer.ours, asked, verbs.take()) == ("anonymous", {}, [], [])


MIXED: list[View] = []


def mixed(view: View) -> View:
    MIXED.append(view)
    return view


@mixed
def twice(request: Any) -> str:
    return f"{user_name(request)} {request.typed_session.user_name} {request.user.get_username()}"


@mixed
async def async_twice(request: Any) -> str:
    first = await async_user_name(request)
    return f"{first} {(await aget_session(request, AuthUserSession)).user_name} {await async_user_name(request)}"


@mixed
async def async_then_sync(request: Any) -> str:
    first = await async_user_name(request)
    return f"{first} {request.user.get_username()} {request.typed_session.user_name}"


@mixed
async def sync_then_async(request: Any) -> str:
    first = await sync_to_async(user_name)(request)
    return f"{first} {await async_user_name(request)} {(await aget_session(request, AuthUserSession)).user_name}"


@mixed
async def session_first(request: Any) -> str:
    session = await aget_session(request, AuthUserSession)
    return f"{session.user_name} {await async_user_name(request)} {request.user.get_username()}"


@pytest.mark.parametrize("view", MIXED)
def test_user_is_asked_for_once(browser: Browser, user: User, view: View) -> None:
    """However often and in whatever way a request asks who it is, the database is asked once."""
    browser.visit(sign_in(user))
    with statements("auth_user") as asked:
        assert browser.visit(view).text == "ada ada ada"
    assert asked == ["SELECT"]


def switch_off(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def erase(user: User) -> None:
    User.objects.filter(pk=user.pk)._raw_delete("default")  # as another program would


def change_password(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password="another")


def forget_session(request: Any) -> str:
    return f"{request.typed_session.user_name}"


async def async_session_name(request: Any) -> str:
    return f"{(await aget_session(request, AuthUserSession)).user_name}"


ENDS = [(switch_off, "user_inactive"), (erase, "user_inactive"), (change_password, "password_changed")]


@pytest.mark.parametrize(("happens", "reason"), ENDS)
@pytest.mark.parametrize(
    ("ask", "nobody"),
    [
        (user_name, "anonymous"),
        (async_user_name, "anonymous"),
        (forget_session, "None"),
        (async_session_name, "None"),
    ],
)
def test_s58_s59_account_that_is_not_good_any_more(
    browser: Browser,
    engine: type[SessionStore],
    user: User,
    ask: View,
    nobody: str,
    happens: Callable[[User], None],
    reason: str,
) -> None:
    """Whoever asks first, for the user or for the typed session: the session ends, and its cookies go."""
    browser.visit(sign_in(user))
    kept = browser.copy()
    happens(user)
    answer = browser.visit(ask)
    assert (answer.status, answer.text) == (200, nobody)
    assert answer.ours == {ID: "", OPT: ""}
    assert count(engine) == 0
    assert kept.visit(status).text == f"ended {reason}"


@pytest.mark.parametrize(("happens", "reason"), ENDS)
@each_way
def test_view_is_told_why(
    browser: Browser, user: User, ask: View, happens: Callable[[User], None], reason: str
) -> None:
    """In the very request the session says what became of it, and a new one may begin."""

    async def view(request: Any) -> str:
        name = await ask(request) if ask is async_user_name else await sync_to_async(ask)(request)
        session = await aget_session(request, AuthUserSession)
        session.meta["kept"] = "yes"
        return f"{name} {session.status.value} {session.end_reason and session.end_reason.value}"

    browser.visit(sign_in(user))
    before = browser.token
    happens(user)
    assert browser.visit(view).text == f"anonymous ended {reason}"
    assert browser.token != before
    assert browser.visit(lambda request: request.typed_session.meta).text == "{'kept': 'yes'}"


@pytest.mark.parametrize(("happens", "reason"), ENDS)
@each_way
def test_s20_client_by_header_is_refused(
    browser: Browser, user: User, configure: Configure, ask: View, happens: Callable[[User], None], reason: str
) -> None:
    """A program is told that its token is of no use any more, and why; it does not go on as a visitor."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(sign_in(user))
    happens(user)
    for _ in range(2):
        answer = client.visit(ask)
        assert (answer.status, json.loads(answer.text)["code"]) == (401, reason)


@each_way
def test_backend_that_a_release_has_taken_away(browser: Browser, user: User, settings: Settings, ask: View) -> None:
    """Who signed in by a backend that is not listed is anonymous, and signed in again once it is: nothing is lost."""
    browser.visit(sign_in(user))
    browser.visit(put_in_cart())
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    answer = browser.visit(ask)
    assert (answer.text, answer.ours) == ("anonymous", {})
    settings.AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]
    assert browser.visit(ask).text == "ada"


@each_way
def test_program_whose_backend_is_gone(
    browser: Browser, user: User, settings: Settings, configure: Configure, ask: View
) -> None:
    """A program is told that nobody vouches for its session now, and goes on with the same token once somebody does."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(sign_in(user))
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    answer = client.visit(ask)
    assert (answer.status, json.loads(answer.text)["code"]) == (401, "rejected")
    settings.AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend"]
    assert client.visit(ask).text == "ada"


class EverybodysBackend(TypedSessionBackend):
    """As Django's AllowAllUsersModelBackend."""

    def user_can_authenticate(self, user: Any) -> bool:
        return True


@pytest.mark.django_db(transaction=True)
@each_way
def test_backend_that_lets_inactive_users_in(browser: Browser, user: User, settings: Settings, ask: View) -> None:
    """Where a backend has nothing against users who are not active, their sessions go on."""
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.EverybodysBackend"]
    browser.visit(sign_in(user))
    save_inactive(user)
    assert browser.visit(ask).text == "ada"
    assert live_sessions.count_for(user) == 1


class BrokenBackend(TypedSessionBackend):
    def get_user(self, user_id: Any) -> None:
        raise AttributeError("of the backend")


def test_backend_that_fails(browser: Browser, user: User, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """An error of a backend is an error, and does not make Django look for the user without us."""
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.BrokenBackend"]
    browser.visit(sign_in(user))
    answer = browser.visit(user_name)
    assert answer.status == 500
    assert "of the backend" in caplog.text


def stranger(get_response: Any) -> Any:
    """Middleware that says itself who the user is, behind Django's."""

    def middleware(request: Any) -> Any:
        async def auser() -> User:
            return User(username="stranger")

        request.user, request.auser = User(username="stranger"), auser
        return get_response(request)

    return middleware


@each_way
def test_middleware_that_says_who_it_is(new_site: Callable[..., Browser], user: User, ask: View) -> None:
    """Who puts a user on the request is believed, as with Django."""
    browser = new_site(*django_settings.MIDDLEWARE, f"{__name__}.stranger")
    assert browser.visit(ask).text == "stranger"


class BackendOfAReplica(TypedSessionBackend):
    """Reads users where the newest have not arrived yet."""

    def get_user(self, user_id: Any) -> None:
        return None

    async def aget_user(self, user_id: Any) -> None:
        return None


@each_way
def test_replica_that_lags_behind(browser: Browser, user: User, settings: Settings, ask: View) -> None:
    """A user whom a replica does not know yet is no user who is gone: before a session ends, the primary is asked."""
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.BackendOfAReplica"]
    browser.visit(sign_in(user))
    answer = browser.visit(ask)
    assert (answer.text, answer.ours) == ("anonymous", {})
    assert live_sessions.count_for(user) == 1
    switch_off(user)
    assert browser.visit(ask).ours == {ID: "", OPT: ""}
    assert live_sessions.count_for(user) == 0


@each_way
def test_key_of_another_user_model(browser: Browser, engine: type[SessionStore], user: User, ask: View) -> None:
    """A session whose user cannot be one of this project's, since the model was changed, ends without an error."""

    def become_somebody(request: Any) -> None:
        request.session[auth.SESSION_KEY] = "0190f0b4-6a53-7e3c-8b57-ad6b0ee1c9d1"

    browser.visit(sign_in(user))
    browser.visit(become_somebody)
    answer = browser.visit(ask)
    assert (answer.status, answer.text) == (200, "anonymous")
    assert count(engine) == 0


@pytest.mark.parametrize("ask", [forget_session, async_session_name])
def test_without_middleware_of_users(new_site: Callable[..., Browser], user: User, ask: View) -> None:
    """Where no middleware says who the user is, nobody is asked either, and the session tells what it knows."""
    browser = new_site(OURS)
    browser.visit(sign_in(user))
    switch_off(user)
    with statements("auth_user") as asked:
        assert browser.visit(ask).text == "ada"
    assert asked == []


@each_way
def test_engine_of_django(browser: Browser, settings: Settings, user: User, ask: View, handler: str) -> None:
    """With an engine of Django's, the user is Django's affair."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    settings.SESSION_COOKIE_NAME = "sessionid"

    def enter(request: Any) -> None:
        auth.login(request, user)

    browser.visit(enter)
    assert browser.visit(ask).text == "ada"
    switch_off(user)
    assert browser.visit(ask).text == "anonymous"


def test_request_made_by_hand() -> None:
    """A request that no middleware has seen has no cached user, and says so as any object would."""
    assert not hasattr(HttpRequest(), users.CACHED)
    assert isinstance(getattr(HttpRequest, users.CACHED), users.UserAttribute)


# Accounts that are saved and deleted


def names_of(*browsers: Browser) -> list[str]:
    return [browser.visit(status).text for browser in browsers]


def save_inactive(user: User) -> None:
    user.is_active = False
    user.save()


def delete(user: User) -> None:
    user.delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("happens", [save_inactive, delete])
def test_s59_s94_sessions_end_with_the_account(
    browser: Browser, user: User, other_user: User, happens: Callable[[User], None]
) -> None:
    """All sessions of an account that is switched off or deleted end when that is committed, and not before."""
    second, theirs = browser.copy(), browser.copy()
    browser.visit(sign_in(user))
    second.visit(sign_in(user, remember=True))
    theirs.visit(sign_in(other_user))
    with transaction.atomic():
        key = user.pk
        happens(user)
        assert live_sessions.count_for(key) == 2
    assert live_sessions.count_for(key) == 0
    assert names_of(browser, second, theirs) == ["ended user_inactive", "ended user_inactive", "live -"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("happens", [save_inactive, delete])
def test_account_that_stays_after_all(browser: Browser, user: User, happens: Callable[[User], None]) -> None:
    """What is rolled back ends nothing."""
    browser.visit(sign_in(user))
    with transaction.atomic():
        happens(user)
        transaction.set_rollback(True)
    assert names_of(browser) == ["live -"]


@pytest.mark.django_db(transaction=True)
def test_account_that_is_saved(browser: Browser, user: User) -> None:
    """Any other change of an account leaves its sessions alone."""
    browser.visit(sign_in(user))
    user.first_name = "Augusta"
    user.save()
    assert names_of(browser) == ["live -"]


@pytest.mark.django_db(transaction=True)
def test_fixture_that_is_loaded(browser: Browser, user: User, tmp_path: Path) -> None:
    """Rows that `loaddata` writes are no decisions about accounts; the next request decides."""
    browser.visit(sign_in(user))
    save = tmp_path / "users.json"
    switch_off(user)
    call_command("dumpdata", "auth.User", output=str(save), verbosity=0)
    call_command("loaddata", str(save), verbosity=0)
    assert live_sessions.count_for(user) == 1
    assert browser.visit(user_name).text == "anonymous"
    assert live_sessions.count_for(user) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["cache", "django"])
def test_engine_that_cannot_list(
    new_site: Callable[..., Browser], use_engine: UseEngine, settings: Settings, user: User, name: str
) -> None:
    """Where the sessions of a user cannot be listed, each of them ends with its next request."""
    if name == "cache":
        use_engine("cache")
    else:
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    browser = new_site(*django_settings.MIDDLEWARE)
    browser.visit(lambda request: auth.login(request, user))
    save_inactive(user)
    assert browser.visit(user_name).text == "anonymous"


@pytest.mark.hasty
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("handler", ["asgi"])
@pytest.mark.parametrize("happens", [save_inactive, delete])
def test_outage_stops_nobody_from_switching_off_an_account(
    browser: Browser,
    user: User,
    valkey: RedisServer,
    caplog: pytest.LogCaptureFixture,
    happens: Callable[[User], None],
) -> None:
    """If the store does not answer, the account is switched off all the same, and the next request ends the session."""
    browser.visit(sign_in(user))
    key = user.pk
    with caplog.at_level(logging.ERROR, "typed_sessions"):
        valkey.freeze()
        happens(user)
        valkey.thaw()
    assert f"The sessions of user {key} could not be ended" in caplog.text
    assert not User.objects.filter(pk=key, is_active=True).exists()
    assert browser.visit(who).text == "anonymous anonymous None"


def test_client_of_djangos_tests(client: Client, user: User, settings: Settings) -> None:
    """Django's own test client signs in as ever, and sees who it is."""
    client.force_login(user)
    assert auth.get_user(client).get_username() == "ada"
    assert client.session["_auth_user_id"] == str(user.pk)


def test_reason_is_for_the_end_alone(browser: Browser, user: User) -> None:
    """A sign-out after a look at the user says that it was one."""

    def view(request: Any) -> str:
        assert request.user.is_authenticated
        request.session.flush()
        return state(request)

    browser.visit(sign_in(user))
    kept = browser.copy()
    browser.visit(view)
    assert kept.visit(status).text == f"ended {EndReason.LOGGED_OUT.value}"
