"""The cookies on the wire: their attributes, their lengths, their prefix, and what is not in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import Morsel
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User

from tests.web.browser import ID, OPT, OURS, PID, Answer, ApiClient, Browser
from tests.web.conftest import PASSWORD, NewBrowser
from tests.web.everywhere.visitors import is_nobody, is_signed_in
from tests.web.matrix import each_engine_once
from tests.web.signing import (
    Request,
    async_sign_in,
    async_sign_out,
    cart,
    put_in_cart,
    sign_in,
    sign_out,
    status,
    who,
)
from tests.web.stored import wipe
from typed_sessions import SessionMode, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, Configure

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600
LONGEST = 400 * DAY
USER = "X-UAId"

pytestmark = [each_engine_once, pytest.mark.usefixtures("engine", "clock")]


def live(browser: Browser, user: User, engine: type[SessionStore], clock: Clock) -> list[tuple[str, Morsel[str]]]:
    """Every cookie of ours that is set or deleted in everything that can happen to a browser."""
    found: list[tuple[str, Morsel[str]]] = []

    def keep(answer: Answer) -> Answer:
        found.extend((name, morsel) for name, morsel in answer.cookies.items() if name != "csrftoken")
        return answer

    views = [
        put_in_cart(),
        sign_in(user, remember=True),
        sign_in(user),
        async_sign_in(user, remember=True),
        who,
        lambda request: request.session.cycle_key(),
        lambda request: request.session.set_expiry(3600),
        put_in_cart(),
        async_sign_out,
        sign_in(user, remember=True),
        lambda request: request.session.flush(),
        sign_in(user, remember=True),
    ]
    for view in views:
        keep(browser.visit(view))
        clock.advance(61)
    wipe(engine)
    keep(browser.visit(put_in_cart()))
    keep(browser.copy(ss_opt="perm", ss_pid=tokens.issue(SessionMode.PERM), ss_id="junk").visit(sign_out))
    return found


@pytest.mark.parametrize("user_cookie", [False, True])
@pytest.mark.parametrize("secure", [False, True])
def test_s41_every_cookie(
    browser: Browser,
    user: User,
    engine: type[SessionStore],
    clock: Clock,
    settings: Settings,
    configure: Configure,
    secure: bool,
    user_cookie: bool,
) -> None:
    """Whatever happens, no script and no form of another site gets at a cookie, which is this host's and all of its.

    With SESSION_COOKIE_SECURE each is for TLS alone, also where it is deleted.
    """
    settings.SESSION_COOKIE_SECURE = secure
    configure(USER_COOKIE=user_cookie)
    found = live(browser, user, engine, clock)
    assert {name for name, _ in found} == {*OURS, *([USER] if user_cookie else [])}
    deleted = {name for name, morsel in found if not morsel.value}
    assert deleted == {*OURS, *([USER] if user_cookie else [])}
    for _, morsel in found:
        assert (morsel["path"], morsel["domain"], morsel["samesite"]) == ("/", "", "Lax")
        assert morsel["secure"] == (True if secure else "")
        if morsel.value:
            assert morsel["httponly"] is True
        else:
            assert (morsel["max-age"], morsel["expires"]) == (0, "Thu, 01 Jan 1970 00:00:00 GMT") or (
                morsel["max-age"] == "0"
            )


def test_s41_attributes_are_the_project_s(
    browser: Browser, user: User, engine: type[SessionStore], clock: Clock, settings: Settings
) -> None:
    """Domain, path, SameSite and HttpOnly of Django's settings are those of every cookie of ours."""
    settings.SESSION_COOKIE_DOMAIN = "testserver"
    settings.SESSION_COOKIE_PATH = "/async"
    settings.SESSION_COOKIE_HTTPONLY = False
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    found = live(browser, user, engine, clock)
    assert {name for name, _ in found} == set(OURS)
    for _, morsel in found:
        assert (morsel["domain"], morsel["path"], morsel["samesite"]) == ("testserver", "/async", "Strict")
        assert not morsel["httponly"]


@pytest.mark.parametrize("remember", [False, True])
def test_s42_lifetimes_in_the_browser(browser: Browser, user: User, clock: Clock, remember: bool) -> None:
    """The temporary cookie has no end of its own; the others last as long as a permanent session does without use."""
    cookies = browser.visit(sign_in(user, remember)).cookies
    assert cookies[ID]["max-age"] == cookies[ID]["expires"] == ""
    assert cookies[OPT]["max-age"] == str(28 * DAY)
    assert (PID in cookies) is remember
    if remember:
        assert cookies[PID]["max-age"] == str(28 * DAY)


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("days", [399, 400, 401, 3650])
def test_s42_no_cookie_lasts_longer_than_browsers_allow(
    browser: Browser, user: User, configure: Configure, settings: Settings, remember: bool, days: int
) -> None:
    """A lifetime of ten years is one of 400 days in the browser, in Max-Age and in Expires."""
    span = timedelta(days=days)
    configure(PERM_EXPIRY=span, TEMP_EXPIRY=span, ABSOLUTE_EXPIRY=None, USER_COOKIE=True)
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = False
    cookies = browser.visit(sign_in(user, remember)).cookies
    lasting = {name: morsel["max-age"] for name, morsel in cookies.items() if name != "csrftoken" and morsel["max-age"]}
    assert lasting == dict.fromkeys([PID if remember else ID, OPT, USER], str(min(days * DAY, LONGEST)))


PREFIXES = ["__Host-", "__Secure-"]


@dataclass
class StrictBrowser(Browser):
    """Takes a cookie as browsers do whose name has a prefix (RFC 6265bis, 5.7), over TLS."""

    def keep(self, answer: Answer) -> Answer:
        taken = [line for line in answer.lines if line[0].lower() != "set-cookie" or self._takes(line[1])]
        super().keep(Answer(answer.status, taken, answer.text))
        return answer

    def _takes(self, line: str) -> bool:
        name = line.partition("=")[0].lower()
        parts = (part.strip().lower().partition("=") for part in line.split(";")[1:])
        attributes = {key: value for key, _, value in parts}
        if not name.startswith(("__host-", "__secure-")):
            return True
        is_host_s = "domain" not in attributes and attributes.get("path") == "/"
        return "secure" in attributes and (is_host_s or name.startswith("__secure-"))


@pytest.fixture(params=PREFIXES)
def prefix(request: pytest.FixtureRequest, settings: Settings, configure: Configure) -> str:
    """Of all three cookies, on a site that is served over TLS."""
    name: str = request.param
    settings.SESSION_COOKIE_NAME = f"{name}ss-id"
    settings.SESSION_COOKIE_SECURE = True
    configure(COOKIE_PREFIX=name)
    return name


@pytest.mark.parametrize("remember", [False, True])
def test_s43_cookies_with_a_prefix_come_and_go(
    new_browser: NewBrowser, user: User, prefix: str, clock: Clock, remember: bool
) -> None:
    """A browser that is strict about prefixes takes the cookies, refreshes them, and lets go of them at sign-out."""
    browser = StrictBrowser(new_browser().ask)
    browser.visit(put_in_cart())
    answer = browser.visit(sign_in(user, remember))
    names = {prefix + name for name in (OURS if remember else (ID, OPT))}
    assert browser.cookies.keys() == {*names, "csrftoken"}
    assert is_signed_in(browser)
    clock.advance(DAY)
    assert is_signed_in(browser)
    before = browser.copy()
    assert not answer.cookies.keys() & set(OURS)
    for name in OURS:  # as if it had been one that was remembered
        browser.cookies.setdefault(prefix + name, "junk")
    browser.visit(sign_out)
    assert browser.cookies.keys() == {"csrftoken"}
    assert is_nobody(before)


def test_s43_names_without_the_prefix_count_for_nothing(browser: Browser, user: User, prefix: str) -> None:
    """With a prefix set, a cookie without it, which another host may have planted, is not looked at."""
    browser.visit(sign_in(user, remember=True))
    token = browser.cookies[prefix + PID]
    assert browser.cookies[prefix + OPT] == "perm"
    for names in (OURS, (ID.upper(), PID.upper(), OPT), (prefix.lower() + ID, prefix.lower() + PID, prefix + OPT)):
        planted = Browser(browser.ask, dict(zip(names, (token, token, "perm"), strict=True)))
        assert planted.visit(status).text == "fresh -"
    assert is_signed_in(browser)


def test_s43_plain_names_planted_beside_the_prefixed_change_nothing(
    browser: Browser, user: User, other_user: User, prefix: str
) -> None:
    """A token of somebody else in the plain names takes nobody out of their own session, and is not deleted either."""
    stranger = Browser(browser.ask)
    stranger.visit(sign_in(other_user))
    browser.visit(sign_in(user, remember=True))
    browser.cookies |= {ID: stranger.cookies[prefix + ID], OPT: "temp"}
    assert is_signed_in(browser)
    answer = browser.visit(sign_out)
    assert not answer.cookies.keys() & {ID, OPT}
    assert is_signed_in(stranger, "grace")


@pytest.mark.parametrize("named", ["", *PREFIXES])
def test_s44_cookies_are_short(
    browser: Browser, user: User, settings: Settings, configure: Configure, named: str
) -> None:
    """A cookie of ours takes at most 64 bytes with its name, whichever prefix that has."""
    settings.SESSION_COOKIE_NAME = f"{named}ss-id"
    settings.SESSION_COOKIE_SECURE = True
    configure(COOKIE_PREFIX=named, USER_COOKIE=True)
    answer = browser.visit(sign_in(user, remember=True))
    lengths = {name: len(name) + len(morsel.value) for name, morsel in answer.cookies.items() if name != "csrftoken"}
    assert lengths.keys() == {*(named + name for name in OURS), USER}
    assert max(lengths.values()) <= 64
    lines = [value for name, value in answer.lines if name.lower() == "set-cookie"]
    assert all(len(line) <= 4096 for line in lines)


def everything_sent(answer: Answer) -> str:
    return " ".join(value for name, value in answer.lines if name.lower() == "set-cookie" or name.startswith("X-ss"))


def test_s45_cookies_tell_nothing_of_the_user(browser: Browser, user: User) -> None:
    """A token is letters and digits drawn at random, and no cookie of ours has the user's key, name or mail in it."""
    User.objects.filter(pk=user.pk).update(username="ada-lovelace-1815")
    user.refresh_from_db()

    def view(request: Request) -> None:
        put_in_cart("canary")(request)
        sign_in(user, remember=True)(request)

    answer = browser.visit(view)
    assert answer.ours.keys() == set(OURS)
    assert all(re.fullmatch("[0-9a-z]{40}", answer.ours[name]) for name in (ID, PID))
    assert answer.ours[OPT] == "perm"
    assert not any(text in everything_sent(answer) for text in ("lovelace", "example.com", "canary", USER))


@pytest.mark.parametrize("remember", [False, True])
def test_s45_user_cookie(
    browser: Browser, user: User, other_user: User, configure: Configure, clock: Clock, remember: bool
) -> None:
    """With USER_COOKIE the browser is told who is signed in, as long as the session lasts, and to forget it after."""
    configure(USER_COOKIE=True)
    assert USER not in browser.visit(put_in_cart()).cookies
    for somebody in (user, other_user):
        cookie = browser.visit(sign_in(somebody, remember)).cookies[USER]
        assert (cookie.value, cookie["max-age"]) == (str(somebody.pk), str(28 * DAY) if remember else "")
    clock.advance(DAY)
    answer = browser.visit(cart)
    assert (USER in answer.cookies) is remember
    browser.visit(sign_out)
    assert USER not in browser.cookies


def test_s45_no_user_cookie_for_headers(new_browser: NewBrowser, user: User, configure: Configure) -> None:
    """A client that sends headers gets no cookie with its user either."""
    configure(USER_COOKIE=True, HEADERS=["/"])
    client = ApiClient(new_browser().ask)
    assert client.visit(sign_in(user, remember=True)).cookies.keys() <= {"csrftoken"}


@pytest.mark.parametrize("is_on", [False, True])
def test_s45_forged_user_cookie_changes_nothing(
    browser: Browser, user: User, other_user: User, configure: Configure, is_on: bool
) -> None:
    """Whatever a browser says in the user's cookie, nobody becomes somebody, and nobody becomes another."""
    configure(USER_COOKIE=is_on)
    browser.visit(sign_in(user))
    for forged in (str(other_user.pk), str(user.pk), "", "0", "x" * 4096, "' or 1=1 --"):
        stranger = Browser(browser.ask, {USER: forged})
        assert stranger.visit(who).text == "anonymous anonymous None"
        assert stranger.visit(who, X_UAId=forged).text == "anonymous anonymous None"
        browser.cookies[USER] = forged
        assert is_signed_in(browser)
        assert browser.visit(who, X_UAId=forged).text.startswith("ada ada")


def test_s45_user_cookie_goes_with_the_session(
    browser: Browser, user: User, configure: Configure, engine: type[SessionStore]
) -> None:
    """When a visitor who is not signed in any more begins another session, the browser forgets the user."""
    configure(USER_COOKIE=True)
    browser.visit(sign_in(user, remember=True))
    wipe(engine)
    browser.visit(put_in_cart())
    assert USER not in browser.cookies


def test_s38_forms_get_a_new_token_at_sign_in(browser: Browser, user: User, handler: str) -> None:
    """A sign-in changes the token of forms, so that one from before it, which others may know, is none any more."""
    browser.get("/admin/login/")
    before = browser.cookies["csrftoken"]
    browser.visit(async_sign_in(user) if handler == "asgi" else sign_in(user))
    assert browser.cookies["csrftoken"] != before
    old = browser.copy(csrftoken=browser.cookies["csrftoken"])
    form = {"csrfmiddlewaretoken": before, "old_password": PASSWORD, "new_password1": "x", "new_password2": "x"}
    assert old.post("/accounts/password_change/", **form).status == 403


def test_s37_sign_out_by_post_with_the_token_of_forms(browser: Browser, user: User) -> None:
    """No link and no form of another site signs a browser out: GET is refused, and so is a form without its token."""
    User.objects.filter(pk=user.pk).update(is_staff=True)
    browser.visit(sign_in(user, remember=True))
    for path in ("/accounts/logout/", "/admin/logout/"):
        assert browser.get(path).status == 405
        for token in ("", "a" * 64):
            assert browser.post(path, csrfmiddlewaretoken=token).status == 403
    assert is_signed_in(browser)
    assert browser.post("/accounts/logout/").status == 200
    assert is_nobody(browser)


def test_s37_headers_need_no_token_of_forms(new_browser: NewBrowser, user: User, configure: Configure) -> None:
    """What no page of another site can send needs no proof: a client by header signs out by POST, not by GET."""
    configure(HEADERS=["/"])
    client = ApiClient(new_browser().ask)
    client.visit(sign_in(user))
    assert client.get("/accounts/logout/").status == 405
    assert is_signed_in(client)
    before = client.copy()
    assert client.post("/accounts/logout/").status == 200
    assert is_nobody(before)


def test_s37_the_option_alone_changes_nothing_in_the_store(browser: Browser, user: User) -> None:
    """There is no request that turns a temporary session into a permanent one but a sign-in."""
    browser.visit(sign_in(user))
    for query in ("ss-opt=perm", "remember=on", "remember=true"):
        answer = browser.visit(who, query, X_ss_opt="perm")
        assert answer.text.startswith("ada ada")
        assert not answer.ours
    assert browser.cookies[OPT] == "temp"
