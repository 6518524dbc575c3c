"""Signing in: what the session says of its user, for how long it is kept, and Django's own test clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.backends.db import SessionStore as DjangoSessionStore
from django.test import AsyncClient, Client

from tests.sessions import ShopSession
from tests.web.browser import HANDLERS, ID, OPT, PID, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.signing import (
    Request,
    async_sign_in,
    sign_in,
    sign_out,
    state,
    status,
    who,
)
from typed_sessions import SessionMode, get_session
from typed_sessions.auth import TypedSessionBackend, alogout, login
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Configure

if TYPE_CHECKING:
    from pytest_django import Settings


def test_fields_of_the_user(browser: Browser, user: User) -> None:
    """At sign-in the session learns who the user is, with groups and permissions, and forgets it at sign-out."""
    user.groups.add(Group.objects.create(name="staff"), Group.objects.create(name="buyers"))
    user.user_permissions.add(Permission.objects.get(codename="view_user"))

    def shown(request: Request) -> str:
        session = get_session(request, ShopSession)
        names = [session.user_auth_id, session.user_auth_name, session.user_name, session.display_name]
        names += [session.first_name, session.last_name, session.email, session.auth_provider]
        return f"{names} {session.roles} {session.permissions}"

    browser.visit(sign_in(user))
    provider = "typed_sessions.auth.TypedSessionBackend"
    names = [str(user.pk), "ada", "ada", "Ada Lovelace", "Ada", "Lovelace", "ada@example.com", provider]
    expected = f"{names} ['buyers', 'staff'] ['auth.view_user']"
    assert browser.visit(shown).text == expected
    browser.visit(sign_out)
    assert browser.visit(shown).text == f"{[None] * 8} [] []"


def test_session_without_user_fields(browser: Browser, user: User, configure: Configure) -> None:
    """A session class that has no fields of a user signs in as well."""
    configure(SESSION_CLASS="typed_sessions.TypedSession")

    def view(request: Any) -> bool:
        login(request, user)
        return bool(request.typed_session.is_authenticated)

    assert browser.visit(view).text == "True"
    assert browser.visit(lambda request: request.user).text == "ada"


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("told", [None, False, True])
@pytest.mark.parametrize("remember", [None, False, True])
def test_remember(
    browser: Browser, user: User, configure: Configure, default: bool, told: bool | None, remember: bool | None
) -> None:
    """`login` decides how long the session is kept, then what `authenticate` was told, then REMEMBER_DEFAULT."""
    configure(REMEMBER_DEFAULT=default)

    def view(request: Request) -> None:
        found = auth.authenticate(request, username="ada", password=PASSWORD, remember=told)
        assert found is not None
        login(request, found, remember)

    decided = next(choice for choice in (remember, told, default) if choice is not None)
    assert browser.visit(view).ours[OPT] == ("perm" if decided else "temp")


def test_remember_is_for_one_sign_in(browser: Browser, user: User) -> None:
    """What was said of one sign-in does not hold for the next one with the same user object."""
    assert browser.visit(sign_in(user, remember=True)).ours[OPT] == "perm"
    assert browser.visit(sign_in(user)).ours[OPT] == "temp"


def test_remember_of_the_signed_in_user(browser: Browser, user: User) -> None:
    """`request.user`, which is lazy, can be signed in again with another lifetime."""
    browser.visit(sign_in(user))

    def view(request: Request) -> None:
        login(request, cast("User", request.user), remember=True)

    assert browser.visit(view).ours[OPT] == "perm"
    assert browser.visit(who).text.startswith("ada ada")


def test_remember_async(browser: Browser, user: User) -> None:
    """`aauthenticate` and `alogin` take `remember` as well."""

    async def told(request: Request) -> None:
        found = await auth.aauthenticate(request, username="ada", password=PASSWORD, remember=True)
        assert found is not None
        await auth.alogin(request, found)

    assert browser.visit(told).ours[OPT] == "perm"
    assert browser.visit(async_sign_in(user, remember=False)).ours[OPT] == "temp"


def test_async_sign_out(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """`alogout` ends the session as `logout` does."""

    async def view(request: Request) -> str:
        await alogout(request)
        return state(request)

    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    assert browser.visit(view).text == "anonymous None"
    assert before.visit(status).text == "ended logged_out"
    assert not browser.cookies.keys() & {ID, PID, OPT}


@pytest.mark.parametrize("path", ["form", "function", "async function"])
def test_s58_new_password(new_browser: NewBrowser, user: User, path: str) -> None:
    """A new password keeps this session, of the same kind and under a new token, and ends all others of the user."""
    here, there = new_browser(), new_browser()
    here.visit(sign_in(user, remember=True))
    there.visit(sign_in(user))
    before = here.copy()
    new = "an even better one"

    def function(request: Request) -> None:
        assert request.user == user
        user.set_password(new)
        user.save()
        auth.update_session_auth_hash(request, user)

    async def async_function(request: Request) -> None:
        assert await sync_to_async(lambda: request.user == user)()
        assert await request.auser() == user
        user.set_password(new)
        await user.asave()
        await auth.aupdate_session_auth_hash(request, user)

    if path == "form":
        here.get("/accounts/password_change/")
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        assert here.post("/accounts/password_change/", **form).status == 302
    else:
        here.visit(async_function if path.startswith("async") else function)
    assert here.cookies[OPT] == "perm"
    assert here.cookies[PID] != before.cookies[PID]
    assert here.visit(who).text.startswith("ada ada")
    assert before.visit(status).text == "ended rotated"
    assert there.visit(who).text == "anonymous anonymous None"
    assert there.visit(status).text in ("fresh -", "ended logged_out")


def test_s65_new_secret_key(browser: Browser, user: User, settings: Settings) -> None:
    """With the old key among the fallbacks, everybody stays signed in when SECRET_KEY changes."""
    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret, as long and as good as the one before it"
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.cookies[PID] != before.cookies[PID]
    settings.SECRET_KEY_FALLBACKS = []
    assert browser.visit(who).text.startswith("ada ada")
    assert before.visit(status).text == "rejected -"


def test_s59_user_who_may_not_sign_in_any_more(browser: Browser, user: User) -> None:
    """An inactive or deleted user is anonymous from the next request on, and stays so in this browser."""
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    assert browser.visit(lambda request: request.user.is_authenticated).text == "False"
    User.objects.update(is_active=True)
    assert browser.visit(lambda request: request.user.is_authenticated).text == "False"
    browser.visit(sign_in(user))
    User.objects.all().delete()
    assert browser.visit(lambda request: request.user.is_authenticated).text == "False"


@pytest.mark.django_db
@pytest.mark.usefixtures("engine")
class TestClients:
    """Django's test clients, which know one cookie."""

    def test_force_login(self, client: Client, user: User) -> None:
        """A forced sign-in is one, temporary, with the user's fields."""
        client.session.update({"before": 1})
        visited = client.session
        visited["before"] = 1
        visited.save()
        before = client.cookies[ID].value
        client.force_login(user)
        assert client.cookies[ID].value != before
        session = client.session
        assert isinstance(session, SessionStore)
        assert (session["before"], session.typed_session.mode) == (1, SessionMode.TEMP)
        assert get_session(client.get("/admin/").wsgi_request, ShopSession).user_name == "ada"

    def test_login(self, client: Client, user: User) -> None:
        """The client signs in with credentials, also with `remember`, whose cookie it would not know."""
        assert not client.login(username="ada", password="wrong")
        assert client.login(username="ada", password=PASSWORD, remember=True)
        assert client.get("/admin/").wsgi_request.user == user
        client.logout()
        assert not client.cookies

    def test_sessions_without_a_cookie(self, client: Client) -> None:
        """The client's session is stored at once and is the one that views get."""
        session = client.session
        session["color"] = "red"
        session.save()
        assert client.get("/admin/login/").wsgi_request.session["color"] == "red"
        assert client.session["color"] == "red"

    async def test_async_client(self, user: User) -> None:
        """The async client does the same."""
        client = AsyncClient()
        session = await client.asession()
        await session.aset("color", "red")
        await session.asave()
        await client.aforce_login(user)
        assert await (await client.asession()).aget("color") == "red"
        assert (await client.get("/accounts/password_change/")).status_code == 200
        await client.alogout()
        assert (await client.get("/accounts/password_change/")).status_code == 302
        assert await client.alogin(username="ada", password=PASSWORD)


def test_backend_without_a_request(user: User) -> None:
    """The backend tells good credentials from bad ones as Django's does, with and without a request."""
    backend = TypedSessionBackend()
    assert backend.authenticate(None, username="ada", password=PASSWORD) == user
    assert backend.authenticate(None, username="ada", password="wrong", remember=True) is None
    assert backend.authenticate(None, username="nobody", password=PASSWORD) is None
    assert backend.authenticate(None, remember=True) is None
    assert backend.get_user(user.pk) == user


async def test_backend_async(user: User) -> None:
    """The async twin does as well."""
    backend = TypedSessionBackend()
    assert await backend.aauthenticate(None, username="ada", password=PASSWORD) == user
    assert await backend.aauthenticate(None, username="ada", password="wrong", remember=True) is None
    assert await backend.aget_user(user.pk) == user


def test_engine_of_another_package(browser: Browser, handler: str, user: User, settings: Settings) -> None:
    """With an engine that is not ours the middleware does what Django's does, and sign-in works."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    fresh = Browser(HANDLERS[handler]())
    seen = []

    def view(request: Any) -> str:
        seen.append(request.session)
        auth.login(request, user)
        request.session["color"] = "red"
        return ""

    async def later(request: Any) -> str:
        color = await request.session.aget("color")
        await auth.alogout(request)
        return str(color)

    assert fresh.visit(view).ours.keys() == {ID}
    assert type(seen[0]) is DjangoSessionStore
    assert fresh.visit(lambda request: request.user).text == "ada"
    assert fresh.visit(later).text == "red"
    assert fresh.visit(lambda request: request.user).text == "AnonymousUser"


def test_sign_in_signal_of_others(browser: Browser, user: User) -> None:
    """Packages that send Django's signal for a user whom they do not sign into the session begin no session."""

    def view(request: Any) -> str:
        auth.user_logged_in.send(User, request=request, user=user)
        auth.user_logged_in.send(User, request=None, user=user)
        auth.user_logged_out.send(User, request=None, user=user)
        return state(request)

    answer = browser.visit(view)
    assert (answer.text, answer.ours) == ("anonymous None", {})
