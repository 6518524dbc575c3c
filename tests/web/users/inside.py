"""Run by test_keys.py with each of the user models here: signing in, and finding and ending sessions by their user."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import auth
from django.db import models

from tests.web.browser import OPT, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.matrix import TRANSACTIONAL, two_engines
from tests.web.signing import async_sign_in, sign_in, sign_out, status
from tests.web.urls import View
from typed_sessions import EndReason, live_sessions
from typed_sessions.testing.engines import Configure

KEYS: dict[type[models.Field[Any, Any]], tuple[Any, Any]] = {
    models.AutoField: (1, 11),
    models.BigAutoField: (2**40 + 1, 2**40 + 11),
    models.UUIDField: (uuid.UUID(int=0xABC << 100), uuid.UUID(int=0xABC)),
    models.CharField: ("Käufer:{1}*?/ 01", "käufer:{1}*?/ 01"),
}
"""Of two users, and as alike as the type allows."""

pytestmark = [two_engines, pytest.mark.usefixtures("engine")]


def new_user(name: str, which: int) -> Any:
    model: Any = auth.get_user_model()
    key = KEYS[type(model._meta.pk)][which]
    return model.objects.create_user(username=name, password=PASSWORD, pk=key)


@pytest.fixture
def ada(db: None) -> Any:
    return new_user("ada", 0)


@pytest.fixture
def grace(db: None) -> Any:
    return new_user("grace", 1)


@pytest.fixture
def enter(handler: str) -> Callable[..., View]:
    return async_sign_in if handler == "asgi" else sign_in


def me(request: Any) -> str:
    """The key of the user, by Django and by the session, and the id of the session."""
    return f"{request.user.pk!r} {request.typed_session.user_auth_id!r} {request.typed_session.id}"


async def async_me(request: Any) -> str:
    user = await request.auser()
    return f"{user.pk!r} {request.typed_session.user_auth_id!r} {request.typed_session.id}"


def is_in(browser: Browser, user: Any) -> bool:
    expected = f"{user.pk!r} {str(user.pk)!r} "
    return all(browser.visit(view).text.startswith(expected) for view in (me, async_me))


def is_out(browser: Browser) -> bool:
    return all(browser.visit(view).text == "None None None" for view in (me, async_me))


def id_in(browser: Browser) -> str:
    return browser.visit(me).text.split()[-1]


def names_of(user: Any) -> list[object]:
    """Whatever a caller may have in hand for the user: the object, the key, or the key as an address has it."""
    names: list[object] = [user, user.pk, str(user.pk)]
    if isinstance(user.pk, uuid.UUID):
        names += [user.pk.hex, str(user.pk).upper(), user.pk.urn]
    return names


def test_signing_in(browser: Browser, ada: Any, grace: Any, enter: Callable[..., View]) -> None:
    """Sign-in by user and by credentials, for once and to stay, and sign-out."""

    def credentials(request: Any) -> None:
        found = auth.authenticate(request, username="grace", password=PASSWORD, remember=True)
        assert found is not None
        auth.login(request, found)

    for remember in (False, True):
        browser.visit(enter(ada, remember))
        assert is_in(browser, ada)
    browser.visit(credentials)
    assert is_in(browser, grace)
    assert browser.cookies[OPT] == "perm"
    browser.visit(sign_out)
    assert is_out(browser)


def test_sessions_of_a_user(new_browser: NewBrowser, ada: Any, grace: Any, enter: Callable[..., View]) -> None:
    """Sessions are listed and counted by the user, by the key, and by its text, and are that user's alone."""
    browsers = [new_browser() for _ in range(4)]
    for browser, user in zip(browsers, (ada, ada, ada, grace), strict=True):
        browser.visit(enter(user))
    for user, own in ((ada, browsers[:3]), (grace, browsers[3:])):
        ids = {id_in(browser) for browser in own}
        for name in names_of(user):
            assert {session.id for session in live_sessions.for_user(name)} == ids, name
            assert {session.id for session in async_to_sync(live_sessions.afor_user)(name)} == ids, name
            assert live_sessions.count_for(name) == len(ids), name
            assert async_to_sync(live_sessions.acount_for)(name) == len(ids), name
    browsers[0].visit(sign_out)
    browsers[1].visit(enter(grace))
    assert (live_sessions.count_for(ada), live_sessions.count_for(grace)) == (1, 2)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_ending_by_user(
    new_browser: NewBrowser, ada: Any, grace: Any, enter: Callable[..., View], asynchronous: bool
) -> None:
    """Ending all sessions of a user, by whatever name, ends these and no other, and says how many."""
    end = async_to_sync(live_sessions.aend_for_user) if asynchronous else live_sessions.end_for_user
    stranger, staying = new_browser(), new_browser()
    stranger.visit(enter(grace))
    staying.visit(enter(ada, True))
    for name in names_of(ada):
        other = new_browser()
        other.visit(enter(ada))
        assert end(name, keep=id_in(staying)) == 1, name
        assert is_out(other)
        assert other.visit(status).text in ("fresh -", "ended ended_by_user")
        assert is_in(staying, ada)
    assert end(ada, reason=EndReason.ENDED_BY_STAFF) == 1
    assert end(ada) == 0
    assert staying.visit(status).text == "ended ended_by_staff"
    assert is_in(stranger, grace)


@TRANSACTIONAL
def test_new_password(new_browser: NewBrowser, ada: Any, grace: Any, enter: Callable[..., View]) -> None:
    """A new password keeps the session that it was set in, under a new token, and ends the user's others."""
    here, there, stranger = new_browser(), new_browser(), new_browser()
    for browser, user in ((here, ada), (there, ada), (stranger, grace)):
        browser.visit(enter(user))

    def change(request: Any) -> None:
        user = request.user
        user.set_password("an even better one")
        user.save()
        auth.update_session_auth_hash(request, user)

    before = here.copy()
    assert here.visit(change).status == 200
    assert is_in(here, ada)
    assert is_out(before)
    assert there.visit(me).text.startswith("None None")
    assert is_in(stranger, grace)
    assert live_sessions.count_for(ada) == 1


@TRANSACTIONAL
@pytest.mark.parametrize("how", ["switched off", "deleted"])
def test_account_that_goes(new_browser: NewBrowser, ada: Any, grace: Any, enter: Callable[..., View], how: str) -> None:
    """When the account is switched off or deleted its sessions end, and no other's."""
    browsers = [new_browser() for _ in range(3)]
    for browser, user in zip(browsers, (ada, ada, grace), strict=True):
        browser.visit(enter(user))
    key = ada.pk
    if how == "deleted":
        ada.delete()
    else:
        ada.is_active = False
        ada.save()
    assert live_sessions.count_for(key) == 0
    assert [browser.visit(status).text for browser in browsers[:2]] == ["ended user_inactive"] * 2
    assert is_in(browsers[2], grace)


def test_snapshot_of_the_user(browser: Browser, ada: Any, configure: Configure, enter: Callable[..., View]) -> None:
    """A user who is taken from the session has the key that the database has, of the same type."""
    configure(USER_SNAPSHOT_AGE=60)
    browser.visit(enter(ada))
    for _ in range(2):
        assert is_in(browser, ada)

    def is_same(request: Any) -> object:
        return request.user == ada and request.user in {ada} and type(request.user.pk) is type(ada.pk)

    assert browser.visit(is_same).text == "True"


def test_cookie_of_the_user(browser: Browser, ada: Any, configure: Configure, enter: Callable[..., View]) -> None:
    """The cookie that tells proxies the user can be set and deleted, whatever is in the key."""
    configure(USER_COOKIE=True)
    assert browser.visit(enter(ada, True)).status == 200
    assert browser.cookies["X-UAId"]
    assert is_in(browser, ada)
    assert browser.visit(sign_out).status == 200
    assert "X-UAId" not in browser.cookies
