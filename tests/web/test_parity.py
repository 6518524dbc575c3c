"""The table of signing in and out with cookies of both kinds, row by row, on every engine.

Under WSGI the views that sign in and out are sync, under ASGI async.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from django.contrib import messages
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from rest_framework.request import Request as RestRequest

from tests.sessions import ShopSession
from tests.web.browser import ID, OPT, OURS, PID, Answer, Browser
from tests.web.conftest import NewBrowser
from tests.web.matrix import each_engine
from tests.web.signing import (
    Request,
    async_sign_in,
    async_sign_out,
    cart,
    put_in_cart,
    sign_in,
    sign_out,
    state,
    status,
    who,
)
from tests.web.stored import count, raw_records, wipe
from tests.web.urls import View
from typed_sessions import SessionMode, get_session, tokens
from typed_sessions.auth import login
from typed_sessions.backends.base import SessionStore

if TYPE_CHECKING:
    from pytest_django import Settings

FOUR_WEEKS = 28 * 24 * 3600

pytestmark = [each_engine, pytest.mark.usefixtures("engine", "clock")]

Enter = Callable[[User, "bool | None"], View]


def id_of(token: str) -> str:
    return tokens.digest(token)


def kept(request: Request) -> str:
    """The mode of the session, and for how many days the server keeps it."""
    left = request.typed_session.time_to_live()
    assert left is not None
    return f"{request.typed_session.mode.value} {left.days}"


@pytest.fixture
def enter(handler: str) -> Enter:
    return async_sign_in if handler == "asgi" else sign_in


@pytest.fixture
def leave(handler: str) -> View:
    return async_sign_out if handler == "asgi" else sign_out


@pytest.fixture
def stale(new_browser: NewBrowser) -> Browser:
    """Says that it is remembered, by a session that the store does not have."""
    return new_browser(ss_opt="perm", ss_pid=tokens.issue(SessionMode.PERM))


def expect_temporary(answer: Answer, browser: Browser, stale_token: str = "") -> None:
    """The browser was told of a temporary session, and of nothing else."""
    assert answer.cookies[OPT].value == "temp"
    assert answer.cookies[ID]["max-age"] == answer.cookies[ID]["expires"] == ""
    assert browser.cookies.get(PID) != stale_token
    assert answer.text == f"ada {id_of(browser.cookies[ID])}"
    assert browser.visit(who).text == f"ada {answer.text}"
    assert browser.visit(kept).text == "temp 14"


def expect_permanent(answer: Answer, browser: Browser) -> None:
    """The browser was told of a permanent session, and to keep it for four weeks."""
    assert answer.cookies[OPT].value == "perm"
    assert answer.cookies[OPT]["max-age"] == answer.cookies[PID]["max-age"] == str(FOUR_WEEKS)
    assert answer.cookies[ID]["max-age"] == ""
    assert answer.text == f"ada {id_of(browser.cookies[PID])}"
    assert browser.visit(who).text == f"ada {answer.text}"
    assert browser.visit(kept).text == "perm 28"


def expect_dead(browser: Browser, why: str) -> None:
    """What the browser has opens nothing, neither by its own cookies nor as another one's."""
    assert browser.visit(who).text == "anonymous anonymous None"
    assert browser.visit(status).text == why


def test_row_1_stale_permanent_then_temporary(
    stale: Browser, engine: type[SessionStore], user: User, enter: Enter
) -> None:
    """A temporary sign-in with a stale permanent cookie is a temporary session, in this request and in the next."""
    before = stale.cookies[PID]
    expect_temporary(stale.visit(enter(user, False)), stale, before)
    assert count(engine) == 1
    assert not engine().exists(before)


def test_row_2_permanent_then_temporary(browser: Browser, engine: type[SessionStore], user: User, enter: Enter) -> None:
    """A temporary sign-in over a live permanent one keeps the data and ends the permanent session."""
    browser.visit(put_in_cart())
    browser.visit(enter(user, True))
    before = browser.copy()
    expect_temporary(browser.visit(enter(user, False)), browser, before.cookies[PID])
    assert browser.visit(cart).text == "['a'] a"
    assert count(engine) == 1
    expect_dead(before, "ended rotated")


def test_row_3_temporary_then_permanent(browser: Browser, engine: type[SessionStore], user: User, enter: Enter) -> None:
    """A permanent sign-in takes the data of the temporary session along, and ends that."""
    browser.visit(put_in_cart())
    browser.visit(enter(user, False))
    before = browser.copy()
    expect_permanent(browser.visit(enter(user, True)), browser)
    assert browser.cookies[ID] != before.cookies[ID]
    assert browser.visit(cart).text == "['a'] a"
    assert count(engine) == 1
    expect_dead(before, "ended rotated")


def test_row_4_stale_permanent_then_permanent(
    stale: Browser, engine: type[SessionStore], user: User, enter: Enter
) -> None:
    """A permanent sign-in replaces a stale permanent cookie."""
    before = stale.cookies[PID]
    expect_permanent(stale.visit(enter(user, True)), stale)
    assert stale.cookies[PID] != before
    assert count(engine) == 1
    assert not engine().exists(before)


def test_row_5_looking_with_a_stale_cookie(stale: Browser, engine: type[SessionStore]) -> None:
    """A visitor with a stale cookie who only looks is anonymous; no cookie is set and nothing is stored."""
    answer = stale.visit(status)
    assert answer.text == "lost -"
    assert answer.ours == {}
    assert stale.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 0


def test_row_5_writing_with_a_stale_cookie(stale: Browser, engine: type[SessionStore]) -> None:
    """What a visitor with a stale permanent cookie does is there in the next request."""
    before = stale.cookies[PID]
    stale.visit(put_in_cart())
    assert stale.visit(cart).text == "['a'] a"
    assert before not in stale.cookies.values()
    assert count(engine) == 1


def wrong_password(remember: bool | None) -> View:
    def attempt(request: Request) -> str:
        return str(authenticate(request, username="ada", password="wrong", remember=remember))

    return attempt


def async_wrong_password(remember: bool | None) -> View:
    async def attempt(request: Request) -> str:
        return str(await aauthenticate(request, username="ada", password="wrong", remember=remember))

    return attempt


@pytest.mark.parametrize("before", ["nobody", "visitor", "stale", "temporary", "permanent"])
def test_row_6_s13_wrong_password(
    browser: Browser, handler: str, engine: type[SessionStore], user: User, before: str
) -> None:
    """A sign-in that fails changes neither cookies nor what is stored, to the byte, whatever it says of remembering."""
    if before == "stale":
        browser.cookies.update({OPT: "perm", PID: tokens.issue(SessionMode.PERM)})
    elif before != "nobody":
        browser.visit(put_in_cart())
    if before in ("temporary", "permanent"):
        browser.visit(sign_in(user, remember=before == "permanent"))
    browser.get("/admin/login/")  # for its token
    cookies, records, seen = dict(browser.cookies), raw_records(engine), browser.visit(who).text
    attempt = async_wrong_password if handler == "asgi" else wrong_password
    for remember in (None, True, False):
        answer = browser.visit(attempt(remember))
        assert (answer.text, answer.ours) == ("None", {})
    answer = browser.post("/admin/login/", username="ada", password="wrong")
    assert (answer.status, answer.ours) == (200, {})
    assert {name: browser.cookies.get(name) for name in OURS} == {name: cookies.get(name) for name in OURS}
    assert raw_records(engine) == records
    assert browser.visit(who).text == seen


@pytest.mark.parametrize("remember", [False, True])
def test_row_7_sign_out(
    browser: Browser, engine: type[SessionStore], user: User, enter: Enter, leave: View, remember: bool
) -> None:
    """Sign-out deletes the record and all three cookies, and nobody is remembered after it."""
    browser.visit(put_in_cart())
    browser.visit(enter(user, True))
    if not remember:
        browser.visit(enter(user, False))
    before = browser.copy()
    answer = browser.visit(leave)
    assert answer.text == "anonymous None"
    assert answer.ours == dict.fromkeys(before.cookies.keys() & set(OURS), "")
    assert not browser.cookies.keys() & set(OURS)
    assert count(engine) == 0
    expect_dead(before, "ended logged_out")
    assert before.visit(cart).text == "[] None"
    assert browser.visit(cart).text == "[] None"
    expect_temporary(browser.visit(enter(user, None)), browser)


@pytest.mark.parametrize("remember", [False, True])
def test_row_8_store_wiped(
    browser: Browser, engine: type[SessionStore], user: User, enter: Enter, remember: bool
) -> None:
    """A visitor whose session the store has lost is anonymous, can write, and can sign in at once."""
    browser.visit(enter(user, remember))
    other, leaver = browser.copy(), browser.copy()
    wipe(engine)
    expect_dead(browser, "lost -")
    browser.visit(put_in_cart())
    assert browser.visit(cart).text == "['a'] a"
    expect_permanent(other.visit(enter(user, True)), other)
    assert leaver.visit(sign_out).status == 200
    assert not leaver.cookies.keys() & set(OURS)


def test_row_9_other_cookies(browser: Browser, user: User) -> None:
    """Cookies that others set on the response of a sign-in or a sign-out survive it."""

    def view(request: Request) -> HttpResponse:
        messages.info(request, "Welcome.")
        response = HttpResponse()
        response.set_cookie("language", "en")
        login(request, user)
        return response

    assert {"language", "csrftoken", "messages", ID} <= browser.visit(view).cookies.keys()
    browser.visit(sign_out)
    assert {"language", "csrftoken", "messages"} <= browser.cookies.keys()


def telling(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that says in a header what the session is after the view."""

    def middleware(request: Any) -> HttpResponse:
        response = get_response(request)
        response["X-State"] = state(request)
        return response

    return middleware


def test_row_10_nested_call(new_site: Callable[..., Browser], settings: Settings, user: User) -> None:
    """A sign-in deep inside a view is seen by everybody who has this request, by the same object and id."""
    browser = new_site(*settings.MIDDLEWARE, f"{__name__}.telling")

    def view(request: Request) -> str:
        before = request.typed_session
        login(cast("HttpRequest", RestRequest(request)), user)
        assert request.typed_session is before
        assert get_session(RestRequest(request), ShopSession) is before
        shown = engines["django"].from_string("{{ request.typed_session.user_name }} {{ request.typed_session.id }}")
        assert shown.render({}, request) == state(request)
        return state(request)

    answer = browser.visit(view)
    expect_temporary(answer, browser)
    assert answer["X-State"] == answer.text
