"""The table of signing in and out, row by row, for clients that send headers; test_parity.py has it for browsers.

Under WSGI the views that sign in and out are sync, under ASGI async. A header that opens nothing is 401, and never the
beginning of something else: such a client lets go of its token before it signs in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import pytest
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from rest_framework.request import Request as RestRequest

from tests.sessions import ShopSession
from tests.web.browser import X_ID, X_OPT, X_PID, Answer, ApiClient, Browser
from tests.web.conftest import NewBrowser
from tests.web.matrix import each_engine_once
from tests.web.signing import (
    Request,
    async_sign_in,
    async_sign_out,
    cart,
    put_in_cart,
    sign_in,
    sign_out,
    state,
    who,
)
from tests.web.stored import count, raw_records, wipe
from tests.web.test_parity import async_wrong_password, kept, telling, wrong_password
from tests.web.urls import View
from typed_sessions import SessionMode, get_session, tokens
from typed_sessions.auth import login
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Configure

if TYPE_CHECKING:
    from pytest_django import Settings

Enter = Callable[[User, "bool | None"], View]

pytestmark = [each_engine_once, pytest.mark.usefixtures("engine", "clock")]


@pytest.fixture
def enter(handler: str) -> Enter:
    return async_sign_in if handler == "asgi" else sign_in


@pytest.fixture
def leave(handler: str) -> View:
    return async_sign_out if handler == "asgi" else sign_out


@pytest.fixture
def client(new_browser: NewBrowser, configure: Configure) -> ApiClient:
    configure(HEADERS=["/"])
    return ApiClient(new_browser().ask)


@pytest.fixture
def stale(client: ApiClient) -> ApiClient:
    """Shows a permanent token that the store does not have."""
    return ApiClient(client.ask, {X_PID: tokens.issue(SessionMode.PERM), X_OPT: "perm"})


def expect(answer: Answer, client: ApiClient, mode: str) -> None:
    """The client was told of a session of this mode, in headers alone, and it is ada's, now and in the next request."""
    assert answer.told == {X_PID if mode == "perm" else X_ID: client.token, X_OPT: mode}
    assert answer.cookies == {}
    assert answer.text == f"ada {tokens.digest(client.token)}"
    again = client.visit(who)
    assert (again.text, again.told) == (f"ada {answer.text}", {})
    assert client.visit(kept).text == ("perm 28" if mode == "perm" else "temp 14")


def expect_refused(client: ApiClient, view: View = who) -> None:
    answer = client.visit(view)
    assert (answer.status, answer.told) == (401, {})


@pytest.mark.parametrize("remember", [False, True])
def test_rows_1_and_4_stale_permanent_token(
    stale: ApiClient, engine: type[SessionStore], user: User, enter: Enter, remember: bool
) -> None:
    """A client cannot sign in beside a stale permanent token; without it, it gets a token of the mode it asks for."""
    before = stale.token
    expect_refused(stale, enter(user, remember))
    assert count(engine) == 0
    stale.forget()
    expect(stale.visit(enter(user, remember)), stale, "perm" if remember else "temp")
    assert stale.token != before
    assert count(engine) == 1
    assert not engine().exists(before)


@pytest.mark.parametrize("remember", [False, True])
def test_rows_2_and_3_sign_in_of_the_other_mode(
    client: ApiClient, engine: type[SessionStore], user: User, enter: Enter, remember: bool
) -> None:
    """A sign-in of the other mode keeps the data under a token of that mode, and the old token is refused."""
    client.visit(put_in_cart())
    client.visit(enter(user, not remember))
    before = client.copy()
    expect(client.visit(enter(user, remember)), client, "perm" if remember else "temp")
    assert client.visit(cart).text == "['a'] a"
    assert count(engine) == 1
    expect_refused(before)


def test_row_5_looking_with_a_stale_token(stale: ApiClient, engine: type[SessionStore]) -> None:
    """A client with a stale token is refused, whether it looks or writes, and nothing is stored."""
    for view in (who, cart, put_in_cart()):
        expect_refused(stale, view)
    assert count(engine) == 0


@pytest.mark.parametrize("before", ["nobody", "visitor", "temporary", "permanent"])
def test_row_6_s13_wrong_password(
    client: ApiClient, handler: str, engine: type[SessionStore], user: User, before: str
) -> None:
    """A sign-in that fails tells nothing, and changes nothing that is stored, whatever it says of remembering."""
    if before != "nobody":
        client.visit(put_in_cart())
    if before in ("temporary", "permanent"):
        client.visit(sign_in(user, remember=before == "permanent"))
    sent, records, seen = dict(client.sent), raw_records(engine), client.visit(who).text
    attempt = async_wrong_password if handler == "asgi" else wrong_password
    for remember in (None, True, False):
        answer = client.visit(attempt(remember))
        assert (answer.text, answer.told) == ("None", {})
    answer = client.post("/admin/login/", username="ada", password="wrong")
    assert (answer.status, answer.ours, answer.told) == (200, {}, {})
    assert client.sent == sent
    assert raw_records(engine) == records
    assert client.visit(who).text == seen


@pytest.mark.parametrize("remember", [False, True])
def test_row_7_sign_out(
    client: ApiClient, engine: type[SessionStore], user: User, enter: Enter, leave: View, remember: bool
) -> None:
    """Sign-out deletes the record, its token is refused, and the next sign-in is not remembered for having been."""
    client.visit(put_in_cart())
    client.visit(enter(user, remember))
    answer = client.visit(leave)
    assert (answer.text, answer.cookies, answer.told) == ("anonymous None", {}, {})
    assert "no-store" in answer["Cache-Control"]
    assert count(engine) == 0
    expect_refused(client)
    client.sent[X_OPT] = "perm"
    expect_refused(client, enter(user, None))
    client.sent = {X_OPT: "perm"}
    expect(client.visit(enter(user, None)), client, "temp")
    assert client.visit(cart).text == "[] None"


@pytest.mark.parametrize("remember", [False, True])
def test_row_8_store_wiped(
    client: ApiClient, engine: type[SessionStore], user: User, enter: Enter, remember: bool
) -> None:
    """A client whose session the store has lost is refused, and can sign in as soon as it lets go of its token."""
    client.visit(enter(user, remember))
    wipe(engine)
    expect_refused(client)
    expect_refused(client, enter(user, remember))
    assert count(engine) == 0
    client.forget()
    expect(client.visit(enter(user, remember)), client, "perm" if remember else "temp")


def test_row_9_other_headers_and_cookies(client: ApiClient, user: User, leave: View) -> None:
    """What others set on the response of a sign-in survives it."""

    def view(request: Request) -> HttpResponse:
        messages.info(request, "Welcome.")
        response = HttpResponse(headers={"X-Shop": "open"})
        response.set_cookie("language", "en")
        login(request, user)
        return response

    answer = client.visit(view)
    assert answer["X-Shop"] == "open"
    assert {"language", "messages"} <= answer.cookies.keys()
    assert answer.ours == {}
    assert client.visit(who).text.startswith("ada ada ")


def test_row_10_nested_call(
    client: ApiClient, new_site: Callable[..., Browser], settings: Settings, user: User
) -> None:
    """A sign-in deep inside a view is seen by everybody who has this request, by the same object and id."""
    site = ApiClient(new_site(*settings.MIDDLEWARE, f"{telling.__module__}.telling").ask)

    def view(request: Request) -> str:
        before = request.typed_session
        login(cast("HttpRequest", RestRequest(request)), user)
        assert request.typed_session is before
        assert get_session(RestRequest(request), ShopSession) is before
        shown = engines["django"].from_string("{{ request.typed_session.user_name }} {{ request.typed_session.id }}")
        assert shown.render({}, request) == state(request)
        return state(request)

    answer = site.visit(view)
    expect(answer, site, "temp")
    assert answer["X-State"] == answer.text
