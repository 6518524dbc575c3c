"""Hooks and signals: when, in which order, how often, and what an error in one of them does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponseRedirect

from tests.sessions import ShopSession
from tests.web.browser import Browser
from tests.web.conftest import PASSWORD
from tests.web.signing import Request, async_sign_in, cart, put_in_cart, sign_in, sign_out, state, who
from tests.web.stored import count, raw_records, spoil
from typed_sessions import AuthEvents, SessionStatus, signals
from typed_sessions.auth import alogout, aregistered, login, refusal_of, registered
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import SignInRefused
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

    def on_registered(self, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        self.tell("on_registered", request)

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

    async def on_registered(  # type: ignore[override]  # either is allowed
        self, request: HttpRequest | None, user: AbstractBaseUser
    ) -> None:
        self.tell("on_registered", request)

    async def on_authenticated(  # type: ignore[override]  # either is allowed
        self, request: HttpRequest | None, user: AbstractBaseUser
    ) -> None:
        assert user.get_username() == self.user_name
        self.tell("on_authenticated", request)

    async def on_logout(self, request: HttpRequest | None) -> None:  # type: ignore[override]  # either is allowed
        self.tell("on_logout", request)


NAMES = ("on_created", "on_registered", "on_authenticated", "on_logout")


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


@pytest.mark.parametrize("asynchronous", [False, True])
def test_hook_that_fails_at_sign_out(
    browser: Browser,
    engine: type[SessionStore],
    told: list[Any],
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    asynchronous: bool,
) -> None:
    """Who signs out is out, whatever a hook raises: the error is one of the request, and the session has ended."""

    async def async_sign_out(request: Request) -> None:
        await alogout(request)

    browser.visit(sign_in(user))
    monkeypatch.setattr(HookedSession, "act", refuse(RuntimeError("no")))
    answer = browser.visit(async_sign_out if asynchronous else sign_out)
    assert (answer.status, set(answer.ours.values())) == (500, {""})
    assert count(engine) == 0


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


def test_rest_of_the_view_stays(browser: Browser, told: list[Any], user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in that a hook has undone takes nothing else along of what the view did to the visitor's session."""
    monkeypatch.setattr(HookedSession, "act", refuse(RuntimeError("no")))

    def view(request: Request) -> str:
        request.typed_session.currency = "USD"
        request.session["tab"] = "offers"
        with pytest.raises(RuntimeError):
            login(request, user)
        request.typed_session.page_views += 1
        monkeypatch.setattr(HookedSession, "act", lambda session, hook: None)
        return state(request).split()[0]

    def shown(request: Request) -> str:
        return f"{request.typed_session.currency} {request.typed_session.page_views} {request.session.get('tab')}"

    assert browser.visit(view).text == "anonymous"
    assert browser.visit(shown).text == "USD 1 offers"
    assert browser.visit(who).text.startswith("anonymous anonymous")


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


# Events classes


class Audit(AuthEvents):
    """Tells what it sees, and then does what a test wants; the first of the list."""

    told: ClassVar[list[str]] = []
    veto: ClassVar[object] = None

    def act(self, hook: str) -> None:
        """For tests to replace."""

    def tell(self, hook: str, session: HookedSession, request: HttpRequest | None) -> None:
        assert isinstance(session, HookedSession)
        assert request is not None
        HookedSession.told.append((f"{type(self).__name__} {hook}", session.user_name))
        self.act(hook)

    def on_created(self, session: HookedSession, request: HttpRequest | None) -> None:
        self.tell("on_created", session, request)

    def on_registered(self, session: HookedSession, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        assert user.get_username() == "ada"
        self.tell("on_registered", session, request)

    def validate(self, session: HookedSession, request: HttpRequest | None, user: AbstractBaseUser) -> object:
        assert user.get_username() == "ada"
        self.tell("validate", session, request)
        return self.veto

    def on_authenticated(self, session: HookedSession, request: HttpRequest | None, user: AbstractBaseUser) -> None:
        assert user.get_username() == "ada"
        self.tell("on_authenticated", session, request)

    def on_logout(self, session: HookedSession, request: HttpRequest | None) -> None:
        self.tell("on_logout", session, request)


class Later(AuthEvents):
    """The second of the list: coroutine functions, for some hooks alone."""

    veto: ClassVar[object] = None

    async def on_created(self, session: HookedSession, request: Any) -> None:  # type: ignore[override]  # either is allowed
        HookedSession.told.append(("Later on_created", session.user_name))

    async def validate(self, session: HookedSession, request: Any, user: Any) -> object:
        HookedSession.told.append(("Later validate", session.user_name))
        return self.veto

    async def on_authenticated(  # type: ignore[override]  # either is allowed
        self, session: HookedSession, request: Any, user: Any
    ) -> None:
        HookedSession.told.append(("Later on_authenticated", session.user_name))


@pytest.fixture
def events(configure: Configure) -> None:
    configure(AUTH_EVENTS=[f"{__name__}.Audit", f"{__name__}.Later"])


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("path", [sign_in, async_sign_in])
def test_hooks_then_events_then_signal(
    browser: Browser, told: list[Any], user: User, path: Callable[[User], Any]
) -> None:
    """At each turn the session's hook comes first, then the events classes as they are listed, then the signal."""
    browser.visit(path(user))
    assert names(told) == [
        "Audit validate",
        "Later validate",
        "hook on_authenticated",
        "Audit on_authenticated",
        "Later on_authenticated",
        "signal on_authenticated",
        "hook on_created",
        "Audit on_created",
        "Later on_created",
        "signal on_created",
    ]
    told.clear()
    browser.visit(sign_out)
    assert names(told) == ["hook on_logout", "Audit on_logout", "signal on_logout"]


@pytest.mark.usefixtures("events")
def test_events_change_what_is_stored(
    browser: Browser, told: list[Any], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an events class sets on the session is stored with it, and an error in one undoes the sign-in."""

    def on_authenticated(self: Audit, session: HookedSession, request: Any, user: Any) -> None:
        session.gift_note = "from Audit"

    monkeypatch.setattr(Audit, "on_authenticated", on_authenticated)
    browser.visit(sign_in(user))
    assert browser.visit(lambda request: request.typed_session.gift_note).text == "from Audit"
    browser.visit(sign_out)
    monkeypatch.setattr(Audit, "on_authenticated", refuse(RuntimeError("no")))
    assert browser.visit(sign_in(user)).status == 500
    assert browser.visit(who).text == "anonymous anonymous None"


@pytest.mark.parametrize("path", [sign_in, async_sign_in])
def test_events_of_a_plain_session(
    browser: Browser, user: User, configure: Configure, path: Callable[[User], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An events class hears of sessions whose class has no hooks of its own."""
    heard: list[str] = []

    class Hears(AuthEvents):
        def on_authenticated(self, session: Any, request: Any, user: Any) -> None:
            heard.append(session.user_name)

    monkeypatch.setitem(globals(), "Hears", Hears)
    configure(AUTH_EVENTS=[f"{__name__}.Hears"])
    assert browser.visit(path(user)).status == 200
    assert heard == ["ada"]


# A veto


@dataclass
class ChoosySession(HookedSession):
    """Says no in its hook."""

    veto: ClassVar[object] = None

    def validate(self, request: HttpRequest | None, user: AbstractBaseUser) -> object:
        self.told.append(("hook validate", self.user_name))
        return self.veto


@dataclass
class AsyncChoosySession(HookedSession):
    veto: ClassVar[object] = None

    async def validate(self, request: HttpRequest | None, user: AbstractBaseUser) -> object:
        self.told.append(("hook validate", self.user_name))
        return self.veto


WHO_SAYS_NO = {
    "hook": (ChoosySession, ["hook validate"]),
    "async hook": (AsyncChoosySession, ["hook validate"]),
    "event": (Audit, ["hook validate", "Audit validate"]),
    "async event": (Later, ["hook validate", "Audit validate", "Later validate"]),
}


@pytest.fixture(params=WHO_SAYS_NO)
def veto(
    request: pytest.FixtureRequest, told: list[Any], events: None, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> Callable[[object], list[str]]:
    """`veto(reason)` makes somebody veto every sign-in; who is asked until then is answered."""
    says_no, asked = WHO_SAYS_NO[request.param]
    session_class = AsyncChoosySession if request.param == "async hook" else ChoosySession
    configure(SESSION_CLASS=f"{__name__}.{session_class.__name__}")

    def make(reason: object) -> list[str]:
        monkeypatch.setattr(says_no, "veto", reason)
        told.clear()
        return asked

    return make


Veto = Callable[[object], list[str]]
only_sync = pytest.mark.parametrize("told", [HookedSession], indirect=True)


def by_credentials(user: User) -> Any:
    """Django's way: nobody is found."""

    def view(request: Request) -> str:
        found = auth.authenticate(request, username="ada", password=PASSWORD)
        return f"{found} {refusal_of(request)}"

    return view


def by_async_credentials(user: User) -> Any:
    async def view(request: Request) -> str:
        found = await auth.aauthenticate(request, username="ada", password=PASSWORD)
        return f"{found} {refusal_of(request)}"

    return view


@only_sync
@pytest.mark.parametrize("path", [by_credentials, by_async_credentials])
def test_veto_while_authenticating(
    browser: Browser, told: list[Any], user: User, veto: Veto, path: Callable[[User], Any]
) -> None:
    """To Django's `authenticate` a veto is like a wrong password; the reason is told to whoever asks for it."""
    browser.visit(put_in_cart())
    asked = veto("closed")
    answer = browser.visit(path(user))
    assert (answer.text, answer.ours, names(told)) == ("None closed", {}, asked)
    veto(None)
    assert browser.visit(path(user)).text == "ada None"


def djangos_login(user: User) -> Any:
    def view(request: Request) -> None:
        auth.login(request, user)

    return view


def djangos_alogin(user: User) -> Any:
    async def view(request: Request) -> None:
        await auth.alogin(request, user)

    return view


LOGINS = [sign_in, async_sign_in, djangos_login, djangos_alogin]


@only_sync
@pytest.mark.parametrize("path", LOGINS)
def test_veto_while_signing_in(
    browser: Browser, engine: type[SessionStore], told: list[Any], user: User, veto: Veto, path: Callable[[User], Any]
) -> None:
    """By any path a veto is an error that becomes a 403: nobody is signed in, and the session is as it was."""
    browser.visit(put_in_cart())
    before = raw_records(engine)
    asked = veto("closed")
    answer = browser.visit(path(user))
    assert (answer.status, answer.ours, names(told)) == (403, {}, asked)
    assert raw_records(engine) == before
    assert browser.visit(cart).text == "['a'] a"
    assert browser.visit(who).text.startswith("anonymous anonymous")


@pytest.fixture
def other_is_in(browser: Browser, other_user: User, configure: Configure, veto: Veto) -> Browser:
    """A browser in which another user is signed in, to stay."""
    configure(AUTH_EVENTS=[])
    browser.visit(sign_in(other_user, remember=True))
    configure(AUTH_EVENTS=[f"{__name__}.Audit"])
    return browser


@only_sync
@pytest.mark.parametrize("veto", ["hook", "event"], indirect=True)
@pytest.mark.parametrize("path", [sign_in, async_sign_in, by_credentials, by_async_credentials])
def test_veto_over_another_user_s_session(
    other_is_in: Browser,
    engine: type[SessionStore],
    user: User,
    told: list[Any],
    veto: Veto,
    path: Callable[[User], Any],
) -> None:
    """Whoever is signed in stays so if somebody else is refused."""
    before = raw_records(engine)
    veto("closed")
    assert other_is_in.visit(path(user)).ours == {}
    assert raw_records(engine) == before
    assert other_is_in.visit(who).text.startswith("grace grace")


@only_sync
@pytest.mark.parametrize("veto", ["hook", "event"], indirect=True)
@pytest.mark.parametrize("path", [djangos_login, djangos_alogin])
def test_veto_over_another_user_s_session_that_django_has_ended(
    other_is_in: Browser,
    engine: type[SessionStore],
    user: User,
    told: list[Any],
    veto: Veto,
    path: Callable[[User], Any],
) -> None:
    """Django's own `login` ends the session of another user before anybody is asked: then nobody is signed in."""
    kept = other_is_in.copy()
    veto("closed")
    answer = other_is_in.visit(path(user))
    assert (answer.status, set(answer.ours.values())) == (403, {""})
    assert count(engine) == 0
    assert kept.visit(who).text == "anonymous anonymous None"


@only_sync
@pytest.mark.parametrize("veto", ["hook"], indirect=True)
@pytest.mark.parametrize("path", LOGINS)
def test_view_that_answers_a_veto(
    browser: Browser, told: list[Any], user: User, veto: Veto, path: Callable[[User], Any]
) -> None:
    """A view may catch the veto: it has the reason, whatever that is, and the request is a visitor's as before."""
    veto(451)

    def view(request: Request) -> str:
        with pytest.raises(SignInRefused) as caught:
            login(request, user)
        return f"{caught.value.reason} {request.user.is_authenticated} {state(request)}"

    async def async_view(request: Request) -> str:
        with pytest.raises(SignInRefused) as caught:
            await path(user)(request)
        user_now = await request.auser()
        return f"{caught.value.reason} {user_now.is_authenticated} {await sync_to_async(state)(request)}"

    chosen = async_view if path in (async_sign_in, djangos_alogin) else view
    assert browser.visit(chosen).text == "451 False anonymous None"


@only_sync
@pytest.mark.parametrize("veto", ["hook", "event"], indirect=True)
@pytest.mark.parametrize("path", LOGINS)
def test_response_as_a_veto(
    browser: Browser, told: list[Any], user: User, veto: Veto, path: Callable[[User], Any]
) -> None:
    """A response that `validate` answers with is what the visitor gets, if nobody catches the veto."""
    veto(HttpResponseRedirect("/closed/"))
    answer = browser.visit(path(user))
    assert (answer.status, answer["Location"], answer.ours) == (302, "/closed/", {})


@only_sync
@pytest.mark.parametrize("veto", ["event"], indirect=True)
@pytest.mark.parametrize("path", [sign_in, async_sign_in])
def test_validate_is_asked_once(
    browser: Browser, told: list[Any], user: User, veto: Veto, path: Callable[[User], Any]
) -> None:
    """From credentials to the session `validate` is asked once, and again at the next sign-in."""
    veto(None)

    def view(request: Request) -> None:
        found = auth.authenticate(request, username="ada", password=PASSWORD)
        assert found is not None
        auth.login(request, found)

    for each in (view, path(user), view):
        told.clear()
        assert browser.visit(each).status == 200
        assert names(told).count("Audit validate") == 1
        assert names(told).count("hook validate") == 1


def test_authenticating_without_a_session(user: User, told: list[Any], veto: Veto) -> None:
    """Where there is no request, as in a command, there is no session to ask, and no veto."""
    veto("closed")
    assert auth.authenticate(None, username="ada", password=PASSWORD) == user
    assert auth.authenticate(HttpRequest(), username="ada", password=PASSWORD) == user
    assert refusal_of(HttpRequest()) is None
    assert told == []


# A registration


def register(request: Request) -> str:
    """What the view of a project does."""
    with transaction.atomic():
        user = User.objects.get()
        registered(request, user)
        HookedSession.told.append(("saved", None))
    return state(request)


async def async_register(request: Request) -> str:
    user = await User.objects.aget()
    await aregistered(request, user)
    return await sync_to_async(state)(request)


@pytest.mark.usefixtures("events")
@pytest.mark.django_db(transaction=True)
def test_registration(browser: Browser, told: list[Any], user: User) -> None:
    """A registration is told to hook and events at once, and to receivers when the account is there for everybody."""
    assert browser.visit(register).text == "anonymous None"
    assert told == [
        ("hook on_registered", None, SessionStatus.FRESH, False, True),
        ("Audit on_registered", None),
        ("saved", None),
        ("signal on_registered", None, SessionStatus.FRESH, "ada", True),
    ]


@pytest.mark.usefixtures("events")
@pytest.mark.django_db(transaction=True)
def test_async_registration(browser: Browser, told: list[Any], user: User) -> None:
    """Async code tells the same in the same order."""
    assert browser.visit(async_register).text == "anonymous None"
    assert names(told) == ["hook on_registered", "Audit on_registered", "signal on_registered"]
    assert HookedSession.heard == ["on_registered"]


@pytest.mark.usefixtures("events")
@pytest.mark.django_db(transaction=True)
def test_registration_that_is_undone(browser: Browser, told: list[Any], user: User) -> None:
    """Of an account whose transaction fails no receiver hears."""

    def view(request: Request) -> None:
        with transaction.atomic():
            registered(request, user)
            transaction.set_rollback(True)

    assert browser.visit(view).status == 200
    assert names(told) == ["hook on_registered", "Audit on_registered"]


def test_registration_keeps_what_its_hook_sets(
    browser: Browser, told: list[Any], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the hook sets on the visitor's session is stored, and there after the sign-in that follows."""

    def act(session: HookedSession, hook: str) -> None:
        session.gift_note += f" {hook}"

    monkeypatch.setattr(HookedSession, "act", act)

    def view(request: Request) -> None:
        registered(request, user)
        login(request, user)

    browser.visit(view)
    shown = browser.visit(lambda request: request.typed_session.gift_note).text
    assert shown == " on_registered on_authenticated on_created"
