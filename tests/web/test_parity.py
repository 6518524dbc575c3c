"""The table of signing in and out with cookies of both kinds, row by row, on the default engine and on the fastest."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth import login as django_login
from django.contrib.auth.models import User
from django.http import HttpResponse

from tests.web.browser import ID, OPT, OURS, PID, Answer, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.signing import Request, cart, put_in_cart, sign_in, sign_out, state, status, who
from tests.web.stored import count, raw_records, wipe
from typed_sessions import SessionMode, tokens
from typed_sessions.auth import login
from typed_sessions.backends.base import SessionStore

FOUR_WEEKS = 28 * 24 * 3600

pytestmark = pytest.mark.usefixtures("engine", "clock")


def id_of(token: str) -> str:
    return tokens.digest(token)


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


def expect_permanent(answer: Answer, browser: Browser) -> None:
    """The browser was told of a permanent session, and to keep it for four weeks."""
    assert answer.cookies[OPT].value == "perm"
    assert answer.cookies[OPT]["max-age"] == answer.cookies[PID]["max-age"] == str(FOUR_WEEKS)
    assert answer.cookies[ID]["max-age"] == ""
    assert answer.text == f"ada {id_of(browser.cookies[PID])}"
    assert browser.visit(who).text == f"ada {answer.text}"


def test_row_1_stale_permanent_then_temporary(stale: Browser, engine: type[SessionStore], user: User) -> None:
    """A temporary sign-in with a stale permanent cookie is a temporary session, in this request and in the next."""
    before = stale.cookies[PID]
    expect_temporary(stale.visit(sign_in(user, remember=False)), stale, before)
    assert count(engine) == 1
    assert not engine().exists(before)


def test_row_2_permanent_then_temporary(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """A temporary sign-in over a live permanent one keeps the data and ends the permanent session."""
    browser.visit(put_in_cart())
    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    expect_temporary(browser.visit(sign_in(user, remember=False)), browser, before.cookies[PID])
    assert browser.visit(cart).text == "['a'] a"
    assert count(engine) == 1
    assert before.visit(who).text == "anonymous anonymous None"
    assert before.visit(status).text == "ended rotated"


def test_row_3_temporary_then_permanent(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """A permanent sign-in takes the data of the temporary session along, and ends that."""
    browser.visit(put_in_cart())
    browser.visit(sign_in(user, remember=False))
    before = browser.copy()
    expect_permanent(browser.visit(sign_in(user, remember=True)), browser)
    assert browser.cookies[ID] != before.cookies[ID]
    assert browser.visit(cart).text == "['a'] a"
    assert count(engine) == 1
    assert before.visit(status).text == "ended rotated"


def test_row_4_stale_permanent_then_permanent(stale: Browser, engine: type[SessionStore], user: User) -> None:
    """A permanent sign-in replaces a stale permanent cookie."""
    before = stale.cookies[PID]
    expect_permanent(stale.visit(sign_in(user, remember=True)), stale)
    assert stale.cookies[PID] != before
    assert count(engine) == 1
    assert not engine().exists(before)


def test_row_5_looking_with_a_stale_cookie(stale: Browser, engine: type[SessionStore]) -> None:
    """A visitor with a stale cookie who only looks is anonymous; no cookie is set and nothing is stored."""
    answer = stale.visit(status)
    assert answer.text == "lost -"
    assert answer.ours == {}
    assert count(engine) == 0


def test_row_5_writing_with_a_stale_cookie(stale: Browser, engine: type[SessionStore]) -> None:
    """What a visitor with a stale permanent cookie does is there in the next request."""
    before = stale.cookies[PID]
    stale.visit(put_in_cart())
    assert stale.visit(cart).text == "['a'] a"
    assert before not in stale.cookies.values()
    assert count(engine) == 1


@pytest.mark.parametrize("remember", [None, False, True])
def test_row_6_wrong_password(browser: Browser, engine: type[SessionStore], user: User, remember: bool | None) -> None:
    """REQ-S13: a sign-in that fails changes neither cookies nor what is stored, to the byte."""

    def attempt(request: Request) -> str:
        return str(authenticate(request, username="ada", password="wrong", remember=remember))

    browser.visit(put_in_cart())
    for signed_in in (False, True):
        if signed_in:
            browser.visit(sign_in(user, remember=True))
        cookies, records = dict(browser.cookies), raw_records(engine)
        for _ in range(3):
            answer = browser.visit(attempt)
            assert (answer.text, answer.ours) == ("None", {})
        assert browser.cookies == cookies
        assert raw_records(engine) == records != []


def test_row_7_sign_out(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """Sign-out deletes the record and all three cookies, and nobody is remembered after it."""
    browser.visit(put_in_cart())
    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    answer = browser.visit(sign_out)
    assert answer.text == "anonymous None"
    assert answer.ours == dict.fromkeys(OURS, "")
    assert not browser.cookies.keys() & set(OURS)
    assert count(engine) == 0
    assert before.visit(who).text == "anonymous anonymous None"
    assert before.visit(cart).text == "[] None"
    assert browser.visit(cart).text == "[] None"
    expect_temporary(browser.visit(sign_in(user, remember=None)), browser)


@pytest.mark.parametrize("remember", [False, True])
def test_row_8_store_wiped(browser: Browser, engine: type[SessionStore], user: User, remember: bool) -> None:
    """A visitor whose session the store has lost is anonymous, can write, and can sign in at once."""
    browser.visit(sign_in(user, remember))
    other = browser.copy()
    wipe(engine)
    assert browser.visit(status).text == "lost -"
    assert browser.visit(who).text == "anonymous anonymous None"
    browser.visit(put_in_cart())
    assert browser.visit(cart).text == "['a'] a"
    expect_permanent(other.visit(sign_in(user, remember=True)), other)


def test_row_9_other_cookies(browser: Browser, user: User) -> None:
    """Cookies that others set on the response of a sign-in or a sign-out survive it."""

    def view(request: Request) -> HttpResponse:
        response = HttpResponse()
        response.set_cookie("language", "en")
        login(request, user)
        return response

    assert {"language", "csrftoken", ID} <= browser.visit(view).cookies.keys()
    browser.visit(sign_out)
    assert {"language", "csrftoken"} <= browser.cookies.keys()


def test_row_10_nested_call(browser: Browser, user: User) -> None:
    """A sign-in deep inside a view is seen by everybody who has this request, by the same object and id."""
    rest_framework = pytest.importorskip("rest_framework.request")

    def view(request: Request) -> str:
        before = request.typed_session
        login(rest_framework.Request(request), user)
        assert request.typed_session is before
        assert rest_framework.Request(request).typed_session is before
        return state(request)

    expect_temporary(browser.visit(view), browser)


@pytest.mark.parametrize("remember", [False, True])
def test_s31_stale_and_live(new_browser: NewBrowser, engine: type[SessionStore], user: User, remember: bool) -> None:
    """With a stale permanent cookie and a live temporary one, sign-in of either kind works and ends what was live."""
    visitor = new_browser()
    visitor.visit(put_in_cart())
    browser = visitor.copy(ss_opt="perm", ss_pid=tokens.issue(SessionMode.PERM))
    answer = browser.visit(sign_in(user, remember))
    assert browser.visit(who).text == f"ada {answer.text}"
    assert count(engine) == 1
    assert visitor.visit(status).text == "ended rotated"


def test_s32_every_token_is_dead_after_sign_out(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """After sign-out no token that the browser ever had opens anything, in either cookie."""
    seen: set[str] = set()
    remembered, once = sign_in(user, remember=True), sign_in(user, remember=False)
    for view in (put_in_cart(), remembered, once, put_in_cart(), remembered, sign_out):
        browser.visit(view)
        seen.update(value for name, value in browser.cookies.items() if name in (ID, PID))
    assert len(seen) >= 4
    for token in seen:
        for cookies in ({"ss_id": token}, {"ss_pid": token, "ss_opt": "perm"}):
            assert Browser(browser.ask).copy(**cookies).visit(who).text == "anonymous anonymous None"
    assert count(engine) == 0


def test_s33_permanent_session_does_not_outlive_a_temporary_one(browser: Browser, user: User) -> None:
    """Who signs in to stay and later for once, and signs out, leaves no permanent session behind."""
    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    browser.visit(sign_in(user, remember=False))
    browser.visit(sign_out)
    assert before.visit(who).text == "anonymous anonymous None"


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
