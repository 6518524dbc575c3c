"""django-allauth: people sign up, in and out on its pages, and end their sessions on other devices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.core import mail
from django.http import HttpRequest

from tests.ecosystem.people import PASSWORD, rows_of
from tests.sessions import ShopSession
from tests.web.browser import ID, OPT, OURS, PID, Answer, Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, cart, put_in_cart, status, who
from tests.web.stored import count
from typed_sessions import signals
from typed_sessions.backends.base import SessionStore

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600
NEW_PASSWORD = "a new and better one"

pytestmark = pytest.mark.usefixtures("engine", "clock")


def sign_in(browser: Browser, login: str = "ada", **form: str) -> Answer:
    browser.get("/allauth/login/")
    return browser.post("/allauth/login/", login=login, password=PASSWORD, **form)


def sign_up(browser: Browser) -> Answer:
    browser.get("/allauth/signup/")
    form = {"username": "alan", "email": "alan@example.com", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    return browser.post("/allauth/signup/", **form)


def lifetime(request: Request) -> str:
    session = request.typed_session
    return f"{session.mode.value} {session.time_to_live()}"


def test_sign_up(browser: Browser, engine: type[SessionStore]) -> None:
    """Whoever signs up is signed in, under a new token, with what the visitor had."""
    browser.visit(put_in_cart())
    visitor = browser.copy()
    assert sign_up(browser).status == 302
    assert browser.visit(who).text.startswith("alan alan")
    assert browser.visit(cart).text == "['a'] a"
    assert visitor.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 1


@pytest.mark.django_db(transaction=True)
def test_registration_is_announced(browser: Browser) -> None:
    """A sign-up tells the session of it, before it tells it of the sign-in; a later sign-in does not."""
    heard: list[str] = []

    def registration(session: ShopSession, user: User, **kwargs: object) -> None:
        heard.append(f"{user} registered")

    def authentication(session: ShopSession, user: User, **kwargs: object) -> None:
        heard.append(f"{user} signed in")

    signals.on_registered.connect(registration)
    signals.on_authenticated.connect(authentication)
    sign_up(browser)
    browser.post("/allauth/logout/")
    browser.get("/allauth/login/")
    browser.post("/allauth/login/", login="alan", password=NEW_PASSWORD)
    signals.on_registered.disconnect(registration)
    signals.on_authenticated.disconnect(authentication)
    assert heard == ["alan registered", "alan signed in", "alan signed in"]


@dataclass
class Closed(ShopSession):
    """Nobody may come in."""

    def validate(self, request: HttpRequest | None, user: AbstractBaseUser) -> str | None:
        return "closed"


def test_veto(browser: Browser, user: User, configure: Callable[..., None], engine: type[SessionStore]) -> None:
    """A veto is a wrong password at the form, and a 403 after a sign-up; the visitor's session is as it was."""
    configure(SESSION_CLASS=f"{__name__}.Closed")
    browser.visit(put_in_cart())
    before = browser.token
    assert [sign_in(browser, remember="on").status, sign_up(browser).status] == [200, 403]
    assert User.objects.filter(username="alan").exists()
    assert browser.token == before
    assert browser.visit(who).text.startswith("anonymous anonymous")
    assert browser.visit(cart).text == "['a'] a"
    assert count(engine) == 1


@pytest.mark.parametrize("login", ["ada", "ada@example.com"])
def test_remembered(browser: Browser, user: User, login: str) -> None:
    """Who asks to be remembered, by name or by mail address, has a permanent session and its cookie."""
    browser.visit(put_in_cart())
    answer = sign_in(browser, login, remember="on")
    assert {name: answer.cookies[name]["max-age"] for name in (PID, OPT)} == dict.fromkeys((PID, OPT), str(28 * DAY))
    browser.close()
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.visit(cart).text == "['a'] a"
    assert browser.visit(lifetime).text == "perm 28 days, 0:00:00"


def test_not_remembered(browser: Browser, user: User) -> None:
    """Who does not ask has a temporary session, which ends with the browser."""
    answer = sign_in(browser)
    assert (answer.cookies[ID]["max-age"], answer.cookies[OPT].value) == ("", "temp")
    assert browser.visit(lifetime).text == "temp 14 days, 0:00:00"
    browser.close()
    assert browser.visit(who).text == "anonymous anonymous None"


@pytest.mark.parametrize(("form", "max_age"), [({"remember": "on"}, str(20 * DAY)), ({}, "")])
def test_form_of_its_own(browser: Browser, user: User, settings: Settings, form: dict[str, str], max_age: str) -> None:
    """Without our form, `set_expiry` gives cookie and record the time that allauth is told, or the browser's."""
    settings.ACCOUNT_FORMS = {}
    settings.ACCOUNT_SESSION_COOKIE_AGE = 20 * DAY
    answer = sign_in(browser, **form)
    assert (answer.cookies[ID]["max-age"], answer.ours[OPT]) == (max_age, "temp")
    assert browser.visit(lifetime).text == f"temp {20 if form else 14} days, 0:00:00"


def test_wrong_password(browser: Browser, user: User, engine: type[SessionStore]) -> None:
    """A wrong password leaves the visitor's session and cookies alone."""
    browser.visit(put_in_cart())
    before = browser.token
    browser.get("/allauth/login/")
    answer = browser.post("/allauth/login/", login="ada", password="wrong", remember="on")
    assert (answer.status, answer.ours, browser.token) == (200, {}, before)
    assert browser.visit(cart).text == "['a'] a"
    assert count(engine) == 1


def show_code(browser: Browser) -> Answer:
    """The code that came by mail, in the form that asks for it."""
    code = re.search(r"^\w{3,}-?\w{3,}$", str(mail.outbox[-1].body), re.MULTILINE)
    assert code is not None
    browser.get("/allauth/confirm-email/")
    return browser.post("/allauth/confirm-email/", code=code[0])


@pytest.fixture
def with_code(settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True


@pytest.mark.usefixtures("with_code")
def test_code_by_mail(browser: Browser, engine: type[SessionStore]) -> None:
    """A sign-up that waits for a code is nobody's session until the code is there, and then keeps what it had."""
    browser.visit(put_in_cart())
    assert sign_up(browser)["Location"] == "/allauth/confirm-email/"
    assert browser.visit(who).text.startswith("anonymous anonymous")
    waiting = browser.copy()
    assert show_code(browser)["Location"] == "/"
    assert browser.visit(who).text.startswith("alan alan")
    assert browser.visit(cart).text == "['a'] a"
    assert waiting.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 1


@pytest.mark.usefixtures("with_code")
def test_remembered_with_a_code(browser: Browser, user: User, settings: Settings) -> None:
    """Who asks to be remembered, and then has to show a code, has a temporary session with allauth's lifetime."""
    settings.ACCOUNT_SESSION_COOKIE_AGE = 20 * DAY
    assert sign_in(browser, remember="on")["Location"] == "/allauth/confirm-email/"
    assert browser.visit(who).text.startswith("anonymous anonymous")
    answer = show_code(browser)
    assert (answer.cookies[ID]["max-age"], answer.ours[OPT]) == (str(20 * DAY), "temp")
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.visit(lifetime).text == "temp 20 days, 0:00:00"


@pytest.mark.parametrize("remember", [{}, {"remember": "on"}])
def test_sign_out(browser: Browser, user: User, engine: type[SessionStore], remember: dict[str, str]) -> None:
    """A sign-out leaves no cookie of ours and no session, not even an empty one."""
    sign_in(browser, **remember)
    before = browser.copy()
    assert browser.post("/allauth/logout/").status == 302
    assert not browser.cookies.keys() & {*OURS}
    assert before.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 0


def listed() -> list[str]:
    return list(rows_of("usersessions.UserSession").values_list("session_key", flat=True))


@pytest.mark.parametrize("remember", [{}, {"remember": "on"}])
def test_other_sessions_are_ended(
    browser: Browser, new_browser: NewBrowser, user: User, remember: dict[str, str]
) -> None:
    """Each session of a user is listed by its key; ending the others ends them at once, and not this one."""
    tablet = new_browser()
    sign_in(tablet, **remember)
    sign_in(browser)
    assert listed() == [tablet.token, browser.token]
    page = browser.get("/allauth/sessions/", user_agent="Lynx")
    assert (page.status, page.text.count("127.0.0.1")) == (200, 2)
    assert browser.post("/allauth/sessions/").status == 302
    assert listed() == [browser.token]
    assert tablet.visit(status).text == "ended logged_out"
    assert tablet.visit(who).text == "anonymous anonymous None"
    assert browser.visit(who).text.startswith("ada ada")


def test_activity(browser: Browser, user: User) -> None:
    """Tracking notes when a session was seen last, and by what, and makes no other row of it."""
    sign_in(browser)
    (signed_in,) = rows_of("usersessions.UserSession")
    browser.visit(who, user_agent="Lynx")
    (seen,) = rows_of("usersessions.UserSession")
    assert (seen.user_agent, seen.last_seen_at > signed_in.last_seen_at) == ("Lynx", True)


def test_what_is_over_is_not_listed(browser: Browser, new_browser: NewBrowser, user: User) -> None:
    """A session that was signed out of, and one of which the store knows nothing, leave the list when it is shown."""
    tablet, phone = new_browser(), new_browser()
    for device in (tablet, phone, browser):
        sign_in(device)
    tablet.post("/allauth/logout/")
    rows_of("usersessions.UserSession").filter(session_key=phone.token).update(session_key="unknown")
    assert len(listed()) == 3
    assert browser.get("/allauth/sessions/").text.count("127.0.0.1") == 1
    assert listed() == [browser.token]


def test_change_of_password(browser: Browser, new_browser: NewBrowser, user: User) -> None:
    """This session goes on under a new key, which the list follows; the user's others are over."""
    tablet = new_browser()
    sign_in(tablet)
    sign_in(browser)
    browser.visit(put_in_cart())
    before = browser.copy()
    browser.get("/allauth/password/change/")
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert browser.post("/allauth/password/change/", **form).status == 302
    assert before.token != browser.token
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.visit(cart).text == "['a'] a"
    assert {before.visit(who).text, tablet.visit(who).text} == {"anonymous anonymous None"}
    assert browser.get("/allauth/sessions/").status == 200
    assert listed() == [browser.token]


def test_key_in_the_list_is_a_credential(browser: Browser, user: User, new_browser: NewBrowser) -> None:
    """As the page warns: whoever reads the table has the session; the session's id opens nothing."""
    sign_in(browser)
    (key,) = listed()
    assert new_browser(ss_id=key).visit(who).text.startswith("ada ada")
    session_id = browser.visit(lambda request: request.typed_session.id).text
    assert new_browser(ss_id=session_id).visit(who).text == "anonymous anonymous None"
