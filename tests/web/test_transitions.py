"""Further transitions of a browser's session: other settings, the same user again, other users, and lost cookies."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth import login as django_login
from django.contrib.auth.models import User

from tests.web.browser import ID, OPT, OURS, PID, Browser
from tests.web.conftest import PASSWORD
from tests.web.matrix import each_engine_once
from tests.web.signing import Request, cart, put_in_cart, sign_in, sign_out, state, status, who
from tests.web.stored import count
from tests.web.test_parity import Enter, enter, expect_dead, expect_permanent, expect_temporary, id_of, leave, stale
from tests.web.urls import View
from typed_sessions import SessionMode, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Configure

__all__ = ["enter", "leave", "stale"]

pytestmark = [each_engine_once, pytest.mark.usefixtures("engine", "clock")]


@pytest.mark.parametrize("remember", [False, True])
def test_rows_1_to_4_with_an_id_for_everybody(
    browser: Browser, engine: type[SessionStore], user: User, enter: Enter, configure: Configure, remember: bool
) -> None:
    """With PERMANENT_ID="always" a sign-in sets new tokens in both cookies; only the one in use opens anything."""
    configure(PERMANENT_ID="always")
    browser.cookies.update({OPT: "perm", PID: tokens.issue(SessionMode.PERM)})
    for _ in range(2):
        before = browser.copy()
        answer = browser.visit(enter(user, remember))
        assert answer.cookies.keys() >= set(OURS)
        assert not {browser.cookies[ID], browser.cookies[PID]} & set(before.cookies.values())
        assert answer.text == f"ada {id_of(browser.token)}"
        assert browser.visit(who).text == f"ada {answer.text}"
        assert browser.copy(ss_opt="temp" if remember else "perm").visit(who).text == "anonymous anonymous None"
        assert before.visit(who).text == "anonymous anonymous None"
        assert count(engine) == 1


def test_row_5_with_an_id_for_everybody(stale: Browser, engine: type[SessionStore], configure: Configure) -> None:
    """With PERMANENT_ID="always" a stale permanent cookie is replaced by one that opens nothing."""
    configure(PERMANENT_ID="always")
    before = stale.cookies[PID]
    assert stale.visit(status).text == "lost -"
    assert stale.cookies[PID] != before
    assert stale.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 0


def test_row_7_with_the_user_s_cookie(
    browser: Browser, user: User, other_user: User, enter: Enter, leave: View, configure: Configure
) -> None:
    """With USER_COOKIE a sign-in tells the user's key in a cookie of its own, and sign-out deletes that one too."""
    configure(USER_COOKIE=True)
    for signed_in in (user, other_user):
        browser.visit(enter(signed_in, True))
        assert browser.cookies["X-UAId"] == str(signed_in.pk)
    assert "X-UAId" in browser.visit(leave).cookies
    assert browser.cookies.keys() <= {"csrftoken"}


@pytest.mark.parametrize("before", ["stale", "temporary", "permanent", "signed out"])
def test_remember_none_is_no_memory(
    browser: Browser, user: User, enter: Enter, leave: View, configure: Configure, before: str
) -> None:
    """Who says nothing of being remembered gets what REMEMBER_DEFAULT says, whatever the browser had before."""
    for default in (False, True):
        if before == "stale":
            browser = Browser(browser.ask, {OPT: "perm", PID: tokens.issue(SessionMode.PERM)})
        else:
            browser.visit(enter(user, before != "temporary"))
        if before == "signed out":
            browser.visit(leave)
        configure(REMEMBER_DEFAULT=default)
        answer = browser.visit(enter(user, None))
        (expect_permanent if default else expect_temporary)(answer, browser)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_same_user_again(
    browser: Browser, engine: type[SessionStore], user: User, enter: Enter, first: bool, second: bool
) -> None:
    """A user who signs in again, to stay or for once, keeps the data under new tokens in both cookies."""
    browser.visit(enter(user, first))
    browser.visit(put_in_cart())
    before = browser.copy()
    answer = browser.visit(enter(user, second))
    (expect_permanent if second else expect_temporary)(answer, browser)
    assert browser.visit(cart).text == "['a'] a"
    assert not {browser.cookies.get(ID), browser.cookies.get(PID)} & set(before.cookies.values())
    expect_dead(before, "ended rotated")
    assert count(engine) == 1


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_other_user(
    browser: Browser, engine: type[SessionStore], user: User, other_user: User, enter: Enter, first: bool, second: bool
) -> None:
    """Another user finds nothing of the one before, whose session has ended."""
    browser.visit(enter(user, first))
    browser.visit(put_in_cart())
    before = browser.copy()
    answer = browser.visit(enter(other_user, second))
    assert answer.text == f"grace {id_of(browser.token)}"
    assert browser.cookies[OPT] == ("perm" if second else "temp")
    assert browser.visit(who).text == f"grace {answer.text}"
    assert browser.visit(cart).text == "[] None"
    expect_dead(before, "ended logged_out")
    assert count(engine) == 1


def test_sign_out_without_the_option_cookie(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """Sign-out ends the permanent session too, if the browser has lost the cookie that says which is in use."""
    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    del browser.cookies[OPT]
    browser.visit(put_in_cart())
    browser.visit(sign_out)
    assert before.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 0


def test_closing_the_browser(browser: Browser, user: User) -> None:
    """A temporary session ends for the visitor with the browser, and a permanent one goes on."""
    for remember, expected in ((False, "anonymous"), (True, "ada")):
        browser.visit(sign_in(user, remember))
        browser.close()
        assert browser.visit(who).text.split()[0] == expected


def test_password_that_is_right(browser: Browser, user: User) -> None:
    """What `authenticate` was told of `remember` holds for a sign-in by Django's own `login`."""

    def view(request: Request) -> str:
        found = authenticate(request, username="ada", password=PASSWORD, remember=True)
        assert found is not None
        django_login(request, found)
        return state(request)

    expect_permanent(browser.visit(view), browser)
