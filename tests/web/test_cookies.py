"""The three cookies: which are set and deleted when. Their attributes and what may come in: everywhere/."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse

from tests.web.browser import ID, OPT, OURS, PID, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, sign_in, sign_out, status, who
from tests.web.stored import count
from typed_sessions import SessionMode, tokens
from typed_sessions.auth import alogout
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600
LONGEST = 400 * DAY

pytestmark = pytest.mark.usefixtures("engine", "clock")


def nothing(request: Request) -> str:
    """A page that does not look at the session."""
    return ""


def read(request: Request) -> object:
    return request.typed_session.page_views


def write(request: Request) -> None:
    request.typed_session.page_views += 1


def test_visitor_gets_one_cookie(browser: Browser) -> None:
    """An anonymous visitor with a session has the temporary cookie, and no other of ours."""
    assert browser.visit(write).ours.keys() == {ID}
    assert browser.visit(write).ours == {}


def test_names_of_the_project(browser: Browser, user: User, settings: Settings, configure: Configure) -> None:
    """The three cookies have the names that the settings give them."""
    settings.SESSION_COOKIE_NAME = "sessionid"
    configure(PERM_COOKIE_NAME="stay", OPTION_COOKIE_NAME="which")
    browser.visit(sign_in(user, remember=True))
    assert browser.cookies.keys() == {"sessionid", "stay", "which", "csrftoken"}
    assert browser.visit(who).text.startswith("ada ada")
    browser.visit(sign_out)
    assert browser.cookies.keys() == {"csrftoken"}


def test_lifetime_of_django(browser: Browser, settings: Settings) -> None:
    """Without SESSION_EXPIRE_AT_BROWSER_CLOSE the temporary cookie lasts as long as the session."""
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = False
    assert browser.visit(write).cookies[ID]["max-age"] == str(14 * DAY)


@pytest.mark.parametrize(("value", "age"), [(300, "300"), (timedelta(minutes=5), "300"), (0, "")])
def test_lifetime_of_a_view(browser: Browser, clock: Clock, settings: Settings, value: Any, age: str) -> None:
    """`request.session.set_expiry` in a view sets the cookie's lifetime."""
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = False
    browser.visit(write)

    def view(request: Request) -> None:
        request.session.set_expiry(value)

    answer = browser.visit(view)
    assert answer.cookies.get(ID, {"max-age": ""})["max-age"] == age


def test_use_prolongs_a_lasting_cookie(browser: Browser, user: User, clock: Clock) -> None:
    """A permanent cookie is set again whenever the session is extended, and otherwise not."""
    browser.visit(sign_in(user, remember=True))
    clock.advance(59)
    assert browser.visit(read).ours == {}
    clock.advance(1)
    answer = browser.visit(read)
    assert answer.ours == {PID: browser.cookies[PID], OPT: "perm"}
    assert answer.cookies[PID]["max-age"] == str(28 * DAY)


@pytest.mark.parametrize("mode", ["auto", "explicit"])
def test_saving_in_the_view_prolongs_the_cookie(
    browser: Browser, user: User, clock: Clock, configure: Configure, mode: str
) -> None:
    """A view that saves the session itself prolongs the permanent cookie with it."""
    configure(SAVE=mode)

    def view(request: Request) -> None:
        write(request)
        request.session.save()

    browser.visit(sign_in(user, remember=True))
    clock.advance(DAY)
    answer = browser.visit(view)
    assert answer.ours == {PID: browser.cookies[PID], OPT: "perm"}
    assert answer.cookies[PID]["max-age"] == str(28 * DAY)


def test_absolute_end_shortens_the_cookie(browser: Browser, user: User, clock: Clock, configure: Configure) -> None:
    """REQ-S55: the permanent cookie does not outlive the absolute end of the session."""
    configure(ABSOLUTE_EXPIRY=timedelta(days=30))
    browser.visit(sign_in(user, remember=True))
    clock.advance(20 * DAY)
    assert browser.visit(read).cookies[PID]["max-age"] == str(10 * DAY)


def test_page_that_does_not_look(browser: Browser, user: User, clock: Clock, verbs: Verbs) -> None:
    """A page that does not use the session sets no cookie, varies with nothing, and costs no access to the store."""
    browser.visit(sign_in(user, remember=True))
    clock.advance(3600)
    verbs.take()
    answer = browser.visit(nothing)
    assert answer.ours == {}
    assert answer["Vary"] == answer["Cache-Control"] == ""
    assert verbs.take() == []


def test_sign_out_of_nobody(browser: Browser, engine: type[SessionStore], verbs: Verbs) -> None:
    """REQ-S80: an anonymous visitor who signs out leaves no record and gets no cookie."""
    assert browser.visit(sign_out).ours == {}
    assert verbs.take() == []
    assert count(engine) == 0


def test_sign_out_deletes_what_was_sent(new_browser: NewBrowser) -> None:
    """Sign-out deletes those of our cookies that the browser has, stale ones too, and leaves the others."""
    browser = new_browser(ss_id="junk", ss_opt="temp", language="en")
    assert browser.visit(sign_out).ours == {ID: "", OPT: ""}
    assert browser.cookies == {"language": "en"}


@pytest.mark.parametrize("remember", [False, True])
def test_flush_deletes_the_cookies(browser: Browser, engine: type[SessionStore], user: User, remember: bool) -> None:
    """`request.session.flush()` is as good as a sign-out."""
    browser.visit(sign_in(user, remember))
    before = browser.copy()
    browser.visit(lambda request: request.session.flush())
    assert not browser.cookies.keys() & set(OURS)
    assert before.visit(status).text == "ended logged_out"
    assert count(engine) == 0


def test_writing_after_sign_out(browser: Browser, user: User) -> None:
    """What is put into the session after sign-out, in the same request, is in a new session."""

    def view(request: Request) -> None:
        sign_out(request)
        request.session["farewell"] = "bye"

    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    browser.visit(view)
    assert browser.visit(lambda request: request.session["farewell"]).text == "bye"
    assert browser.visit(who).text.startswith("anonymous anonymous")
    assert before.cookies[PID] not in browser.cookies.values()
    assert before.visit(who).text == "anonymous anonymous None"


def test_sign_in_after_sign_out_in_one_request(browser: Browser, user: User, other_user: User) -> None:
    """Whoever signs in last in a request is signed in."""

    def view(request: Request) -> None:
        sign_in(user, remember=True)(request)
        sign_out(request)
        sign_in(other_user)(request)

    browser.visit(view)
    assert browser.visit(who).text.startswith("grace grace")


def test_s79_forged_token(browser: Browser, verbs: Verbs) -> None:
    """Made-up tokens of the right form cost no access to the store."""
    browser.visit(write)
    token = browser.cookies[ID]
    verbs.take()
    for place in range(0, 40, 3):
        forged = token[:place] + ("0" if token[place] != "0" else "1") + token[place + 1 :]
        assert browser.copy(ss_id=forged).visit(status).text == "rejected -"
    assert verbs.take() == []


def test_s79_unknown_token(new_browser: NewBrowser, engine: type[SessionStore], verbs: Verbs) -> None:
    """A genuine token that opens nothing costs one read, and leaves nothing."""
    browser = new_browser(ss_id=tokens.issue(SessionMode.TEMP))
    assert browser.visit(status).text == "lost -"
    assert verbs.take() == ["load"]
    assert count(engine) == 0


def test_quoted_option(browser: Browser, user: User) -> None:
    """A quoted value is the value, as in every cookie."""
    browser.visit(sign_in(user, remember=True))
    assert browser.copy(ss_opt='"perm"').visit(who).text.startswith("ada ada")


def test_tossed_option(browser: Browser, user: User, other_user: User) -> None:
    """With an option tossed in, the session is that of the cookie it points to, as a whole."""
    browser.visit(sign_in(user, remember=True))
    stranger = Browser(browser.ask)
    stranger.visit(sign_in(other_user))
    both = browser.copy(PID, ss_id=stranger.cookies[ID])
    assert both.copy(ss_opt="perm").visit(who).text.startswith("ada ada")
    assert both.copy(ss_opt="temp").visit(who).text.startswith("grace grace")


def test_nothing_is_saved_at_500(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """A response of 500 or above saves neither changes nor a sign-in, and sets no cookie."""

    def view(request: Request) -> HttpResponse:
        before = request.typed_session.page_views
        request.typed_session.page_views += 10
        sign_in(user, remember=True)(request)
        return HttpResponse(before, status=503)

    browser.visit(write)
    cookies = dict(browser.cookies)
    for _ in range(2):
        answer = browser.visit(view)
        assert (answer.text, answer.ours) == ("1", {})
        assert answer["Vary"] == "Cookie"
    assert {name: browser.cookies.get(name) for name in OURS} == {name: cookies.get(name) for name in OURS}
    assert browser.visit(who).text.startswith("anonymous anonymous")
    assert browser.visit(read).text == "1"
    assert count(engine) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_sign_out_is_done_at_500(browser: Browser, user: User, asynchronous: bool) -> None:
    """A sign-out is one, with its cookies, also if the response that tells of it is an error."""

    def view(request: Request) -> HttpResponse:
        sign_out(request)
        return HttpResponse(status=500)

    async def async_view(request: Request) -> HttpResponse:
        await alogout(request)
        return HttpResponse(status=500)

    browser.visit(sign_in(user, remember=True))
    before = browser.copy()
    assert browser.visit(async_view if asynchronous else view).status == 500
    assert not browser.cookies.keys() & set(OURS)
    assert before.visit(status).text == "ended logged_out"


def test_saved_by_the_view_at_500(browser: Browser) -> None:
    """What a view has saved itself is saved, and the browser gets the cookie, also if the response is an error."""

    def view(request: Request) -> HttpResponse:
        write(request)
        request.session.save()
        write(request)
        return HttpResponse(status=500)

    assert browser.visit(view).ours.keys() == {ID}
    assert browser.visit(read).text == "1"


def test_error_in_a_view_undoes_the_sign_in(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """A view that raises after signing in leaves the visitor as before."""

    def view(request: Request) -> None:
        sign_in(user)(request)
        raise RuntimeError("after the sign-in")

    assert browser.visit(view).status == 500
    assert count(engine) == 0
    browser.visit(write)
    assert browser.visit(view).status == 500
    assert browser.visit(read).text == "1"


@pytest.mark.parametrize("code", [200, 302, 404, 499])
def test_saved_below_500(browser: Browser, code: int) -> None:
    """What a view did counts with every status below 500."""

    def view(request: Request) -> HttpResponse:
        write(request)
        return HttpResponse(status=code)

    assert browser.visit(view).status == code
    assert browser.visit(read).text == "1"
