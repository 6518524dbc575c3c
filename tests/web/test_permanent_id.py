"""`permanent_id`: the id by which a browser is recognised, and that it signs nobody in."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.engines.rows import UseEngine
from tests.web.browser import ID, OPT, PID, ApiClient, Browser
from tests.web.signing import put_in_cart, sign_in, sign_out, state, who
from tests.web.stored import count
from typed_sessions import permanent_id, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, Configure, Verbs

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def engine(use_engine: UseEngine, handler: str) -> type[SessionStore]:
    """A cookie does not know the engine: each handler has another one."""
    return use_engine({"wsgi": "db", "asgi": "redis"}[handler])


def shown(request: Any) -> str:
    return str(permanent_id(request))


def test_by_default_only_of_who_is_remembered(browser: Browser, user: User) -> None:
    """The id is that of the permanent session, and there is none without one."""
    assert browser.visit(shown).text == "None"
    browser.visit(put_in_cart())
    browser.visit(sign_in(user))
    assert browser.visit(shown).text == "None"
    browser.visit(sign_in(user, remember=True))
    assert browser.visit(shown).text == browser.visit(lambda request: request.typed_session.id).text
    browser.visit(sign_out)
    assert browser.visit(shown).text == "None"


def test_of_everybody(browser: Browser, engine: type[SessionStore], configure: Configure, verbs: Verbs) -> None:
    """With PERMANENT_ID="always" each browser has one from its second request on, and no store knows of it."""
    configure(PERMANENT_ID="always")
    assert browser.visit(shown).text == "None"
    recognised = browser.visit(shown).text
    assert recognised == tokens.digest(browser.cookies[PID])
    assert browser.visit(shown).text == recognised
    assert Browser(browser.ask).visit(shown).text == "None"
    assert (verbs.take(), count(engine)) == ([], 0)
    browser.visit(put_in_cart())
    assert browser.visit(shown).text == recognised
    assert browser.visit(state).text != f"anonymous {recognised}"


def test_s95_it_is_no_credential(browser: Browser, user: User, configure: Configure) -> None:
    """At sign-in and at sign-out the id changes, and what was the id of a visitor opens nothing at any time."""
    configure(PERMANENT_ID="always")
    browser.visit(shown)
    visitor = browser.copy()
    seen = {browser.visit(shown).text}
    for step in (sign_in(user), sign_in(user, remember=True), sign_out):
        browser.visit(step)
        browser.visit(shown)
        recognised = browser.visit(shown).text
        assert recognised not in seen
        seen.add(recognised)
    visitor.cookies[OPT] = "perm"
    assert visitor.visit(who).text == "anonymous anonymous None"


@pytest.mark.parametrize("value", ["", "x" * 40, "0" * 40, "é", "{temp}", "{id}"])
def test_what_is_no_permanent_token(browser: Browser, user: User, value: str) -> None:
    """A cookie that this site has not given out is no id, and neither is another one's in its place."""
    browser.visit(sign_in(user))
    temp = browser.cookies[ID]
    sent = value.format(temp=temp, id=tokens.digest(temp))
    assert Browser(browser.ask, {PID: sent}).visit(shown).text == "None"


def test_it_makes_the_page_depend_on_the_visitor(browser: Browser, configure: Configure) -> None:
    """A page that asks for the id is not one for everybody."""
    configure(PERMANENT_ID="always")
    browser.visit(shown)
    assert "Cookie" in browser.visit(shown)["Vary"]


def test_s19_not_by_header(browser: Browser, user: User, configure: Configure) -> None:
    """Beside a session header cookies are not read; what came in the header for a permanent token is the id."""
    configure(HEADERS=["/"])
    browser.visit(sign_in(user, remember=True))
    client = ApiClient(browser.ask)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert client.visit(shown, cookie=cookies).text == "None"
    client.visit(sign_in(user, remember=True))
    assert client.visit(shown, cookie=cookies).text == tokens.digest(client.token)


def test_it_lasts(browser: Browser, configure: Configure, clock: Clock) -> None:
    """The cookie of a visitor is written once, and stays as long as the browser keeps it."""
    configure(PERMANENT_ID="always")
    browser.visit(shown)
    for _ in range(3):
        clock.advance(40 * 86_400)
        assert browser.visit(shown).ours == {}
