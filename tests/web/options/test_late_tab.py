"""A second tab whose request was sent before the browser had the new token: for a minute it disturbs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User

from tests.web.browser import ID, OPT, PID, ApiClient, Browser
from tests.web.conftest import NewBrowser
from tests.web.matrix import each_engine_once
from tests.web.signing import async_sign_in, cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import count
from typed_sessions import tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_exclusive, session_readonly
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

WINDOW = 60


@pytest.fixture(params=[False, True], ids=["temp", "perm"])
def remember(request: pytest.FixtureRequest) -> bool:
    """Whether the session is a permanent one."""
    return bool(request.param)


@pytest.fixture
def tabs(clock: Clock, new_browser: NewBrowser, user: User, remember: bool) -> tuple[Browser, Browser]:
    """The browser, whose token has just been replaced, and its other tab, which does not know."""
    browser = new_browser()
    browser.visit(put_in_cart("tea"))
    browser.visit(sign_in(user, remember))
    late = browser.copy()
    browser.visit(lambda request: request.session.cycle_key())
    assert late.token != browser.token
    return browser, late


def store(request: Any) -> None:
    request.typed_session.page_views += 1


WRITES = {
    "field": store,
    "bag": lambda request: request.session.update({"x": 1}),
    "save": lambda request: request.session.save(),
    "create": lambda request: request.session.create(),
    "exclusive": session_exclusive(store),
}


@each_engine_once
def test_reading(
    tabs: tuple[Browser, Browser], engine: type[SessionStore], verbs: Verbs, clock: Clock, user: User
) -> None:
    """Within the minute it is a visitor, who learns why, and no cookie is set or deleted; the store is only read."""
    browser, late = tabs
    clock.advance(WINDOW - 1)
    verbs.take()
    for view, text in ((status, "ended rotated"), (who, "anonymous anonymous None"), (cart, "[] None")):
        answer = late.visit(view)
        assert (answer.status, answer.text, answer.ours) == (200, text, {})
        assert answer.cookies == {}
        assert verbs.take() == ["load"]
    assert browser.visit(who).text == f"ada ada {tokens.digest(browser.token)}"


@each_engine_once
@pytest.mark.parametrize(
    ("remember", "write"), [(number % 2 == 0, name) for number, name in enumerate(WRITES)], indirect=["remember"]
)
def test_writing(
    tabs: tuple[Browser, Browser], engine: type[SessionStore], clock: Clock, user: User, write: str
) -> None:
    """What it would store is refused as if it had come before the new token, and no second session begins; when the
    minute is over, it is an ended session as any other.
    """
    browser, late = tabs
    before = count(engine)
    for seconds in (0, WINDOW - 1):
        clock.advance(seconds)
        answer = late.visit(WRITES[write])
        assert (answer.status, answer.ours, answer.cookies) == (400, {}, {})
        assert count(engine) == before
    assert browser.visit(cart).text == "['tea'] tea"
    clock.advance(1)
    answer = late.visit(WRITES[write])
    assert (answer.status, count(engine)) == (200, before + 1)
    assert answer.ours


@pytest.mark.parametrize("is_async", [False, True])
def test_signing_in(
    tabs: tuple[Browser, Browser], engine: type[SessionStore], user: User, other_user: User, is_async: bool
) -> None:
    """A sign-in goes through, with new cookies."""
    browser, late = tabs
    answer = late.visit((async_sign_in if is_async else sign_in)(other_user))
    assert (answer.status, answer.ours[ID]) == (200, late.token)
    assert late.visit(who).text.startswith("grace grace")
    assert browser.visit(who).text.startswith("ada ada")


def test_signing_out(tabs: tuple[Browser, Browser], remember: bool) -> None:
    """A sign-out is meant for the browser: its cookies go, as after any."""
    answer = tabs[1].visit(sign_out)
    assert answer.text == "anonymous None"
    assert answer.ours == dict.fromkeys([ID, PID, OPT] if remember else [ID, OPT], "")


def test_sign_in_replaces_the_token_too(new_browser: NewBrowser, clock: Clock, user: User, remember: bool) -> None:
    """Whatever has replaced the token: the tab that was opened before a sign-in leaves the signed-in one alone."""
    browser = new_browser()
    browser.visit(put_in_cart("tea"))
    late = browser.copy()
    browser.visit(sign_in(user, remember))
    assert late.visit(status).text == "ended rotated"
    answer = late.visit(put_in_cart("cup"))
    assert (answer.status, answer.cookies) == (400, {})
    assert browser.visit(cart).text == "['tea'] tea"
    clock.advance(WINDOW)
    assert late.visit(put_in_cart("cup")).status == 200


@pytest.mark.parametrize("key", ["PERMANENT_ID", "USER_COOKIE", "SESSION_SAVE_EVERY_REQUEST"])
def test_settings_that_write_cookies(
    clock: Clock,
    new_browser: NewBrowser,
    user: User,
    configure: Configure,
    settings: Settings,
    remember: bool,
    key: str,
) -> None:
    """No setting makes such an answer touch a cookie."""
    if key == "SESSION_SAVE_EVERY_REQUEST":
        settings.SESSION_SAVE_EVERY_REQUEST = True
    else:
        configure(**{key: "always" if key == "PERMANENT_ID" else True})
    browser = new_browser()
    browser.visit(sign_in(user, remember))
    late = browser.copy()
    browser.visit(lambda request: request.session.cycle_key())
    for view in (status, who, lambda request: "page"):
        answer = late.visit(view)
        assert (answer.status, answer.cookies) == (200, {})


def test_read_only_view(tabs: tuple[Browser, Browser]) -> None:
    """A read-only view shows it to the visitor."""
    answer = tabs[1].visit(session_readonly(status))
    assert (answer.text, answer.cookies) == ("ended rotated", {})
    assert tabs[1].visit(session_readonly(store)).status == 500


def test_sessions_that_ended_otherwise(new_browser: NewBrowser, clock: Clock, user: User, remember: bool) -> None:
    """Only a token that was replaced is meant: a session that somebody ended is over, and the next one may begin."""
    browser = new_browser()
    browser.visit(sign_in(user, remember))
    late = browser.copy()
    browser.visit(sign_out)
    assert late.visit(status).text == "ended logged_out"
    answer = late.visit(put_in_cart())
    assert answer.status == 200
    assert late.visit(cart).text == "['a'] a"


def test_client_by_header(browser: Browser, configure: Configure, clock: Clock, user: User) -> None:
    """A client that says by header who it is gets an error, and never the place of a visitor (REQ-S20)."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(put_in_cart())
    late = client.copy()
    client.visit(lambda request: request.session.cycle_key())
    for view in (status, store):
        answer = late.visit(view)
        assert (answer.status, answer.told, answer.cookies) == (401, {}, {})
    assert client.visit(cart).text == "['a'] a"


def test_replaced_twice(clock: Clock, new_browser: NewBrowser, user: User) -> None:
    """Each replaced token has its own minute."""
    browser = new_browser()
    browser.visit(sign_in(user))
    oldest = browser.copy()
    browser.visit(lambda request: request.session.cycle_key())
    clock.advance(WINDOW)
    old = browser.copy()
    browser.visit(lambda request: request.session.cycle_key())
    assert [tab.visit(store).status for tab in (old, oldest)] == [400, 200]
    assert browser.visit(who).text.startswith("ada ada")
