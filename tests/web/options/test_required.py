"""`session_required`: a view that needs a live session, and where those are sent who have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import reverse_lazy

from tests.servers.redis import RedisServer
from tests.sessions import ShopSession
from tests.web.browser import ID, X_ID, Answer, ApiClient, Browser
from tests.web.kinds import (
    APIS,
    PAGES,
    Kind,
    Option,
    async_function,
    each_api,
    each_kind,
    each_page,
    function,
    handler_of_an_api_class,
    within_api_view,
)
from tests.web.signing import Request, put_in_cart, sign_in, sign_out
from tests.web.urls import View, address
from typed_sessions import EndReason, SessionMode, get_session, live_sessions, tokens
from typed_sessions.decorators import session_required
from typed_sessions.exceptions import MissingSession, StoreUnavailable
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

DAY = 86_400
CHALLENGE = 'TypedSession header="X-ss-id"'
WORDS = {"expired": "expired", "ended": "ended", "lost": "lost", "fresh": "fresh", "rejected": "fresh"}
"""What a visitor is told, by the status of the session."""


def nothing(request: Any) -> str:
    return "done"


def arrive(status: str, browser: Browser, clock: Clock) -> Browser:
    """The browser with a session of that status."""
    if status == "lost":
        return browser.copy(ss_id=tokens.issue(SessionMode.TEMP))
    if status == "rejected":
        return browser.copy(ss_id="0" * 40)
    if status != "fresh":
        browser.visit(put_in_cart())
    if status == "expired":
        clock.advance(15 * DAY)
    if status == "ended":
        live_sessions.end(tokens.digest(browser.token), EndReason.ENDED_BY_STAFF)
    return browser


each_status = pytest.mark.parametrize("status", WORDS)
with_or_without_brackets = pytest.mark.parametrize(
    "option", [session_required, session_required()], ids=["without", "with"]
)


def target(answer: Answer) -> tuple[str, dict[str, list[str]]]:
    """Where somebody was sent, and with which words."""
    assert answer.status == 302
    there = urlsplit(answer["Location"])
    return there.path, parse_qs(there.query)


def said(answer: Answer) -> dict[str, str]:
    """What a program was told by a 401."""
    assert (answer.status, answer["Content-Type"], answer["WWW-Authenticate"]) == (401, "application/json", CHALLENGE)
    words: dict[str, str] = json.loads(answer.text)
    assert words.pop("detail")
    return words


@each_kind
@with_or_without_brackets
def test_live_session_is_let_in(browser: Browser, verbs: Verbs, user: User, kind: Kind, option: Option) -> None:
    """Whoever has a live session sees the view, signed in or not, and it costs no more than to read the session."""
    view = kind(option, nothing)
    browser.visit(put_in_cart())
    verbs.take()
    assert browser.visit(view).text.strip('"') == "done"
    assert verbs.take() == ["load"]
    browser.visit(sign_in(user, remember=True))
    assert browser.visit(view).text.strip('"') == "done"


@each_page
@each_status
@with_or_without_brackets
def test_visitor_is_told_what_became_of_the_session(
    browser: Browser, clock: Clock, kind: Kind, option: Option, status: str
) -> None:
    """Whose session is none is sent to the sign-in with the word for it and the way back, however often."""
    view = kind(option, nothing)
    browser = arrive(status, browser, clock)
    query = {"session": [WORDS[status]], "next": [f"{address(view)}?a=1&b=%C3%BC"]}
    for _ in range(2):
        answer = browser.visit(view, "a=1&b=%C3%BC")
        assert target(answer) == ("/accounts/login/", query)
        assert "Cookie" in answer["Vary"]


@each_api
@each_status
def test_rest_framework_gets_json(browser: Browser, clock: Clock, kind: Kind, status: str) -> None:
    """A view of REST framework redirects nobody: it says 401, the word for it, and what more is known."""
    browser = arrive(status, browser, clock)
    answer = browser.visit(kind(session_required, nothing))
    reason = {"expired": {"reason": "expired_idle"}, "ended": {"reason": "ended_by_staff"}}.get(status, {})
    assert said(answer) == {"code": WORDS[status], **reason}
    assert "Cookie" in answer["Vary"]


@each_kind
def test_client_by_header_gets_json(browser: Browser, configure: Configure, clock: Clock, kind: Kind) -> None:
    """A client whose session comes by header is redirected by no view; a header that opens nothing is what it always
    is.
    """
    configure(HEADERS=["/"])
    view, client = kind(session_required, nothing), ApiClient(browser.ask)
    assert said(client.visit(view)) == {"code": "fresh"}
    client.visit(put_in_cart())
    assert client.visit(view).text.strip('"') == "done"
    live_sessions.end(tokens.digest(client.token), EndReason.ENDED_BY_USER)
    assert said(client.visit(view)) == {"code": "ended_by_user"}
    assert said(client.visit(view, **{X_ID: "junk"})) == {"code": "malformed"}


URLS: dict[str, Any] = {
    "expired_url": "/expired/",
    "ended_url": "/ended/",
    "lost_url": "/lost/",
    "fresh_url": "/fresh/",
}


@each_status
def test_an_address_for_each_status(browser: Browser, clock: Clock, status: str) -> None:
    """Each status has an address of its own; without it `url` counts, and without that LOGIN_URL."""
    word = WORDS[status]
    own = f"{word}_url"
    others = {name: url for name, url in URLS.items() if name != own}
    browser = arrive(status, browser, clock)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        (URLS, URLS[own]),
        ({**URLS, "url": "/any/"}, URLS[own]),
        ({**others, "url": "/any/"}, "/any/"),
        (others, "/accounts/login/"),
    )
    for arguments, there in cases:
        view: View = session_required(**arguments)(nothing)
        path, query = target(browser.copy().visit(view))
        assert (path, query["session"]) == (there, [word])


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("password_change", "/accounts/password_change/?session=fresh&next="),
        (reverse_lazy("password_change"), "/accounts/password_change/?session=fresh&next="),
        ("/welcome/?tab=2&session=junk&a=%26", "/welcome/?tab=2&session=fresh&a=%26&next="),
        ("https://id.example.com/in?x=1", "https://id.example.com/in?x=1&session=fresh&next="),
        ("/page/#part", "/page/?session=fresh&next="),
    ],
)
def test_kinds_of_addresses(browser: Browser, url: Any, there: str) -> None:
    """An address is a path, with a query or without, the name of a URL, or that of another site."""
    answer = browser.visit(session_required(url=url)(nothing))
    assert answer["Location"].startswith(there)


def test_address_is_looked_up_at_use(browser: Browser) -> None:
    """Views are decorated before there are URLs, so nothing is looked up then."""
    nowhere = reverse_lazy("no such page")
    view = session_required(url=nowhere, fresh_url=nowhere)(nothing)
    assert browser.visit(view).status == 500


def test_login_url_is_read_at_use(browser: Browser, settings: Settings) -> None:
    """LOGIN_URL may be the name of a URL, and what it is when the request comes counts."""
    view = session_required(nothing)
    settings.LOGIN_URL = "admin:login"
    assert target(browser.visit(view))[0] == "/admin/login/"


def test_s59_deactivated_user(browser: Browser, user: User) -> None:
    """The session of an account that was switched off is not live, and the visitor is told that it has ended."""
    view = session_required(nothing)
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    answer = browser.visit(view)
    assert target(answer)[1]["session"] == ["ended"]
    assert answer.ours[ID] == ""


def test_signed_out(browser: Browser, user: User) -> None:
    """Who has signed out comes with nothing, and another tab of before is told that the session has ended."""
    view = session_required(nothing)
    browser.visit(sign_in(user))
    tab = browser.copy()
    browser.visit(sign_out)
    assert target(browser.visit(view))[1]["session"] == ["fresh"]
    assert target(tab.visit(view))[1]["session"] == ["ended"]


def test_session_of_this_very_request(browser: Browser) -> None:
    """A session that was stored earlier in the request is live; one that is only filled is not."""
    guarded = session_required(nothing)

    def stores(request: Request) -> Any:
        request.typed_session.currency = "USD"
        request.session.save()
        return guarded(request)

    def fills(request: Request) -> Any:
        request.typed_session.currency = "USD"
        return guarded(request)

    assert browser.copy().visit(stores).text == "done"
    assert target(browser.copy().visit(fills))[1]["session"] == ["fresh"]


def test_refused_visitor_costs_no_write(browser: Browser, clock: Clock, verbs: Verbs) -> None:
    """For whoever is sent away the store is asked once, and no session begins."""
    browser = arrive("ended", browser, clock)
    verbs.take()
    assert browser.visit(session_required(nothing)).ours == {}
    assert verbs.take() == ["load"]


# The store does not answer

FROM_OUTSIDE = [kind for kind in [*PAGES, *APIS] if kind not in (handler_of_an_api_class, within_api_view)]
"""Where nothing asks for the session before the decorator does."""


@pytest.fixture
def away(browser: Browser, valkey: RedisServer, user: User) -> Browser:
    """A signed-in browser, whose session the store does not answer for."""
    browser.visit(sign_in(user, remember=True))
    valkey.kill()
    return browser


on_redis = pytest.mark.parametrize("engine", ["redis"], indirect=True)


@pytest.mark.hasty
@on_redis
@each_kind
def test_r01_store_is_down(away: Browser, kind: Kind) -> None:
    """Nobody is sent to sign in because the store does not answer: it is a 503 that keeps the cookies."""
    cookies = dict(away.cookies)
    answer = away.visit(kind(session_required, nothing))
    assert (answer.status, answer["Retry-After"], away.cookies) == (503, "1", cookies)


@pytest.mark.hasty
@on_redis
@pytest.mark.parametrize("kind", FROM_OUTSIDE)
def test_r02_view_goes_on_without(away: Browser, kind: Kind) -> None:
    """A view that says so runs for nobody in particular, with a session that is empty and cannot be changed."""
    told: list[Any] = []

    def body(request: Any) -> str:
        session = get_session(request, ShopSession)
        told.append((session.status.value, session.is_authenticated, session.id, request.user.is_anonymous))
        with pytest.raises(StoreUnavailable):
            session.currency = "USD"
        with pytest.raises(StoreUnavailable):
            request.session["x"] = 1
        return "without"

    cookies = dict(away.cookies)
    answer = away.visit(kind(session_required(on_unavailable="anonymous"), body))
    assert (answer.status, answer.text.strip('"'), answer.ours) == (200, "without", {})
    assert told == [("unavailable", False, None, True)]
    assert away.cookies == cookies
    assert "Cookie" in answer["Vary"]


@pytest.mark.hasty
@on_redis
@pytest.mark.parametrize("kind", [function, async_function])
def test_r02_header_without_the_store(
    browser: Browser, configure: Configure, valkey: RedisServer, user: User, kind: Kind
) -> None:
    """A client by header is nobody in particular as well, where the view says so, and keeps its token."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(sign_in(user))
    valkey.kill()
    answer = client.visit(kind(session_required(on_unavailable="anonymous"), nothing))
    assert (answer.status, answer.text, answer.told) == (200, "done", {})


@pytest.mark.hasty
@on_redis
@pytest.mark.parametrize("kind", [function, async_function])
def test_r02_project_goes_on_without(away: Browser, configure: Configure, kind: Kind) -> None:
    """Where the whole project goes on without the store, a view that needs a session is a 503 all the same."""
    configure(ON_STORE_ERROR="anonymous")
    assert away.visit(nothing).text == "done"
    assert away.visit(kind(session_required, nothing)).status == 503
    assert away.visit(kind(session_required(on_unavailable="anonymous"), nothing)).text == "done"


@pytest.mark.parametrize("kind", [function, async_function])
@each_status
def test_going_on_is_for_the_store_alone(browser: Browser, clock: Clock, kind: Kind, status: str) -> None:
    """Whose session is none is sent away also by a view that goes on without the store."""
    browser = arrive(status, browser, clock)
    view = kind(session_required(on_unavailable="anonymous"), nothing)
    assert target(browser.visit(view))[1]["session"] == [WORDS[status]]
    browser.visit(put_in_cart())
    assert browser.visit(view).text == "done"


# What is wrong is told where it is written


@pytest.mark.parametrize("name", ["url", *URLS])
@pytest.mark.parametrize("given", ["", 7, True, b"/x/", ["/x/"]])
def test_what_is_no_address(name: str, given: Any) -> None:
    """What is no address is refused at decoration."""
    with pytest.raises(TypeError, match="An address is a path or the name of a URL, and not"):
        session_required(**{name: given})


@pytest.mark.parametrize("given", ["", "ignore", True, None])
def test_what_is_no_way_to_go_on(given: Any) -> None:
    """So is what `on_unavailable` does not know."""
    with pytest.raises(TypeError, match='on_unavailable is "error" or "anonymous", and not'):
        session_required(on_unavailable=given)


@pytest.mark.parametrize("given", ["/sign-in/", 300, RequestFactory().get("/")])
def test_what_is_no_view(given: Any) -> None:
    """So is what is no view, such as an address without its name, or a request."""
    with pytest.raises(TypeError, match="@session_required stands before a view"):
        session_required(given)


def test_class_that_is_no_view() -> None:
    """So is a class that answers no requests."""
    with pytest.raises(TypeError, match="Thing is no view"):
        session_required(type("Thing", (), {}))


@pytest.mark.parametrize("arguments", [(), (5,)])
def test_call_without_a_request(arguments: tuple[Any, ...]) -> None:
    """A function that is called without a request is no view, and the error says so."""
    with pytest.raises(TypeError, match="for views, which have the request as their first argument"):
        session_required(lambda *args: None)(*arguments)


def test_request_without_a_typed_session() -> None:
    """A request that came past the middleware is told so."""
    with pytest.raises(MissingSession, match="TypedSessionMiddleware"):
        session_required(nothing)(RequestFactory().get("/"))


@pytest.mark.parametrize("make", [session_required, session_required(url="/in/")])
def test_a_view_stays_itself(make: Callable[[Any], Any]) -> None:
    """The decorated view keeps name, documentation and arguments, as tools look at them."""

    def view(request: Any, number: int) -> None:
        """Shows a number."""

    decorated = make(view)
    assert (decorated.__name__, decorated.__doc__, decorated.__wrapped__) == ("view", "Shows a number.", view)
