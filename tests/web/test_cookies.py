"""The three cookies: what is set and deleted, how, and what is made of those that come in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse

from tests.web.browser import ID, OPT, OURS, PID, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import count
from typed_sessions import SessionMode, tokens
from typed_sessions.auth import alogout
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import MALFORMED, Clock, Configure, Verbs

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


@pytest.mark.parametrize("signed_in", [False, True])
def test_temporary_cookie(browser: Browser, user: User, signed_in: bool) -> None:
    """REQ-S41, S42: the temporary cookie has no end, and is out of reach of scripts and of other sites' forms."""
    cookie = browser.visit(sign_in(user) if signed_in else write).cookies[ID]
    assert cookie["max-age"] == cookie["expires"] == cookie["domain"] == cookie["secure"] == ""
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
    assert browser.visit(nothing).cookies == {}


def test_visitor_gets_one_cookie(browser: Browser) -> None:
    """An anonymous visitor with a session has the temporary cookie, and no other of ours."""
    assert browser.visit(write).ours.keys() == {ID}
    assert browser.visit(write).ours == {}


def test_permanent_cookies(browser: Browser, user: User) -> None:
    """The permanent cookie and the one that points to it last as long as the session does without use."""
    answer = browser.visit(sign_in(user, remember=True))
    for name in (PID, OPT):
        cookie = answer.cookies[name]
        assert cookie["max-age"] == str(28 * DAY)
        assert cookie["expires"]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
    assert answer.ours.keys() == set(OURS)


@pytest.mark.parametrize("remember", [False, True])
def test_s42_no_cookie_lasts_longer_than_browsers_allow(
    browser: Browser, user: User, configure: Configure, settings: Settings, remember: bool
) -> None:
    """A lifetime of ten years is one of 400 days in the browser."""
    configure(PERM_EXPIRY=timedelta(days=3650), TEMP_EXPIRY=timedelta(days=3650), ABSOLUTE_EXPIRY=None)
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = False
    cookies = browser.visit(sign_in(user, remember)).cookies
    ages = [cookie["max-age"] for name, cookie in cookies.items() if name in OURS]
    assert sorted(ages) == (["", str(LONGEST), str(LONGEST)] if remember else [str(LONGEST), str(LONGEST)])


def test_attributes_of_the_project(browser: Browser, user: User, settings: Settings) -> None:
    """REQ-S41, S43: every cookie of ours, set or deleted, has the attributes of Django's settings."""
    settings.SESSION_COOKIE_DOMAIN = "testserver"
    settings.SESSION_COOKIE_PATH = "/async"
    settings.SESSION_COOKIE_SECURE = True
    settings.SESSION_COOKIE_HTTPONLY = False
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    answers = [
        browser.visit(sign_in(user, remember=True)),
        browser.visit(sign_in(user, remember=False)),
        browser.visit(sign_in(user, remember=True)),
        browser.visit(sign_out),
    ]
    assert [sorted(answer.ours) for answer in answers] == [sorted(OURS)] * 4
    for answer in answers:
        for name in OURS:
            cookie = answer.cookies[name]
            assert (cookie["domain"], cookie["path"], cookie["samesite"]) == ("testserver", "/async", "Strict")
            assert cookie["secure"] is True
            if cookie["max-age"] != "0":
                assert not cookie["httponly"]


def test_names_of_the_project(browser: Browser, user: User, settings: Settings, configure: Configure) -> None:
    """The three cookies have the names that the settings give them."""
    settings.SESSION_COOKIE_NAME = "sessionid"
    configure(PERM_COOKIE_NAME="stay", OPTION_COOKIE_NAME="which")
    browser.visit(sign_in(user, remember=True))
    assert browser.cookies.keys() == {"sessionid", "stay", "which", "csrftoken"}
    assert browser.visit(who).text.startswith("ada ada")
    browser.visit(sign_out)
    assert browser.cookies.keys() == {"csrftoken"}


def test_s44_cookies_are_short(browser: Browser, user: User) -> None:
    """A cookie of ours takes at most 64 bytes, with its name."""
    answer = browser.visit(sign_in(user, remember=True))
    assert all(len(name) + len(value) <= 64 for name, value in answer.ours.items())


def test_s08_cookies_tell_nothing_of_each_other(browser: Browser, user: User) -> None:
    """Both tokens and Django's CSRF secret are drawn independently, and anew at each sign-in."""
    seen: set[str] = set()
    for _ in range(10):
        browser.visit(sign_in(user, remember=True))
        drawn = [browser.cookies[name] for name in (ID, PID, "csrftoken")]
        starts = {text[:20] for text in drawn}
        assert len(starts) == 3
        assert not starts & seen
        seen |= starts


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


def test_s49_saving_every_request(browser: Browser, user: User, clock: Clock, settings: Settings) -> None:
    """SESSION_SAVE_EVERY_REQUEST extends a session that the page did not look at, and the answer says it varies."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert browser.visit(nothing).ours == {}
    browser.visit(sign_in(user, remember=True))
    clock.advance(1)
    answer = browser.visit(nothing)
    assert answer.cookies[PID]["max-age"] == str(28 * DAY)
    assert answer["Vary"] == "Cookie"
    assert answer["Cache-Control"] == "private, no-store"


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


def test_temporary_cookie_of_a_remembered_browser(browser: Browser, user: User, verbs: Verbs) -> None:
    """Beside a permanent session the temporary cookie opens nothing, costs nothing, and is never adopted."""
    browser.visit(sign_in(user, remember=True))
    forgetful = browser.copy(ID)
    verbs.take()
    assert forgetful.visit(status).text == "fresh -"
    assert verbs.take() == []
    assert forgetful.visit(write).ours[ID] != browser.cookies[ID]


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


@pytest.mark.parametrize("cookie", [ID, PID])
def test_s02_malformed_token(new_browser: NewBrowser, engine: type[SessionStore], verbs: Verbs, cookie: str) -> None:
    """Whatever comes in a cookie, the visitor gets a page, and the store is not asked."""
    browser = new_browser(**{OPT: "perm" if cookie == PID else "temp"})
    for text in MALFORMED:
        printable = text.encode().decode("latin-1").replace("\r", "").replace("\n", "").replace("\0", "")
        answer = browser.copy(**{cookie: printable}).visit(who)
        assert (answer.status, answer.text, answer.ours) == (200, "anonymous anonymous None", {})
    assert verbs.take() == []
    assert count(engine) == 0


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


def test_s03_unknown_token_is_replaced(new_browser: NewBrowser, engine: type[SessionStore]) -> None:
    """A visitor who writes with an unknown token gets another one."""
    presented = tokens.issue(SessionMode.TEMP)
    browser = new_browser(ss_id=presented)
    assert browser.visit(write).ours[ID] != presented
    assert not engine().exists(presented)
    assert browser.visit(read).text == "1"


def test_s05_id_is_no_token(browser: Browser, user: User, verbs: Verbs) -> None:
    """The id, which is in logs and pages, opens nothing."""
    handle = browser.visit(sign_in(user)).text.split()[1]
    verbs.take()
    assert browser.copy(ss_id=handle).visit(who).text == "anonymous anonymous None"
    assert verbs.take() == []


def test_s07_swapped_cookies(browser: Browser, user: User, verbs: Verbs) -> None:
    """With both cookies' tokens exchanged the visitor is anonymous, and the store is not asked."""
    browser.visit(put_in_cart())
    visitor = browser.cookies[ID]
    browser.visit(sign_in(user, remember=True))
    swapped = Browser(browser.ask, {ID: browser.cookies[PID], PID: visitor})
    verbs.take()
    for option in ("temp", "perm"):
        assert swapped.copy(ss_opt=option).visit(status).text == "rejected -"
        assert swapped.copy(ss_opt=option).visit(who).text == "anonymous anonymous None"
    assert verbs.take() == []


@pytest.mark.parametrize("option", ["perm,perm", "PERM", "temp,perm", "perm-", "", "x" * 4096, '"perm;temp"'])
def test_s29_option_is_one_of_two_words(browser: Browser, user: User, option: str) -> None:
    """Anything but `perm` in the option cookie means the temporary session."""
    browser.visit(sign_in(user))
    assert browser.copy(ss_opt=option).visit(who).text.startswith("ada ada")


def test_quoted_option(browser: Browser, user: User) -> None:
    """A quoted value is the value, as in every cookie."""
    browser.visit(sign_in(user, remember=True))
    assert browser.copy(ss_opt='"perm"').visit(who).text.startswith("ada ada")


def test_s30_option_prolongs_nothing(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """Whoever changes the option cookie gets neither another lifetime nor another session, and changes none."""
    browser.visit(sign_in(user))
    token = browser.cookies[ID]
    expires = engine(token).typed_session.expires_at
    for cookies in ({}, {PID: token}, {PID: tokens.issue(SessionMode.PERM)}):
        tampered = browser.copy(ss_opt="perm", **cookies)
        assert tampered.visit(who).text == "anonymous anonymous None"
        tampered.visit(write)
    assert engine(token).typed_session.expires_at == expires
    assert engine(token).typed_session.mode is SessionMode.TEMP
    assert browser.visit(who).text.startswith("ada ada")


@pytest.mark.parametrize(
    "name", ["SS-ID", "Ss-Id", "ss_id", "ss-id ", "=ss-id", "ss-i", "ss-idd", "__Host-ss-id", "ss-id%00"]
)
def test_s28_names_are_exact(browser: Browser, user: User, name: str) -> None:
    """A cookie that is only called like ours is not ours."""
    browser.visit(sign_in(user))
    answer = Browser(browser.ask).visit(status, cookie=f"{name}={browser.cookies[ID]}")
    assert answer.text == ("live -" if name.strip() == ID else "fresh -")


def test_tossed_cookie(browser: Browser, user: User) -> None:
    """Of two cookies with one name Django takes the last: it is that one's session or none, and never parts of two."""
    browser.visit(put_in_cart("mine"))
    mine, theirs = browser.cookies[ID], Browser(browser.ask)
    theirs.visit(put_in_cart("theirs"))
    for first, last, expected in (
        (mine, theirs.cookies[ID], "['theirs'] theirs"),
        (theirs.cookies[ID], mine, "['mine'] mine"),
        (mine, "junk" * 10, "[] None"),
        (mine, "", "[] None"),
    ):
        assert Browser(browser.ask).visit(cart, cookie=f"ss-id={first}; ss-id={last}").text == expected


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
