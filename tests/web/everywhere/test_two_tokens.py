"""The option and the two tokens: what a client may say about which is in use, and what ends with which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.request import Request as RestRequest

from tests.sessions import ShopSession
from tests.web.browser import ID, OPT, OURS, PID, X_ID, X_OPT, X_PID, ApiClient, Browser
from tests.web.conftest import NewBrowser
from tests.web.everywhere.visitors import NewVisitor, Visitor, is_nobody, is_signed_in, tokens_of, why, with_token
from tests.web.matrix import each_engine_once, each_way
from tests.web.signing import (
    Request,
    async_sign_in,
    async_sign_out,
    put_in_cart,
    sign_in,
    sign_out,
    state,
    who,
)
from tests.web.stored import count, raw_records
from tests.web.urls import View
from typed_sessions import SessionMode, aget_session, get_session, tokens
from typed_sessions.auth import alogin, login
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock, Configure

NOT_PERM = ["perm,perm", "PERM", "Perm", "temp,perm", "perm-", " ", "permanent", "x" * 4096]

pytestmark = pytest.mark.usefixtures("engine", "clock")


def enter(handler: str, user: User, remember: bool) -> View:
    """Sync under WSGI, async under ASGI."""
    return async_sign_in(user, remember) if handler == "asgi" else sign_in(user, remember)


def saying(visitor: Visitor, option: str | None, *also: str) -> Visitor:
    """The same visitor with another option, and with the token in these places besides."""
    token = visitor.token
    if isinstance(visitor, ApiClient):
        sent = {name: value for name, value in visitor.sent.items() if name != X_OPT}
        return ApiClient(visitor.ask, {**sent, **dict.fromkeys(also, token), **({X_OPT: option} if option else {})})
    cookies = {name: value for name, value in visitor.cookies.items() if name != OPT}
    return Browser(visitor.ask, {**cookies, **dict.fromkeys(also, token), **({OPT: option} if option else {})})


def record_of(engine: type[SessionStore], token: str) -> Record:
    found = engine().store.load(tokens.digest(token))
    assert isinstance(found, Record)
    return found


@each_way
def test_s29_option_is_one_of_two_words(new_visitor: NewVisitor, user: User) -> None:
    """Anything but exactly `perm`, and nothing at all, means the temporary session."""
    temporary, permanent = new_visitor(), new_visitor()
    temporary.visit(sign_in(user))
    permanent.visit(sign_in(user, remember=True))
    for option in (*NOT_PERM, '"perm;temp"', None):
        assert is_signed_in(saying(temporary, option)), option
        assert is_nobody(saying(permanent, option)), option
    assert is_signed_in(permanent)


@each_engine_once
@pytest.mark.parametrize("spelling", [X_OPT, "X-ss-opts"])
def test_s29_both_spellings_of_the_header(
    new_browser: NewBrowser, user: User, configure: Configure, spelling: str
) -> None:
    """The option may come as `X-ss-opt` or as `X-ss-opts`, and means the same."""
    configure(HEADERS=["/"])
    client = ApiClient(new_browser().ask)
    client.visit(sign_in(user, remember=True))
    token = client.token
    assert is_signed_in(ApiClient(client.ask, {X_PID: token, spelling: "perm"}))
    for option in NOT_PERM:
        assert is_nobody(ApiClient(client.ask, {X_PID: token, spelling: option}))


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s30_option_prolongs_nothing(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    clock: Clock,
    transport: str,
    remember: bool,
) -> None:
    """Whoever changes the option gets nobody's session, and the record keeps its end, its user and its data."""
    visitor = new_visitor()
    visitor.visit(put_in_cart())
    visitor.visit(sign_in(user, remember))
    before = record_of(engine, visitor.token)
    clock.advance(3600)
    other = "temp" if remember else "perm"
    place = (ID if remember else PID) if transport == "cookie" else (X_ID if remember else X_PID)
    genuine = tokens.issue(SessionMode.TEMP if remember else SessionMode.PERM)
    for tampered in (saying(visitor, other, place), with_token(visitor, genuine, other)):
        assert is_nobody(tampered)
        tampered.visit(put_in_cart("theirs"))
    assert record_of(engine, visitor.token) == before
    assert is_signed_in(visitor)


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s30_option_alone(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, clock: Clock, remember: bool
) -> None:
    """With the wrong option and nothing else changed it is the session it was, with its lifetime, or none at all."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember))
    other = "temp" if remember else "perm"
    for option in (other, None, "PERM"):
        saying(visitor, option).visit(put_in_cart())
        record = record_of(engine, visitor.token)
        assert record.mode.value == ("perm" if remember else "temp")
        assert record.expires == clock.now + (28 if remember else 14) * 24 * 3600
    assert is_signed_in(visitor)


@pytest.mark.parametrize("has_live", [False, True])
@pytest.mark.parametrize("remember", [False, True])
def test_s31_stale_permanent_token(
    new_browser: NewBrowser, engine: type[SessionStore], user: User, handler: str, remember: bool, has_live: bool
) -> None:
    """With a stale permanent cookie in use, signing in for once and to stay both work, at once and in the next request.

    A live temporary session that came along ends.
    """
    visitor = new_browser()
    if has_live:
        visitor.visit(put_in_cart())
    stale = tokens.issue(SessionMode.PERM)
    browser = visitor.copy(ss_opt="perm", ss_pid=stale)

    def seen_by(request: Request) -> str:
        rest: Any = RestRequest(request)
        by = (request.typed_session, get_session(request, ShopSession), rest.typed_session)
        assert {id(session) for session in by} == {id(request.typed_session)}
        return f"{request.user.get_username()} {state(request)}"

    def sync(request: Request) -> str:
        login(request, user, remember)
        return seen_by(request)

    async def asynchronous(request: Request) -> str:
        await alogin(request, user, remember)
        assert (await aget_session(request, ShopSession)).is_authenticated
        return seen_by(request)

    answer = browser.visit(asynchronous if handler == "asgi" else sync)
    assert answer.text == f"ada ada {tokens.digest(browser.token)}"
    assert browser.cookies[OPT] == ("perm" if remember else "temp")
    assert stale not in browser.cookies.values()
    assert browser.visit(who).text == f"ada {answer.text.removeprefix('ada ')}"
    assert count(engine) == 1
    if has_live:
        assert why(visitor) == "ended rotated"


def leave_by_view(visitor: Visitor) -> None:
    visitor.visit(sign_out)


def leave_by_async_view(visitor: Visitor) -> None:
    visitor.visit(async_sign_out)


def leave_by_flush(visitor: Visitor) -> None:
    visitor.visit(lambda request: request.session.flush())


def leave_by_page(visitor: Visitor) -> None:
    assert visitor.post("/accounts/logout/").status == 200


LEAVING: list[Callable[[Visitor], None]] = [leave_by_view, leave_by_async_view, leave_by_flush, leave_by_page]


@each_way
@pytest.mark.parametrize("leave", LEAVING)
def test_s32_every_token_is_dead_after_sign_out(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    configure: Configure,
    leave: Callable[[Visitor], None],
) -> None:
    """After sign-out no token that the visitor ever had opens anything, by cookie or header, and nothing is left."""
    visitor, seen = new_visitor(), set()
    remembered, once = sign_in(user, remember=True), sign_in(user, remember=False)
    for view in (put_in_cart("canary"), remembered, once, put_in_cart(), remembered):
        visitor.visit(view)
        seen |= tokens_of(visitor)
    leave(visitor)
    assert len(seen) >= 4
    if isinstance(visitor, Browser):
        assert not visitor.cookies.keys() & set(OURS)
    assert count(engine) == 0
    assert "canary" not in str(raw_records(engine))
    configure(HEADERS=["/"])
    for token in seen:
        for mode in ("temp", "perm"):
            assert is_nobody(with_token(Browser(visitor.ask), token, mode))
            assert is_nobody(with_token(ApiClient(visitor.ask), token, mode))


@each_engine_once
@pytest.mark.parametrize("leave", LEAVING)
def test_s32_sign_out_ends_the_sessions_of_both_cookies(
    new_browser: NewBrowser, engine: type[SessionStore], user: User, leave: Callable[[Visitor], None]
) -> None:
    """A browser that has come to hold a live session in either cookie holds none after sign-out."""
    for option in ("temp", "perm"):
        browser = new_browser()
        browser.get("/admin/login/")  # for the token of forms
        browser.visit(sign_in(user, remember=True))
        remembered = browser.copy()
        del browser.cookies[OPT]
        browser.visit(sign_in(user))
        both = browser.copy(ss_pid=remembered.cookies[PID], ss_opt=option)
        leave(both)
        assert is_nobody(remembered)
        assert is_nobody(browser)
        assert count(engine) == 0
        assert not both.cookies.keys() & set(OURS)


@each_way
def test_s32_no_index_is_left(new_visitor: NewVisitor, engine: type[SessionStore], user: User, clock: Clock) -> None:
    """After sign-out no list of sessions, of this user or of all, has the one that ended."""
    store = engine().store
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    listed = [store.of_user(str(user.pk), clock.now), store.newest(clock.now, 10)] if store.lists_sessions else []
    assert all(list(ids) == [tokens.digest(visitor.token)] for ids in listed)
    visitor.visit(sign_out)
    if store.lists_sessions:
        assert list(store.of_user(str(user.pk), clock.now)) == list(store.newest(clock.now, 10)) == []
    assert count(engine) == 0


@each_way
def test_s33_permanent_session_does_not_outlive_a_temporary_one(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, handler: str
) -> None:
    """Who signs in to stay, and later for once, and signs out, leaves no permanent session behind."""
    visitor = new_visitor()
    visitor.visit(enter(handler, user, remember=True))
    before = visitor.copy()
    visitor.visit(enter(handler, user, remember=False))
    assert is_signed_in(visitor)
    assert is_nobody(before)
    assert why(before) == "ended rotated" if isinstance(before, Browser) else True
    visitor.visit(sign_out)
    assert is_nobody(before)
    assert count(engine) == 0
