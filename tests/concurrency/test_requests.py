"""Whole requests that meet at one session: signing in and out, new tokens and new passwords (the table in
docs/concurrency.rst).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest
from django.contrib.auth import aupdate_session_auth_hash, update_session_auth_hash
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.concurrency.interleavings import Race, on_own_loop
from tests.concurrency.test_saves import found, id_of
from tests.sessions import CartLine, ShopSession
from tests.web import urls
from tests.web.browser import ID, PID, Answer, Asgi, Browser, Wsgi
from tests.web.signing import async_sign_in, async_sign_out, sign_in, sign_out
from tests.web.urls import View
from typed_sessions import EndReason, clock, conf, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.stores.record import Record, Tombstone, new_nonce
from typed_sessions.testing.engines import Clock, Configure

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)


class Views:
    """Views of both kinds: each handler gets those that are its own."""

    def __init__(self, is_async: bool) -> None:
        self._is_async = is_async

    def sign_in(self, user: User, remember: bool = False) -> View:
        return async_sign_in(user, remember) if self._is_async else sign_in(user, remember)

    @property
    def sign_out(self) -> View:
        return async_sign_out if self._is_async else sign_out

    def put(self, sku: str) -> View:
        """Puts something into the cart of whoever it is."""

        def change(session: ShopSession) -> str:
            session.cart.append(CartLine(sku))
            return f"{session.user_name if session.is_authenticated else 'anonymous'}"

        return self._seeing(change)

    @property
    def look(self) -> View:
        """Who is there, and what is in the cart."""
        return self._seeing(lambda session: f"{session.user_name or 'anonymous'} {[line.sku for line in session.cart]}")

    @property
    def rotate(self) -> View:
        def view(request: Any) -> None:
            request.session.cycle_key()

        async def async_view(request: Any) -> None:
            await request.session.acycle_key()

        return async_view if self._is_async else view

    @property
    def change_password(self) -> View:
        def view(request: Any) -> None:
            request.user.set_password("another")
            request.user.save()
            update_session_auth_hash(request, request.user)

        async def async_view(request: Any) -> None:
            user = await request.auser()
            user.set_password("another")
            await user.asave()
            await aupdate_session_auth_hash(request, user)

        return async_view if self._is_async else view

    def _seeing(self, act: Callable[[ShopSession], str]) -> View:
        def view(request: Any) -> str:
            return act(request.typed_session)

        async def async_view(request: Any) -> str:
            return act(await request.session.aget_typed_session())

        return async_view if self._is_async else view


@pytest.fixture(params=["wsgi", "asgi"])
def handler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def views(handler: str, race: Race) -> Iterator[Views]:
    if handler == "asgi":
        race.rounds //= 4  # they take their time, and there are far fewer orders
    yield Views(handler == "asgi")
    urls.forget()


@pytest.fixture
def new_browser(
    handler: str, engine: type[SessionStore], configure: Configure, settings: Settings
) -> Iterator[Callable[[], Browser]]:
    """Browsers in front of a site with nothing but sessions and users."""
    configure(SESSION_CLASS="tests.sessions.ShopSession")
    settings.ROOT_URLCONF = "tests.web.urls"
    settings.MIDDLEWARE = [
        "typed_sessions.middleware.TypedSessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    ask = Wsgi() if handler == "wsgi" else on_own_loop(Asgi().ask)
    for signal in (request_started, request_finished):  # lanes keep their connections
        signal.disconnect(close_old_connections)
    yield lambda: Browser(ask)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", password="one")


class SignIn(Protocol):
    def __call__(self, remember: bool = False) -> Browser: ...


@pytest.fixture
def signed_in(new_browser: Callable[[], Browser], engine: type[SessionStore], views: Views, user: User) -> SignIn:
    """Browsers in which the user has signed in, each with a session of its own."""
    first: dict[bool, tuple[Browser, Record]] = {}

    def new(remember: bool = False) -> Browser:
        if remember not in first:
            browser = new_browser()
            browser.visit(views.sign_in(user, remember))
            record = found(engine, browser.token)
            assert isinstance(record, Record)
            first[remember] = browser, record
            engine(browser.token).flush()
        browser, record = first[remember]
        text, now = tokens.issue(record.mode), clock.now()
        life = record.expires - record.seen
        copy = msgspec.structs.replace(record, id=id_of(text), nonce=new_nonce(), seen=now, expires=now + life)
        assert engine().store.create(copy)
        return browser.copy(**{PID if remember else ID: text})

    return new


def tab(browser: Browser) -> Browser:
    """Another tab, whose request is under way while the browser gets other cookies."""
    return browser.copy()


def is_over(engine: type[SessionStore], token: str, reason: EndReason) -> bool:
    there = found(engine, token)
    return isinstance(there, Tombstone) and there.reason is reason


def seen(engine: type[SessionStore], browser: Browser) -> str:
    """Who is there in the browser's session, and what is in the cart."""
    typed = engine(browser.token).typed_session
    assert isinstance(typed, ShopSession)
    return f"{typed.user_name or 'anonymous'} {[line.sku for line in typed.cart]}"


def refused(answer: Answer) -> bool:
    """Whether a request was told that its session had ended, and nothing else."""
    assert answer.status in (200, 400)
    if answer.status == 200:
        return False
    assert answer.ours == {}
    return True


def test_r28_two_sign_ins_of_one_visitor(
    race: Race, engine: type[SessionStore], new_browser: Callable[[], Browser], views: Views, user: User, time: Clock
) -> None:
    """Both succeed with a session each; the cart goes along into both, or into the first alone."""
    grace = User.objects.create_user("grace")
    put = views.put("book")
    enter = {"ada": views.sign_in(user), "grace": views.sign_in(grace)}
    for round in race:
        browser = new_browser()
        browser.visit(put)
        tabs = {name: tab(browser) for name in enter}
        done = round.run(
            ada=lambda t=tabs: t["ada"].visit(enter["ada"]),  # type: ignore[misc]
            grace=lambda t=tabs: t["grace"].visit(enter["grace"]),  # type: ignore[misc]
        )
        assert [outcome.value.status for outcome in done.values()] == [200, 200]
        sights = [seen(engine, tabs[name]) for name in tabs]
        assert len({browser.token, *(one.token for one in tabs.values())}) == 3
        assert is_over(engine, browser.token, EndReason.ROTATED)
        round.count(" ".join(sights))
    assert set(race.outcomes) == {
        "ada ['book'] grace ['book']",
        "ada [] grace ['book']",
        "ada ['book'] grace []",
    }
    assert engine().store.count(time.now) == 2 * race.rounds


def test_sign_in_against_a_slow_write(
    race: Race, engine: type[SessionStore], new_browser: Callable[[], Browser], views: Views, user: User, time: Clock
) -> None:
    """What was saved before the sign-in goes along; what comes later is a 400 that touches no cookie, whether it had
    loaded before or after.
    """
    enter, put, late = views.sign_in(user), views.put("book"), views.put("late")
    for round in race:
        browser = new_browser()
        browser.visit(put)
        token, other = browser.token, tab(browser)
        done = round.run(
            visitor=lambda b=browser: b.visit(enter),  # type: ignore[misc]
            writer=lambda o=other: o.visit(late),  # type: ignore[misc]
        )
        assert done["visitor"].value.status == 200
        is_refused = refused(done["writer"].value)
        assert seen(engine, browser) == ("ada ['book']" if is_refused else "ada ['book', 'late']")
        assert other.token == token
        assert is_over(engine, token, EndReason.ROTATED)
        round.count("refused" if is_refused else "saved")
    assert set(race.outcomes) == {"refused", "saved"}
    assert engine().store.count(time.now) == race.rounds


def test_r22_sign_out_against_a_slow_write(
    race: Race, engine: type[SessionStore], signed_in: SignIn, views: Views, user: User
) -> None:
    """The session is over; a write has come before, or is a 400 that touches no cookie, or has found the session ended
    and begun another one, of nobody.
    """
    leave, late = views.sign_out, views.put("late")
    for round in race:
        browser = signed_in()
        token, other = browser.token, tab(browser)
        done = round.run(
            visitor=lambda b=browser: b.visit(leave),  # type: ignore[misc]
            writer=lambda o=other: o.visit(late),  # type: ignore[misc]
        )
        assert done["visitor"].value.status == 200
        assert ID not in browser.cookies
        assert is_over(engine, token, EndReason.LOGGED_OUT)
        if refused(done["writer"].value):
            round.count("refused")
        elif other.token == token:
            assert done["writer"].value.text == "ada"
            round.count("saved")
        else:
            assert done["writer"].value.text == "anonymous"
            assert seen(engine, other) == "anonymous ['late']"
            round.count("begun anew")
    assert set(race.outcomes) == {"refused", "saved", "begun anew"}


def test_r23_sign_out_against_a_slow_touch(
    race: Race, engine: type[SessionStore], signed_in: SignIn, views: Views, user: User, time: Clock
) -> None:
    """Who only reads is answered as ever; the session stays over, and its cookie is set again by nobody who touched it
    after the end.
    """
    leave, look = views.sign_out, views.look
    for round in race:
        browser = signed_in(remember=True)
        token, other = browser.token, tab(browser)
        time.advance(conf.settings().touch_interval)
        done = round.run(
            visitor=lambda b=browser: b.visit(leave),  # type: ignore[misc]
            reader=lambda o=other: o.visit(look),  # type: ignore[misc]
        )
        assert [outcome.value.status for outcome in done.values()] == [200, 200]
        assert is_over(engine, token, EndReason.LOGGED_OUT)
        assert PID not in browser.cookies
        answer = done["reader"].value
        assert answer.text == ("ada []" if answer.text.startswith("ada") else "anonymous []")
        was_first = any(step.split()[0] == "visitor" for step in round.trace[-2:])
        if answer.ours.get(PID):  # it slid before the end
            assert answer.ours[PID] == token and was_first
        round.count(f"{answer.text.split()[0]} {'slid' if answer.ours.get(PID) else 'did not slide'}")
    assert set(race.outcomes) == {"ada slid", "ada did not slide", "anonymous did not slide"}
    assert engine().store.count(time.now) == 0


@pytest.mark.parametrize("does", ["reads", "writes"])
def test_r27_new_token_against_another_tab(
    race: Race,
    engine: type[SessionStore],
    signed_in: SignIn,
    views: Views,
    user: User,
    time: Clock,
    does: str,
) -> None:
    """There is one live session, under the new token, in whatever order the answers arrive. The other tab has come
    before; or it is a visitor's for this once, and touches no cookie, and what it writes is a 400.
    """
    rotate, act = views.rotate, views.put("late") if does == "writes" else views.look
    for round in race:
        browser = signed_in()
        token, other = browser.token, tab(browser)
        done = round.run(
            rotator=lambda b=browser: b.visit(rotate),  # type: ignore[misc]
            tab=lambda o=other: o.visit(act),  # type: ignore[misc]
        )
        assert done["rotator"].value.status == 200
        answer = done["tab"].value
        is_refused = refused(answer)
        assert answer.ours == {}
        assert is_over(engine, token, EndReason.ROTATED)
        written = does == "writes" and not is_refused
        browser.keep(answer)
        assert seen(engine, browser) == f"ada {['late'] if written else []}"
        round.count("refused" if is_refused else answer.text)
    assert set(race.outcomes) == ({"ada", "refused"} if does == "writes" else {"ada []", "anonymous []"})
    assert engine().store.count(time.now) == race.rounds


def test_new_password_against_a_slow_write(
    race: Race, engine: type[SessionStore], signed_in: SignIn, views: Views, user: User, time: Clock
) -> None:
    """Who changes the password stays signed in under a new token, with what was saved in time. A late write is a 400;
    and who loads the session when the password is another and the token is not yet, is signed out of it.
    """
    change, late = views.change_password, views.put("late")
    for round in race:
        User.objects.filter(pk=user.pk).update(password=user.password)
        browser = signed_in()
        token, other = browser.token, tab(browser)
        done = round.run(
            visitor=lambda b=browser: b.visit(change),  # type: ignore[misc]
            writer=lambda o=other: o.visit(late),  # type: ignore[misc]
        )
        assert done["visitor"].value.status == 200, round.trace
        assert token != browser.token
        assert isinstance(found(engine, token), Tombstone)
        if refused(done["writer"].value):
            outcome = "refused"
        else:
            outcome = "saved" if done["writer"].value.text == "ada" else "signed out"
        assert seen(engine, browser) == ("ada ['late']" if outcome == "saved" else "ada []")
        round.count(outcome)
    assert set(race.outcomes) == {"refused", "saved", "signed out"}
