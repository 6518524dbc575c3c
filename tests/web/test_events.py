"""Hooks and signals: when, in which order, how often, and what an error in one of them does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.dispatch import Signal
from django.http import HttpRequest

from tests.sessions import ShopSession
from tests.web.browser import Browser
from tests.web.signing import Request, async_sign_in, put_in_cart, sign_in, sign_out, state, who
from tests.web.stored import count, spoil
from typed_sessions import SessionStatus, signals
from typed_sessions.auth import alogout, login
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Configure

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

pytestmark = pytest.mark.usefixtures("engine")


@dataclass
class HookedSession(ShopSession):
    """Its hooks tell what they see, and then do what a test wants."""

    told: ClassVar[list[Any]] = []
    heard: ClassVar[list[str]] = []
    """By async receivers, whose order among the others is Django's affair."""

    def act(self, hook: str) -> None:
        """For tests to replace."""

    def tell(self, hook: str, request: HttpRequest | None) -> None:
        self.told.append((f"hook {hook}", self.user_name, self.status, self.is_authenticated, request is not None))
        self.act(hook)

    def on_created(self, request: HttpRequest | None) -> None:
        self.tell("on_created", request)

    def on_authenticated(self, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        assert user.get_username() == self.user_name
        self.tell("on_authenticated", request)

    def on_logout(self, request: HttpRequest | None) -> None:
        self.tell("on_logout", request)


@dataclass
class AsyncHookedSession(HookedSession):
    """The same with hooks that are coroutine functions."""

    async def on_created(self, request: HttpRequest | None) -> None:  # type: ignore[override]  # either is allowed
        self.tell("on_created", request)

    async def on_authenticated(  # type: ignore[override]  # either is allowed
        self, request: HttpRequest | None, user: AbstractBaseUser
    ) -> None:
        assert user.get_username() == self.user_name
        self.tell("on_authenticated", request)

    async def on_logout(self, request: HttpRequest | None) -> None:  # type: ignore[override]  # either is allowed
        self.tell("on_logout", request)


NAMES = ("on_created", "on_authenticated", "on_logout")


def names(told: list[Any]) -> list[str]:
    return [entry[0] for entry in told]


@pytest.fixture(params=[HookedSession, AsyncHookedSession])
def told(
    request: pytest.FixtureRequest, configure: Configure, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Any]]:
    """What hooks and receivers were told, in order; an async receiver listens to each signal as well."""
    configure(SESSION_CLASS=f"{__name__}.{request.param.__name__}")
    told: list[Any] = []
    monkeypatch.setattr(HookedSession, "told", told)
    monkeypatch.setattr(HookedSession, "heard", [])

    def receiver(sender: Any, session: HookedSession, request: Any, user: Any, **kwargs: Any) -> None:
        assert sender is type(session)
        assert kwargs.keys() <= {"signal", "unreadable"}
        name = next(name for name in NAMES if getattr(signals, name) is kwargs["signal"])
        told.append((f"signal {name}", session.user_name, session.status, user and user.username, request is not None))

    async def async_receiver(session: HookedSession, signal: Signal, **kwargs: Any) -> None:
        session.heard.append(next(name for name in NAMES if getattr(signals, name) is signal))

    for name in NAMES:
        getattr(signals, name).connect(receiver)
        getattr(signals, name).connect(async_receiver)
    yield told
    for name in NAMES:
        getattr(signals, name).disconnect(receiver)
        getattr(signals, name).disconnect(async_receiver)


def write(request: Request) -> None:
    request.typed_session.page_views += 1


async def async_write(request: Request) -> None:
    (await request.session.aget_typed_session()).page_views += 1  # type: ignore[attr-defined]  # of our engines


@pytest.mark.parametrize("view", [write, async_write])
def test_beginning(browser: Browser, told: list[Any], view: Callable[[Any], Any]) -> None:
    """A session that begins calls its hook before it is stored, and its receivers after that, once."""
    for _ in range(3):
        browser.visit(view)
    assert told == [
        ("hook on_created", None, SessionStatus.FRESH, False, True),
        ("signal on_created", None, SessionStatus.LIVE, None, True),
    ]
    assert HookedSession.heard == ["on_created"]


@pytest.mark.parametrize("handler", ["wsgi"])
@pytest.mark.parametrize("told", [HookedSession], indirect=True)
def test_s78_visitor_who_only_looks(browser: Browser, engine: type[SessionStore], told: list[Any]) -> None:
    """A thousand requests that save nothing tell nobody anything, and leave no record."""

    def look(request: Request) -> str:
        return f"{request.typed_session.page_views} {request.session.get('x')} {request.user.is_authenticated}"

    for _ in range(1000):
        assert browser.visit(look).ours == {}
    assert told == []
    assert count(engine) == 0


@pytest.mark.parametrize("handler", ["wsgi"])
@pytest.mark.parametrize("told", [HookedSession], indirect=True)
def test_s80_sign_out_of_nobody(browser: Browser, engine: type[SessionStore], told: list[Any]) -> None:
    """A thousand sign-outs of nobody tell nobody anything, and leave no record."""
    for _ in range(1000):
        browser.visit(sign_out)
    assert told == []
    assert count(engine) == 0


@pytest.mark.parametrize("path", [sign_in, async_sign_in])
def test_signing_in(browser: Browser, told: list[Any], user: User, path: Callable[[User, bool], Any]) -> None:
    """A sign-in calls its hook, then its receivers, with the user's fields filled; a session that begins follows."""
    browser.visit(path(user, True))
    assert told == [
        ("hook on_authenticated", "ada", SessionStatus.FRESH, True, True),
        ("signal on_authenticated", "ada", SessionStatus.FRESH, "ada", True),
        ("hook on_created", "ada", SessionStatus.FRESH, True, True),
        ("signal on_created", "ada", SessionStatus.LIVE, None, True),
    ]
    assert HookedSession.heard == ["on_authenticated", "on_created"]


def test_signing_in_is_no_beginning(browser: Browser, told: list[Any], user: User) -> None:
    """A new token for a session that exists, at sign-in and at any other time, is not a session that begins."""
    browser.visit(write)
    told.clear()
    browser.visit(sign_in(user))
    browser.visit(sign_in(user, remember=True))
    browser.visit(lambda request: request.session.cycle_key())
    assert names(told) == ["hook on_authenticated", "signal on_authenticated"] * 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_signing_out(browser: Browser, told: list[Any], user: User, asynchronous: bool) -> None:
    """A sign-out calls its hook, then its receivers, while the session still has its data."""

    async def async_sign_out(request: Request) -> None:
        await alogout(request)

    browser.visit(sign_in(user))
    told.clear()
    HookedSession.heard.clear()
    browser.visit(async_sign_out if asynchronous else sign_out)
    assert told == [
        ("hook on_logout", "ada", SessionStatus.LIVE, True, True),
        ("signal on_logout", "ada", SessionStatus.LIVE, "ada", True),
    ]
    assert HookedSession.heard == ["on_logout"]


def test_hook_changes_what_is_stored(
    browser: Browser, told: list[Any], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hook sets is stored with the session."""

    def act(session: HookedSession, hook: str) -> None:
        session.gift_note += f" {hook}"

    monkeypatch.setattr(HookedSession, "act", act)
    browser.visit(write)
    browser.visit(sign_in(user))
    assert browser.visit(lambda request: request.typed_session.gift_note).text == " on_created on_authenticated"


def refuse(exception: Exception) -> Callable[[HookedSession, str], None]:
    def act(session: HookedSession, hook: str) -> None:
        raise exception

    return act


@pytest.mark.parametrize("path", [sign_in, async_sign_in])
@pytest.mark.parametrize(("error", "code"), [(RuntimeError("no"), 500), (PermissionDenied("no"), 403)])
def test_hook_refuses_the_sign_in(
    browser: Browser,
    engine: type[SessionStore],
    told: list[Any],
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    path: Callable[[User], Any],
    error: Exception,
    code: int,
) -> None:
    """An error in `on_authenticated` undoes the sign-in, whatever response it becomes, and no receiver hears of it."""
    browser.visit(put_in_cart())
    told.clear()
    monkeypatch.setattr(HookedSession, "act", refuse(error))
    for _ in range(2):
        answer = browser.visit(path(user))
        assert (answer.status, answer.ours) == (code, {})
    assert names(told) == ["hook on_authenticated"] * 2
    assert browser.visit(who).text.startswith("anonymous anonymous")
    assert browser.visit(lambda request: request.typed_session.user_name).text == "None"
    assert count(engine) == 1


def test_hook_refuses_and_the_view_goes_on(
    browser: Browser, engine: type[SessionStore], told: list[Any], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that catches the hook's error leaves a visitor who is not signed in."""
    monkeypatch.setattr(HookedSession, "act", refuse(RuntimeError("no")))

    def view(request: Request) -> str:
        with pytest.raises(RuntimeError):
            login(request, user)
        return state(request).split()[0]

    assert browser.visit(view).text == "anonymous"
    assert browser.visit(who).text == "anonymous anonymous None"
    assert count(engine) == 0


def test_hook_refuses_the_beginning(
    browser: Browser, engine: type[SessionStore], told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in `on_created` is an error of the request, and no session begins."""
    monkeypatch.setattr(HookedSession, "act", refuse(RuntimeError("no")))
    answer = browser.visit(write)
    assert (answer.status, answer.ours) == (500, {})
    assert names(told) == ["hook on_created"]
    assert count(engine) == 0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_s92_receiver_that_raises(
    browser: Browser, user: User, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    """An error in a receiver is logged, and neither other receivers nor the request notice."""
    told: list[str] = []

    def fails(**kwargs: Any) -> None:
        raise RuntimeError("receiver of mine")

    async def async_fails(**kwargs: Any) -> None:
        raise RuntimeError("receiver of mine")

    def listens(**kwargs: Any) -> None:
        told.append("listens")

    receivers = (async_fails if asynchronous else fails, listens)
    for name in NAMES:
        for receiver in receivers:
            getattr(signals, name).connect(receiver)
    try:
        with caplog.at_level(logging.ERROR, "django.dispatch"):
            browser.visit(sign_in(user))
            assert browser.visit(who).text.startswith("ada ada")
            assert browser.visit(sign_out).status == 200
    finally:
        for name in NAMES:
            for receiver in receivers:
                getattr(signals, name).disconnect(receiver)
    assert told == ["listens"] * 3
    assert len([record for record in caplog.records if "receiver of mine" in str(record.exc_info)]) == 3
    assert browser.visit(who).text == "anonymous anonymous None"


@pytest.mark.parametrize("view", [lambda request: request.typed_session.page_views, write], ids=["read", "write"])
def test_unreadable_field(
    browser: Browser, engine: type[SessionStore], caplog: pytest.LogCaptureFixture, view: Callable[[Any], Any]
) -> None:
    """A field that cannot be read takes its default; receivers and the log learn of it, and the others live."""
    told: list[Any] = []

    def receiver(session: ShopSession, unreadable: list[Any], request: Any, user: Any, **kwargs: Any) -> None:
        told.append(
            (session.currency, session.page_views, request is not None, user, [part.where for part in unreadable])
        )

    def visitor(request: Request) -> None:
        request.typed_session.currency = "USD"
        request.typed_session.page_views = 5

    browser.visit(visitor)
    spoil(engine, browser.cookies["ss-id"], b'"page_views":5', b'"page_views":"five"')
    signals.on_undecodable.connect(receiver)
    try:
        assert browser.visit(view).status == 200
    finally:
        signals.on_undecodable.disconnect(receiver)
    assert told == [("USD", 0 if view is not write else 1, True, None, ["ShopSession.page_views"])]
    assert "ShopSession.page_views cannot be read" in caplog.text
    assert browser.cookies["ss-id"] not in caplog.text
    assert browser.visit(lambda request: request.typed_session.currency).text == "USD"
