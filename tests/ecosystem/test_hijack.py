"""django-hijack: staff take a user's place, and give it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from tests.ecosystem.people import open_form, sign_in
from tests.sessions import ShopSession
from tests.web.browser import ID, OPT, PID, Browser
from tests.web.signing import Request, cart, put_in_cart, status, who
from tests.web.stored import count
from typed_sessions import signals
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import recent_auth_required
from typed_sessions.testing.engines import Clock

NOBODY = "anonymous anonymous None"

pytestmark = pytest.mark.usefixtures("engine", "clock")


@pytest.fixture
def staff(user: User) -> User:
    user.is_superuser = True
    user.save()
    return user


def history(request: Request) -> str:
    return str(request.session.get("hijack_history"))


def test_acquire_and_release(browser: Browser, staff: User, other_user: User, engine: type[SessionStore]) -> None:
    """Each change of the user ends one session and begins another, and no data of the one is in the other."""
    browser.visit(put_in_cart("visitor's"))
    browser.visit(sign_in(staff))
    open_form(browser)
    own = browser.copy()
    assert browser.post("/hijack/acquire/", user_pk=str(other_user.pk)).status == 302
    assert browser.visit(who).text.startswith("grace grace")
    assert browser.visit(cart).text == "[] None"
    assert browser.visit(history).text == f"['{staff.pk}']"
    assert own.visit(who).text == NOBODY
    browser.visit(put_in_cart("grace's"))
    taken = browser.copy()
    assert browser.post("/hijack/release/").status == 302
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.visit(cart).text == "[] None"
    assert browser.visit(history).text == "[]"
    assert taken.visit(who).text == NOBODY
    assert taken.visit(status).text == "ended logged_out"
    assert len({own.token, taken.token, browser.token}) == 3
    assert count(engine) == 1


def test_fields_of_the_user(browser: Browser, staff: User, other_user: User) -> None:
    """The session says who the acquired user is, and nothing of who acquired them."""

    def described(request: Request) -> str:
        session = request.typed_session
        return f"{session.user_auth_id} {session.user_name} {session.first_name} {session.email}"

    browser.visit(sign_in(staff))
    open_form(browser)
    browser.post("/hijack/acquire/", user_pk=str(other_user.pk))
    assert browser.visit(described).text == f"{other_user.pk} grace None None"
    browser.post("/hijack/release/")
    assert browser.visit(described).text == f"{staff.pk} ada Ada ada@example.com"


def test_lifetimes(browser: Browser, staff: User, other_user: User) -> None:
    """An end that `set_expiry` gave stays; a permanent session does not, neither for the one nor for the other."""
    browser.visit(sign_in(staff, remember=True))
    browser.visit(lambda request: request.session.set_expiry(600))
    open_form(browser)
    acquired = browser.post("/hijack/acquire/", user_pk=str(other_user.pk))
    released = browser.post("/hijack/release/")
    for answer in (acquired, released):
        assert (answer.cookies[ID]["max-age"], answer.ours[OPT]) == ("600", "temp")
    assert acquired.ours[PID] == ""
    assert browser.visit(lambda request: request.typed_session.time_to_live()).text == "0:10:00"


def test_who_may_not(browser: Browser, user: User, other_user: User) -> None:
    """A user without the right stays who they are, in the session they have."""
    browser.visit(sign_in(user))
    open_form(browser)
    before = browser.token
    assert browser.post("/hijack/acquire/", user_pk=str(other_user.pk)).status == 403
    assert browser.post("/hijack/release/").status == 403
    assert browser.visit(who).text.startswith("ada ada")
    assert browser.token == before


def authenticated(request: Request) -> int:
    at = request.typed_session.authenticated_at
    assert at is not None
    return int(at.timestamp())


def test_it_is_a_sign_in(browser: Browser, staff: User, other_user: User, clock: Clock) -> None:
    """Receivers hear of it, and can tell it from others; the time of authentication is that of the acquisition."""
    heard: list[tuple[str, str]] = []

    def receiver(session: ShopSession, request: Request, **kwargs: object) -> None:
        match = request.resolver_match
        heard.append((str(session.user_name), match.app_name if match else ""))

    signals.on_authenticated.connect(receiver)
    browser.visit(sign_in(staff))
    open_form(browser)
    before = browser.visit(authenticated).text
    clock.advance(3600)
    browser.post("/hijack/acquire/", user_pk=str(other_user.pk))
    signals.on_authenticated.disconnect(receiver)
    assert heard == [("ada", ""), ("grace", "hijack")]
    assert int(browser.visit(authenticated).text) - int(before) == 3600


@dataclass
class Guarded(ShopSession):
    """Nobody may be grace."""

    def validate(self, request: HttpRequest | None, user: AbstractBaseUser) -> str | None:
        return "not her" if user.get_username() == "grace" else None


def test_veto(browser: Browser, staff: User, other_user: User, configure: Callable[..., None]) -> None:
    """A veto of the session's class keeps staff out of a user's place, and costs them their own session."""
    configure(SESSION_CLASS=f"{__name__}.Guarded")
    browser.visit(sign_in(staff))
    open_form(browser)
    assert browser.post("/hijack/acquire/", user_pk=str(other_user.pk)).status == 403
    assert browser.visit(who).text == NOBODY


def test_recent_sign_in(browser: Browser, staff: User, other_user: User, clock: Clock) -> None:
    """As the page warns: whoever is acquired counts as having just signed in."""
    view = recent_auth_required(600)(lambda request: HttpResponse("as you wish"))
    browser.visit(sign_in(staff))
    open_form(browser)
    clock.advance(3600)
    assert browser.visit(view).status == 302
    browser.post("/hijack/acquire/", user_pk=str(other_user.pk))
    assert browser.visit(view).text == "as you wish"
